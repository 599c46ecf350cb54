//! Devices: listed and ended; and when a way in ends under somebody who is still there.

use wsm_api::device::Device;
use wsm_api::problem::{Code, Problem};

use super::Daemon;
use super::people::subject;
use super::session::ended;
use crate::actor::{Actor, Way};
use crate::engine::{row, store_problem};
use crate::role::{Subject, Verb};
use crate::store::{Change, DeviceRow, People, now_ms, rfc3339};

impl Daemon {
    /// `device ls`: one's own; an admin sees all.
    ///
    /// # Errors
    /// The database said no.
    pub async fn devices(&self, actor: &Actor) -> Result<Vec<Device>, Problem> {
        self.may(actor, Verb::DeviceList, &Subject::Person(&actor.user))?;
        let of = (!actor.is_admin()).then_some(&*actor.user);
        let devices = self.engine.store.devices(of);
        let devices = devices.map_err(|e| store_problem(&e))?;
        let (now, current) = (now_ms(), current(actor));
        Ok(devices
            .into_iter()
            .map(|device| shown(device, now, current))
            .collect())
    }

    /// `device rm`: nobody comes in with it from now on, and who is in is out.
    ///
    /// # Errors
    /// There is none, or it is another user's.
    pub async fn device_remove(&self, actor: &Actor, id: &str) -> Result<Device, Problem> {
        let found = self.engine.store.device(id);
        let found = found.map_err(|e| store_problem(&e))?;
        let mine = found.filter(|device| device.user == actor.user || actor.is_admin());
        // Whoever may end none of its own devices learns nothing of others'.
        let of = mine.as_ref().map_or(&*actor.user, |device| &*device.user);
        self.may(actor, Verb::DeviceRemove, &Subject::Person(of))?;
        let Some(device) = mine else {
            let message = format!("there is no device {id:?}");
            return Err(Problem::new(Code::NotFound, message, "see `wsm device ls`"));
        };
        self.end_device(actor, device)
    }

    pub(super) fn end_device(
        &self,
        actor: &Actor,
        mut device: DeviceRow,
    ) -> Result<Device, Problem> {
        let now = now_ms();
        if device.revoked_ms.is_none() {
            let message = format!("{} {:?}", device.id, device.label);
            let told = row(actor, "device.revoked", &subject(&device.user), message);
            let change = Change::new(told);
            self.write(
                &[actor],
                &change.people(People::DeviceRevoked(device.id.clone(), now)),
            )?;
            device.revoked_ms = Some(now);
        }
        Ok(shown(device, now, current(actor)))
    }
}

fn current(actor: &Actor) -> Option<&str> {
    match &actor.way {
        Way::Device { id, .. } => Some(id),
        Way::Local { .. } | Way::Token { .. } | Way::Link { .. } => None,
    }
}

pub(super) fn shown(device: DeviceRow, now_ms: u64, current: Option<&str>) -> Device {
    Device {
        state: ended(&device, now_ms).unwrap_or("good").to_owned(),
        current: current == Some(&device.id),
        id: device.id,
        user: device.user,
        name: device.label,
        kind: device.kind,
        scope: device.scope.to_string(),
        agents: device.agents.into_iter().flatten().collect(),
        token: device.token.unwrap_or_default(),
        created: rfc3339(device.created_ms),
        expires: device.expires_ms.map(rfc3339).unwrap_or_default(),
        used: device.used_ms.map(rfc3339).unwrap_or_default(),
        address: device.address,
    }
}

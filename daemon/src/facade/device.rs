//! Devices: listed and ended; and when a way in ends under somebody who is still there.

use std::time::Duration;

use wsm_api::device::Device;
use wsm_api::problem::{Code, Problem};

use super::Daemon;
use super::people::subject;
use super::session::ended;
use crate::actor::{Actor, Way};
use crate::engine::{row, store_problem};
use crate::role::{Subject, Verb};
use crate::store::{Change, DeviceRow, People, StoreError, now_ms, rfc3339};

/// How long a look at a database that says no is put off.
const RETRY: Duration = Duration::from_secs(1);

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
            self.write(&change.people(People::DeviceRevoked(device.id.clone(), now)))?;
            device.revoked_ms = Some(now);
        }
        Ok(shown(device, now, current(actor)))
    }

    /// Completes when what `actor` came in with is good for nothing any more: it was ended, its
    /// time is over, or its user is gone. Whoever serves something that lasts waits for this too.
    pub async fn no_longer(&self, actor: &Actor) {
        let mut changed = self.engine.store.people_changed();
        loop {
            changed.mark_unchanged();
            let rest = match self.until(actor) {
                Ok(None) => return,
                Ok(Some(u64::MAX)) => Duration::MAX,
                Ok(Some(at_ms)) => Duration::from_millis(at_ms.saturating_sub(now_ms()).max(1)),
                Err(_) => RETRY,
            };
            tokio::select! {
                () = rest_for(rest) => {}
                _ = changed.changed() => {}
            }
        }
    }

    /// Until when this way in is good; `None`: it is not.
    fn until(&self, actor: &Actor) -> Result<Option<u64>, StoreError> {
        let store = &self.engine.store;
        let now = now_ms();
        let until = match &actor.way {
            Way::Local { .. } => return Ok(Some(u64::MAX)),
            Way::Token { id } => store
                .token(id)?
                .filter(|token| token.revoked_ms.is_none() && token.expires_ms > now)
                .map(|token| token.expires_ms),
            // Whoever is there uses it: rest does not end it.
            Way::Device { id, .. } => store
                .device(id)?
                .filter(|device| device.revoked_ms.is_none())
                .map(|device| device.expires_ms.unwrap_or(u64::MAX))
                .filter(|until| *until > now),
        };
        let known = store.user(&actor.user)?.is_some();
        Ok(until.filter(|_| known))
    }
}

async fn rest_for(rest: Duration) {
    if rest == Duration::MAX {
        std::future::pending().await
    } else {
        // A timer takes no rest of years.
        tokio::time::sleep(rest.min(Duration::from_secs(86_400))).await;
    }
}

fn current(actor: &Actor) -> Option<&str> {
    match &actor.way {
        Way::Device { id, .. } => Some(id),
        Way::Local { .. } | Way::Token { .. } => None,
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

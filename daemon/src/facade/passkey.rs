//! Passkeys: kept, found, and what a session is made with. The edge judges what they say.

use wsm_api::device::Device;
use wsm_api::problem::{Code, Problem};

use super::device::shown;
use super::pairing::drawn;
use super::people::subject;
use super::session::{Plan, ended};
use super::token::{check_label, digest};
use super::{Daemon, SessionMade};
use crate::actor::Actor;
use crate::engine::{row, store_problem};
use crate::role::Scope;
use crate::store::{Change, DeviceRow, People, now_ms};

/// What a device row of a passkey is called.
const PASSKEY: &str = "passkey";

/// Passkeys of one user.
const PASSKEYS_MAX: usize = 20;

/// A passkey that is good.
#[derive(Debug, Clone)]
pub struct Passkey {
    /// Whose.
    pub user: String,
    /// What the edge keeps of it.
    pub credential: String,
    row: DeviceRow,
}

impl Daemon {
    /// What the edge keeps of a user's passkeys; none of nobody's.
    ///
    /// # Errors
    /// The database said no.
    pub fn passkeys(&self, user: &str) -> Result<Vec<String>, Problem> {
        let devices = self.engine.store.devices(Some(user));
        let devices = devices.map_err(|e| store_problem(&e))?;
        let now = now_ms();
        let good = devices.into_iter().filter(|device| is_good(device, now));
        Ok(good.filter_map(|device| device.credential).collect())
    }

    /// Keeps a passkey of the actor's.
    ///
    /// # Errors
    /// The actor came in with a token, has too many, or it is known already.
    pub async fn passkey_new(
        &self,
        actor: &Actor,
        id: &str,
        credential: String,
        name: String,
    ) -> Result<Device, Problem> {
        self.may_pair(actor)?;
        check_label(&name)?;
        let user = self.known(&actor.user)?;
        let store = &self.engine.store;
        let known = store.device_by_hash(&digest(id));
        if known.map_err(|e| store_problem(&e))?.is_some() {
            let message = "this passkey is known, or was ended: make another one";
            return Err(Problem::new(Code::Conflict, message, ""));
        }
        if self.passkeys(&user.name)?.len() >= PASSKEYS_MAX {
            let message = format!("{} has {PASSKEYS_MAX} passkeys", user.name);
            let hint = "end one: `wsm device ls`, `wsm device rm ID`";
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        let now = now_ms();
        let device = DeviceRow {
            id: drawn(10)?,
            user: user.name.clone(),
            label: name,
            kind: PASSKEY.to_owned(),
            hash: Some(digest(id)),
            credential: Some(credential),
            scope: Scope::Admin,
            agents: None,
            token: None,
            passkey: None,
            created_ms: now,
            expires_ms: None,
            revoked_ms: None,
            used_ms: None,
            address: actor.address.clone(),
        };
        let message = format!("{} {:?}", device.id, device.label);
        let change = Change::new(row(actor, "passkey.made", &subject(&user.name), message))
            .people(People::Known(user))
            .people(People::Device(device.clone()));
        self.write(&[actor], &change)?;
        Ok(shown(device, now, None))
    }

    /// The passkey with this id, if it is good.
    ///
    /// # Errors
    /// The database said no.
    pub fn passkey(&self, id: &str) -> Result<Option<Passkey>, Problem> {
        let found = self.engine.store.device_by_hash(&digest(id));
        let found = found.map_err(|e| store_problem(&e))?;
        let good = found.filter(|device| is_good(device, now_ms()));
        Ok(good.and_then(|row| {
            Some(Passkey {
                user: row.user.clone(),
                credential: row.credential.clone()?,
                row,
            })
        }))
    }

    /// A session for who showed a passkey; `credential` is what is kept of it from now on.
    ///
    /// # Errors
    /// Its user is gone, or there are too many sessions.
    pub async fn passkey_session(
        &self,
        passkey: Passkey,
        credential: String,
        device_name: String,
        address: &str,
    ) -> Result<SessionMade, Problem> {
        let plan = Plan {
            user: self.known(&passkey.user)?,
            fresh: false,
            label: device_name,
            scope: Scope::Admin,
            agents: None,
            token: None,
            passkey: Some(passkey.row.id.clone()),
            until_ms: None,
            how: format!("with passkey {}", passkey.row.id),
        };
        let (change, made) = self.session(plan, address)?;
        let kept = DeviceRow {
            credential: Some(credential),
            ..passkey.row
        };
        let id = kept.id.clone();
        self.write(&[], &change.people(People::Device(kept)))?;
        if let Err(error) = self.engine.store.device_used(&id, now_ms(), address) {
            // A full disk keeps nobody out.
            tracing::warn!(%error, device = %id, "can't note that it was used");
        }
        Ok(made)
    }
}

fn is_good(device: &DeviceRow, now_ms: u64) -> bool {
    device.kind == PASSKEY && ended(device, now_ms).is_none()
}

//! Sessions of browsers: made with something that only its holder has, known by a cookie, ended.
//!
//! What comes in here is nobody yet: a miss says the same whatever was wrong, and the edge counts it.

use std::collections::BTreeSet;

use wsm_api::device::{Device, Entered, NewSession};
use wsm_api::problem::{Code, Problem};

use super::Daemon;
use super::device::shown;
use super::people::subject;
use super::token::{check_label, digest};
use crate::actor::{Actor, Way, Who};
use crate::agent::assemble::random_text;
use crate::engine::{row, store_problem};
use crate::role::{Scope, Subject, Verb};
use crate::store::{Change, DeviceRow, People, UserRow, now_ms, rfc3339};

/// What a device row of a session is called.
pub(super) const SESSION: &str = "session";

/// Characters of a cookie, five random bits each: 256 bits and four.
const COOKIE_CHARACTERS: usize = 52;

/// How long a session lasts, used or not.
const SESSION_SECONDS: u64 = 90 * 86_400;

/// A session that is not used for so long ends.
const UNUSED_MS: u64 = 14 * 86_400 * 1000;

/// Sessions of one user at once: more than anybody has devices. Those of a token count for
/// themselves, so that who was given one keeps nobody else out.
const SESSIONS_MAX: usize = 100;
const SESSIONS_OF_TOKEN_MAX: usize = 20;

/// How exact "last used" is; a busy session shall not write at every request.
const USED_EVERY_MS: u64 = 60_000;

/// A session that was just made: the only time that its cookie's value is told.
#[derive(Debug)]
pub struct SessionMade {
    /// What is told.
    pub entered: Entered,
    /// The cookie's value.
    pub cookie: String,
    /// Seconds until it ends for good.
    pub seconds: u64,
}

/// What a new session is to be.
pub(super) struct Plan {
    /// Whose.
    pub(super) user: UserRow,
    /// It is a user only from now on: somebody who has the name already keeps it.
    pub(super) fresh: bool,
    /// What its device is called.
    pub(super) label: String,
    /// What it is good for.
    pub(super) scope: Scope,
    /// The only agents that it is good for.
    pub(super) agents: Option<BTreeSet<String>>,
    /// The token that it is made with.
    pub(super) token: Option<String>,
    /// The passkey that it is made with.
    pub(super) passkey: Option<String>,
    /// When it ends at the latest.
    pub(super) until_ms: Option<u64>,
    /// How it came about, in words.
    pub(super) how: String,
}

impl Daemon {
    /// A session for who holds a token: it reaches as far, and ends with it.
    ///
    /// # Errors
    /// The token is not good, or there are too many sessions.
    pub async fn session_new(
        &self,
        new: NewSession,
        address: &str,
    ) -> Result<SessionMade, Problem> {
        let actor = self.authenticate_token(&new.token, address)?;
        let Way::Token { id } = actor.way else {
            return Err(no_session());
        };
        let store = &self.engine.store;
        let token = store.token(&id).map_err(|e| store_problem(&e))?;
        let token = token.ok_or_else(no_session)?;
        let plan = Plan {
            user: self.known(&token.user)?,
            fresh: false,
            label: new.device_name,
            scope: token.scope,
            agents: token.agents,
            token: Some(id),
            passkey: None,
            until_ms: Some(token.expires_ms),
            how: format!("with token {}", token.id),
        };
        let (change, made) = self.session(plan, address)?;
        self.write(&[], &change)?;
        Ok(made)
    }

    /// The change that makes a session, and what to tell once it is written.
    pub(super) fn session(
        &self,
        plan: Plan,
        address: &str,
    ) -> Result<(Change<'static>, SessionMade), Problem> {
        check_label(&plan.label)?;
        let user = plan.user;
        let now = now_ms();
        self.has_room(&user.name, plan.token.as_deref(), now)?;
        let failed =
            |e: std::io::Error| Problem::new(Code::Failed, format!("draw a cookie: {e}"), "");
        let cookie = random_text(COOKIE_CHARACTERS).map_err(failed)?;
        let longest = now.saturating_add(SESSION_SECONDS * 1000);
        let until = plan.until_ms.map_or(longest, |at| at.min(longest));
        let device = DeviceRow {
            id: random_text(10).map_err(failed)?,
            user: user.name.clone(),
            label: plan.label,
            kind: SESSION.to_owned(),
            hash: Some(digest(&cookie)),
            credential: None,
            scope: plan.scope,
            agents: plan.agents,
            token: plan.token,
            passkey: plan.passkey,
            created_ms: now,
            expires_ms: Some(until),
            revoked_ms: None,
            used_ms: None,
            address: address.to_owned(),
        };
        let who = Who {
            user: user.name.clone(),
            via: format!("device:{}", device.id),
            address: address.to_owned(),
        };
        let message = format!(
            "{} {:?} {}: {}, until {}",
            device.id,
            device.label,
            plan.how,
            device.scope,
            rfc3339(until)
        );
        let change = Change::new(row(who, "session.made", &subject(&user.name), message))
            .people(People::SessionsForgotten(
                user.name.clone(),
                now,
                now.saturating_sub(UNUSED_MS),
            ))
            .people(if plan.fresh {
                People::NewUser(user.clone())
            } else {
                People::Known(user.clone())
            })
            .people(People::Device(device.clone()));
        let made = SessionMade {
            entered: Entered {
                user: user.name,
                role: user.role.to_string(),
                device: shown(device.clone(), now, Some(&device.id)),
            },
            cookie,
            seconds: until.saturating_sub(now) / 1000,
        };
        Ok((change, made))
    }

    /// Refuses one more session where there are too many already, of a token or without.
    fn has_room(&self, user: &str, token: Option<&str>, now: u64) -> Result<(), Problem> {
        let devices = self.engine.store.devices(Some(user));
        let devices = devices.map_err(|e| store_problem(&e))?;
        let live = devices
            .iter()
            .filter(|row| row.kind == SESSION && row.token.as_deref() == token);
        let most = match token {
            Some(_) => SESSIONS_OF_TOKEN_MAX,
            None => SESSIONS_MAX,
        };
        if live.filter(|row| ended(row, now).is_none()).count() < most {
            return Ok(());
        }
        let message = format!("{user} has {most} sessions");
        let hint = "end one: `wsm device ls`, `wsm device rm ID`";
        Err(Problem::new(Code::Conflict, message, hint))
    }

    /// Who a session's cookie belongs to; `None`: there never was one of this value.
    ///
    /// # Errors
    /// The session has ended, or its user is gone.
    pub fn authenticate_session(
        &self,
        cookie: &str,
        address: &str,
    ) -> Result<Option<Actor>, Problem> {
        let store = &self.engine.store;
        let found = store.device_by_hash(&digest(cookie));
        let Some(device) = found.map_err(|e| store_problem(&e))? else {
            return Ok(None);
        };
        let now = now_ms();
        // Browsers send a cookie of plain HTTP to every port of this machine, agents' too: what was
        // made here is of no use elsewhere.
        let strayed = is_loopback(&device.address) && !is_loopback(address);
        if device.kind != SESSION || strayed || ended(&device, now).is_some() {
            return Err(no_session());
        }
        let fresh = |used: u64| used.saturating_add(USED_EVERY_MS) > now;
        let stale = device.address != address || !device.used_ms.is_some_and(fresh);
        if stale && let Err(error) = store.device_used(&device.id, now, address) {
            // A full disk keeps nobody out.
            tracing::warn!(%error, device = %device.id, "can't note that it was used");
        }
        self.device_actor(device, address).map(Some)
    }

    /// `DELETE /v1/session`: the session that the actor came in by ends.
    ///
    /// # Errors
    /// The actor came in by no session.
    pub async fn session_end(&self, actor: &Actor) -> Result<Device, Problem> {
        self.may(actor, Verb::SessionEnd, &Subject::Host)?;
        let Way::Device { id, .. } = &actor.way else {
            let message = "you came in by no session";
            return Err(Problem::new(Code::Conflict, message, ""));
        };
        let found = self.engine.store.device(id);
        let device = found.map_err(|e| store_problem(&e))?;
        self.end_device(actor, device.ok_or_else(no_session)?)
    }

    fn device_actor(&self, device: DeviceRow, address: &str) -> Result<Actor, Problem> {
        let user = self.engine.store.user(&device.user);
        let user = user
            .map_err(|e| store_problem(&e))?
            .ok_or_else(no_session)?;
        Ok(Actor {
            user: user.name,
            way: Way::Device {
                id: device.id,
                name: device.label,
                lent: device.token.is_some(),
            },
            address: address.to_owned(),
            role: user.role,
            scope: device.scope,
            agents: device.agents,
            account: user.uid,
        })
    }
}

/// What a device is good for any more: `revoked` or `expired`, if that is so.
pub(super) fn ended(device: &DeviceRow, now_ms: u64) -> Option<&'static str> {
    let used = device.used_ms.unwrap_or(device.created_ms);
    let unused = device.kind == SESSION && used.saturating_add(UNUSED_MS) <= now_ms;
    if device.revoked_ms.is_some() {
        Some("revoked")
    } else if unused || device.expires_ms.is_some_and(|at| at <= now_ms) {
        Some("expired")
    } else {
        None
    }
}

fn is_loopback(address: &str) -> bool {
    let address = address.parse::<std::net::IpAddr>();
    address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn no_session() -> Problem {
    let hint = "sign in again";
    Problem::new(Code::Unknown, "this session has ended", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_time_by_rest_and_by_hand() {
        let device = DeviceRow {
            id: "d".into(),
            user: "ann".into(),
            label: String::new(),
            kind: SESSION.into(),
            hash: None,
            credential: None,
            scope: Scope::View,
            agents: None,
            token: None,
            passkey: None,
            created_ms: 1_000,
            expires_ms: Some(UNUSED_MS * 3),
            revoked_ms: None,
            used_ms: None,
            address: String::new(),
        };
        assert_eq!(ended(&device, 2_000), None);
        assert_eq!(ended(&device, 1_000 + UNUSED_MS), Some("expired"));
        let used = DeviceRow {
            used_ms: Some(UNUSED_MS),
            ..device.clone()
        };
        assert_eq!(ended(&used, 1_000 + UNUSED_MS), None);
        assert_eq!(ended(&used, 2 * UNUSED_MS), Some("expired"));
        let busy = DeviceRow {
            used_ms: Some(UNUSED_MS * 3 - 1),
            ..device.clone()
        };
        assert_eq!(ended(&busy, UNUSED_MS * 3), Some("expired"));
        let passkey = DeviceRow {
            kind: "passkey".into(),
            expires_ms: None,
            ..device.clone()
        };
        assert_eq!(ended(&passkey, u64::MAX), None, "a passkey rests for years");
        let revoked = DeviceRow {
            revoked_ms: Some(5),
            ..passkey
        };
        assert_eq!(ended(&revoked, 6), Some("revoked"));
    }
}

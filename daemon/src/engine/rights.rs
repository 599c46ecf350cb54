//! A right ends when it ends, not when somebody looks: what was opened by it is closed then.
//!
//! What is open at a shim goes past the daemon (ADR 8) and outlives it, so it is looked at from here:
//! whenever rights changed, when a share ends by its time, and when a daemon starts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wsm_terminal::protocol::{Reply, Request};

use super::{Engine, WSM, row};
use crate::account;
use crate::actor::LINK_USER;
use crate::agent::handle::Published;
use crate::record::Record;
use crate::role::{AgentRole, HostRole};
use crate::shim::LEASES;
use crate::store::{Change, LinkRow, People, ShareRow, StoreError, now_ms};

/// Clocks are set, and machines sleep: it is looked again after this at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// An end that could not be written down is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Whether a link is good for this agent, if who made it may make one still.
fn holds(link: &LinkRow, record: &Record, now_ms: u64) -> bool {
    let same = link.agent == record.id.as_str() && link.owner == record.owner;
    same && link.expires_ms > now_ms && record.trashed_ms.is_none()
}

impl Engine {
    /// Whether this uid may do everything.
    #[must_use]
    pub fn rules(&self, uid: u32) -> bool {
        uid == 0 || self.admins.contains(&uid)
    }

    /// Whether this user may do everything to every agent, by the best way in.
    fn is_admin(&self, user: &str) -> Result<bool, StoreError> {
        let known = self.store.user(user)?;
        let uid = match &known {
            Some(known) if known.role == HostRole::Admin => return Ok(true),
            Some(known) => known.uid,
            None => account::uid(user),
        };
        Ok(uid.is_some_and(|uid| self.rules(uid)))
    }

    /// Whether a link is good for this agent now. It goes as far as the right of who made it.
    pub(crate) fn holds(&self, link: &LinkRow, record: &Record) -> Result<bool, StoreError> {
        let made_by = &link.made_by;
        Ok(
            holds(link, record, now_ms())
                && (*made_by == record.owner || self.is_admin(made_by)?),
        )
    }

    /// What a user may do with an agent now, by the best way in.
    ///
    /// # Errors
    /// The database said no.
    pub fn role_on(&self, record: &Record, user: &str) -> Result<Option<AgentRole>, StoreError> {
        if record.owner == user || self.is_admin(user)? {
            return Ok(Some(AgentRole::Owner));
        }
        if let Some(id) = user.strip_prefix(LINK_USER) {
            let link = self.store.link(id)?;
            let good = link.map(|link| self.holds(&link, record)).transpose()?;
            return Ok(good.unwrap_or_default().then_some(AgentRole::Viewer));
        }
        self.store.shared(record.id.as_str(), user, now_ms())
    }

    /// Closes what a user has open at an agent's shim and has no right to. What fails is logged:
    /// nobody new gets in, and it is tried again when rights change.
    pub async fn enforce(&self, published: &Published, user: &str) {
        let agent = &published.record.name;
        let role = match self.role_on(&published.record, user) {
            Ok(role) => role,
            Err(error) => {
                tracing::warn!(%error, %agent, "what somebody may do with it is not known");
                return;
            }
        };
        if role >= Some(AgentRole::Driver) {
            return;
        }
        let Some(shim) = published.shim.as_ref().filter(|it| it.speaks() >= LEASES) else {
            return;
        };
        let (user, looks) = (user.to_owned(), role.is_some());
        if let Err(error) = shim.request(Request::Expel { user, looks }).await {
            tracing::warn!(%error, %agent, "close somebody's terminals");
        }
    }

    /// The same at every agent.
    pub async fn enforce_everywhere(&self, user: &str) {
        for handle in self.handles() {
            self.enforce(&handle.now(), user).await;
        }
    }

    /// Has rights end from now on.
    pub(crate) fn keep_rights(self: &Arc<Engine>) {
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let mut changed = engine.store.rights();
            loop {
                changed.mark_unchanged();
                let written = engine.end_shares().await & engine.end_links();
                for handle in engine.handles() {
                    let engine = Arc::clone(&engine);
                    // A shim that hangs holds up nobody else's.
                    tokio::spawn(async move { engine.look_over(&handle.now()).await });
                }
                let next = engine
                    .next_look()
                    .min(if written { LOOK_EVERY } else { RETRY });
                tokio::select! {
                    // The store lives as long as the daemon: this ends with it.
                    told = changed.changed() => if told.is_err() { return },
                    () = tokio::time::sleep(next) => {}
                }
            }
        });
    }

    fn next_look(&self) -> Duration {
        let now = now_ms();
        match self.store.next_end(now) {
            Ok(Some(at)) => Duration::from_millis(at - now),
            Ok(None) => LOOK_EVERY,
            Err(_) => RETRY,
        }
    }

    /// Ends what has ended by its time: a row, and no share any more. Whether all could be written.
    async fn end_shares(&self) -> bool {
        let now = now_ms();
        let ended = match self.store.ended_shares(now) {
            Ok(ended) => ended,
            Err(error) => {
                tracing::warn!(%error, "which shares have ended is not known");
                return false;
            }
        };
        let handles: Vec<_> = self.handles().iter().map(|it| it.now()).collect();
        let mut written = true;
        for share in ended {
            let published = handles
                .iter()
                .find(|it| it.record.id.as_str() == share.agent);
            written &= self.end_share(published.map(|it| &*it.record), &share, now);
            if let Some(published) = published {
                self.enforce(published, &share.user).await;
            }
        }
        written
    }

    /// The same of links; who watches by one is seen to by [`Engine::look_over`].
    fn end_links(&self) -> bool {
        let ended = self.store.ended_links(now_ms()).unwrap_or_default();
        let mut written = true;
        for link in ended {
            let message = format!("{}: its time is over", link.id);
            let told = row(WSM, "agent.link-ended", &link.agent, message);
            let change = Change::new(told).people(People::LinkGone(link.id));
            match self.store.commit(&change) {
                Ok(_) | Err(StoreError::Gone) => {}
                Err(error) => {
                    tracing::warn!(%error, "the end of a link is not written");
                    written = false;
                }
            }
        }
        written
    }

    fn end_share(&self, record: Option<&Record>, share: &ShareRow, now: u64) -> bool {
        let name = record.map_or(share.agent.as_str(), |record| record.name.as_str());
        let message = format!("{name} with {}: its time is over", share.user);
        let told = row(WSM, "agent.share-ended", &share.agent, message);
        let ended = People::ShareEnded(share.agent.clone(), share.user.clone(), now);
        let change = Change::new(told.changed(share.role.as_str(), "")).people(ended);
        match self.store.commit(&change) {
            // It was ended, or shared anew, in this instant.
            Ok(_) | Err(StoreError::Gone) => true,
            Err(error) => {
                tracing::warn!(%error, agent = %name, "the end of a share is not written");
                false
            }
        }
    }

    /// Closes what is open at an agent's shim and is nobody's right any more.
    async fn look_over(&self, published: &Published) {
        let Some(shim) = published.shim.as_ref().filter(|it| it.speaks() >= LEASES) else {
            return;
        };
        let asked = shim.request(Request::Who { terminal: None }).await;
        let Ok(Reply::Who {
            viewers, runners, ..
        }) = asked
        else {
            return;
        };
        // Whether they use more than a viewer's right.
        let mut there = BTreeMap::<String, bool>::new();
        for viewer in viewers {
            *there.entry(viewer.person.user).or_default() |= !viewer.read_only;
        }
        for runner in runners {
            there.insert(runner.user, true);
        }
        // Nobody in particular: the daemon, and root beside it.
        there.remove("");
        for (user, drives) in there {
            let needs = if drives {
                AgentRole::Driver
            } else {
                AgentRole::Viewer
            };
            match self.role_on(&published.record, &user) {
                Ok(role) if role >= Some(needs) => {}
                _ => self.enforce(published, &user).await,
            }
        }
    }
}

//! A right that somebody is using: whoever serves it is told when it ends.

use std::time::Duration;

use wsm_api::problem::{Code, Problem};

use super::Daemon;
use crate::actor::{Actor, Way};
use crate::engine::store_problem;
use crate::role::Verb;
use crate::store::now_ms;

/// Clocks are set, and machines sleep: it is looked again after this at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What could not be looked up is looked up again after this.
const RETRY: Duration = Duration::from_secs(5);

/// One use of a right: a connection that stands as long as it holds.
#[derive(Debug, Clone)]
pub struct Standing {
    daemon: Daemon,
    actor: Actor,
    agent: String,
    verb: Verb,
}

impl Daemon {
    /// The use of a right that the actor has now.
    #[must_use]
    pub fn standing(&self, actor: &Actor, agent: &str, verb: Verb) -> Standing {
        Standing {
            daemon: self.clone(),
            actor: actor.clone(),
            agent: agent.to_owned(),
            verb,
        }
    }
}

impl Standing {
    /// Returns when the right is none any more: its share, token or device has ended, its user is
    /// gone, the agent is another's.
    pub async fn ended(&self) -> Problem {
        let mut changed = self.daemon.engine.store.rights();
        loop {
            changed.mark_unchanged();
            let next = match self.holds() {
                Ok(None) => LOOK_EVERY,
                Ok(Some(at)) => Duration::from_millis(at.saturating_sub(now_ms())).min(LOOK_EVERY),
                // The database says no: that is no answer.
                Err(problem) if problem.code == Code::Failed => RETRY,
                Err(problem) => return over(&self.agent, &problem),
            };
            tokio::select! {
                // The store lives as long as the daemon.
                _ = changed.changed() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    /// Whether it holds, and until when as far as that is known.
    fn holds(&self) -> Result<Option<u64>, Problem> {
        let (actor, way_ends) = self.daemon.again(&self.actor)?;
        let handle = self.daemon.find(&actor, &self.agent, self.verb)?;
        let record = &handle.now().record;
        let store = &self.daemon.engine.store;
        let share = if actor.user == record.owner || actor.is_admin() {
            None
        } else {
            let share = store.share(record.id.as_str(), &actor.user);
            share.map_err(|e| store_problem(&e))?
        };
        let share_ends = share.and_then(|share| share.expires_ms);
        Ok([way_ends, share_ends].into_iter().flatten().min())
    }
}

/// Not every reason: of what is hidden now no more is told than of what is not there.
fn over(agent: &str, why: &Problem) -> Problem {
    let message = match why.code {
        Code::Unknown => why.message.clone(),
        _ => format!("your right to this part of {agent} has ended"),
    };
    Problem::new(
        Code::Refused,
        message,
        "ask its owner, or an admin of this host",
    )
}

impl Daemon {
    /// The actor as the database has it now, and when its way in ends.
    pub(super) fn again(&self, actor: &Actor) -> Result<(Actor, Option<u64>), Problem> {
        let store = &self.engine.store;
        let over = || Problem::new(Code::Unknown, "what you came in with has ended", "");
        let now = now_ms();
        let mut again = actor.clone();
        let ends = match &actor.way {
            Way::Local { uid } => {
                again = self.local_actor(*uid, &actor.user)?;
                return Ok((again, None));
            }
            Way::Token { id } => {
                let token = store.token(id).map_err(|e| store_problem(&e))?;
                let token = token.filter(|it| it.revoked_ms.is_none() && it.expires_ms > now);
                Some(token.ok_or_else(over)?.expires_ms)
            }
            Way::Device { id, .. } => {
                let device = store.device(id).map_err(|e| store_problem(&e))?;
                let good = |at: Option<u64>| at.is_none_or(|at| at > now);
                let device = device.filter(|it| it.revoked_ms.is_none() && good(it.expires_ms));
                device.ok_or_else(over)?.expires_ms
            }
            Way::Link { id } => {
                let link = self.good_link(id)?.ok_or_else(over)?;
                return Ok((again, Some(link.expires_ms)));
            }
        };
        let user = store.user(&actor.user).map_err(|e| store_problem(&e))?;
        again.role = user.ok_or_else(over)?.role;
        Ok((again, ends))
    }
}

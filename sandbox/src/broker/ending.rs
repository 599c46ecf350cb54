//! Ending an agent without a worker: the kernel kills, and tells when nothing is left.
//!
//! What can't be done at once (a host without such an event, a group that is still busy, a fault) is
//! left to a worker, which does all of it from the start and says why it can't.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::Broker;
use crate::cgroup::End;
use crate::fail;
use crate::protocol::Reply;
use crate::spec::AgentId;

/// How long killed processes may take before a worker waits for them.
const PATIENCE: Duration = Duration::from_secs(5);

/// An agent that was killed and is not gone yet.
#[derive(Debug)]
pub(super) struct Ending {
    connection: u64,
    pub(super) agent: AgentId,
    end: End,
    deadline: Instant,
}

impl AsFd for Ending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl Ending {
    /// Whether a worker is to wait for it from now on.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline <= now
    }
}

impl Broker {
    /// Kills an agent whose end the kernel will tell. `false` where a worker has to.
    pub(super) fn kill_at_once(&mut self, connection: u64, agent: &AgentId) -> bool {
        if fail::point("delete.start").is_err() {
            return false;
        }
        let Ok(Some(end)) = self.host.tree.kill_at_once(agent) else {
            return false;
        };
        self.endings.push(Ending {
            connection,
            agent: agent.clone(),
            end,
            deadline: Instant::now() + PATIENCE,
        });
        true
    }

    /// Removes what is left of those that are gone.
    pub(super) fn look_at_endings(&mut self) {
        let now = Instant::now();
        let mut at = 0;
        while let Some(ending) = self.endings.get(at) {
            let gone = ending.end.came().unwrap_or(true);
            if !gone && !ending.is_late(now) {
                at += 1;
                continue;
            }
            let Ending {
                connection, agent, ..
            } = self.endings.swap_remove(at);
            if gone && self.removed_at_once(&agent) {
                self.reply(connection, &Reply::Done);
                continue;
            }
            match self.delete_by_worker(Some(connection), agent) {
                Ok(worker) => self.workers.push(worker),
                Err(failed) => self.reply(connection, &Reply::Failed(failed)),
            }
        }
    }

    fn removed_at_once(&self, agent: &AgentId) -> bool {
        fail::point("delete.killed").is_ok()
            && self.host.tidy(agent).is_ok()
            && self.host.tree.try_remove(agent)
            && self.host.forget(agent).is_ok()
    }
}

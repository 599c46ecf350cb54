//! Whose a process is, and its end when that one has no right to it any more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Shim;
use super::process::{Kind, Process};
use super::stream::Peer;
use crate::protocol::Person;

/// How long a process may take to end that was hung up.
const HANG_UP: Duration = Duration::from_secs(3);

impl Shim {
    /// Whoever runs something now.
    pub(super) fn runners(&self) -> BTreeSet<&Person> {
        let running = self.processes.values().filter(|it| it.exit.is_none());
        running.filter_map(|it| it.person.as_ref()).collect()
    }

    /// Ends what a user runs: its client is told and closed, its group hung up, and killed a while
    /// later.
    pub(super) fn hang_up(&mut self, user: &str, now: Instant) {
        let theirs = |it: &Process| it.person.as_ref().is_some_and(|it| it.user == user);
        let running = self.processes.iter().filter(|(_, it)| it.exit.is_none());
        let names: Vec<String> = running
            .filter(|(_, it)| theirs(it) && it.doomed.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let Some(process) = self.processes.get_mut(&name) else {
                continue;
            };
            process.doomed = Some(now + HANG_UP);
            if let Kind::Stream(stream) = &mut process.kind {
                let peer = stream.peer();
                stream.leave();
                if let Peer::Here(client) = peer {
                    self.dismiss(client, "you have no right to run this any more");
                }
            }
            self.signal(&name, libc::SIGHUP, true);
        }
    }
}

//! Finding one's own services again after the daemon was restarted.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use wsm_api::service::ServiceState;
use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::Process;

use super::super::policy::SIGKILL;
use super::unit::Unit;
use super::{Output, Supervisor, View, Which, service_of};

/// A process of a service, as the shim knows it.
struct Found<'a> {
    number: u64,
    which: Which,
    process: &'a str,
    exit: Option<Exit>,
}

impl Supervisor {
    pub(super) fn adopt(
        &mut self,
        processes: &[Process],
        known: &[View],
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let mut found: BTreeMap<&str, Vec<Found<'_>>> = BTreeMap::new();
        for process in processes {
            if let Some((service, which, number)) = service_of(&process.process) {
                found.entry(service).or_default().push(Found {
                    number,
                    which,
                    process: &process.process,
                    exit: process.exit,
                });
            }
        }
        for (name, unit) in &mut self.units {
            let mut mine = found.remove(name.as_str()).unwrap_or_default();
            mine.sort_by_key(|found| found.number);
            let newest = mine.pop();
            for older in mine.iter().filter(|older| older.exit.is_none()) {
                // Never two of one service: the newest was launched when this one was to be gone.
                out.push(Output::Signal {
                    process: older.process.to_owned(),
                    signal: SIGKILL,
                });
            }
            if let Some(recorded) = known.iter().find(|view| view.service == *name) {
                unit.restore(recorded.clone());
            }
            adopt(unit, newest, now, out);
        }
    }
}

fn adopt(unit: &mut Unit, newest: Option<Found<'_>>, now: Instant, out: &mut Vec<Output>) {
    use ServiceState as S;
    let state = unit.state();
    unit.wanted = !matches!(state, S::Stopped | S::Stopping | S::Failed);
    // Its end may have been seen and recorded already.
    let recorded = matches!(state, S::Waiting | S::Backoff | S::Stopped | S::Failed);
    let newest = newest.inspect(|found| unit.number = found.number);
    let Some(found) = newest.filter(|found| found.exit.is_none() || !recorded) else {
        return adopt_ended(unit, out);
    };
    unit.watch(found.process.to_owned(), found.which, now);
    if found.which == Which::Main && matches!(state, S::Ready | S::Unhealthy) {
        unit.ready("runs; found again after a restart of the daemon", now, out);
    } else {
        unit.started(now, out);
    }
    if let Some(exit) = found.exit {
        unit.exited(exit, now, out);
    }
}

/// Nothing of it runs, and no end is news.
fn adopt_ended(unit: &mut Unit, out: &mut Vec<Output>) {
    if unit.wanted {
        unit.wait("is about to start".to_owned(), out);
    } else if unit.state() == ServiceState::Stopping {
        unit.unwant(out);
    }
}

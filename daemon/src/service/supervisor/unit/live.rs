//! A process of a service, from its launch to its end.

use std::time::{Duration, Instant};

use wsm_api::service::ServiceState;

use super::super::super::policy::READY_INTERVAL_FIRST;
use super::super::Which;

/// A process that may be alive.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) process: String,
    pub(super) which: Which,
    /// The shim has confirmed it.
    pub(super) confirmed: bool,
    /// Its log check has matched.
    pub(super) matched: bool,
    /// Until when `init` must end, or the service be ready.
    pub(super) deadline: Option<Instant>,
    /// Pause after the next failed readiness check.
    pub(super) pause: Duration,
    pub(super) probe_at: Option<Instant>,
    /// Probe under way: id, and when its answer counts as lost.
    pub(super) probing: Option<(u64, Instant)>,
    /// What the last failed check saw.
    pub(super) seen: String,
    pub(super) failures: u32,
    pub(super) ready_since: Option<Instant>,
    pub(super) ending: Option<Ending>,
}

/// A process on the stop ladder.
#[derive(Debug)]
pub(super) struct Ending {
    /// `None`: it was asked to. Otherwise why it must go; counts as a failure.
    pub(super) failure: Option<String>,
    pub(super) killed: bool,
    /// Next rung; `None` when all were climbed and it still hangs.
    pub(super) next: Option<Instant>,
}

impl Live {
    pub(super) fn new(process: String, which: Which, deadline: Option<Instant>) -> Live {
        Live {
            process,
            which,
            confirmed: false,
            matched: false,
            deadline,
            pause: READY_INTERVAL_FIRST,
            probe_at: None,
            probing: None,
            seen: String::new(),
            failures: 0,
            ready_since: None,
            ending: None,
        }
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.ending.as_ref().is_some_and(|e| e.next.is_none())
    }

    /// The state that it shows, unless it is on its way out or sick.
    pub(super) fn current_state(&self) -> ServiceState {
        match (self.which, self.ready_since) {
            (Which::Init, _) => ServiceState::Initializing,
            (Which::Main, None) => ServiceState::Starting,
            (Which::Main, Some(_)) => ServiceState::Ready,
        }
    }
}

//! One service of a [`super::Supervisor`]: its state and what moves it.

mod checks;
mod live;

use std::time::Instant;

use wsm_api::service::ServiceState;
use wsm_sandbox::launch::Exit;
use wsm_template::resolved::Service;

use super::super::policy::{
    History, KILL_TIMEOUT, SIGKILL, Verdict, describe, restarts, signal_number,
};
use super::text::LogText;
use super::{Output, View, Which, process_of};
use live::{Ending, Live};

/// Reason while the old process ends and a new one is wanted. The state is not `Stopping` then: a
/// daemon that dies meanwhile must find that the service shall run.
const RESTARTING: &str = "is being restarted";

/// A service.
#[derive(Debug)]
pub(super) struct Unit {
    name: String,
    spec: Service,
    /// Whether it shall run.
    pub(super) wanted: bool,
    init_pending: bool,
    /// Of the newest process; 0 before the first.
    pub(super) number: u64,
    newest: Option<String>,
    /// The process that may be alive. While there is one, no other is launched.
    live: Option<Live>,
    /// End of the pause in [`ServiceState::Backoff`].
    again_at: Option<Instant>,
    /// Ended as it should after it was ready, and nobody wants more of it.
    completed: bool,
    history: History,
    restarts: u32,
    state: ServiceState,
    reason: String,
    text: LogText,
}

impl Unit {
    pub(super) fn new(name: &str, spec: &Service, init_pending: bool) -> Unit {
        Unit {
            name: name.to_owned(),
            spec: spec.clone(),
            wanted: false,
            init_pending,
            number: 0,
            newest: None,
            live: None,
            again_at: None,
            completed: false,
            history: History::default(),
            restarts: 0,
            state: ServiceState::Stopped,
            reason: "was not started yet".to_owned(),
            text: LogText::default(),
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            service: self.name.clone(),
            state: self.state,
            reason: self.reason.clone(),
            restarts: self.restarts,
        }
    }

    /// Takes over what was recorded before a restart of the daemon; nothing new, so not told.
    pub(super) fn restore(&mut self, recorded: View) {
        self.state = recorded.state;
        self.reason = recorded.reason;
        self.restarts = recorded.restarts;
    }

    pub(super) fn state(&self) -> ServiceState {
        self.state
    }

    pub(super) fn depends_on(&self) -> &[String] {
        &self.spec.depends_on
    }

    pub(super) fn process(&self) -> Option<&str> {
        self.newest.as_deref()
    }

    /// Whether this is the process that may be alive.
    pub(super) fn runs(&self, process: &str) -> bool {
        self.live.as_ref().is_some_and(|l| l.process == process)
    }

    /// Whether dependents may run.
    pub(super) fn is_satisfied(&self) -> bool {
        self.state == ServiceState::Ready || self.completed
    }

    /// Unwanted, and its end can still be awaited.
    pub(super) fn is_stopping(&self) -> bool {
        !self.wanted && self.live.as_ref().is_some_and(|l| !l.is_stuck())
    }

    /// Unwanted, and not on the ladder yet.
    pub(super) fn must_stop(&self) -> bool {
        !self.wanted && self.live.as_ref().is_some_and(|l| l.ending.is_none())
    }

    /// Wants to be launched as soon as its dependencies allow.
    pub(super) fn waits(&self) -> bool {
        self.wanted && self.live.is_none() && self.state == ServiceState::Waiting
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let Some(live) = &self.live else {
            return self.again_at;
        };
        if let Some(ending) = &live.ending {
            return ending.next;
        }
        let probe = match live.probing {
            Some((_, lost_at)) => Some(lost_at),
            None => live.probe_at,
        };
        [live.deadline, probe].into_iter().flatten().min()
    }

    fn set(&mut self, state: ServiceState, reason: impl Into<String>, out: &mut Vec<Output>) {
        let reason = reason.into();
        if state != self.state || reason != self.reason {
            self.state = state;
            self.reason = reason;
            out.push(Output::Changed(self.view()));
        }
    }

    /// Somebody asked for this service by name: earlier failures are forgotten.
    pub(super) fn want(&mut self, out: &mut Vec<Output>) {
        self.wanted = true;
        match &self.live {
            Some(live) if live.ending.is_none() => {
                // A stop that has not reached it yet is taken back.
                if self.state == ServiceState::Stopping {
                    let state = live.current_state();
                    self.set(state, "runs on", out);
                }
            }
            Some(live) if live.is_stuck() => self.reset(),
            Some(_) => {
                self.reset();
                self.set(ServiceState::Starting, RESTARTING, out);
            }
            None => {
                self.reset();
                self.set(ServiceState::Waiting, "is about to start", out);
            }
        }
    }

    /// It is needed by another, or with all others.
    pub(super) fn want_too(&mut self, out: &mut Vec<Output>) {
        let idle = matches!(self.state, ServiceState::Failed | ServiceState::Stopped);
        let underway = self.wanted && (!idle || self.completed);
        if !underway {
            self.want(out);
        }
    }

    fn reset(&mut self) {
        self.again_at = None;
        self.completed = false;
        self.history = History::default();
        self.restarts = 0;
    }

    /// It shall not run. The ladder begins when the supervisor says [`Unit::stop`].
    pub(super) fn unwant(&mut self, out: &mut Vec<Output>) {
        self.wanted = false;
        self.again_at = None;
        self.completed = false;
        match &mut self.live {
            None => self.set(ServiceState::Stopped, "was asked to stop", out),
            Some(live) if live.is_stuck() => {}
            Some(live) => {
                if let Some(ending) = &mut live.ending {
                    ending.failure = None;
                }
                self.set(ServiceState::Stopping, "was asked to stop", out);
            }
        }
    }

    pub(super) fn restart(&mut self, now: Instant, out: &mut Vec<Output>) {
        match &mut self.live {
            Some(Live {
                ending: Some(ending),
                ..
            }) => ending.failure = None,
            Some(_) => self.end(None, now, out),
            None => {}
        }
        self.want(out);
    }

    /// First rung of the ladder for an unwanted service.
    pub(super) fn stop(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.set(ServiceState::Stopping, "was asked to stop", out);
        self.end(None, now, out);
    }

    fn end(&mut self, failure: Option<String>, now: Instant, out: &mut Vec<Output>) {
        let signal = signal_number(&self.spec.stop.signal);
        let killed = signal == SIGKILL;
        let grace = if killed {
            KILL_TIMEOUT
        } else {
            self.spec.stop.grace
        };
        if let Some(live) = &mut self.live {
            live.ending = Some(Ending {
                failure,
                killed,
                next: Some(now + grace),
            });
            let process = live.process.clone();
            out.push(Output::Signal { process, signal });
        }
    }

    pub(super) fn wait(&mut self, reason: String, out: &mut Vec<Output>) {
        self.set(ServiceState::Waiting, reason, out);
    }

    pub(super) fn fail(&mut self, reason: String, out: &mut Vec<Output>) {
        self.again_at = None;
        self.set(ServiceState::Failed, reason, out);
    }

    pub(super) fn launch(&mut self, now: Instant, out: &mut Vec<Output>) {
        let (which, argv) = if self.init_pending {
            (Which::Init, &self.spec.init)
        } else {
            (Which::Main, &self.spec.command)
        };
        let argv = argv.clone();
        self.number += 1;
        let process = process_of(&self.name, which, self.number);
        self.watch(process.clone(), which, now);
        match which {
            Which::Init => self.set(ServiceState::Initializing, "its init command runs", out),
            Which::Main => self.set(ServiceState::Starting, "was started", out),
        }
        out.push(Output::Launch {
            service: self.name.clone(),
            process,
            which,
            argv,
        });
    }

    /// Makes `process` the one that may be alive.
    pub(super) fn watch(&mut self, process: String, which: Which, now: Instant) {
        let timeout = match which {
            Which::Init => Some(self.spec.init_timeout),
            Which::Main => self.spec.ready.as_ref().map(|probe| probe.timeout),
        };
        self.text = LogText::default();
        self.newest = Some(process.clone());
        let deadline = timeout.map(|timeout| now + timeout);
        self.live = Some(Live::new(process, which, deadline));
    }

    pub(super) fn start_failed(
        &mut self,
        reason: &str,
        retry: bool,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(live) = self.live.take() else { return };
        let reason = format!("could not be started: {reason}");
        if !self.wanted {
            self.set(ServiceState::Stopped, "was asked to stop", out);
        } else if retry && live.which == Which::Main {
            self.again_or_fail(&reason, false, None, now, out);
        } else {
            self.fail(reason, out);
        }
    }

    pub(super) fn exited(&mut self, exit: Exit, now: Instant, out: &mut Vec<Output>) {
        // The end may overtake the shim's answer to the start; it proves the start all the same.
        self.started(now, out);
        let Some(live) = self.live.take() else { return };
        let fine = exit == Exit::Code(0) && live.ready_since.is_some() && live.ending.is_none();
        if live.which == Which::Init && exit == Exit::Code(0) && live.ending.is_none() {
            self.init_pending = false;
            let service = self.name.clone();
            out.push(Output::Initialized { service });
            if self.wanted {
                self.set(ServiceState::Waiting, "is initialized", out);
                return;
            }
        }
        let asked = live.ending.as_ref().is_some_and(|e| e.failure.is_none());
        if !self.wanted {
            self.set(ServiceState::Stopped, "was asked to stop", out);
        } else if asked {
            self.set(ServiceState::Waiting, "is about to start", out);
        } else {
            let early = match (live.which, live.ready_since) {
                (Which::Main, None) => " before it was ready",
                (Which::Main, Some(_)) | (Which::Init, _) => "",
            };
            let ended = || format!("{}{early}{}", describe(exit), self.text.quote());
            let failure = live.ending.and_then(|ending| ending.failure);
            let reason = failure.unwrap_or_else(ended);
            match live.which {
                Which::Init => self.fail(format!("its init command {reason}"), out),
                Which::Main => self.again_or_fail(&reason, fine, live.ready_since, now, out),
            }
        }
    }

    fn again_or_fail(
        &mut self,
        reason: &str,
        fine: bool,
        ready_since: Option<Instant>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        if !restarts(self.spec.restart, fine) {
            if fine {
                self.completed = true;
                self.set(ServiceState::Stopped, reason, out);
            } else {
                self.fail(reason.to_owned(), out);
            }
            return;
        }
        match self.history.ended(now, ready_since) {
            Verdict::Again(pause) => {
                self.again_at = Some(now + pause);
                self.restarts = self.restarts.saturating_add(1);
                let seconds = pause.as_secs_f32();
                let reason = format!("{reason}; starts again in {seconds} s");
                self.set(ServiceState::Backoff, reason, out);
            }
            Verdict::TooOften(times) => {
                self.fail(
                    format!("ended {times} times within a minute, last: {reason}"),
                    out,
                );
            }
            Verdict::NeverReady(times) => {
                self.fail(
                    format!("was never ready in {times} tries, last: {reason}"),
                    out,
                );
            }
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant, probes: &mut u64, out: &mut Vec<Output>) {
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            self.set(ServiceState::Waiting, "is about to start", out);
        }
        let Some(live) = &mut self.live else { return };
        if live.ending.is_some() {
            self.climb(now, out);
        } else if live.deadline.is_some_and(|at| at <= now) {
            let reason = self.overdue();
            self.end(Some(reason), now, out);
        } else if let Some((id, lost_at)) = live.probing {
            if lost_at <= now {
                self.probed(id, false, "the check did not answer", now, out);
            }
        } else if live.probe_at.is_some_and(|at| at <= now) {
            *probes += 1;
            self.probe(*probes, now, out);
        }
    }

    /// Next rung of the stop ladder.
    fn climb(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(live) = &mut self.live else { return };
        let Some(ending) = &mut live.ending else {
            return;
        };
        if ending.next.is_none_or(|at| at > now) {
            return;
        }
        if ending.killed {
            ending.next = None;
            self.wanted = false;
            self.fail("does not end, not even killed".to_owned(), out);
        } else {
            ending.killed = true;
            ending.next = Some(now + KILL_TIMEOUT);
            let process = live.process.clone();
            let signal = SIGKILL;
            out.push(Output::Signal { process, signal });
        }
    }
}

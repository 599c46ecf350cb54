//! The supervisor of one agent's services: decides, does nothing.
//!
//! ```text
//!            Start            dependencies ready        Started     check ok
//!  Stopped ────────▶ Waiting ───────────────▶ Initializing ─▶ Starting ─▶ Ready ◀─▶ Unhealthy
//!     ▲                ▲ ▲                        │              │          │           │
//!     │                │ └──────── init done ─────┘              └── ended, hung, sick ─┘
//!     │                └──────────────── pause over ── Backoff ◀─────── again ┴ else ─▶ Failed
//!     └── Stopping ◀── Stop, from anywhere
//! ```
//!
//! The driver feeds [`Input`]s in the order in which things happened and carries out the
//! [`Output`]s in order. Every launch of a service has a number of its own and every probe an id,
//! so that what comes late from an earlier one is known by its name and ignored.

mod adopt;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod text;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use wsm_api::service::ServiceState;
use wsm_sandbox::launch::Exit;
use wsm_template::resolved::{Check, Service};
use wsm_terminal::protocol::Process;

use super::policy::start_order;
use unit::Unit;

/// Which of a service's two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// `init`: once.
    Init,
    /// `command`.
    Main,
}

/// What happened, or what is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Start every service; [`Output::Ready`] or [`Output::GaveUp`] follows.
    StartAll,
    /// Stop every service, dependents first; [`Output::AllStopped`] follows.
    StopAll,
    /// Start one and what it depends on; forgets its earlier failures.
    Start(String),
    /// Stop one; what depends on it runs on.
    Stop(String),
    /// Stop one if it runs, then start it.
    Restart(String),
    /// After a restart of the daemon, before anything else: what the shim has, and what was
    /// recorded last. What was not recorded counts as stopped.
    Adopt {
        /// The shim's list.
        processes: Vec<Process>,
        /// The last [`Output::Changed`] of each.
        known: Vec<View>,
    },
    /// The shim said `Started`, or `Exists`.
    Started {
        /// Which.
        process: String,
    },
    /// The shim could not start it.
    StartFailed {
        /// Which.
        process: String,
        /// Why, a fragment: `exec postgres: No such file or directory`.
        reason: String,
        /// Whether a later try may succeed (out of processes), or can't (no such program).
        retry: bool,
    },
    /// A process ended. Feed its last output first: the reason quotes the last line. The driver
    /// has the shim forget it afterwards.
    Exited {
        /// Which.
        process: String,
        /// How.
        exit: Exit,
    },
    /// A process wrote to its log; any pieces, each byte once.
    Logged {
        /// Which.
        process: String,
        /// Text.
        text: String,
    },
    /// The answer to [`Output::Probe`].
    ProbeResult {
        /// Whose.
        service: String,
        /// Its id.
        id: u64,
        /// Whether it passed.
        ok: bool,
        /// What was seen, one sentence.
        detail: String,
    },
    /// [`Supervisor::next_deadline`] has come.
    Tick,
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Start a process; answer with [`Input::Started`] or [`Input::StartFailed`].
    Launch {
        /// Service.
        service: String,
        /// Name for the shim: [`process_of`].
        process: String,
        /// Which command.
        which: Which,
        /// The command.
        argv: Vec<String>,
    },
    /// Signal a process group; "not found" is fine.
    Signal {
        /// Process.
        process: String,
        /// Signal number.
        signal: i32,
    },
    /// Try a check; answer with [`Input::ProbeResult`].
    Probe {
        /// Service.
        service: String,
        /// Comes back with the answer.
        id: u64,
        /// What to try; never [`Check::Log`].
        check: Check,
        /// How long it may take.
        timeout: Duration,
    },
    /// `init` has succeeded: record it, so that it never runs again.
    Initialized {
        /// Service.
        service: String,
    },
    /// State or reason changed: record it before the outputs that follow are carried out.
    Changed(View),
    /// Everything the agent waits for is ready. Once per [`Input::StartAll`].
    Ready,
    /// Something the agent waits for has failed. Instead of [`Output::Ready`].
    GaveUp {
        /// Service.
        service: String,
        /// Why.
        reason: String,
    },
    /// Nothing runs any more. Once per [`Input::StopAll`].
    AllStopped,
}

/// A service as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Name.
    pub service: String,
    /// State.
    pub state: ServiceState,
    /// Why, one sentence.
    pub reason: String,
    /// How often it was started again since it was last asked to start.
    pub restarts: u32,
}

/// The shim's name for the `number`th process of a service.
#[must_use]
pub fn process_of(service: &str, which: Which, number: u64) -> String {
    match which {
        Which::Init => format!("service/{service}/init#{number}"),
        Which::Main => format!("service/{service}#{number}"),
    }
}

/// Takes a name of [`process_of`] apart; `None` for a process that is no service's.
#[must_use]
pub fn service_of(process: &str) -> Option<(&str, Which, u64)> {
    let (name, number) = process.strip_prefix("service/")?.rsplit_once('#')?;
    let number = number.parse().ok()?;
    Some(match name.strip_suffix("/init") {
        Some(service) => (service, Which::Init, number),
        None => (name, Which::Main, number),
    })
}

/// Whether someone waits for all services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Nothing,
    Ready,
    Stopped,
}

/// The services of one agent.
#[derive(Debug)]
pub struct Supervisor {
    units: BTreeMap<String, Unit>,
    /// Names, dependencies first.
    order: Vec<String>,
    wait_for: Vec<String>,
    awaited: Awaited,
    probes: u64,
}

impl Supervisor {
    /// All stopped. Placeholders in `services` are replaced already. `uninitialized`: services
    /// whose `init` has not succeeded yet. `wait_for`: what the agent's own start waits for.
    #[must_use]
    pub fn new(
        services: &BTreeMap<String, Service>,
        uninitialized: &BTreeSet<String>,
        wait_for: &[String],
    ) -> Supervisor {
        let unit = |(name, service): (&String, &Service)| {
            let init = uninitialized.contains(name) && !service.init.is_empty();
            (name.clone(), Unit::new(name, service, init))
        };
        Supervisor {
            units: services.iter().map(unit).collect(),
            order: start_order(services),
            wait_for: wait_for.to_vec(),
            awaited: Awaited::Nothing,
            probes: 0,
        }
    }

    /// Takes in what happened; says what to do about it.
    #[must_use]
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        self.take(input, now, &mut out);
        for name in &self.order {
            let unit = self.units.get_mut(name).expect("the order names units");
            unit.tick(now, &mut self.probes, &mut out);
        }
        self.stop_unwanted(now, &mut out);
        self.start_waiting(now, &mut out);
        self.tell_awaited(&mut out);
        out
    }

    /// When [`Input::Tick`] is due; `None`: only something from outside can change anything.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.units.values().filter_map(Unit::next_deadline).min()
    }

    /// Whether there is a service of this name.
    #[must_use]
    pub fn contains(&self, service: &str) -> bool {
        self.units.contains_key(service)
    }

    /// Every service as it stands, by name.
    pub fn views(&self) -> impl Iterator<Item = View> + '_ {
        self.units.values().map(Unit::view)
    }

    /// The service's newest process, running or ended; `None` before its first start.
    #[must_use]
    pub fn process(&self, service: &str) -> Option<&str> {
        self.units.get(service)?.process()
    }

    fn take(&mut self, input: Input, now: Instant, out: &mut Vec<Output>) {
        match input {
            Input::StartAll => {
                self.awaited = Awaited::Ready;
                for unit in self.units.values_mut() {
                    unit.want_too(out);
                }
            }
            Input::StopAll => {
                self.awaited = Awaited::Stopped;
                for unit in self.units.values_mut() {
                    unit.unwant(out);
                }
            }
            Input::Start(name) => {
                self.want_dependencies(&name, out);
                self.with(&name, |unit| unit.want(out));
            }
            Input::Stop(name) => self.with(&name, |unit| unit.unwant(out)),
            Input::Restart(name) => {
                self.want_dependencies(&name, out);
                self.with(&name, |unit| unit.restart(now, out));
            }
            Input::Adopt { processes, known } => {
                self.awaited = Awaited::Ready;
                self.adopt(&processes, &known, now, out);
            }
            Input::Started { process } => self.owner(&process, |unit| unit.started(now, out)),
            Input::StartFailed {
                process,
                reason,
                retry,
            } => self.owner(&process, |unit| unit.start_failed(&reason, retry, now, out)),
            Input::Exited { process, exit } => {
                self.owner(&process, |unit| unit.exited(exit, now, out));
            }
            Input::Logged { process, text } => {
                self.owner(&process, |unit| unit.logged(&text, now, out));
            }
            Input::ProbeResult {
                service,
                id,
                ok,
                detail,
            } => self.with(&service, |unit| unit.probed(id, ok, &detail, now, out)),
            Input::Tick => {}
        }
    }

    fn with(&mut self, service: &str, act: impl FnOnce(&mut Unit)) {
        if let Some(unit) = self.units.get_mut(service) {
            act(unit);
        }
    }

    /// The unit whose process this is now; what came from an earlier one is stale.
    fn owner(&mut self, process: &str, act: impl FnOnce(&mut Unit)) {
        if let Some((service, _, _)) = service_of(process)
            && let Some(unit) = self.units.get_mut(service)
            && unit.runs(process)
        {
            act(unit);
        }
    }

    fn want_dependencies(&mut self, service: &str, out: &mut Vec<Output>) {
        let mut wanted = BTreeSet::new();
        let mut open = vec![service.to_owned()];
        while let Some(name) = open.pop() {
            let Some(unit) = self.units.get(&name) else {
                continue;
            };
            for dependency in unit.depends_on() {
                if dependency != service && wanted.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        for name in wanted {
            self.with(&name, |unit| unit.want_too(out));
        }
    }

    /// Begins the stop of whatever is unwanted and not needed by another that still stops.
    fn stop_unwanted(&mut self, now: Instant, out: &mut Vec<Output>) {
        for name in self.order.iter().rev() {
            let held = self
                .units
                .values()
                .any(|other| other.is_stopping() && other.depends_on().contains(name));
            let unit = self.units.get_mut(name).expect("the order names units");
            if !held && unit.must_stop() {
                unit.stop(now, out);
            }
        }
    }

    fn start_waiting(&mut self, now: Instant, out: &mut Vec<Output>) {
        for name in &self.order {
            let unit = &self.units[name];
            if !unit.waits() {
                continue;
            }
            let blocked =
                unit.depends_on()
                    .iter()
                    .find_map(|dependency| match self.units.get(dependency) {
                        Some(other) if other.is_satisfied() => None,
                        Some(other) => Some((dependency.clone(), other.state())),
                        None => Some((dependency.clone(), ServiceState::Failed)),
                    });
            let unit = self.units.get_mut(name).expect("the order names units");
            match blocked {
                None => unit.launch(now, out),
                Some((dependency, ServiceState::Failed)) => {
                    unit.fail(format!("needs {dependency}, which has failed"), out);
                }
                Some((dependency, _)) => unit.wait(format!("waits for {dependency}"), out),
            }
        }
    }

    fn tell_awaited(&mut self, out: &mut Vec<Output>) {
        let told = match self.awaited {
            Awaited::Nothing => None,
            Awaited::Ready => self.readiness(),
            Awaited::Stopped => {
                let quiet = !self.units.values().any(Unit::is_stopping);
                quiet.then_some(Output::AllStopped)
            }
        };
        if let Some(told) = told {
            self.awaited = Awaited::Nothing;
            out.push(told);
        }
    }

    fn readiness(&self) -> Option<Output> {
        let awaited = || self.wait_for.iter().filter_map(|name| self.units.get(name));
        if let Some(failed) = awaited().find(|unit| unit.state() == ServiceState::Failed) {
            let View {
                service, reason, ..
            } = failed.view();
            return Some(Output::GaveUp { service, reason });
        }
        awaited().all(Unit::is_satisfied).then_some(Output::Ready)
    }
}

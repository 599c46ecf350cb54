//! What holds for every story, however the world behaves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use wsm_api::service::ServiceState;
use wsm_sandbox::launch::Exit;
use wsm_template::resolved::{Health, Restart, Service};

use super::super::policy::{RESTARTS_MAX, RESTARTS_WINDOW};
use super::tests::{service, tcp};
use super::{Input, Output, Supervisor, Which, service_of};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// One thing that the world does.
#[derive(Debug, Clone)]
enum Step {
    StartAll,
    StopAll,
    Start(usize),
    Stop(usize),
    Restart(usize),
    /// The shim confirms the newest process, or refuses it.
    Confirm(usize, Option<bool>),
    /// The process ends.
    Exit(usize, i32),
    /// A pending probe is answered.
    Answer(usize, bool),
    /// An event of an earlier process, or of none.
    Stale(usize, u64),
    Pass(u64),
    /// Straight to the next deadline.
    Tick,
    /// The daemon is killed and comes back.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..NAMES.len();
    let step = prop_oneof![
        1 => Just(Step::StartAll),
        1 => Just(Step::StopAll),
        2 => at.clone().prop_map(Step::Start),
        1 => at.clone().prop_map(Step::Stop),
        1 => at.clone().prop_map(Step::Restart),
        8 => (at.clone(), prop_oneof![8 => Just(None), 1 => any::<bool>().prop_map(Some)])
            .prop_map(|(at, refused)| Step::Confirm(at, refused)),
        4 => (at.clone(), 0..3).prop_map(|(at, code)| Step::Exit(at, code)),
        8 => (at.clone(), any::<bool>()).prop_map(|(at, ok)| Step::Answer(at, ok)),
        1 => (at, 0..9_u64).prop_map(|(at, number)| Step::Stale(at, number)),
        3 => (0..20_000_u64).prop_map(Step::Pass),
        8 => Just(Step::Tick),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..120)
}

/// Each service may depend on earlier ones, so that there is no cycle.
fn services() -> impl Strategy<Value = BTreeMap<String, Service>> {
    let restart = prop_oneof![
        Just(Restart::Never),
        Just(Restart::OnFailure),
        Just(Restart::Always)
    ];
    let flags = (
        any::<u8>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        restart,
    );
    prop::collection::vec(flags, NAMES.len()).prop_map(|all| {
        let mut services = BTreeMap::new();
        for (index, (needs, ready, health, init, restart)) in all.into_iter().enumerate() {
            let needs: Vec<&str> = (0..index)
                .filter(|other| needs & (1 << other) != 0)
                .map(|other| NAMES[other])
                .collect();
            let mut made = service(&needs);
            made.restart = restart;
            made.ready = ready.then(|| tcp(30));
            made.health = health.then(|| Health {
                probe: tcp(2),
                interval: Duration::from_secs(5),
                failures: 2,
            });
            made.init = if init {
                vec!["init".to_owned()]
            } else {
                Vec::new()
            };
            services.insert(NAMES[index].to_owned(), made);
        }
        services
    })
}

/// A world that checks every output against what it knows.
struct World {
    services: BTreeMap<String, Service>,
    supervisor: Supervisor,
    now: Instant,
    /// Processes that may be alive, and how often each was killed.
    alive: BTreeMap<String, String>,
    killed: BTreeSet<String>,
    probes: BTreeMap<String, u64>,
    uninitialized: BTreeSet<String>,
    known: BTreeMap<String, super::View>,
    /// Launches of `command` since somebody asked, for the bound.
    launches: BTreeMap<String, Vec<Instant>>,
    all_stopped: u32,
}

impl World {
    fn new(services: BTreeMap<String, Service>) -> World {
        let uninitialized: BTreeSet<String> = services.keys().cloned().collect();
        let supervisor = Supervisor::new(&services, &uninitialized, &[]);
        World {
            services,
            supervisor,
            now: Instant::now(),
            alive: BTreeMap::new(),
            killed: BTreeSet::new(),
            probes: BTreeMap::new(),
            uninitialized,
            known: BTreeMap::new(),
            launches: BTreeMap::new(),
            all_stopped: 0,
        }
    }

    fn state(&self, service: &str) -> ServiceState {
        let mut views = self.supervisor.views();
        let view = views.find(|view| view.service == service);
        view.expect("it exists").state
    }

    fn feed(&mut self, input: Input) {
        let before: BTreeMap<String, ServiceState> = self
            .supervisor
            .views()
            .map(|view| (view.service, view.state))
            .collect();
        let outputs = self.supervisor.handle(input, self.now);
        for output in outputs {
            self.check(output, &before);
        }
        let due = self.supervisor.next_deadline();
        assert!(
            due.is_none_or(|due| due > self.now),
            "a deadline was missed"
        );
    }

    fn check(&mut self, output: Output, before: &BTreeMap<String, ServiceState>) {
        match output {
            Output::Launch {
                service,
                process,
                which,
                ..
            } => self.launched(service, process, which),
            Output::Signal { process, signal } => {
                if signal == 9 && self.alive.values().any(|alive| *alive == process) {
                    self.killed.insert(process);
                }
            }
            Output::Probe { service, id, .. } => {
                let older = self.probes.insert(service, id);
                assert!(older.is_none_or(|older| older < id));
            }
            Output::Initialized { service } => {
                assert!(self.uninitialized.remove(&service), "init ran twice");
            }
            Output::Changed(view) => {
                self.known.insert(view.service.clone(), view);
            }
            Output::AllStopped => self.all_stopped += 1,
            Output::Ready | Output::GaveUp { .. } => {}
        }
        assert_eq!(before.len(), NAMES.len());
    }

    fn launched(&mut self, service: String, process: String, which: Which) {
        assert!(
            !self.alive.contains_key(&service),
            "two of {service} at once"
        );
        let spec = &self.services[&service];
        for needed in &spec.depends_on {
            let state = self.state(needed);
            // `Stopped`: a task that ended well; it is the supervisor's to know.
            let fine = matches!(state, ServiceState::Ready | ServiceState::Stopped);
            assert!(fine, "{service} launched while {needed} is {state:?}");
        }
        match which {
            Which::Init => assert!(self.uninitialized.contains(&service)),
            Which::Main => {
                assert!(spec.init.is_empty() || !self.uninitialized.contains(&service));
                let launches = self.launches.entry(service.clone()).or_default();
                launches.retain(|at| self.now - *at < RESTARTS_WINDOW);
                launches.push(self.now);
                assert!(
                    launches.len() <= RESTARTS_MAX as usize,
                    "{service} restarts forever"
                );
            }
        }
        self.alive.insert(service, process);
    }

    fn ended(&mut self, service: &str, exit: Exit) {
        if let Some(process) = self.alive.remove(service) {
            self.killed.remove(&process);
            self.feed(Input::Exited { process, exit });
        }
    }

    /// Somebody asked: earlier launches do not count against the bound.
    fn asked(&mut self, input: Input) {
        self.launches.clear();
        self.feed(input);
    }

    fn act(&mut self, step: &Step) {
        let name = |at: &usize| NAMES[*at].to_owned();
        match step {
            Step::StartAll => self.asked(Input::StartAll),
            Step::StopAll => self.asked(Input::StopAll),
            Step::Start(at) => self.asked(Input::Start(name(at))),
            Step::Stop(at) => self.asked(Input::Stop(name(at))),
            Step::Restart(at) => self.asked(Input::Restart(name(at))),
            Step::Confirm(at, refused) => self.confirm(&name(at), *refused),
            Step::Exit(at, code) => self.ended(NAMES[*at], Exit::Code(*code)),
            Step::Answer(at, ok) => {
                if let Some(id) = self.probes.remove(NAMES[*at]) {
                    let (service, ok, detail) = (name(at), *ok, "seen".to_owned());
                    self.feed(Input::ProbeResult {
                        service,
                        id,
                        ok,
                        detail,
                    });
                }
            }
            Step::Stale(at, number) => self.stale(NAMES[*at], *number),
            Step::Pass(millis) => {
                self.now += Duration::from_millis(*millis);
                self.feed(Input::Tick);
            }
            Step::Tick => self.tick(),
            Step::Crash => self.crash(),
        }
    }

    fn confirm(&mut self, service: &str, refused: Option<bool>) {
        let Some(process) = self.alive.get(service).cloned() else {
            return;
        };
        match refused {
            None => self.feed(Input::Started { process }),
            Some(retry) => {
                self.alive.remove(service);
                self.killed.remove(&process);
                self.feed(Input::StartFailed {
                    process,
                    reason: "no".to_owned(),
                    retry,
                });
            }
        }
    }

    fn stale(&mut self, service: &str, number: u64) {
        let process = super::process_of(service, Which::Main, number);
        if self.alive.get(service) != Some(&process) {
            let before: Vec<_> = self.supervisor.views().collect();
            self.feed(Input::Exited {
                process,
                exit: Exit::Code(1),
            });
            let after: Vec<_> = self.supervisor.views().collect();
            assert_eq!(before, after, "a stale event was taken for a new one");
        }
    }

    fn tick(&mut self) {
        if let Some(due) = self.supervisor.next_deadline() {
            self.now = due.max(self.now);
            self.feed(Input::Tick);
        }
    }

    fn crash(&mut self) {
        self.supervisor = Supervisor::new(&self.services, &self.uninitialized, &[]);
        self.probes.clear();
        self.launches.clear();
        let process = |name: &String| wsm_terminal::protocol::Process {
            process: name.clone(),
            terminal: None,
            pid: 2,
            exit: None,
            started_ms: 0,
            output_ms: None,
            output_bytes: 0,
        };
        let processes = self.alive.values().map(process).collect();
        let known = self.known.values().cloned().collect();
        self.feed(Input::Adopt { processes, known });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Never two of one service, nothing before its dependencies, bounded restarts, no missed
    /// deadline, nothing stale believed: checked at every output. And a stop always ends, with
    /// processes that need to be killed.
    #[test]
    fn whatever_happens(services in services(), steps in steps()) {
        let mut world = World::new(services);
        for step in &steps {
            world.act(step);
        }
        world.all_stopped = 0;
        world.asked(Input::StopAll);
        for _ in 0..100 {
            // Only what was killed ends.
            let killed = world.killed.iter().next().cloned();
            match killed.as_deref().and_then(service_of) {
                Some((service, _, _)) => world.ended(service, Exit::Signal(9)),
                None if world.all_stopped > 0 => break,
                None => world.tick(),
            }
        }
        prop_assert_eq!(world.all_stopped, 1);
        prop_assert!(world.alive.is_empty(), "left behind: {:?}", world.alive);
        for name in NAMES {
            prop_assert_eq!(world.state(name), ServiceState::Stopped);
        }
        prop_assert_eq!(world.supervisor.next_deadline(), None);
    }

    /// Whatever ends within a second of its start is left alone in the end.
    #[test]
    fn crash_loops_end(services in services(), lives in 0..1000_u64, confirmed in any::<bool>()) {
        let mut world = World::new(services);
        world.asked(Input::StartAll);
        for _ in 0..NAMES.len() * (RESTARTS_MAX as usize + 1) * 4 {
            let running = world.alive.keys().next().cloned();
            match running {
                Some(service) => {
                    if confirmed {
                        world.confirm(&service, None);
                    }
                    world.act(&Step::Pass(lives));
                    world.ended(&service, Exit::Code(1));
                }
                None => world.tick(),
            }
        }
        prop_assert_eq!(world.supervisor.next_deadline(), None);
        for name in NAMES {
            prop_assert_eq!(world.state(name), ServiceState::Failed);
        }
    }
}

//! Stories of services, told as what goes in and what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use wsm_sandbox::launch::Exit;
use wsm_template::resolved::{Check, Limits, Probe, Restart, Service, Stop};

use super::{Input, Output, Supervisor, Which, process_of, service_of};

pub(super) fn service(depends_on: &[&str]) -> Service {
    Service {
        command: vec!["serve".to_owned()],
        init: Vec::new(),
        init_timeout: Duration::from_secs(600),
        depends_on: depends_on.iter().map(ToString::to_string).collect(),
        restart: Restart::OnFailure,
        ready: None,
        health: None,
        stop: Stop {
            signal: "TERM".to_owned(),
            grace: Duration::from_secs(10),
        },
        limits: Limits::default(),
        env: BTreeMap::new(),
    }
}

pub(super) fn tcp(seconds: u64) -> Probe {
    Probe {
        check: Check::Tcp {
            port: "db".to_owned(),
        },
        timeout: Duration::from_secs(seconds),
    }
}

/// A database that is probed, and an application that needs it.
fn pair() -> BTreeMap<String, Service> {
    let mut db = service(&[]);
    db.ready = Some(tcp(30));
    db.stop.signal = "INT".to_owned();
    BTreeMap::from([("app".to_owned(), service(&["db"])), ("db".to_owned(), db)])
}

pub(super) fn one(service: Service) -> BTreeMap<String, Service> {
    BTreeMap::from([("db".to_owned(), service)])
}

pub(super) struct Story {
    pub(super) supervisor: Supervisor,
    pub(super) now: Instant,
}

impl Story {
    pub(super) fn of(services: &BTreeMap<String, Service>) -> Story {
        let all: BTreeSet<String> = services.keys().cloned().collect();
        let names: Vec<String> = services.keys().cloned().collect();
        Story {
            supervisor: Supervisor::new(services, &all, &names),
            now: Instant::now(),
        }
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<String> {
        let outputs = self.supervisor.handle(input, self.now);
        outputs.into_iter().map(told).collect()
    }

    /// Goes on to the next deadline, which must be exactly `millis` away.
    pub(super) fn wait(&mut self, millis: u64) -> Vec<String> {
        let due = self.supervisor.next_deadline().expect("something is due");
        assert_eq!(due - self.now, Duration::from_millis(millis));
        self.now = due;
        self.feed(Input::Tick)
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub(super) fn started(&mut self, process: &str) -> Vec<String> {
        self.feed(Input::Started {
            process: process.to_owned(),
        })
    }

    pub(super) fn exited(&mut self, process: &str, exit: Exit) -> Vec<String> {
        self.feed(Input::Exited {
            process: process.to_owned(),
            exit,
        })
    }

    pub(super) fn logged(&mut self, process: &str, text: &str) -> Vec<String> {
        self.feed(Input::Logged {
            process: process.to_owned(),
            text: text.to_owned(),
        })
    }

    pub(super) fn probed(&mut self, id: u64, ok: bool, detail: &str) -> Vec<String> {
        self.feed(Input::ProbeResult {
            service: "db".to_owned(),
            id,
            ok,
            detail: detail.to_owned(),
        })
    }

    pub(super) fn start(&mut self, service: &str) -> Vec<String> {
        self.feed(Input::Start(service.to_owned()))
    }
}

fn told(output: Output) -> String {
    match output {
        Output::Launch { process, argv, .. } => format!("launch {process}: {}", argv.join(" ")),
        Output::Signal { process, signal } => format!("signal {process} {signal}"),
        Output::Probe {
            service,
            id,
            timeout,
            ..
        } => format!("probe {service} {id} {}s", timeout.as_secs_f32()),
        Output::Initialized { service } => format!("initialized {service}"),
        Output::Changed(view) => {
            format!("{} {}: {}", view.service, view.state.as_str(), view.reason)
        }
        Output::Ready => "READY".to_owned(),
        Output::GaveUp { service, reason } => format!("GAVE UP {service}: {reason}"),
        Output::AllStopped => "ALL STOPPED".to_owned(),
    }
}

#[test]
fn names_of_processes_come_apart_again() {
    for (service, which, number) in [("db", Which::Main, 1), ("a-b", Which::Init, 70)] {
        let process = process_of(service, which, number);
        assert_eq!(service_of(&process), Some((service, which, number)));
    }
    for other in ["main#1", "service/db", "service/db#x", "exec/17"] {
        assert_eq!(service_of(other), None);
    }
}

#[test]
fn dependencies_start_first_and_stop_last() {
    let mut story = Story::of(&pair());
    assert_eq!(
        story.feed(Input::StartAll),
        [
            "app waiting: is about to start",
            "db waiting: is about to start",
            "db starting: was started",
            "launch service/db#1: serve",
            "app waiting: waits for db",
        ]
    );
    assert_eq!(story.started("service/db#1"), ["probe db 1 5s"]);
    assert_eq!(story.probed(1, false, "nothing listens"), [""; 0]);
    assert_eq!(story.wait(50), ["probe db 2 5s"]);
    assert_eq!(
        story.probed(2, true, "port 5432 accepts connections"),
        [
            "db ready: port 5432 accepts connections",
            "app starting: was started",
            "launch service/app#1: serve",
        ]
    );
    assert_eq!(story.started("service/app#1"), ["app ready: runs", "READY"]);

    assert_eq!(
        story.feed(Input::StopAll),
        [
            "app stopping: was asked to stop",
            "db stopping: was asked to stop",
            "signal service/app#1 15",
        ]
    );
    assert_eq!(
        story.exited("service/app#1", Exit::Signal(15)),
        ["app stopped: was asked to stop", "signal service/db#1 2",]
    );
    assert_eq!(
        story.exited("service/db#1", Exit::Code(0)),
        ["db stopped: was asked to stop", "ALL STOPPED",]
    );
    assert_eq!(story.supervisor.next_deadline(), None);
}

#[test]
fn init_runs_once_and_before() {
    let mut db = service(&[]);
    db.init = vec!["initdb".to_owned(), "-D".to_owned()];
    let mut story = Story::of(&one(db));
    let started = story.feed(Input::StartAll);
    assert_eq!(started[1], "db initializing: its init command runs");
    assert_eq!(started[2], "launch service/db/init#1: initdb -D");
    assert_eq!(story.started("service/db/init#1"), [""; 0]);
    assert_eq!(
        story.exited("service/db/init#1", Exit::Code(0)),
        [
            "initialized db",
            "db waiting: is initialized",
            "db starting: was started",
            "launch service/db#2: serve",
        ]
    );
    story.started("service/db#2");
    story.feed(Input::Restart("db".to_owned()));
    let again = story.exited("service/db#2", Exit::Signal(15));
    assert_eq!(again.last().expect("outputs"), "launch service/db#3: serve");
}

#[test]
fn a_failed_init_is_not_repeated_by_itself() {
    let mut db = service(&[]);
    db.init = vec!["initdb".to_owned()];
    let mut story = Story::of(&one(db));
    story.feed(Input::StartAll);
    story.started("service/db/init#1");
    story.logged("service/db/init#1", "fixing\nno space left\n");
    let reason = "its init command exited with code 1: no space left";
    assert_eq!(
        story.exited("service/db/init#1", Exit::Code(1)),
        [
            format!("db failed: {reason}"),
            format!("GAVE UP db: {reason}")
        ]
    );
    assert_eq!(story.supervisor.next_deadline(), None);
    assert_eq!(
        story.start("db").last().expect("outputs"),
        "launch service/db/init#2: initdb"
    );
}

#[test]
fn an_init_that_hangs_is_stopped_in_its_time_and_its_limit_is_named() {
    let mut db = service(&[]);
    db.init = vec!["initdb".to_owned()];
    db.init_timeout = Duration::from_secs(90);
    let mut story = Story::of(&one(db));
    story.feed(Input::StartAll);
    story.started("service/db/init#1");
    story.logged("service/db/init#1", "waits for a lock\n");
    assert_eq!(story.wait(90_000), ["signal service/db/init#1 15"]);
    let reason = "its init command did not end within its init_timeout of 90s: waits for a lock";
    assert_eq!(
        story.exited("service/db/init#1", Exit::Signal(15)),
        [
            format!("db failed: {reason}"),
            format!("GAVE UP db: {reason}")
        ]
    );
}

#[test]
fn a_crash_loop_backs_off_and_ends_with_the_last_line_as_its_reason() {
    let mut story = Story::of(&pair());
    story.feed(Input::StartAll);
    for (number, pause) in [(1, 500), (2, 1000), (3, 2000), (4, 4000)] {
        let process = format!("service/db#{number}");
        story.started(&process);
        story.logged(&process, "could not bind: address in use\n");
        let seconds = f64::from(pause) / 1000.0;
        assert_eq!(
            story.exited(&process, Exit::Code(1))[0],
            format!(
                "db backoff: exited with code 1 before it was ready: \
                 could not bind: address in use; starts again in {seconds} s"
            )
        );
        let again = story.wait(u64::try_from(pause).expect("positive"));
        assert_eq!(again[0], "db waiting: is about to start");
        assert_eq!(again[2], format!("launch service/db#{}: serve", number + 1));
    }
    let reason = "ended 5 times within a minute, last: exited with code 3 before it was ready";
    assert_eq!(
        story.exited("service/db#5", Exit::Code(3)),
        [
            format!("db failed: {reason}"),
            "app failed: needs db, which has failed".to_owned(),
            "GAVE UP app: needs db, which has failed".to_owned(),
        ]
    );
    // Asking by name forgets all that, and `app` has to be asked for as well.
    assert_eq!(
        story.start("app"),
        [
            "db waiting: is about to start",
            "app waiting: is about to start",
            "db starting: was started",
            "launch service/db#6: serve",
            "app waiting: waits for db",
        ]
    );
}

#[test]
fn policies_decide_what_an_end_means() {
    for (policy, exit, expected) in [
        (
            Restart::Never,
            Exit::Code(0),
            "db stopped: exited with code 0",
        ),
        (
            Restart::Never,
            Exit::Code(2),
            "db failed: exited with code 2",
        ),
        (
            Restart::OnFailure,
            Exit::Code(0),
            "db stopped: exited with code 0",
        ),
        (
            Restart::OnFailure,
            Exit::Signal(9),
            "db backoff: was ended by signal 9 (KILL); starts again in 0.5 s",
        ),
        (
            Restart::Always,
            Exit::Code(0),
            "db backoff: exited with code 0; starts again in 0.5 s",
        ),
    ] {
        let mut db = service(&[]);
        db.restart = policy;
        let mut story = Story::of(&one(db));
        story.feed(Input::StartAll);
        story.started("service/db#1");
        let ended = story.exited("service/db#1", exit);
        assert_eq!(ended.last().expect("outputs"), expected);
    }
}

#[test]
fn a_task_that_ended_well_satisfies_its_dependents_even_if_its_end_came_first() {
    let services = BTreeMap::from([
        ("app".to_owned(), service(&["migrate"])),
        ("migrate".to_owned(), service(&[])),
    ]);
    let mut story = Story::of(&services);
    story.feed(Input::StartAll);
    assert_eq!(
        story.exited("service/migrate#1", Exit::Code(0)),
        [
            "migrate ready: runs",
            "migrate stopped: exited with code 0",
            "app starting: was started",
            "launch service/app#1: serve",
        ]
    );
    assert_eq!(story.started("service/migrate#1"), [""; 0]);
    assert_eq!(story.started("service/app#1"), ["app ready: runs", "READY"]);
}

#[test]
fn what_can_not_be_started_fails_at_once_or_is_tried_again() {
    for (retry, state) in [(false, "db failed:"), (true, "db backoff:")] {
        let mut story = Story::of(&one(service(&[])));
        story.feed(Input::StartAll);
        let told = story.feed(Input::StartFailed {
            process: "service/db#1".to_owned(),
            reason: "exec serve: No such file or directory".to_owned(),
            retry,
        });
        let expected = "could not be started: exec serve: No such file or directory";
        assert!(
            told[0].starts_with(&format!("{state} {expected}")),
            "{told:?}"
        );
    }
}

#[test]
fn the_ladder_ends_even_if_the_process_does_not() {
    let mut story = Story::of(&one(service(&[])));
    story.feed(Input::StartAll);
    story.started("service/db#1");
    story.feed(Input::StopAll);
    assert_eq!(story.wait(10_000), ["signal service/db#1 9"]);
    assert_eq!(
        story.wait(10_000),
        ["db failed: does not end, not even killed", "ALL STOPPED"]
    );
    assert_eq!(story.supervisor.next_deadline(), None);
    assert_eq!(story.start("db"), [""; 0], "never two of one service");
    let ended = story.exited("service/db#1", Exit::Signal(9));
    assert_eq!(ended.last().expect("outputs"), "launch service/db#2: serve");
}

#[test]
fn stopping_one_leaves_its_dependents_and_ends_a_pause() {
    let mut story = Story::of(&pair());
    story.feed(Input::StartAll);
    story.started("service/db#1");
    story.probed(1, true, "up");
    story.started("service/app#1");
    assert_eq!(
        story.feed(Input::Stop("db".to_owned())),
        ["db stopping: was asked to stop", "signal service/db#1 2"]
    );
    story.exited("service/db#1", Exit::Code(0));
    story.exited("service/app#1", Exit::Code(1));
    assert_eq!(
        story.wait(500),
        [
            "app waiting: is about to start",
            "app waiting: waits for db"
        ]
    );
    assert_eq!(
        story.feed(Input::Stop("app".to_owned())),
        ["app stopped: was asked to stop"]
    );
}

#[test]
fn a_stop_that_was_taken_back_before_its_turn_changes_nothing() {
    let mut story = Story::of(&pair());
    story.feed(Input::StartAll);
    story.started("service/db#1");
    story.probed(1, true, "up");
    story.started("service/app#1");
    story.feed(Input::StopAll);
    assert_eq!(story.start("db"), ["db ready: runs on"]);
}

#[test]
fn a_healthy_minute_forgives_earlier_ends() {
    let mut story = Story::of(&one(service(&[])));
    story.feed(Input::StartAll);
    for number in 1..20 {
        story.started(&format!("service/db#{number}"));
        story.pass(60);
        story.exited(&format!("service/db#{number}"), Exit::Code(1));
        story.wait(500);
    }
    let view = story.supervisor.views().next().expect("one");
    assert_eq!(view.restarts, 19);
}

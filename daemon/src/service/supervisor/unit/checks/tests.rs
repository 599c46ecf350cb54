//! Stories of readiness and health.

use std::time::Duration;

use wsm_sandbox::launch::Exit;
use wsm_template::resolved::{Check, Health, Probe, Restart};

use super::super::super::Input;
use super::super::super::tests::{Story, one, service, tcp};

#[test]
fn readiness_has_a_deadline() {
    let mut db = service(&[]);
    db.ready = Some(tcp(30));
    db.restart = Restart::Never;
    let mut story = Story::of(&one(db));
    story.feed(Input::StartAll);
    story.started("service/db#1");
    story.logged("service/db#1", "loading");
    story.probed(1, false, "nothing listens on port 5432");
    let mut checks = 1;
    let told = loop {
        let due = story.supervisor.next_deadline().expect("a deadline");
        story.now = due;
        let told = story.feed(Input::Tick);
        let Some(id) = told[0].strip_prefix("probe db ") else {
            break told;
        };
        checks += 1;
        let (id, _) = id.split_once(' ').expect("a timeout");
        story.probed(
            id.parse().expect("a number"),
            false,
            "nothing listens on port 5432",
        );
    };
    assert_eq!(told, ["signal service/db#1 15"]);
    assert_eq!(checks, 34, "50, 100, 200, 400, 800 ms, then each second");
    assert_eq!(
        story.exited("service/db#1", Exit::Code(0))[0],
        "db failed: was not ready within 30 s: nothing listens on port 5432; last line: loading"
    );
}

#[test]
fn a_log_line_makes_ready() {
    let mut db = service(&[]);
    db.ready = Some(Probe {
        check: Check::Log {
            contains: "ready to accept".to_owned(),
        },
        timeout: Duration::from_secs(30),
    });
    let mut story = Story::of(&one(db));
    story.feed(Input::StartAll);
    // The line may overtake the shim's answer to the start.
    assert_eq!(story.logged("service/db#1", "is ready to acc"), [""; 0]);
    assert_eq!(story.logged("service/db#1", "ept connections\n"), [""; 0]);
    assert_eq!(
        story.started("service/db#1"),
        ["db ready: printed what it was waited for", "READY"]
    );
    assert_eq!(story.logged("service/db#0", "ready to accept"), [""; 0]);
}

fn sick(restart: Restart) -> Story {
    let mut db = service(&[]);
    db.restart = restart;
    db.health = Some(Health {
        probe: tcp(2),
        interval: Duration::from_secs(10),
        failures: 2,
    });
    let mut story = Story::of(&one(db));
    story.feed(Input::StartAll);
    assert_eq!(story.started("service/db#1"), ["db ready: runs", "READY"]);
    assert_eq!(story.wait(10_000), ["probe db 1 2s"]);
    assert_eq!(story.probed(1, false, "nothing listens"), [""; 0]);
    assert_eq!(story.wait(10_000), ["probe db 2 2s"]);
    story
}

#[test]
fn a_sick_service_is_restarted() {
    let mut story = sick(Restart::OnFailure);
    let why = "failed its health check 2 times in a row: nothing listens";
    assert_eq!(
        story.probed(2, false, "nothing listens"),
        [
            format!("db unhealthy: {why}"),
            "signal service/db#1 15".to_owned()
        ]
    );
    assert_eq!(story.wait(10_000), ["signal service/db#1 9"]);
    assert_eq!(
        story.exited("service/db#1", Exit::Signal(9))[0],
        format!("db backoff: {why}; starts again in 0.5 s")
    );
}

#[test]
fn a_sick_service_that_is_not_restarted_may_recover() {
    let mut story = sick(Restart::Never);
    // No answer at all counts as a failure, a while after the check's own timeout.
    assert_eq!(
        story.wait(7_000),
        ["db unhealthy: failed its health check 2 times in a row: the check did not answer"]
    );
    assert_eq!(story.probed(2, true, "late"), [""; 0]);
    assert_eq!(story.wait(10_000), ["probe db 3 2s"]);
    assert_eq!(
        story.probed(3, true, "port 1 accepts"),
        ["db ready: port 1 accepts"]
    );
}

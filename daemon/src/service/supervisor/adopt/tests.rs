//! The daemon was restarted: every recorded state against what the shim has.

use wsm_api::service::ServiceState;
use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::Process;

use super::super::tests::{Story, one, service, tcp};
use super::super::{Input, View};

fn process(name: &str, exit: Option<Exit>) -> Process {
    Process {
        process: name.to_owned(),
        terminal: None,
        pid: 7,
        exit,
        started_ms: 0,
        output_ms: None,
        output_bytes: 0,
    }
}

/// Recorded state, the shim's list, what comes out.
type Case<'a> = (ServiceState, &'a [Listed<'a>], &'a [&'a str]);
type Listed<'a> = (&'a str, Option<Exit>);

fn adopted(state: ServiceState, processes: &[Listed<'_>]) -> Vec<String> {
    let mut db = service(&[]);
    db.ready = Some(tcp(30));
    let mut story = Story::of(&one(db));
    story.feed(Input::Adopt {
        processes: processes
            .iter()
            .map(|(name, exit)| process(name, *exit))
            .collect(),
        known: vec![View {
            service: "db".to_owned(),
            state,
            reason: "recorded".to_owned(),
            restarts: 1,
        }],
    })
}

#[test]
fn adoption_goes_on_where_the_daemon_died() {
    use ServiceState as S;
    let gone = Some(Exit::Code(1));
    let mine = "service/db#4";
    let found = "db ready: runs; found again after a restart of the daemon";
    let again = [
        "db waiting: is about to start",
        "db starting: was started",
        "launch service/db#5: serve",
    ];
    let cases: [Case; 10] = [
        (S::Ready, &[(mine, None)], &[found, "READY"]),
        (S::Unhealthy, &[(mine, None)], &[found, "READY"]),
        (
            S::Starting,
            &[(mine, None), ("main#1", None)],
            &["probe db 1 5s"],
        ),
        (
            S::Stopping,
            &[(mine, None)],
            &["db stopping: was asked to stop", "signal service/db#4 15"],
        ),
        (
            S::Stopping,
            &[(mine, gone)],
            &["db stopped: was asked to stop"],
        ),
        (S::Backoff, &[(mine, gone)], &again),
        (S::Waiting, &[(mine, gone)], &again),
        (
            S::Ready,
            &[(mine, gone)],
            &[
                found,
                "db backoff: exited with code 1; starts again in 0.5 s",
            ],
        ),
        (S::Failed, &[(mine, gone)], &["GAVE UP db: recorded"]),
        (
            S::Ready,
            &[(mine, None), ("service/db#3", None)],
            &["signal service/db#3 9", found, "READY"],
        ),
    ];
    for (state, processes, expected) in cases {
        let mut told = adopted(state, processes);
        if state == S::Stopping {
            // The reason is new, the state is not.
            told.retain(|line| expected.contains(&line.as_str()));
        }
        assert_eq!(told, expected, "{state:?} {processes:?}");
    }
}

#[test]
fn a_launch_that_was_recorded_but_never_done_is_done() {
    let told = adopted(ServiceState::Starting, &[]);
    assert_eq!(told.last().expect("outputs"), "launch service/db#1: serve");
    let told = adopted(ServiceState::Stopped, &[]);
    assert_eq!(told, [""; 0]);
}

//! The disk below an instance is full: what ends an agent still works, nothing is shown that is not
//! written, and when there is room again everything goes on and the journal has each change.

use std::time::Duration;

use wsm_api::agent::{Agent, State};
use wsm_tests::host;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;
use wsm_tests::wait;

/// Its processes end; the last of them may just be on its way.
fn ended(agent: &Agent) {
    let left = || host::processes_of(&agent.id);
    let gone = || left().is_empty().then_some(());
    wait::until("its processes to end", Duration::from_secs(2), gone, || {
        format!("{:#?}", left())
    });
}

/// Rows of the journal about an agent, newest first.
fn rows(wsm: &Instance, agent: &str) -> Vec<String> {
    let told = wsm.wsm(&["explain", agent, "--json"]).ok().json();
    let rows = told["evidence"].as_array().cloned().unwrap_or_default();
    let text =
        |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| format!("{}: {}", text(row, "verb"), text(row, "message")))
        .collect()
}

#[test]
fn full_disk_stops_no_person_and_loses_no_change() {
    let wsm = Instance::start_small(48);
    let repo = Repo::small(wsm.root(), "project");
    let stopped = wsm.new_agent(&repo, "shell", "stopped");
    let purged = wsm.new_agent(&repo, "shell", "purged");
    let trashed = wsm.new_agent(&repo, "shell", "trashed");
    let steady = wsm.new_agent(&repo, "shell", "steady");
    wsm.new_agent(&repo, "shell", "rested");
    wsm.wsm(&["stop", "rested"]).ok();
    wsm.wsm(&["send", "steady", "echo before-$((1+1))"]).ok();
    wsm.wait_screen("steady", "before-2");
    wsm.fill();

    // Changes until one does not fit into what the database has left; it is refused as a whole.
    wait::until_true("the database to be full", || {
        let paused = wsm.wsm(&["pause", "steady"]);
        wsm.wsm(&["resume", "steady"]).ok();
        paused.code == 1 && paused.says("full").code == 1
    });
    wsm.inside("steady", "true").ok();

    let told = wsm.wsm(&["stop", "stopped"]).ok();
    assert!(told.stderr.contains("in fact stopped"), "{told}");
    ended(&stopped);
    let shown = wsm.agent("stopped");
    assert_ne!(
        shown.state,
        State::Stopped,
        "not shown before it is written"
    );
    assert!(shown.unrecorded.contains("full"), "{shown:?}");
    let listed = wsm.wsm(&["ls"]).ok().stdout;
    assert!(listed.contains("unrecorded: stopped"), "{listed}");
    wsm.wsm(&["rm", "trashed"]).ok();
    ended(&trashed);
    let _ = wsm.wsm(&["start", "rested"]).fails(1).says("full");
    assert_eq!(wsm.agent("rested").state, State::Stopped);
    let path = repo.path().to_string_lossy();
    let new = wsm.wsm(&["new", &path, "-t", "shell", "--name", "late", "--detach"]);
    let _ = new.fails(1);
    assert!(wsm.find("late").is_none(), "nothing is begun");

    // Not even a kill in between does harm: what runs goes on, what was stopped stays so.
    wsm.kill_and_recover(&[Part::Daemon]);
    ended(&stopped);
    wsm.wsm(&["send", "steady", "echo full-$((2+2))"]).ok();
    wsm.wait_screen("steady", "full-4");
    wsm.wsm(&["stop", "stopped"]).ok();
    wsm.wsm(&["rm", "--purge", "purged"]).ok();
    ended(&purged);

    wsm.free();
    wait::until_true("everything to be written", || {
        wsm.list().iter().all(|agent| agent.unrecorded.is_empty())
    });
    assert!(wsm.find("purged").is_none());
    let rests = |name: &str| matches!(wsm.agent(name).state, State::Stopped | State::Lost);
    assert!(rests("stopped"), "{:?}", wsm.agent("stopped"));
    wsm.wsm(&["rm", "trashed"]).ok();
    assert!(wsm.agent("trashed").trashed);
    wsm.wsm(&["start", "rested"]).ok();
    wsm.wait_state("rested", "working,idle");
    wsm.inside("steady", "echo x >x && git add x && git commit -q -m x")
        .ok();
    let inside = wsm.inside("steady", "git rev-parse HEAD").ok();
    wait::until_true("the commit", || {
        repo.commit_of("wsm/steady") == inside.text()
    });
    assert_eq!(wsm.agent("steady").id, steady.id);
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn full_disk_for_a_while_leaves_its_rows_in_order() {
    let wsm = Instance::start_small(32);
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "busy");
    wsm.fill();
    // The command's end, its stop: all of it happens while nothing can be written.
    wait::until_true("the database to be full", || {
        let paused = wsm.wsm(&["pause", "busy"]);
        wsm.wsm(&["resume", "busy"]).ok();
        paused.code == 1
    });
    let before = rows(&wsm, "busy");
    wsm.wsm(&["stop", "busy"]).ok();
    ended(&agent);
    assert_eq!(rows(&wsm, "busy"), before, "no event without its row");
    wsm.free();
    wait::until_true("everything to be written", || {
        wsm.agent("busy").unrecorded.is_empty()
    });
    let shown = wsm.agent("busy");
    assert_eq!(
        (shown.state, &*shown.reason),
        (State::Stopped, "stopped by root")
    );
    let told = rows(&wsm, "busy");
    assert_eq!(told[0], "agent.state: stopped: stopped by root");
    assert!(told[1].starts_with("agent.state: stopping"), "{told:?}");
}

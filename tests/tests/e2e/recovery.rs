//! `kill -9` of daemon, broker or both: the same processes, the same screen, nothing twice.

use wsm_tests::host;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;
use wsm_tests::wait;

fn pids(agent: &str) -> Vec<i32> {
    let mut pids: Vec<_> = host::processes_of(agent)
        .iter()
        .map(|process| process.pid)
        .collect();
    pids.sort_unstable();
    pids
}

fn survives(parts: &[Part]) {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "tough");
    wsm.wsm(&["send", "tough", "echo before-$((1+1)); sleep 1234 &"])
        .ok();
    wsm.wait_screen("tough", "before-2");
    wait::until_true("the child", || {
        wsm.inside("tough", "pgrep -f '^sleep 1234'").code == 0
    });
    let before = pids(&agent.id);

    for round in 0..3 {
        wsm.kill_and_recover(parts);
        assert_eq!(pids(&agent.id), before, "round {round}: the same processes");
        let now = wsm.wait_state("tough", "working,idle");
        assert_eq!(now.id, agent.id);
        assert!(
            wsm.screen("tough").contains("before-2"),
            "{}",
            wsm.screen("tough")
        );
        wsm.wsm(&["send", "tough", &format!("echo after-$((10+{round}))")])
            .ok();
        wsm.wait_screen("tough", &format!("after-{}", 10 + round));
    }

    wsm.inside("tough", "echo x >x && git add x && git commit -q -m x")
        .ok();
    let inside = wsm.inside("tough", "git rev-parse HEAD").ok();
    wait::until_true("the commit", || {
        repo.commit_of("wsm/tough") == inside.text()
    });
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn daemon_killed() {
    survives(&[Part::Daemon]);
}

#[test]
fn broker_killed() {
    survives(&[Part::Broker]);
}

#[test]
fn both_killed() {
    survives(&[Part::Daemon, Part::Broker]);
}

#[test]
fn up_stopped_and_started_adopts_its_agents() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "adopted");
    let before = pids(&agent.id);
    wsm.down();
    assert_eq!(pids(&agent.id), before, "agents outlive wsm up");
    let _ = wsm.wsm(&["ls"]).fails(6).says("wsm up");
    wsm.up();
    wsm.wait_state("adopted", "working,idle");
    assert_eq!(pids(&agent.id), before);
}

#[test]
fn commits_made_meanwhile_are_taken_over() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "busy");
    let line =
        "sleep 1; echo late >late && git add late && git commit -q -m late && echo done-$((5*5))";
    wsm.wsm(&["send", "busy", line]).ok();
    wsm.kill_and_recover(&[Part::Daemon, Part::Broker]);
    wsm.wait_screen("busy", "done-25");
    let look = || {
        repo.git(&["log", "-1", "--format=%s", "wsm/busy"])
            .ok()
            .text()
            == "late"
    };
    wait::until_true("the commit", look);
}

#[test]
fn killed_shim_is_a_lost_agent_with_its_work() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "orphan");
    wsm.inside("orphan", "echo precious >work.txt").ok();
    let all = host::processes_of(&agent.id);
    let shim = all.iter().find(|process| process.cgroup.contains("/shim"));
    host::signal(shim.expect("the agent has a shim").pid, "KILL");
    let lost = wsm.wait_state("orphan", "lost");
    assert!(!lost.reason.is_empty());
    wait::until_true("its processes to be gone", || {
        host::processes_of(&agent.id).is_empty()
    });
    wsm.wsm(&["start", "orphan"]).ok();
    wsm.wait_state("orphan", "working,idle");
    assert_eq!(
        wsm.inside("orphan", "cat work.txt").ok().stdout,
        "precious\n"
    );
}

#[test]
fn second_up_on_the_same_directory_is_refused() {
    let wsm = Instance::start();
    let _ = wsm.wsm(&["up"]).fails(1).says("up already");
    wsm.wsm(&["status"]).ok();
}

#[test]
fn attached_viewer_does_not_notice_the_daemon_die() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "watched");
    let attach = wsm.command(wsm.root(), &["attach", "watched"]);
    let term = wsm_tests::term::Term::start(&attach, 80, 24);
    term.wait_for("$");
    term.line("echo before-$((1+2))");
    term.wait_for("before-3");
    let before = sockets_of_viewer(&wsm);
    wsm.kill(&[Part::Daemon]);
    // Typed once: nothing is resent, nothing is lost.
    term.line("echo away-$((3+4))");
    term.wait_for("away-7");
    wsm.recover(&[Part::Daemon]);
    term.line("echo after-$((4+4))");
    let screen = term.wait_for("after-8");
    assert!(screen.contains("before-3"), "{screen}");
    assert_eq!(screen.matches("away-7").count(), 1, "{screen}");
    assert_eq!(
        sockets_of_viewer(&wsm),
        before,
        "the same connection all the time"
    );
}

/// What the one `wsm attach` of this instance is connected to.
fn sockets_of_viewer(wsm: &Instance) -> Vec<std::path::PathBuf> {
    let dir = wsm.dir().to_string_lossy().into_owned();
    let is_viewer = |process: &host::Process| {
        let words: Vec<_> = process.command.split(' ').collect();
        words[0].ends_with("/wsm") && words.contains(&&*dir) && words.contains(&"attach")
    };
    let all = host::processes();
    let viewer = all.iter().find(|process| is_viewer(process));
    let viewer = viewer.expect("somebody is attached");
    let open = std::fs::read_dir(format!("/proc/{}/fd", viewer.pid)).expect("it lives");
    let mut sockets: Vec<_> = open
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .collect();
    sockets.sort();
    assert!(!sockets.is_empty(), "{viewer:?}");
    sockets
}

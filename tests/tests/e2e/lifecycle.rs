//! An agent's life: made, listed, stopped, frozen, thrown away, taken back, gone.

use std::path::Path;

use wsm_api::agent::State;
use wsm_tests::host;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;

#[test]
fn from_new_to_purge() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "first");

    assert_eq!(agent.template, "shell");
    assert_eq!(agent.branch, "wsm/first");
    assert_eq!(agent.owner, "root");
    assert!(
        matches!(agent.state, State::Working | State::Idle),
        "{agent:?}"
    );
    assert!(!agent.reason.is_empty() && !agent.since.is_empty());
    let worktrees = repo.git(&["worktree", "list", "--porcelain"]).ok().stdout;
    assert!(worktrees.contains(&agent.workspace), "{worktrees}");
    assert_eq!(repo.commit_of("wsm/first"), repo.commit_of("main"));

    let inside = wsm.inside("first", "pwd && cat src/main.py && id -u").ok();
    assert_eq!(
        inside.stdout,
        format!("{}\nprint('hello, world')\n1000\n", agent.workspace)
    );

    assert_eq!(wsm.wsm(&["ls", "-q"]).ok().text(), agent.id);
    assert!(wsm.wsm(&["ls"]).ok().stdout.contains("first"));

    let removed = wsm.wsm(&["rm", "first"]).ok();
    assert!(wsm.wsm(&["ls", "-q"]).ok().text().is_empty(), "{removed}");
    assert!(wsm.agent("first").trashed);
    wsm.wsm(&["rm", "--purge", "first"]).ok();
    assert!(wsm.find("first").is_none());
    assert_eq!(
        repo.commit_of("wsm/first"),
        "",
        "nothing was on the branch, so it is gone"
    );
    let worktrees = repo.git(&["worktree", "list", "--porcelain"]).ok().stdout;
    assert!(!worktrees.contains(&agent.workspace), "{worktrees}");
    assert!(!std::path::Path::new(&agent.workspace).exists());
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn last_screen_stays_readable_until_it_is_purged() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "seen");
    wsm.wsm(&["send", "seen", "seq 200 260; echo last-$((3+4))"])
        .ok();
    wsm.wait_screen("seen", "last-7");
    let running = wsm.screen("seen");
    wsm.wsm(&["stop", "seen"]).ok();
    assert!(
        wsm.screen("seen").contains("last-7"),
        "{}",
        wsm.screen("seen")
    );
    let last = |text: &str| {
        text.trim_end()
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(last(&wsm.screen("seen")), last(&running));
    // What had scrolled out is there too, and a new daemon finds it.
    wsm.kill_and_recover(&[Part::Daemon]);
    assert!(wsm.wsm(&["logs", "seen"]).ok().stdout.contains("\n201\n"));
    let kept = wsm.dir().join("state/daemon/screens").join(&agent.id);
    assert!(kept.exists(), "{}", kept.display());
    wsm.wsm(&["start", "seen"]).ok();
    wsm.wait_state("seen", "working,idle");
    assert!(
        !wsm.screen("seen").contains("last-7"),
        "it is a new terminal"
    );
    wsm.wsm(&["rm", "--purge", "seen"]).ok();
    assert!(!kept.exists(), "purged with its agent");
}

#[test]
fn stop_keeps_the_work_and_start_goes_on() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "worker");
    wsm.inside("worker", "echo draft >draft.txt; echo mine >~/note")
        .ok();

    wsm.wsm(&["stop", "worker"]).ok();
    assert_eq!(wsm.agent("worker").state, State::Stopped);
    assert!(
        host::processes_of(&agent.id).is_empty(),
        "nothing of a stopped agent runs: {:#?}",
        host::processes_of(&agent.id)
    );
    assert!(host::cgroups_of(&agent.id).is_empty());

    wsm.wsm(&["start", "worker"]).ok();
    wsm.wait_state("worker", "working,idle");
    let kept = wsm.inside("worker", "cat draft.txt ~/note").ok();
    assert_eq!(
        kept.stdout, "draft\nmine\n",
        "workspace and home are the same"
    );

    wsm.wsm(&["restart", "worker"]).ok();
    wsm.wait_state("worker", "working,idle");
    wsm.inside("worker", "test -f draft.txt").ok();
}

#[test]
fn verbs_that_are_done_already_succeed() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "twice");
    wsm.wsm(&["start", "twice"]).ok();
    wsm.wsm(&["stop", "twice"]).ok();
    wsm.wsm(&["stop", "twice"]).ok();
    wsm.wsm(&["rm", "twice"]).ok();
    wsm.wsm(&["rm", "twice"]).ok();
    wsm.wsm(&["restore", "twice"]).ok();
    assert!(!wsm.agent("twice").trashed);
}

#[test]
fn pause_freezes_every_process() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "frozen");
    wsm.wsm(&[
        "send",
        "frozen",
        "i=0; while sleep 0.02; do i=$((i+1)); echo $i >count; done",
    ])
    .ok();
    let count = std::path::Path::new(&agent.workspace).join("count");
    wsm_tests::wait::until_true("the loop to count", || count.exists());

    wsm.wsm(&["pause", "frozen"]).ok();
    assert_eq!(wsm.agent("frozen").state, State::Paused);
    let before = std::fs::read(&count).expect("it counted");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(
        before,
        std::fs::read(&count).expect("it counted"),
        "it still counts"
    );

    wsm.wsm(&["resume", "frozen"]).ok();
    wsm.wait_state("frozen", "working,idle");
    let moved = || std::fs::read(&count).is_ok_and(|now| now != before && !now.is_empty());
    wsm_tests::wait::until_true("the loop to go on", moved);
}

#[test]
fn names_stay_taken_until_the_trash_is_emptied() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "taken");
    let path = repo.path().to_string_lossy();
    let again = [
        "new",
        &path,
        "--template",
        "shell",
        "--name",
        "taken",
        "--detach",
        "--no-input",
    ];
    let _ = wsm.wsm(&again).fails(1).says("taken");
    wsm.wsm(&["rm", "taken"]).ok();
    let _ = wsm.wsm(&again).fails(1).says("trash");
    let plan = wsm.wsm(&["prune", "--dry-run", "--json"]).ok().json();
    assert_eq!(plan["agents"][0]["name"], "taken");
    wsm.wsm(&["prune", "--no-input"]).ok();
    wsm.wsm(&again).ok();
    wsm.remember_agents();
}

#[test]
fn explain_tells_the_story_of_a_state() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "storied");
    wsm.wsm(&["stop", "storied"]).ok();
    let told = wsm.wsm(&["explain", "storied", "--json"]).ok().json();
    assert_eq!(told["state"], "stopped");
    assert!(
        told["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "{told}"
    );
    let evidence = told["evidence"].as_array().expect("a list");
    assert!(evidence.len() >= 3, "{told}");
}

#[test]
fn command_that_ends_tells_its_code() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "leaver");
    wsm.wsm(&["send", "leaver", "exit 7"]).ok();
    let ended = wsm.wait_state("leaver", "stopped,failed");
    assert!(ended.reason.contains('7'), "{ended:?}");
}

#[test]
fn a_teardown_that_cannot_run_stops_no_removal() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let granted = tempfile::tempdir_in("/srv").expect("a directory to grant");
    let path = granted.path().to_string_lossy().into_owned();
    let text = format!(
        "schema = 1\nname = \"torn\"\nextends = [\"shell\"]\n\
         [workspace]\nteardown = [\"echo {{agent}} >>{path}/torn\"]\n\
         [filesystem]\nwrite = [\"{path}\"]\n"
    );
    wsm.host_template("torn", &text);
    let project = repo.path().to_string_lossy().into_owned();
    for name in ["first", "second"] {
        let new = ["new", &project, "-t", "torn", "--grant", &path];
        wsm.wsm(&[&new[..], &["--name", name, "--detach"]].concat())
            .ok();
    }
    wsm.wsm(&["rm", "--purge", "first"]).ok();
    let torn = std::fs::read_to_string(granted.path().join("torn"));
    assert_eq!(torn.expect("the teardown ran"), "first\n");
    // Its sandbox can't be built any more: the directory that it writes to is gone.
    granted.close().expect("our own directory");
    wsm.wsm(&["rm", "--purge", "second"]).ok();
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn what_is_gone_is_named_and_may_come_back() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "mover");
    wsm.wsm(&["stop", "mover"]).ok();
    for path in [Path::new(&agent.workspace), repo.path()] {
        let away = path.with_extension("away");
        std::fs::rename(path, &away).unwrap();
        let told = format!("open {}: it is gone (put it back", path.display());
        wsm.wsm(&["start", "mover"]).fails(1).says(&told);
        std::fs::rename(&away, path).unwrap();
        wsm.wsm(&["start", "mover"]).ok();
        wsm.wsm(&["stop", "mover"]).ok();
    }
    assert_eq!(wsm.end(), Vec::<String>::new());
}

//! Nothing leaks, whatever dies when.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wsm_sandbox::protocol::{Reply, Request};
use wsm_sandbox::spec::{AgentId, Guard, SandboxSpec};

use crate::harness::{Agent, Shim, World, command, until};

/// Every named place in the making of a sandbox.
const POINTS: [&str; 19] = [
    "spawn.start",
    "group.made",
    "spawn.cgroup",
    "spawn.userns",
    "spawn.sources",
    "spawn.mounted",
    "spawn.network",
    "spawn.root",
    "spawn.cloned",
    "inside.proc",
    "inside.user",
    "init.prepared",
    "init.dropped",
    "launcher.start",
    "launcher.closed",
    "launcher.tested",
    "spawn.drop",
    "spawn.shim",
    "broker.created",
];

/// Everything that takes steps of its own.
fn with_extras(spec: &mut SandboxSpec) {
    let guard = |path: &str, hide, directory| Guard {
        path: path.into(),
        hide,
        directory,
    };
    spec.extras.guards = vec![
        guard("deep/er/absent", false, false),
        guard("directory", true, true),
    ];
    spec.extras.tools = Some(vec!["cat".into()]);
}

/// Nothing stands in the workspace for a sandbox that is none.
fn workspace_is_clean(agent: &Agent) {
    let entries = std::fs::read_dir(&agent.paths.workspace).unwrap().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    assert_eq!(names, [".git"]);
    let pointer = Path::new(&agent.paths.workspace).join(".git");
    let text = std::fs::read(&pointer).unwrap();
    std::fs::write(&pointer, text).expect("it may be changed again");
}

fn listed(world: &World) -> Vec<(AgentId, Option<i32>)> {
    match world.client().ask(Request::List) {
        Ok(Reply::Listed { sandboxes }) => sandboxes
            .into_iter()
            .map(|found| (found.agent, found.shim_pid))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn delete(world: &World, agent: &AgentId) {
    let deleted = world.client().ask(Request::Delete {
        agent: agent.clone(),
    });
    assert_eq!(deleted, Ok(Reply::Done));
}

/// Nothing of the instance is left but files.
fn nothing_is_left(world: &World) {
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new(), "control groups");
    let run = std::fs::read_dir(world.path("run")).unwrap().flatten();
    let sockets = run.filter(|entry| entry.file_name().to_string_lossy().starts_with("shim-"));
    assert_eq!(sockets.count(), 0, "sockets");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(world.dir.path().to_str().unwrap()),
        "mounts"
    );
}

#[test]
fn a_creation_that_fails_anywhere_says_where_and_leaves_nothing() {
    let mut world = World::new();
    let agent = world.prepare("crash0001");
    for point in POINTS {
        world.kill_broker();
        world.start(point);
        let failed = world.create_in_vain_with(&agent, with_extras);
        assert_eq!(
            (failed.what.as_str(), failed.why.as_str()),
            (point, "fault injected by WSM_FAULT")
        );
        nothing_is_left(&world);
        workspace_is_clean(&agent);
    }
    world.kill_broker();
    world.start("");
    world.create(&agent);
}

#[test]
fn a_spawner_that_is_killed_anywhere_leaves_nothing() {
    let mut world = World::new();
    let agent = world.prepare("crash0002");
    // These two the broker itself passes.
    let by_broker = |point: &&&str| ["group.made", "broker.created"].contains(*point);
    for point in POINTS.iter().filter(|point| !by_broker(point)) {
        world.kill_broker();
        world.start(&format!("{point}:kill"));
        let failed = world.create_in_vain_with(&agent, with_extras);
        assert!(!failed.why.is_empty(), "{point}: {failed}");
        nothing_is_left(&world);
        workspace_is_clean(&agent);
    }
}

#[test]
fn a_sandbox_survives_its_broker_and_the_next_one_finds_it() {
    let mut world = World::new();
    let agent = world.prepare("crash0003");
    let (shim, pid) = world.create(&agent);
    world.kill_broker();
    assert_eq!(shim.sh("echo alive"), ("alive".into(), 0));
    world.start("");
    assert_eq!(listed(&world), vec![(agent.id.clone(), Some(pid))]);
    assert_eq!(shim.sh("echo alive"), ("alive".into(), 0));
    let inspected = world.client().ask(Request::Inspect {
        agent: agent.id.clone(),
    });
    assert!(matches!(inspected, Ok(Reply::Inspected { .. })));
    delete(&world, &agent.id);
    until("the shim is gone", || {
        !Path::new(&format!("/proc/{pid}")).exists()
    });
    nothing_is_left(&world);
}

#[test]
fn a_killed_shim_ends_its_agent() {
    let world = World::new();
    let agent = world.prepare("crash0004");
    let (shim, pid) = world.create(&agent);
    shim.ask(&serde_json::json!({"Start": {"command": command("setsid sleep 1000")}}));
    // The launcher stands still: only PID 1 can notice.
    let stop = "sleep 0.2; kill -STOP $PPID; touch ~/stopped; exec sleep 1000";
    shim.ask(&serde_json::json!({"Start": {"command": command(stop)}}));
    until("the launcher stands still", || {
        Path::new(&agent.paths.home).join("stopped").exists()
    });
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    until("everything inside ended", || {
        let procs = world
            .leftovers()
            .into_iter()
            .flat_map(|dir| ["payload/agent", "payload"].map(|group| dir.join(group)))
            .map(|dir| dir.join("cgroup.procs"));
        // Controllers without limits of their own for a leaf have no group for it.
        procs
            .into_iter()
            .all(|file| std::fs::read_to_string(file).unwrap_or_default().is_empty())
    });
    assert_eq!(listed(&world), vec![(agent.id.clone(), None)]);
    delete(&world, &agent.id);
    nothing_is_left(&world);
}

#[test]
fn a_broker_killed_at_any_moment_of_a_creation_leaves_what_a_delete_removes() {
    let mut world = World::new();
    let agent = world.prepare("crash0005");
    let mut lived = 0;
    for delay in 0..20_u64 {
        let asked = ask_and_leave(&world, &agent);
        std::thread::sleep(Duration::from_micros(delay * 1500));
        world.kill_broker();
        drop(asked);
        world.start("");
        // What the spawner was doing ends with the broker; until then its group is not empty.
        for (found, shim) in listed(&world) {
            assert_eq!(found, agent.id);
            if shim.is_some() {
                lived += 1;
            }
        }
        delete(&world, &agent.id);
        nothing_is_left(&world);
        workspace_is_clean(&agent);
    }
    let (shim, _) = world.create(&agent);
    assert_eq!(shim.sh("echo alive"), ("alive".into(), 0), "{lived} lived");
}

/// Sends a request on a thread whose answer may never come.
fn ask_and_leave(world: &World, agent: &Agent) -> std::thread::JoinHandle<()> {
    let client = world.client();
    let mut spec = Box::new(world.spec(agent));
    with_extras(&mut spec);
    let request = Request::Create { spec };
    client.send(request);
    std::thread::spawn(move || drop(client))
}

#[test]
fn a_client_that_leaves_before_the_answer_leaves_no_sandbox() {
    let world = World::new();
    let agent = world.prepare("crash0006");
    // What is in this file is passed by the broker and its spawners.
    let passed = world.path("run/passed");
    std::fs::write(&passed, "").unwrap();
    drop(ask_and_leave(&world, &agent));
    until("the attempt was made, and undone", || {
        let points = std::fs::read_to_string(&passed).unwrap();
        points.contains("spawn.cgroup") && listed(&world).is_empty()
    });
    nothing_is_left(&world);
    let (shim, _): (Shim, i32) = world.create(&agent);
    assert_eq!(shim.sh("echo alive"), ("alive".into(), 0));
}

/// A zombie, or one that runs no code of its own any more: it leaves its control group before it
/// becomes a zombie, so that an empty group means no more than that.
fn is_ending(process: &Path) -> bool {
    const PF_EXITING: u32 = 0x4;
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let mut fields = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace();
    let (state, flags) = (fields.next(), fields.nth(5));
    let flags: u32 = flags
        .and_then(|flags| flags.parse().ok())
        .unwrap_or(PF_EXITING);
    state.is_none_or(|state| state == "Z") || flags & PF_EXITING != 0
}

#[test]
fn no_process_of_a_deleted_agent_lives_on() {
    let world = World::new();
    let agent = world.prepare("crash0007");
    let (shim, pid) = world.create(&agent);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let words: Vec<&str> = status
        .lines()
        .find(|l| l.starts_with("Uid:"))
        .unwrap()
        .split('\t')
        .collect();
    let last: u32 = words[1].parse().unwrap();
    let range = last - 65_535..=last;
    for script in [
        "trap '' TERM; while :; do :; done",
        "setsid sleep 1000 & kill -STOP $$",
    ] {
        shim.ask(&serde_json::json!({"Start": {"command": command(script)}}));
    }
    delete(&world, &agent.id);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let Some(line) = status.lines().find(|line| line.starts_with("Uid:")) else {
            continue;
        };
        let uid: u32 = line.split('\t').nth(1).unwrap().parse().unwrap();
        assert!(
            !range.contains(&uid) || is_ending(&entry.path()),
            "{status}"
        );
    }
    nothing_is_left(&world);
    // Its range is free again.
    let number = (range.start() - 0x7000_0000) / 65_536;
    let lock = std::fs::File::open(format!("/run/wsm-uids/{number}")).unwrap();
    until("the range is free", || lock.try_lock().is_ok());
}

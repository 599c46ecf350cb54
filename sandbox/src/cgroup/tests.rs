//! On this host's real control groups, as root.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::files::open_writable;
use super::*;
use crate::launch::Leaf;
use crate::spec::LayerStatus;

fn id(text: &str) -> AgentId {
    AgentId::try_from(text.to_owned()).unwrap()
}

/// An instance of its own per test, removed at the end.
struct Scene {
    tree: Option<Tree>,
    agent: AgentId,
}

impl Scene {
    fn new(name: &str) -> Scene {
        Scene::on(&mounts::read().unwrap(), name)
    }

    fn on(layout: &mounts::Layout, name: &str) -> Scene {
        let tree = Tree::open_in(layout, &format!("test-{name}-{}", std::process::id())).unwrap();
        Scene {
            tree: Some(tree),
            agent: id("agent0001"),
        }
    }

    fn tree(&self) -> &Tree {
        self.tree.as_ref().unwrap()
    }

    fn create(&self, limits: &AgentLimits) -> AgentCgroup {
        self.tree().create(&self.agent, limits).unwrap()
    }

    fn end(&self) {
        self.tree().kill(&self.agent).unwrap();
        self.tree()
            .wait_empty(&self.agent, Instant::now() + Duration::from_secs(10))
            .unwrap();
        self.tree().remove(&self.agent).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.end();
        self.tree.take().unwrap().close().unwrap();
    }
}

/// A shell that joins the groups and then runs the script: what the launcher does.
fn start(groups: &[OwnedFd], script: &str) -> Child {
    let mut child = Command::new("sh")
        .args(["-c", &format!("read go; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for group in groups {
        let mut file = fs::File::from(group.try_clone().unwrap());
        file.write_all(child.id().to_string().as_bytes()).unwrap();
    }
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child
}

fn limits(memory_bytes: u64, pids: u32, cpu_milli: u32) -> Limits {
    Limits {
        cpu_milli: Some(cpu_milli),
        memory_bytes: Some(memory_bytes),
        pids: Some(pids),
        disk_bytes: None,
    }
}

fn status_of(reports: &[LayerReport], layer: &str) -> LayerStatus {
    let report = reports.iter().find(|report| report.layer == layer);
    report
        .unwrap_or_else(|| panic!("no {layer} in {reports:?}"))
        .status
}

#[test]
fn limits_are_set_and_read_back() {
    let scene = Scene::new("limits");
    let services = BTreeMap::from([("db".to_owned(), limits(32 << 20, 20, 250))]);
    let agent = scene.create(&AgentLimits {
        payload: limits(64 << 20, 40, 500),
        services,
    });
    for layer in [
        "memory limit",
        "process limit",
        "cpu limit",
        "memory limit of service db",
    ] {
        assert_eq!(status_of(agent.reports(), layer), LayerStatus::Enforced);
    }
    let seen = scene.tree().inspect(&scene.agent).unwrap();
    let details: Vec<&str> = seen.iter().map(|report| report.detail.as_str()).collect();
    assert!(details.contains(&"64 MiB, swap included"), "{seen:?}");
    assert!(
        details.contains(&"40 tasks") && details.contains(&"0.500 cores"),
        "{seen:?}"
    );
    assert_eq!(status_of(&seen, "disk limit"), LayerStatus::Absent);
    // Raised and lowered on the same directories.
    for bytes in [128 << 20, 16 << 20] {
        let payload = limits(bytes, 40, 500);
        let again = scene.create(&AgentLimits {
            payload,
            services: BTreeMap::new(),
        });
        assert_eq!(
            status_of(again.reports(), "memory limit"),
            LayerStatus::Enforced
        );
    }
}

#[test]
fn disk_limits_are_reported_as_not_enforced() {
    let scene = Scene::new("disk");
    let payload = Limits {
        disk_bytes: Some(1 << 30),
        ..Limits::default()
    };
    let agent = scene.create(&AgentLimits {
        payload,
        services: BTreeMap::new(),
    });
    assert_eq!(
        status_of(agent.reports(), "disk limit"),
        LayerStatus::Absent
    );
}

/// What the first process of a payload is put into, by `clone3` and by itself.
fn payload_groups(agent: &AgentCgroup) -> Vec<OwnedFd> {
    let v2 = agent
        .v2_dir_fd()
        .map(|dir| open_writable(dir, "cgroup.procs").unwrap());
    let v1 = agent.payload_procs_fds().unwrap();
    v2.into_iter().chain(v1).collect()
}

#[test]
fn fork_bombs_and_memory_hogs_hit_the_limit() {
    let scene = Scene::new("hogs");
    let payload = limits(48 << 20, 20, 2000);
    let agent = scene.create(&AgentLimits {
        payload,
        services: BTreeMap::new(),
    });
    let groups = payload_groups(&agent);
    let script = "for i in $(seq 40); do sleep 60 & done 2>/dev/null; wait";
    let before = scene.tree().strain(&scene.agent).unwrap();
    assert_eq!((before.full, before.oom_kills), (false, 0));
    assert_eq!(before.memory_bytes, Some(48 << 20));
    let mut bomb = start(&groups, script);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !scene.tree().strain(&scene.agent).unwrap().full && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let alive = scene.tree().payload_pids(&scene.agent).unwrap().len();
    assert!(
        (15..=20).contains(&alive),
        "{alive} processes under a limit of 20"
    );
    scene.tree().kill(&scene.agent).unwrap();
    bomb.wait().unwrap();
    scene.tree().wait_empty(&scene.agent, deadline).unwrap();
    let mut hog = start(&groups, "exec tail /dev/zero");
    let status = hog.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(libc::SIGKILL)
    );
    let after = scene.tree().strain(&scene.agent).unwrap();
    assert_eq!(after.oom_kills, 1);
}

#[test]
fn freezes_thaws_and_kills_frozen_ones() {
    let scene = Scene::new("freeze");
    let agent = scene.create(&AgentLimits::default());
    let mut spinner = start(&payload_groups(&agent), "while :; do :; done");
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", spinner.id())).unwrap();
        let after = stat.rsplit_once(") ").unwrap().1.to_owned();
        after.split(' ').nth(11).unwrap().parse::<u64>().unwrap()
    };
    scene.tree().freeze(&scene.agent, true).unwrap();
    let before = ticks();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(ticks(), before, "a frozen process used the CPU");
    scene.tree().freeze(&scene.agent, false).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while ticks() == before {
        assert!(Instant::now() < deadline, "a thawed process did not go on");
    }
    scene.tree().freeze(&scene.agent, true).unwrap();
    scene.tree().kill(&scene.agent).unwrap();
    spinner.wait().unwrap();
    scene.end();
    // Everything is safe to repeat.
    scene.end();
    assert!(scene.tree().list().unwrap().is_empty());
    assert!(matches!(
        scene.tree().freeze(&scene.agent, true),
        Err(CgroupError::NoSuchAgent(_))
    ));
}

#[test]
fn lists_agents_with_their_shims() {
    let scene = Scene::new("list");
    let agent = scene.create(&AgentLimits::default());
    assert_eq!(
        scene.tree().list().unwrap(),
        [(scene.agent.clone(), vec![])]
    );
    let mut shim = start(&agent.shim_procs_fds().unwrap(), "sleep 60; :");
    let pid = i32::try_from(shim.id()).unwrap();
    let listed = scene.tree().list().unwrap();
    assert_eq!(listed[0].0, scene.agent);
    assert!(listed[0].1.contains(&pid));
    assert!(scene.tree().payload_pids(&scene.agent).unwrap().is_empty());
    let error = scene.tree().remove(&scene.agent).unwrap_err();
    assert!(error.to_string().starts_with("remove "), "{error}");
    let soon = Instant::now() + Duration::from_millis(50);
    let stuck = scene.tree().wait_empty(&scene.agent, soon);
    assert!(matches!(stuck, Err(CgroupError::Stuck { .. })));
    scene.tree().kill(&scene.agent).unwrap();
    shim.wait().unwrap();
}

#[test]
fn names_can_not_leave_the_tree() {
    assert!(matches!(Tree::open("../up"), Err(CgroupError::BadName(_))));
    let scene = Scene::new("names");
    for name in ["", "..", "a/b", "A", "a.b", &"a".repeat(41)] {
        let services = BTreeMap::from([(name.to_owned(), Limits::default())]);
        let made = scene.tree().create(
            &scene.agent,
            &AgentLimits {
                payload: Limits::default(),
                services,
            },
        );
        assert!(matches!(made, Err(CgroupError::BadName(_))), "{name:?}");
    }
}

/// Without `cgroup.kill` (legacy hosts, kernels before 5.14) the same end comes by the freezer.
#[test]
fn kills_one_by_one_where_the_kernel_can_not() {
    let scene = Scene::new("one-by-one");
    let agent = scene.create(&AgentLimits {
        payload: limits(1 << 30, 200, 2000),
        ..Default::default()
    });
    let script = "for i in $(seq 20); do (while :; do sleep 0.01; done) & done; wait";
    let mut child = start(&payload_groups(&agent), script);
    let (hierarchy, dir) = scene
        .tree()
        .hierarchies
        .iter()
        .zip(&agent.dirs)
        .find(|(hierarchy, _)| hierarchy.freezes)
        .unwrap();
    let dir = dir.as_ref().unwrap().dir.as_fd();
    life::kill_one_by_one(hierarchy.version, dir).unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    scene.tree().wait_empty(&scene.agent, deadline).unwrap();
}

/// The whole life on v1 trees alone. Needs a host that has a v1 freezer, as the build hosts do.
#[test]
fn legacy_hosts_freeze_and_kill_by_the_freezer() {
    let scene = Scene::on(&mounts::read().unwrap().without_v2(), "legacy");
    assert_eq!(scene.tree().setup(), Setup::Legacy);
    let agent = scene.create(&AgentLimits::default());
    assert!(agent.v2_dir_fd().is_none());
    let mut child = start(&payload_groups(&agent), "while :; do :; done");
    let mut shim = start(&agent.shim_procs_fds().unwrap(), "sleep 60; :");
    scene.tree().freeze(&scene.agent, true).unwrap();
    assert_eq!(
        scene.tree().payload_pids(&scene.agent).unwrap(),
        [child.id().cast_signed()]
    );
    assert_eq!(scene.tree().list().unwrap().len(), 1);
    scene.tree().kill(&scene.agent).unwrap();
    child.wait().unwrap();
    shim.wait().unwrap();
    scene.end();
    assert!(scene.tree().list().unwrap().is_empty());
}

/// Each group costs time at every start.
#[test]
fn trees_that_only_limit_have_groups_only_where_they_do() {
    let scene = Scene::new("flat");
    let has = |controller| {
        let tree = scene.tree().hierarchies.iter();
        let mut flat = tree.filter(|tree| tree.is_flat());
        let tree = flat.find(|tree| tree.controllers.contains(&controller));
        tree.map(|tree| tree.agent(&scene.agent).unwrap().is_some())
    };
    scene.create(&AgentLimits::default());
    // None where v2 has all controllers.
    assert_ne!(has(Controller::Memory), Some(true));
    assert_ne!(has(Controller::Cpu), Some(false), "it has its share");
    let services = BTreeMap::from([("db".to_owned(), limits(32 << 20, 20, 250))]);
    let agent = scene.create(&AgentLimits {
        payload: Limits::default(),
        services,
    });
    assert_ne!(has(Controller::Memory), Some(false));
    let db = agent.leaf_procs_fds(&Leaf::Service("db".into())).unwrap();
    assert_eq!(db.len(), scene.tree().hierarchies.len());
    assert_eq!(
        status_of(agent.reports(), "memory limit of service db"),
        LayerStatus::Enforced
    );
}

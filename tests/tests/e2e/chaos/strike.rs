//! Where and when is struck.

use std::fmt;
use std::io::Read;
use std::process::Child;
use std::time::{Duration, Instant};

use wsm_tests::cli::Output;
use wsm_tests::host;
use wsm_tests::instance::{Instance, Part};

/// What goes on meanwhile. Somebody is attached all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    Create,
    Commit,
    Stop,
    Start,
    Remove,
    Shim,
}

/// Who dies, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// The daemon, at a named point; the broker with it or not.
    Daemon(&'static str, &'static str, bool),
    /// The broker, at a named point.
    Broker(&'static str),
    /// These parts, after so many milliseconds.
    After(&'static [Part], u64),
}

/// A blow in a scene.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strike {
    pub(super) scene: Scene,
    pub(super) blow: Blow,
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.scene, self.blow)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blow::Daemon(when, point, false) => write!(f, "daemon {when} {point}"),
            Blow::Daemon(when, point, true) => write!(f, "daemon {when} {point}, and broker"),
            Blow::Broker(point) => write!(f, "broker at {point}"),
            Blow::After(parts, ms) => write!(f, "{parts:?} after {ms} ms"),
        }
    }
}

impl Blow {
    pub(super) fn hits_daemon(self) -> bool {
        match self {
            Blow::Daemon(..) => true,
            Blow::Broker(_) => false,
            Blow::After(parts, _) => parts.contains(&Part::Daemon),
        }
    }

    pub(super) fn kills(self) -> u32 {
        match self {
            Blow::Daemon(_, _, both) => 1 + u32::from(both),
            Blow::Broker(_) => 1,
            Blow::After(parts, _) => parts.iter().map(|_| 1).sum(),
        }
    }
}

/// Numbers that can be had again (splitmix64).
#[derive(Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(z ^ (z >> 31)).unwrap_or_default() % bound.max(1)
    }
}

/// What the daemon does in a scene, and the broker's points in it.
const SCENES: [(Scene, &[&str], &[&str]); 5] = [
    (
        Scene::Create,
        &[
            "broker.LookUp",
            "git.Inspect",
            "git.ReadFiles",
            "commit.agent.created",
            "commit.agent.state",
            "broker.Prepare",
            "broker.Helper",
            "git.CreateWorkspace",
            "commit.workspace.created",
            "broker.Delete",
            "broker.Create",
            "shim.Subscribe",
            "commit.sandbox.created",
            "shim.Watch",
            "shim.Start",
            "shim.Forget",
            "shim.List",
            "commit.service.state",
            "broker.Sockets",
            "commit.command.starting",
        ],
        &[
            "prepare.start",
            "prepare.recorded",
            "helper.start",
            "helper.started",
            "spawn.start",
            "spawn.cgroup",
            "spawn.root",
            "spawn.userns",
            "spawn.mounted",
            "spawn.cloned",
            "spawn.shim",
            "broker.created",
            "broker.reply",
        ],
    ),
    (
        Scene::Commit,
        &["broker.Helper", "git.Import", "commit.work.imported"],
        &["helper.start", "helper.started", "broker.reply"],
    ),
    (
        Scene::Stop,
        &[
            "commit.agent.state",
            "shim.Signal",
            "commit.service.state",
            "git.Import",
            "broker.Delete",
        ],
        &[
            "helper.started",
            "delete.start",
            "delete.killed",
            "delete.removed",
            "broker.reply",
        ],
    ),
    (
        Scene::Start,
        &[
            "commit.agent.state",
            "broker.Delete",
            "broker.Create",
            "commit.sandbox.created",
            "shim.Start",
            "commit.command.starting",
        ],
        &[
            "spawn.start",
            "spawn.root",
            "spawn.mounted",
            "spawn.shim",
            "broker.created",
        ],
    ),
    (
        Scene::Remove,
        &[
            "commit.agent.purged",
            "shim.Signal",
            "broker.Delete",
            "git.RemoveWorkspace",
            "broker.Erase",
            "commit.agent.erased",
        ],
        &[
            "delete.start",
            "delete.killed",
            "delete.removed",
            "erase.start",
            "erase.files",
        ],
    ),
];

const WHO: [&[Part]; 3] = [
    &[Part::Daemon],
    &[Part::Broker],
    &[Part::Daemon, Part::Broker],
];

/// All named points in some order, then moments by chance, shims among them. A short run takes a
/// part of the points, and moments by turns with them.
pub(super) fn plan(rng: &mut Rng, kills: u64, only: &str) -> Vec<Strike> {
    let mut named = Vec::new();
    for (scene, daemon, broker) in SCENES {
        for point in daemon {
            for when in ["before", "after"] {
                let both = rng.below(4) == 0;
                let blow = Blow::Daemon(when, point, both);
                named.push(Strike { scene, blow });
            }
        }
        named.extend(broker.iter().map(|point| Strike {
            scene,
            blow: Blow::Broker(point),
        }));
    }
    for at in (1..named.len()).rev() {
        named.swap(at, rng.below(at + 1));
    }
    named.retain(|strike| strike.to_string().contains(only));
    let mut plan = Vec::new();
    let mut named = named.into_iter();
    for turn in 0..kills * 2 {
        let by_name = if kills < 100 {
            turn % 2 == 0
        } else {
            turn % 8 != 7
        };
        let strike = if by_name { named.next() } else { None };
        plan.push(strike.unwrap_or_else(|| by_chance(rng)));
    }
    plan.retain(|strike| strike.to_string().contains(only));
    plan
}

fn by_chance(rng: &mut Rng) -> Strike {
    let at = rng.below(SCENES.len() * 3 + 1);
    let Some((scene, ..)) = SCENES.get(at / 3) else {
        let (scene, blow) = (Scene::Shim, Blow::After(&[], 0));
        return Strike { scene, blow };
    };
    let patience = if *scene == Scene::Create { 3000 } else { 1200 };
    let blow = Blow::After(WHO[at % 3], rng.below(patience) as u64);
    Strike {
        scene: *scene,
        blow,
    }
}

/// Strikes while what `begin` began is in flight, and brings back what died. `false`: the point was
/// not reached.
pub(super) fn strike(wsm: &Instance, blow: Blow, begin: impl FnOnce() -> Child) -> (Child, bool) {
    match blow {
        Blow::After(parts, ms) => {
            let call = begin();
            // The moment is the point of it.
            std::thread::sleep(Duration::from_millis(ms));
            wsm.kill_and_recover(parts);
            (call, !parts.is_empty())
        }
        Blow::Daemon(when, point, both) => {
            let broker = wsm.pid_of(Part::Broker);
            let file = wsm.dir().join("state/daemon/fault");
            let name = format!("{when} {point}");
            let (call, hit) = named(wsm, Part::Daemon, &file, &name, begin);
            if hit && both {
                host::signal(broker, "KILL");
                wsm.recover(&[Part::Daemon, Part::Broker]);
            } else if hit {
                wsm.recover(&[Part::Daemon]);
            }
            (call, hit)
        }
        Blow::Broker(point) => {
            let file = wsm.dir().join("run/fault");
            let (call, hit) = named(wsm, Part::Broker, &file, point, begin);
            if hit {
                wsm.recover(&[Part::Broker]);
            }
            (call, hit)
        }
    }
}

/// Names a point; whether somebody died there.
fn named(
    wsm: &Instance,
    part: Part,
    file: &std::path::Path,
    point: &str,
    begin: impl FnOnce() -> Child,
) -> (Child, bool) {
    let pid = wsm.pid_of(part);
    std::fs::write(file, point).expect("root writes");
    let mut call = begin();
    // Some points are reached only after the answer.
    let mut last = Instant::now() + Duration::from_secs(60);
    let mut over = false;
    loop {
        if host::process(pid).is_none() {
            return (call, true);
        }
        if !over && call.try_wait().expect("our child").is_some() {
            over = true;
            last = Instant::now() + Duration::from_secs(3);
        }
        if Instant::now() > last {
            // Gone: somebody is dying this instant.
            if std::fs::remove_file(file).is_ok() {
                return (call, false);
            }
            last = Instant::now() + Duration::from_secs(5);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a command line.
pub(super) fn end(mut call: Child, patience: Duration) -> Output {
    let last = Instant::now() + patience;
    let status = loop {
        if let Some(status) = call.try_wait().expect("our child") {
            break status;
        }
        if Instant::now() > last {
            call.kill().expect("our child");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |stream: Option<&mut dyn Read>| {
        let mut text = String::new();
        if let Some(stream) = stream {
            stream.read_to_string(&mut text).expect("text");
        }
        text
    };
    Output {
        line: "the command line in flight".to_owned(),
        code: status.code().unwrap_or(-1),
        stdout: read(call.stdout.as_mut().map(|s| s as &mut dyn Read)),
        stderr: read(call.stderr.as_mut().map(|s| s as &mut dyn Read)),
    }
}

//! Who is struck, where, and when.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::process::Child;
use std::time::{Duration, Instant};

use wsm_tests::cli::Output;
use wsm_tests::host;
use wsm_tests::instance::{Instance, Part};

use super::points::{Listed, Point};

/// What goes on meanwhile. Somebody is attached all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scene {
    Create,
    Attach,
    Exec,
    Look,
    Send,
    Commit,
    Human,
    Diverge,
    Merge,
    Apply,
    Service,
    Pause,
    Resume,
    Restart,
    Stop,
    Start,
    Trash,
    Restore,
    Prune,
    Purge,
    /// The daemon was killed and takes up what it finds.
    Recover,
    Fail,
    /// A shim is killed.
    Lose,
    /// A shim is killed in the middle of something.
    Cut,
}

impl Scene {
    pub(super) const ALL: [Scene; 24] = [
        Scene::Create,
        Scene::Attach,
        Scene::Exec,
        Scene::Look,
        Scene::Send,
        Scene::Commit,
        Scene::Human,
        Scene::Diverge,
        Scene::Merge,
        Scene::Apply,
        Scene::Service,
        Scene::Pause,
        Scene::Resume,
        Scene::Restart,
        Scene::Stop,
        Scene::Start,
        Scene::Trash,
        Scene::Restore,
        Scene::Prune,
        Scene::Purge,
        Scene::Recover,
        Scene::Fail,
        Scene::Lose,
        Scene::Cut,
    ];

    /// About how long it takes, so that moments by chance lie within it.
    fn millis(self) -> usize {
        match self {
            Scene::Create => 3000,
            Scene::Restart | Scene::Start | Scene::Commit | Scene::Purge => 2000,
            _ => 800,
        }
    }
}

/// Who dies, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blow {
    /// Nobody: to see which points are passed.
    Nothing,
    /// A part, at a named point; the other one with it or not.
    At(Point, bool),
    /// These parts, after so many milliseconds.
    After(&'static [Part], u64),
}

/// A blow in a scene.
#[derive(Debug, Clone)]
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
            Blow::Nothing => write!(f, "nobody"),
            Blow::At(point, false) => write!(f, "{point}"),
            Blow::At(point, true) => write!(f, "{point}, and the other part"),
            Blow::After(parts, ms) => write!(f, "{parts:?} after {ms} ms"),
        }
    }
}

impl Blow {
    pub(super) fn hits_daemon(&self) -> bool {
        match self {
            Blow::Nothing => false,
            Blow::At(point, both) => *both || point.part == Part::Daemon,
            Blow::After(parts, _) => parts.contains(&Part::Daemon),
        }
    }

    pub(super) fn kills(&self) -> u32 {
        match self {
            Blow::Nothing => 0,
            Blow::At(_, both) => 1 + u32::from(*both),
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

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

const WHO: [&[Part]; 3] = [
    &[Part::Daemon],
    &[Part::Broker],
    &[Part::Daemon, Part::Broker],
];

/// A point is tried in so many scenes before it counts as never reached.
const TRIES_MAX: usize = 4;

/// What is struck next: every named point once, in some scene that passes it, and in between
/// moments by chance, a shim's among them.
#[derive(Debug)]
pub(super) struct Plan {
    rng: Rng,
    only: String,
    turn: usize,
    /// Named points with the scenes that are still to be tried.
    open: VecDeque<(Point, VecDeque<Scene>)>,
    struck: usize,
    never: Vec<Point>,
}

impl Plan {
    pub(super) fn new(seed: u64, listed: &Listed, only: &str) -> Plan {
        let mut rng = Rng(seed);
        let mut open: Vec<_> = listed.points().into_iter().collect();
        rng.shuffle(&mut open);
        let mut plan = Plan {
            rng,
            only: only.to_owned(),
            turn: 0,
            open: VecDeque::new(),
            struck: 0,
            never: Vec::new(),
        };
        for (point, mut scenes) in open {
            scenes.retain(|scene| format!("{scene:?}: {point}").contains(only));
            plan.rng.shuffle(&mut scenes);
            scenes.truncate(TRIES_MAX);
            // Where it was missed by chance it is tried again.
            let mut tries: VecDeque<_> = scenes.into_iter().collect();
            tries.extend(tries.clone());
            tries.truncate(TRIES_MAX);
            if !tries.is_empty() {
                plan.open.push_back((point, tries));
            }
        }
        plan
    }

    /// `short`: chance has as many turns as names.
    pub(super) fn next(&mut self, short: bool) -> Strike {
        self.turn += 1;
        let by_chance = if short {
            self.turn.is_multiple_of(2)
        } else {
            self.turn.is_multiple_of(5)
        };
        if by_chance && self.only.is_empty() {
            return self.by_chance();
        }
        let Some((point, mut scenes)) = self.open.pop_front() else {
            return self.by_chance();
        };
        let scene = scenes.pop_front().expect("a point that is open has one");
        let both = self.rng.below(4) == 0;
        let blow = Blow::At(point.clone(), both);
        // Taken out again when it was hit.
        self.open.push_back((point, scenes));
        Strike { scene, blow }
    }

    fn by_chance(&mut self) -> Strike {
        let mut scenes: Vec<_> = Scene::ALL.to_vec();
        scenes.retain(|scene| format!("{scene:?}").contains(self.only.as_str()));
        if scenes.is_empty() {
            scenes = Scene::ALL.to_vec();
        }
        let mut scene = scenes[self.rng.below(scenes.len())];
        if self.only.is_empty() && self.rng.below(3) == 0 {
            scene = Scene::Cut;
        }
        let who = WHO[self.rng.below(WHO.len())];
        let blow = Blow::After(who, self.rng.below(scene.millis()) as u64);
        Strike { scene, blow }
    }

    /// Remembers what came of a strike.
    pub(super) fn came_of(&mut self, blow: &Blow, hit: bool) {
        let Blow::At(point, _) = blow else { return };
        let Some(at) = self.open.iter().position(|(open, _)| open == point) else {
            return;
        };
        if hit {
            self.open.remove(at);
            self.struck += 1;
        } else if self.open[at].1.is_empty() {
            self.open.remove(at);
            self.never.push(point.clone());
        }
    }

    /// Points that were struck, those that are still to be, and those that were never reached.
    pub(super) fn tally(&self) -> (usize, usize, &[Point]) {
        (self.struck, self.open.len(), &self.never)
    }
}

/// Strikes while what `begin` began is in flight, and brings back what died. `false`: the point was
/// not reached.
pub(super) fn strike(wsm: &Instance, blow: &Blow, begin: impl FnOnce() -> Child) -> (Child, bool) {
    match blow {
        Blow::Nothing => {
            let mut call = begin();
            wsm_tests::wait::until_true("the call in flight to end", || {
                call.try_wait().expect("our child").is_some()
            });
            // What is done after the answer belongs to it.
            std::thread::sleep(AFTER_THE_ANSWER);
            (call, false)
        }
        Blow::After(parts, ms) => {
            let call = begin();
            // The moment is the point of it.
            std::thread::sleep(Duration::from_millis(*ms));
            wsm.kill_and_recover(parts);
            (call, !parts.is_empty())
        }
        Blow::At(point, both) => {
            let other = match point.part {
                Part::Daemon => Part::Broker,
                Part::Broker | Part::Egress => Part::Daemon,
            };
            let other_pid = wsm.pid_of(other);
            let (call, hit) = named(wsm, point, begin);
            if hit && *both {
                host::signal(other_pid, "KILL");
                wsm.recover(&[Part::Daemon, Part::Broker]);
            } else if hit {
                wsm.recover(&[point.part]);
            }
            (call, hit)
        }
    }
}

/// Some points are reached only after the answer.
const AFTER_THE_ANSWER: Duration = Duration::from_secs(3);

/// Names a point; whether somebody died there.
fn named(wsm: &Instance, point: &Point, begin: impl FnOnce() -> Child) -> (Child, bool) {
    let file = point.fault_file(wsm);
    std::fs::write(&file, &point.name).expect("root writes");
    let mut call = begin();
    let mut pid = wsm.try_pid_of(point.part);
    let mut last = Instant::now() + Duration::from_secs(60);
    let mut over = false;
    loop {
        if !file.exists() {
            // Who removed it is dying this instant.
            let end = Instant::now() + Duration::from_secs(2);
            while pid.is_some_and(|pid| host::process(pid).is_some()) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
            return (call, true);
        }
        if pid.is_none_or(|pid| host::process(pid).is_none()) {
            pid = wsm.try_pid_of(point.part);
        }
        if !over && call.try_wait().expect("our child").is_some() {
            over = true;
            last = Instant::now() + AFTER_THE_ANSWER;
        }
        if Instant::now() > last && std::fs::remove_file(&file).is_ok() {
            return (call, false);
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

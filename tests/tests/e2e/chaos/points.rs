//! The named points of daemon and broker, and which scene passes which.
//!
//! `points.txt` is measured: `WSM_CHAOS=survey` plays every scene without a kill and writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use wsm_tests::instance::{Instance, Part};

use super::strike::Scene;

const LIST: &str = include_str!("points.txt");
const LIST_PATH: &str = "tests/tests/e2e/chaos/points.txt";

/// Where a part dies if a test says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) part: Part,
    pub(super) name: String,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", word(self.part), self.name)
    }
}

impl Point {
    /// Naming it in this file arms it.
    pub(super) fn fault_file(&self, wsm: &Instance) -> PathBuf {
        directory(wsm, self.part).join("fault")
    }
}

const PARTS: [Part; 2] = [Part::Daemon, Part::Broker];

fn word(part: Part) -> &'static str {
    match part {
        Part::Daemon => "daemon",
        Part::Broker => "broker",
        Part::Egress => "egress",
    }
}

fn directory(wsm: &Instance, part: Part) -> PathBuf {
    match part {
        Part::Daemon => wsm.dir().join("state/daemon"),
        Part::Broker => wsm.dir().join("run"),
        // It has no fail points yet.
        Part::Egress => wsm.dir().join("state/egress"),
    }
}

/// Has the parts note what they pass from now on; forgets what they noted before.
pub(super) fn listen(wsm: &Instance) {
    for part in PARTS {
        let path = directory(wsm, part).join("passed");
        File::create(&path)
            .and_then(|_| fs::set_permissions(&path, Permissions::from_mode(0o666)))
            .expect("root writes");
    }
}

/// What was passed since [`listen`].
pub(super) fn passed(wsm: &Instance) -> BTreeSet<Point> {
    let of = |part: Part| {
        let text = fs::read_to_string(directory(wsm, part).join("passed"));
        let text = text.expect("listen made it");
        // Who passes these can't strike the broker: the sandbox's own tests kill it alone.
        let alone = |name: &&str| name.starts_with("inside.") || *name == "spawn.shim";
        // These are passed when their time has come, whatever is played.
        let timed = |name: &&str| name.ends_with("broker.Usage") || name.ends_with("broker.Disk");
        let names = text.lines().filter(|name| !alone(name) && !timed(name));
        let names: Vec<_> = names.map(str::to_owned).collect();
        names.into_iter().map(move |name| Point { part, name })
    };
    PARTS.into_iter().flat_map(of).collect()
}

/// Which scene passes which point.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed(BTreeMap<Scene, BTreeSet<Point>>);

impl Listed {
    /// The committed list.
    pub(super) fn read() -> Listed {
        let mut listed = Listed::default();
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            let (scene, name) = line.split_once(": ").expect("scene: part point");
            let known = Scene::ALL
                .into_iter()
                .find(|known| format!("{known:?}") == scene);
            let scene = known.unwrap_or_else(|| panic!("{LIST_PATH}: no scene {scene}"));
            let (part, name) = name.split_once(' ').expect("part point");
            let part = PARTS.into_iter().find(|known| word(*known) == part);
            let (part, name) = (part.expect("daemon or broker"), name.to_owned());
            listed
                .0
                .entry(scene)
                .or_default()
                .insert(Point { part, name });
        }
        listed
    }

    /// What a scene passes.
    pub(super) fn set(&mut self, scene: Scene, points: BTreeSet<Point>) {
        self.0.insert(scene, points);
    }

    /// Every point once, with the scenes that pass it.
    pub(super) fn points(&self) -> BTreeMap<Point, Vec<Scene>> {
        let mut points = BTreeMap::<Point, Vec<Scene>>::new();
        for (scene, passed) in &self.0 {
            for point in passed {
                points.entry(point.clone()).or_default().push(*scene);
            }
        }
        points
    }

    /// Makes this the committed list.
    pub(super) fn write(&self) {
        let mut text =
            "# Which scene passes which point. Measured: WSM_CHAOS=survey writes it.\n".to_owned();
        for (scene, points) in &self.0 {
            for point in points {
                text.push_str(&format!("{scene:?}: {point}\n"));
            }
        }
        fs::write(wsm_tests::repository::root().join(LIST_PATH), text).expect("our own list");
    }
}

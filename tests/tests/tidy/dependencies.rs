//! Who may import whom: the table of the design (section 4), checked against cargo itself.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};
use wsm_tests::repository::root;

/// Crate, and the crates of ours that it imports. An arrow that is not here needs an ADR first.
const INTERNAL: [(&str, &[&str]); 9] = [
    ("wsm-api", &[]),
    ("wsm-template", &[]),
    ("wsm-sandbox", &[]),
    // The shim speaks to the launcher directly, and is a fork of what makes sandboxes (ADR 0009).
    ("wsm-terminal", &["wsm-sandbox"]),
    // Egress asks the broker for sockets: contracts and client only.
    ("wsm-egress", &["wsm-sandbox"]),
    // The policy is pure; the daemon takes egress without its engine.
    (
        "wsm-daemon",
        &[
            "wsm-api",
            "wsm-template",
            "wsm-sandbox",
            "wsm-terminal",
            "wsm-egress",
        ],
    ),
    // The WebSocket edge re-frames what the shim says: contracts only (ADR 0002).
    ("wsm-web", &["wsm-api", "wsm-daemon", "wsm-terminal"]),
    (
        "wsm",
        &[
            "wsm-api",
            "wsm-template",
            "wsm-sandbox",
            "wsm-terminal",
            "wsm-egress",
            "wsm-daemon",
            "wsm-web",
        ],
    ),
    ("wsm-tests", &["wsm-api"]),
];

/// What may come in from outside where it counts most: as root, and in everybody's contract.
const EXTERNAL: [(&str, &[&str]); 3] = [
    // rustix comes with the feature `client` only: the caller's side of the socket, not root's.
    (
        "wsm-sandbox",
        &[
            "caps",
            "rustix",
            "landlock",
            "libc",
            "nix",
            "serde",
            "serde_json",
            "thiserror",
        ],
    ),
    (
        "wsm-terminal",
        &[
            "alacritty_terminal",
            "libc",
            "nix",
            "serde",
            "serde_json",
            "thiserror",
            "unicode-width",
        ],
    ),
    (
        "wsm-api",
        &[
            "futures-util",
            "http-body-util",
            "hyper",
            "hyper-util",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-tungstenite",
            "utoipa",
        ],
    ),
];

/// Crates that must never be reached, however indirectly: `(who, what)`.
const NEVER: [(&str, &[&str]); 4] = [
    ("wsm-sandbox", &["tokio", "toml", "git2", "rusqlite"]),
    (
        "wsm-terminal",
        &["tokio", "axum", "toml", "rusqlite", "git2"],
    ),
    ("wsm-template", &["tokio", "rusqlite", "git2"]),
    ("wsm-daemon", &["axum"]),
];

struct Graph {
    ours: BTreeSet<String>,
    direct: BTreeMap<String, BTreeSet<String>>,
}

fn graph() -> Graph {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .exec()
        .expect("cargo reads our manifests");
    let ours: BTreeSet<_> = metadata
        .workspace_packages()
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let mut direct = BTreeMap::new();
    for package in &metadata.packages {
        let normal = package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal);
        let names: BTreeSet<_> = normal.map(|d| d.name.clone()).collect();
        direct.insert(package.name.to_string(), names);
    }
    Graph { ours, direct }
}

impl Graph {
    fn direct(&self, of: &str) -> &BTreeSet<String> {
        self.direct
            .get(of)
            .unwrap_or_else(|| panic!("{of} is not a package"))
    }

    /// Everything that `of` can reach by the crates of ours, and one step outside.
    fn reach(&self, of: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![of.to_owned()];
        while let Some(next) = open.pop() {
            for name in self.direct(&next) {
                if found.insert(name.clone()) && self.ours.contains(name) {
                    open.push(name.clone());
                }
            }
        }
        found
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn arrows_are_those_of_the_table() {
    let graph = graph();
    let known: BTreeSet<_> = INTERNAL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(
        graph.ours, known,
        "crates of the workspace and of the table"
    );
    for (name, expected) in INTERNAL {
        let found: BTreeSet<_> = graph
            .direct(name)
            .intersection(&graph.ours)
            .cloned()
            .collect();
        assert_eq!(found, set(expected), "crates of ours that {name} imports");
    }
}

#[test]
fn what_runs_as_root_has_few_dependencies() {
    let graph = graph();
    for (name, allowed) in EXTERNAL {
        let found: BTreeSet<_> = graph
            .direct(name)
            .difference(&graph.ours)
            .cloned()
            .collect();
        let extra: Vec<_> = found.difference(&set(allowed)).cloned().collect();
        assert!(
            extra.is_empty(),
            "{name} may not depend on {extra:?}; allowed: {allowed:?}"
        );
    }
}

#[test]
fn leaves_do_not_know_the_world() {
    let graph = graph();
    for (name, forbidden) in NEVER {
        let reach = graph.reach(name);
        for bad in forbidden {
            assert!(!reach.contains(*bad), "{name} reaches {bad}");
        }
    }
}

#[test]
fn contracts_come_without_the_engines() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("root manifest");
    for name in ["wsm-sandbox", "wsm-terminal", "wsm-egress"] {
        let line = manifest
            .lines()
            .find(|line| line.starts_with(&format!("{name} = ")));
        let plain = line.is_some_and(|line| line.contains("default-features = false"));
        assert!(
            plain,
            "{name} is imported as contracts: default-features = false"
        );
    }
}

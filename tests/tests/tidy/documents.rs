//! Rules on everything that is not Rust.

use std::collections::HashSet;

use wsm_tests::repository::{root, tracked};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

#[test]
fn readme_shows_the_two_commands() {
    let readme = read("README.md");
    for command in ["make run", "make test"] {
        assert!(
            readme.contains(command),
            "README.md does not show `{command}`"
        );
    }
}

/// Keep a Changelog: versions newest first, only the six kinds of change, entries are sentences.
#[test]
fn changelog_is_well_formed() {
    let kinds = [
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    ];
    let text = read("CHANGELOG.md");
    assert!(
        text.starts_with("# Changelog\n"),
        "CHANGELOG.md starts with `# Changelog`"
    );
    let versions: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(
        versions.first(),
        Some(&"[Unreleased]"),
        "the first version is [Unreleased]"
    );
    for version in &versions[1..] {
        let dated = version.starts_with('[') && version.contains("] - 20");
        assert!(dated, "`## {version}` is not `## [x.y.z] - YYYY-MM-DD`");
    }
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("### ") {
            assert!(
                kinds.contains(&kind),
                "`### {kind}` is not one of {kinds:?}"
            );
        }
        assert!(
            !line.starts_with("- ")
                || line.trim_end().ends_with(['.', ',', '`', ';', ':'])
                || line.len() > 60,
            "an entry is a sentence: {line}"
        );
    }
}

#[test]
fn tests_that_are_named_exist() {
    let rust = tracked();
    let rust = rust.iter().filter(|path| path.ends_with(".rs"));
    let code: String = rust.map(|path| read(path)).collect();
    let functions = code.split("fn ").filter_map(|rest| rest.split_once('('));
    let functions: HashSet<_> = functions.map(|(name, _)| name).collect();
    let text = read("docs/SECURITY.md");
    let rows = text.lines().filter_map(|line| line.strip_suffix(" |"));
    let last = rows.filter_map(|row| row.rsplit_once(" | "));
    let names = last.flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let names = names.filter(|name| name.contains('_') && name.chars().all(plain));
    let missing: Vec<_> = names.filter(|name| !functions.contains(name)).collect();
    assert!(missing.is_empty(), "docs/SECURITY.md: {missing:?}");
}

#[test]
fn decisions_have_their_four_parts() {
    let records = tracked();
    let records: Vec<_> = records
        .iter()
        .filter(|path| path.starts_with("docs/adr/"))
        .collect();
    assert!(!records.is_empty(), "docs/adr/ has records");
    // Those who work side by side take numbers from blocks: gaps are no error, doubles are.
    let mut last = 0;
    for path in records {
        let name = path.trim_start_matches("docs/adr/");
        let number = name.split('-').next().filter(|digits| digits.len() == 4);
        let number = number.and_then(|digits| digits.parse::<u32>().ok());
        let number = number.unwrap_or_else(|| panic!("{path}: names begin with four digits"));
        assert!(number > last, "{path}: {number} is taken");
        last = number;
        let text = read(path);
        for part in [
            "## Context",
            "## Decision",
            "## Rejected",
            "## Consequences",
        ] {
            assert!(text.contains(part), "{path} lacks `{part}`");
        }
    }
}

/// Registries are named by the machine's configuration, never by the repository: mirrors exist.
#[test]
fn no_registry_is_named() {
    let dot = |parts: &[&str]| parts.join(".");
    let hosts = [
        dot(&["crates", "io"]),
        dot(&["registry", "npmjs", "org"]),
        dot(&["registry", "yarnpkg", "com"]),
        dot(&["pypi", "org"]),
        dot(&["files", "pythonhosted", "org"]),
        dot(&["deb", "debian", "org"]),
        dot(&["security", "debian", "org"]),
        dot(&["proxy", "golang", "org"]),
    ];
    let mut wrong = Vec::new();
    for path in tracked() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for host in hosts.iter().filter(|host| text.contains(host.as_str())) {
            wrong.push(format!("{path}: {host}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "registry hosts in tracked files:\n  {}",
        wrong.join("\n  ")
    );
}

#[test]
fn snapshots_have_their_tests() {
    let paths = tracked();
    let mut wrong = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with(".snap")) {
        let snapshot = read(path);
        let source = snapshot
            .lines()
            .find_map(|line| line.strip_prefix("source: "));
        let alive = source.is_some_and(|source| paths.iter().any(|path| path == source.trim()));
        if !alive {
            wrong.push(path.clone());
        }
    }
    let pending = paths.iter().filter(|path| path.ends_with(".snap.new"));
    wrong.extend(pending.cloned());
    assert!(wrong.is_empty(), "snapshots without a test: {wrong:?}");
}

/// A test file that no binary lists would never run.
#[test]
fn every_story_is_listed() {
    let list = read("tests/tests/e2e.rs");
    for path in tracked() {
        if let Some(name) = path
            .strip_prefix("tests/tests/e2e/")
            .and_then(|p| p.strip_suffix(".rs"))
            // What lies deeper is a story's own.
            && !name.contains('/')
        {
            assert!(
                list.contains(&format!("mod {name};")),
                "{path} is not listed in e2e.rs"
            );
        }
    }
}

#[test]
fn lock_file_is_the_committed_one() {
    let status = std::process::Command::new(root().join("tools/lock"))
        .arg("check")
        .status();
    assert!(
        status.expect("tools/lock runs").success(),
        "run tools/lock save and commit it"
    );
}

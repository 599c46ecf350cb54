//! Rules on the Rust files themselves.

use crate::source::Source;
use wsm_tests::repository::{root, tracked};

/// A file that is longer hides a second module.
const FILE_LINES_MAX: usize = 500;
/// Longer functions do more than one thing.
const FUNCTION_LINES_MAX: usize = 70;

/// The files that may contain `unsafe`: everything else is checked by the compiler alone.
const UNSAFE_ALLOWED: [&str; 2] = ["sandbox/src/sys.rs", "terminal/src/pty.rs"];

fn sources() -> Vec<Source> {
    let paths = tracked();
    let rust = paths.iter().filter(|path| path.ends_with(".rs"));
    rust.filter_map(|path| {
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(Source::new(path, &text))
    })
    .collect()
}

/// Fails with all of `wrong` at once.
fn none(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn files_are_short() {
    let long = |source: &Source| {
        let lines = if source.is_test() {
            source.text.lines().count()
        } else {
            source.lines_of_code()
        };
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", source.path))
    };
    let wrong: Vec<_> = sources().iter().filter_map(long).collect();
    none(
        &format!("files have at most {FILE_LINES_MAX} lines"),
        &wrong,
    );
}

#[test]
fn functions_are_short() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (line, name, lines) in source.functions() {
            if lines > FUNCTION_LINES_MAX {
                wrong.push(format!("{}:{line}: {name} has {lines} lines", source.path));
            }
        }
    }
    none(
        &format!("functions have at most {FUNCTION_LINES_MAX} lines"),
        &wrong,
    );
}

#[test]
fn every_module_says_what_it_is() {
    let silent = |source: &Source| {
        let mut lines = source
            .text
            .lines()
            .skip_while(|line| line.starts_with("#!"));
        let says = lines.next().is_some_and(|line| line.starts_with("//! "));
        (!says).then(|| source.path.clone())
    };
    let wrong: Vec<_> = sources().iter().filter_map(silent).collect();
    none("a module starts with `//! what it is`", &wrong);
}

#[test]
fn unsafe_stays_where_it_is_audited() {
    let mut wrong = Vec::new();
    for source in sources() {
        let allowed = UNSAFE_ALLOWED.contains(&source.path.as_str());
        let has = words(&source.code).any(|word| word == "unsafe");
        if has && !allowed {
            wrong.push(source.path.clone());
        }
        for (number, line) in source.text.lines().enumerate() {
            if allowed && line.contains("unsafe {") && !line.trim_start().starts_with("//") {
                let before: Vec<_> = source.text.lines().take(number).collect();
                let near = before.iter().rev().take(6);
                if !near.into_iter().any(|line| line.contains("SAFETY")) {
                    wrong.push(format!("{}:{}: no SAFETY comment", source.path, number + 1));
                }
            }
        }
    }
    none(
        &format!("`unsafe` only in {}", UNSAFE_ALLOWED.join(" and ")),
        &wrong,
    );
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[test]
fn sql_stays_in_the_store() {
    let verbs = [
        ["SELECT ", " FROM "],
        ["INSERT ", "INTO "],
        ["UPDATE ", " SET "],
        ["DELETE ", "FROM "],
        ["CREATE ", "TABLE "],
        ["PRAGMA ", ""],
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        let path = &source.path;
        if path.starts_with("daemon/src/store") || path.starts_with("tests/tests/tidy") {
            continue;
        }
        for (line, text) in &source.strings {
            if verbs
                .iter()
                .any(|[verb, part]| text.starts_with(verb) && text.contains(part))
            {
                wrong.push(format!("{path}:{line}: {text:?}"));
            }
        }
    }
    none("SQL stands below daemon/src/store/ only", &wrong);
}

/// The gate looks again at whoever asks; whoever asked past it would be judged as it once was.
#[test]
fn rights_are_asked_at_the_gate() {
    let gate = "daemon/src/facade/access.rs";
    let mut asks = Vec::new();
    for source in sources() {
        let path = &source.path;
        let serves = path.starts_with("daemon/src") || path.starts_with("web/src");
        let tells = path.starts_with("daemon/src/role") || path == "web/src/router/rights.rs";
        if serves && !tells && words(&source.code).any(|word| word == "allows") {
            asks.push(path.clone());
        }
    }
    assert_eq!(asks, [gate], "`allows` is asked by {gate} alone");
}

#[test]
fn nothing_is_left_undone() {
    let marks = ["todo!", "unimplemented!", "dbg!"];
    let mut wrong = Vec::new();
    for source in sources() {
        for mark in marks {
            if source.code.contains(mark) {
                wrong.push(format!("{}: {mark}", source.path));
            }
        }
    }
    none("what is not there yet is refused, not left open", &wrong);
}

#[test]
fn modules_are_named_by_their_folder() {
    let wrong: Vec<_> = tracked()
        .into_iter()
        .filter(|path| path.ends_with("/mod.rs"))
        .collect();
    none("foo.rs beside foo/, no mod.rs", &wrong);
}

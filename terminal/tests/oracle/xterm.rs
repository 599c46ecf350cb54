//! xterm.js, by `@xterm/headless`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::window::{Window, windows};

const COUNT: usize = 1;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn told(window: &Window) -> Value {
    let first = window.cuts.first().map_or(window.later, |cut| cut.at);
    let mut done = first;
    let mut cuts = Vec::new();
    for cut in &window.cuts {
        cuts.push(json!({
            "at": cut.at,
            "raw": hex(&window.stream[done..cut.at]),
            "drawn": hex(&cut.drawn),
            "after": hex(&cut.after),
        }));
        done = cut.at;
    }
    json!({
        "name": window.name,
        "before": hex(&window.stream[..first]),
        "cuts": cuts,
        "rest": hex(&window.stream[done..window.later]),
    })
}

#[test]
fn xterm_shows_who_comes_late_what_it_shows_others() {
    let (seed, windows) = windows(COUNT);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/compare.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut asks = node.stdin.take().expect("asked for a pipe");
    let mut says = BufReader::new(node.stdout.take().expect("asked for a pipe"));
    let (mut compared, mut wrong) = (0, Vec::new());
    for window in &windows {
        writeln!(asks, "{}", told(window)).expect("node reads");
        let mut line = String::new();
        says.read_line(&mut line).expect("node answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
            panic!("{e}: {line:?}; is @xterm/headless there? make test gets it")
        });
        compared += answer["compared"].as_u64().unwrap();
        let found = answer["wrong"].as_array().unwrap().iter();
        wrong.extend(found.map(|text| text.as_str().unwrap().to_owned()));
    }
    drop(asks);
    assert!(node.wait().expect("it ends").success());
    assert!(
        wrong.is_empty() && compared > 0,
        "WSM_SEED={seed}: {} of {compared} comparisons differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

//! Judging a case, and what the suite says in the end.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::attacker::Outcome;
use crate::case::{Case, Control, Sign};
use crate::depth;
use crate::facts;
use crate::world::World;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The attack did not work, and would elsewhere.
    Held,
    /// It worked.
    Escaped,
    /// Nobody knows: it does not work elsewhere either.
    Inconclusive,
    /// This kernel lacks what is attacked, or what holds it.
    Needs,
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) held: Ending,
    pub(crate) control: bool,
    pub(crate) detail: String,
    /// Why there is no control, or what a newer kernel brings.
    pub(crate) reason: String,
}

/// Answers of a wall: not allowed, not there, not known.
const REFUSALS: [i64; 9] = [1, 2, 3, 13, 18, 20, 30, 38, 97];

/// What the sign of a case says.
fn sign(case: &Case, world: &World, outcome: &Outcome) -> Option<String> {
    let last = outcome.last();
    let say = |yes: bool, what: &str| yes.then(|| format!("{what} ({})", outcome.detail()));
    if outcome.died {
        // Killed by a filter, or hung: what it wanted it did not get, the facts tell the rest.
        return None;
    }
    match case.sign {
        Sign::Facts => None,
        Sign::Reached => say(!REFUSALS.contains(&-last), "the call reached the kernel"),
        Sign::Success => say(last >= 0, "the call succeeded"),
        Sign::MoreThan(most) => say(last > most, "more than allowed"),
        Sign::Exists => say(!matches!(-last, 2 | 3 | 20), "it can be seen"),
        Sign::Descriptor => {
            let made = outcome.pid.map(facts::descriptors).unwrap_or_default();
            say(!made.is_empty(), &made.join(" "))
        }
        Sign::Look(look) => look(world, outcome),
    }
}

/// Runs one case inside; the breach if there is one, and what was seen.
pub(crate) fn inside(world: &World, case: &Case) -> (String, Option<String>) {
    world.run(
        "inside",
        &format!("{}-in", case.id),
        &case.calls,
        |world, outcome| sign(case, world, outcome),
    )
}

/// Runs its control: whether the attack works there, and what was seen.
fn control(world: &World, case: &Case) -> (bool, String) {
    let Some(place) = World::place_of(case.control) else {
        return (false, String::new());
    };
    let calls = match case.control {
        _ if case.there.is_some() => case.there.clone().unwrap_or_default(),
        Control::Permitted => case.calls.replace("evil.example", "allowed.example"),
        Control::Host | Control::Apart => {
            let there = case.calls.replace("evil.example", "127.0.0.1");
            there.replace("allowed.example", "127.0.0.1")
        }
        _ => case.calls.clone(),
    };
    // The workspace's own must stay: mounts stand on it.
    let calls = if case.id.starts_with("I07") {
        calls.replace(&world.agent.workspace, &world.ground.hidden("w"))
    } else {
        calls
    };
    let (detail, breach) = world.run(
        place,
        &format!("{}-out", case.id),
        &calls,
        |world, outcome| sign(case, world, outcome),
    );
    (breach.is_some(), breach.unwrap_or(detail))
}

/// Runs a case with its control.
pub(crate) fn judge(world: &World, case: &Case) -> Verdict {
    let (detail, breach) = inside(world, case);
    // What listens may be late on a busy machine; what works nowhere does not work three times.
    let mut tries = (0..3).map(|_| control(world, case));
    let mut last = (false, String::new());
    let found = tries.find(|(worked, seen)| {
        last.1.clone_from(seen);
        *worked || matches!(case.control, Control::None(_) | Control::Ablation)
    });
    let (worked, seen) = found.unwrap_or(last);
    let (without, reason) = match case.control {
        Control::Ablation => (Ending::Held, "its control is make test-ablation"),
        Control::None(reason) => (Ending::Inconclusive, reason),
        _ if worked => (Ending::Held, ""),
        _ => depth::lacks(&case.id, &seen).unwrap_or((Ending::Inconclusive, "")),
    };
    let newer = depth::newer(&case.id);
    let held = match breach {
        Some(_) if newer.is_some() => Ending::Needs,
        Some(_) => Ending::Escaped,
        None => without,
    };
    let reason = newer.filter(|_| breach.is_some()).unwrap_or(reason);
    let outside = if worked {
        format!("; outside: {seen}")
    } else {
        format!("; outside, nothing: {seen}")
    };
    Verdict {
        id: case.id.clone(),
        group: case.group().to_owned(),
        held,
        control: worked || matches!(case.control, Control::Ablation),
        detail: format!("{}: {}{outside}", case.what, breach.unwrap_or(detail)),
        reason: reason.to_owned(),
    }
}

impl Verdict {
    fn json(&self) -> Value {
        let result = match self.held {
            Ending::Held => "held",
            Ending::Escaped => "escaped",
            Ending::Inconclusive => "inconclusive",
            Ending::Needs => "needs",
        };
        json!({
            "id": self.id, "group": self.group, "result": result, "control": self.control,
            "x2": depth::twice(&self.id), "detail": self.detail, "reason": self.reason,
        })
    }
}

/// Writes `target/attacks.json`, prints what is not held, and the last line.
pub(crate) fn report(verdicts: &[Verdict]) {
    let count = |held: Ending| {
        verdicts
            .iter()
            .filter(|verdict| verdict.held == held)
            .count()
    };
    for verdict in verdicts {
        if verdict.held != Ending::Held {
            println!(
                "{:?} {}: {} ({})",
                verdict.held, verdict.id, verdict.detail, verdict.reason
            );
        }
    }
    let all: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.json().to_string())
        .collect();
    let line = format!(
        "attacks: {} cases, {} held, {} escaped, {} inconclusive, {} need a newer kernel",
        verdicts.len(),
        count(Ending::Held),
        count(Ending::Escaped),
        count(Ending::Inconclusive),
        count(Ending::Needs),
    );
    let target = target();
    fs::write(
        target.join("attacks.json"),
        format!("[\n{}\n]\n", all.join(",\n")),
    )
    .expect("target is ours");
    fs::write(target.join("attacks.txt"), format!("{line}\n")).expect("target is ours");
    println!("{line}");
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| wsm_tests::repository::root().join("target"));
    fs::create_dir_all(&target).expect("target is ours");
    target
}

//! Handing an agent over: what moves, what is taken away, and who sees none of it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wsm_tests::cli::{self, Output};
use wsm_tests::host;
use wsm_tests::instance::Part;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

use super::World;

/// Uses the key that the agent's template names.
const ASK: &str =
    "curl -sS --max-time 20 -H \"x-api-key: $MODEL_KEY\" https://model.below.example/echo";

/// A giver, a receiver and somebody else.
struct Scene {
    world: World,
    ann: Persona,
    bob: Persona,
    eve: Persona,
}

impl Scene {
    fn new() -> Scene {
        let world = World::new();
        world.keyed();
        let (ann, bob, eve) = (
            Persona::new("ann"),
            Persona::new("bob"),
            Persona::new("eve"),
        );
        let scene = Scene {
            world,
            ann,
            bob,
            eve,
        };
        scene.set(&scene.ann, "sk-of-ann");
        let repo = Repo::small(&scene.ann, "project");
        scene
            .world
            .wsm
            .new_agent_as(&scene.ann, &repo, "keyed", "anns");
        scene
    }

    fn set(&self, who: &Persona, value: &str) {
        let command = self.world.wsm.command(who, &["secret", "set", "model-key"]);
        cli::run(command, value.as_bytes()).ok();
    }

    fn within(&self, who: &Persona, script: &str) -> Output {
        let line = ["exec", "anns", "--", "sh", "-c", script];
        self.world.wsm.wsm_as(who, &line)
    }

    fn offer(&self, more: &[&str]) -> Output {
        let line = ["handoff", "anns", "--to", self.bob.name()];
        self.world
            .wsm
            .wsm_as(&self.ann, &[&line[..], more].concat())
    }

    fn offers(&self, who: &Persona) -> Vec<Value> {
        let told = self.world.wsm.wsm_as(who, &["handoff", "--json"]).ok();
        told.json().as_array().expect("a list").clone()
    }

    fn code(&self, who: &Persona, args: &[&str]) -> i32 {
        self.world.wsm.wsm_as(who, args).code
    }

    /// Uses the key, and tells what the server was given.
    fn sent(&self, who: &Persona) -> String {
        assert_eq!(self.within(who, ASK).ok().stdout, "echoed\n");
        self.world.requests().last().expect("a request")["headers"].to_string()
    }
}

#[test]
fn an_offer_gives_no_right_and_ends_by_itself() {
    let scene = Scene::new();
    let Scene { ann, bob, eve, .. } = &scene;
    assert_eq!(
        scene.code(bob, &["handoff", "anns", "--to", bob.name()]),
        4,
        "it is not there for a stranger"
    );
    scene.offer(&["--note", "please finish"]).ok();
    assert_eq!(scene.offer(&[]).code, 1, "one offer at a time");
    assert!(scene.offers(eve).is_empty());
    let seen = &scene.offers(bob)[0];
    assert_eq!(seen["note"], "please finish");
    assert_eq!(seen["missing"][0], "model-key");
    let summary = seen["summary"].as_str().unwrap_or_default();
    let told = ["wsm/anns", "last output ", " commits, ", "agent@anns"];
    assert!(told.iter().all(|it| summary.contains(it)), "{seen}");
    let dry = scene
        .world
        .wsm
        .wsm_as(bob, &["accept", "anns", "--dry-run"])
        .ok();
    for told in ["please finish", "model-key", "wsm/anns"] {
        assert!(dry.stdout.contains(told), "{dry}");
    }
    assert_eq!(scene.code(eve, &["accept", "anns", "--dry-run"]), 4);
    assert_eq!(scene.code(bob, &["capture", "anns"]), 4);
    for other in [eve, ann] {
        assert_eq!(scene.code(other, &["accept", "anns"]), 4);
    }
    scene.world.wsm.wsm_as(bob, &["decline", "anns"]).ok();
    assert_eq!(scene.world.wsm.agent("anns").owner, ann.name());
    assert_eq!(scene.code(bob, &["accept", "anns"]), 4, "declined");

    scene.offer(&["--expires", "1s"]).ok();
    wait::until_true("the end of the offer", || scene.offers(ann).is_empty());
    assert_eq!(scene.code(bob, &["accept", "anns"]), 4, "too late");
    assert_eq!(scene.world.wsm.agent("anns").owner, ann.name());
}

#[test]
fn an_agent_is_handed_over_with_its_credentials_while_it_runs() {
    let scene = Scene::new();
    let (wsm, ann, bob) = (&scene.world.wsm, &scene.ann, &scene.bob);
    let login = "mkdir -p ~/.codex && echo giver > ~/.codex/auth.json && \
                 { setsid sleep 1000 >/dev/null 2>&1 & } && until pgrep -x sleep; do :; done";
    let running = scene.within(ann, login).ok();
    assert!(scene.sent(ann).contains("sk-of-ann"));
    let window = Term::start(&wsm.command(ann, &["attach", "anns"]), 80, 24);
    window.wait_for("$");
    window.press("giver-types");
    window.wait_for("giver-types");

    scene.set(bob, "sk-of-bob");
    scene.offer(&[]).ok();
    let seen = &scene.offers(bob)[0];
    assert_eq!(seen["missing"], Value::Array(Vec::new()));
    assert_eq!(seen["logins"][0], ".codex/auth.json");
    wsm.wsm_as(bob, &["accept", "anns"]).ok();
    let now = wsm.agent("anns");
    assert_eq!((&*now.owner, &*now.account), (bob.name(), ann.name()));
    assert_ne!(window.wait_end(), 0, "the giver's window is closed");
    assert_eq!(scene.code(ann, &["capture", "anns"]), 4);
    // The keyboard is free for the receiver, and everything runs on.
    wsm.wsm_as(bob, &["send", "anns", ""]).ok();
    assert_eq!(
        scene.within(bob, "pgrep -x sleep").ok().text(),
        running.text()
    );
    assert_eq!(scene.within(bob, "ls ~/.codex").ok().stdout, "");
    let sent = scene.sent(bob);
    assert!(
        sent.contains("sk-of-bob") && !sent.contains("sk-of-ann"),
        "{sent}"
    );
    wsm.kill_and_recover(&[Part::Daemon, Part::Egress]);
    wait::until_true("the key after a crash", || {
        // An egress that comes back answers nothing at first.
        scene.within(bob, ASK).code == 0
    });
    assert!(scene.sent(bob).contains("sk-of-bob"));

    let query = [
        "audit",
        "query",
        "--subject",
        "anns",
        "--verb",
        "handoff.",
        "--json",
    ];
    let told = wsm.wsm_as(bob, &query).ok().stdout;
    let rows = told
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).expect("a row"));
    let rows: Vec<_> = rows.collect();
    let verbs: Vec<_> = rows.iter().filter_map(|row| row["verb"].as_str()).collect();
    let wanted = ["handoff.offered", "handoff.accepted", "handoff.logins"];
    assert_eq!(verbs, wanted);
    assert_eq!(rows[1]["actor"], bob.name());
    assert_eq!(rows[1]["before"], ann.name());
    assert_eq!(rows[1]["after"], bob.name());
    wsm.wsm(&["audit", "verify"]).ok();
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn who_gets_an_agent_is_told_what_of_theirs_it_will_use() {
    let scene = Scene::new();
    let Scene { ann, bob, eve, .. } = &scene;
    scene.set(bob, "sk-of-bob");
    let share = ["share", "anns", "--with", eve.name(), "--role", "driver"];
    scene.world.wsm.wsm_as(ann, &share).ok();
    scene.offer(&[]).ok();
    let seen = &scene.offers(bob)[0];
    assert_eq!(seen["uses"][0]["secret"], "model-key", "{seen}");
    assert_eq!(seen["uses"][0]["hosts"][0], "model.below.example", "{seen}");
    assert_eq!(seen["shares"][0]["user"], eve.name(), "{seen}");
    let line = ["accept", "anns", "--dry-run"];
    let dry = scene.world.wsm.wsm_as(bob, &line).ok().stdout;
    for told in ["model-key", "model.below.example", eve.name()] {
        assert!(dry.contains(told), "{dry}");
    }
}

/// What was asked of the agent while it was still the giver's is not done to the receiver's.
#[test]
fn what_the_giver_asks_for_meanwhile_is_not_done() {
    let scene = Scene::new();
    let (wsm, ann, bob, eve) = (&scene.world.wsm, &scene.ann, &scene.bob, &scene.eve);
    scene.offer(&[]).ok();
    let shim = host::shim_of(&wsm.agent("anns").id);
    // The driver waits for it while it takes the keyboards away.
    host::signal(shim, "STOP");
    let begin = |who: &Persona, args: &[&str]| {
        let mut command = wsm.command(who, args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("wsm starts")
    };
    let accepted = begin(bob, &["accept", "anns", "--yes"]);
    // What is not answered at once came behind the acceptance.
    let waits = |call: &mut Child| {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline && call.try_wait().expect("our child").is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        call.try_wait().expect("our child").is_none()
    };
    let mut numbers = 0..;
    let mut calls = std::iter::from_fn(|| {
        let host = format!("n{}.example", numbers.next()?);
        Some(begin(ann, &["policy", "allow", "anns", &host]))
    });
    let first = calls.find_map(|mut call| waits(&mut call).then_some(call));
    let more = [
        &["handoff", "anns", "--to", eve.name()][..],
        &["stop", "anns"],
        &["rm", "anns", "--purge"],
    ];
    // All at once: the driver gives up on the shim after ten seconds.
    let mut more = more.map(|line| begin(ann, line));
    assert!(waits(&mut more[0]), "it does not wait");
    for call in &mut more {
        assert!(call.try_wait().expect("our child").is_none(), "{call:?}");
    }
    host::signal(shim, "CONT");
    let end = |call: Child| call.wait_with_output().expect("our child");
    let accepted = end(accepted);
    assert!(accepted.status.success(), "{accepted:?}");
    for call in first.into_iter().chain(more) {
        let told = end(call);
        assert!(!told.status.success(), "{told:?}");
    }
    let agent = wsm.agent("anns");
    assert_eq!(agent.owner, bob.name());
    assert!(scene.offers(eve).is_empty());
    assert_eq!(scene.within(bob, "echo lives").ok().text(), "lives");
}

/// A sandbox that is being built for the giver is not the receiver's.
#[test]
fn an_agent_that_is_being_built_is_built_anew_for_the_receiver() {
    let scene = Scene::new();
    let (wsm, ann, bob) = (&scene.world.wsm, &scene.ann, &scene.bob);
    scene.set(bob, "sk-of-bob");
    wsm.wsm_as(ann, &["stop", "anns"]).ok();
    wsm.wait_state("anns", "stopped");
    scene.offer(&[]).ok();
    let egress = wsm.pid_of(Part::Egress);
    host::signal(egress, "STOP");
    let begin = |who: &Persona, args: &[&str]| {
        let mut command = wsm.command(who, args);
        command.stdout(Stdio::null()).spawn().expect("wsm starts")
    };
    let mut start = begin(ann, &["start", "anns"]);
    wait::until_true("it to be built", || {
        wsm.agent("anns").state.as_str() == "starting"
    });
    let accept = begin(bob, &["accept", "anns", "--yes"]);
    host::signal(egress, "CONT");
    let told = accept.wait_with_output().expect("our child");
    assert!(told.status.success(), "{told:?}");
    drop(start.wait());
    wsm.wait_state("anns", "working,idle,blocked");
    let sent = scene.sent(bob);
    assert!(
        sent.contains("sk-of-bob") && !sent.contains("sk-of-ann"),
        "{sent}"
    );
}

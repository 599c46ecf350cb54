//! Handing an agent over: what moves, what is taken away, and who sees none of it.

use serde_json::Value;
use wsm_tests::cli::{self, Output};
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

//! working → blocked → approved → working → idle, with the right reasons, again and again.

use wsm_api::agent::State;
use wsm_tests::instance::Part;
use wsm_tests::wait;

use super::phone::Phone;
use super::{TASK, Told};
use crate::credentials::World;

/// How often each is told: `make state` says 20.
fn runs() -> u32 {
    std::env::var("WSM_STATE_RUNS").map_or(2, |text| text.parse().expect("a number"))
}

fn world(secret: &str) -> World {
    let world = World::new();
    world.set(&[secret]).ok();
    world
}

fn with_phone(secret: &str) -> (World, Phone) {
    let world = World::new();
    let phone = Phone::of(&world);
    world.set(&[secret]).ok();
    (world, phone)
}

/// One task with two questions, both answered from a phone.
fn turn(world: &World, phone: &Phone, kind: &str, name: &str, more: &str, tools: [&str; 2]) {
    let told = Told::new(world, kind, name, &format!("prompt = \"{TASK}\"\n{more}"));
    let mut known = Vec::new();
    for tool in tools {
        let agent = told.asked(&known);
        assert_eq!(agent.confidence, "reported", "{}", told.all());
        assert_eq!(agent.questions.len(), 1, "{}", told.all());
        let question = &agent.questions[0];
        assert_eq!(question.tool, tool, "{}", told.all());
        assert_eq!(question.kind, "permission");
        assert!(question.answerable, "{}", told.all());
        let asked = format!("waits for permission: {tool} `");
        assert!(agent.reason.starts_with(&asked), "{}", agent.reason);
        assert!(
            question.command.contains("made.txt"),
            "{}",
            question.command
        );
        if tool != "Bash" && tool != "bash" {
            assert!(question.diff.contains("+made"), "{}", question.diff);
        }
        let id = question.id.clone();
        phone.approve(name, question);
        // The same answer twice is one, another is none.
        world.wsm.wsm(&["approve", name, "--question", &id]).ok();
        world.wsm.wsm(&["deny", name, "--question", &id]).fails(1);
        known.push(id);
    }
    let agent = told.reached(State::Idle);
    assert_eq!(agent.confidence, "reported", "{}", told.all());
    assert!(agent.questions.is_empty(), "{}", told.all());
    let states: Vec<String> = told.states().into_iter().map(|(state, _)| state).collect();
    let right = [
        "working", "blocked", "working", "blocked", "working", "idle",
    ];
    assert_eq!(states, right, "{}", told.all());
    let branch = agent.branch.as_str();
    wait::until_true("the commit outside", || {
        told.repo.git(&["log", "-1", "--format=%s", branch]).text() == "made by an agent"
    });
    let rows = [
        "audit",
        "query",
        "--subject",
        &agent.id,
        "--verb",
        "question.answered",
        "--json",
    ];
    let rows = world.rows(&rows);
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in rows {
        assert_eq!(row["actor"], "root", "{row}");
        let via = row["via"].as_str().unwrap_or_default();
        assert!(via.starts_with("device"), "{row}");
        assert_eq!(row["after"], "approved", "{row}");
    }
    world.wsm.wsm(&["rm", name, "--purge"]).ok();
}

#[test]
fn claude_asks_and_is_answered_from_a_phone() {
    let (world, phone) = with_phone("anthropic-api-key");
    for run in 0..runs() {
        turn(
            &world,
            &phone,
            "claude",
            &format!("claude-{run}"),
            "",
            ["Write", "Bash"],
        );
    }
}

#[test]
fn codex_asks_and_is_answered_from_a_phone() {
    let (world, phone) = with_phone("openai-api-key");
    for run in 0..runs() {
        // The model whose tools the fake knows is an old one, about which Codex asks at its start.
        let more = "model = \"gpt-5.5\"\npermissions = \"ask\"\n[files]\n\"~/.codex/config.toml\" = '''\n\
            [notice.model_migrations]\n\"gpt-5.5\" = \"gpt-6-sol\"\n\
            [projects.\"{workspace}\"]\ntrust_level = \"trusted\"\n'''";
        turn(
            &world,
            &phone,
            "codex",
            &format!("codex-{run}"),
            more,
            ["Bash", "Bash"],
        );
    }
}

#[test]
fn opencode_asks_and_is_answered_from_a_phone() {
    let (world, phone) = with_phone("anthropic-api-key");
    for run in 0..runs() {
        let more = "model = \"anthropic/claude-sonnet-4-5\"\npermissions = \"ask\"";
        turn(
            &world,
            &phone,
            "opencode",
            &format!("opencode-{run}"),
            more,
            ["edit", "bash"],
        );
    }
}

#[test]
fn a_question_outlives_the_daemon() {
    let world = world("anthropic-api-key");
    let told = Told::new(
        &world,
        "claude",
        "outlives",
        &format!("prompt = \"{TASK}\""),
    );
    let before = told.asked(&[]);
    world.wsm.kill_and_recover(&[Part::Daemon]);
    let after = told.agent();
    assert_eq!(after.state, State::Blocked, "{}", told.all());
    assert_eq!(after.questions, before.questions);
    assert_eq!(after.since, before.since);
    let denied = ["deny", "outlives", "--message", "put it elsewhere"];
    world.wsm.wsm(&denied).ok();
    told.asked(&[before.questions[0].id.clone()]);
    world.wsm.wsm(&["deny", "outlives"]).ok();
    told.reached(State::Idle);
    // The agent was told why.
    let requests = world.requests();
    let said = requests
        .iter()
        .any(|it| it.to_string().contains("put it elsewhere"));
    assert!(said, "{}", told.all());
}

#[test]
fn an_answer_in_the_terminal_is_seen_outside() {
    let world = world("anthropic-api-key");
    let told = Told::new(&world, "claude", "inside", &format!("prompt = \"{TASK}\""));
    let first = told.asked(&[]);
    world.wsm.wait_screen("inside", "Do you want to create");
    world.wsm.wsm(&["send", "inside", "1", "--no-enter"]).ok();
    let known = vec![first.questions[0].id.clone()];
    let second = told.asked(&known);
    assert_eq!(second.questions.len(), 1, "{}", told.all());
    let late = ["approve", "inside", "--question", &known[0]];
    world
        .wsm
        .wsm(&late)
        .fails(1)
        .says("answered in the terminal");
    // Escape: it is interrupted, and says nothing of it.
    world.wsm.wait_screen("inside", "Do you want to proceed");
    world
        .wsm
        .wsm(&["send", "inside", "\u{1b}", "--no-enter"])
        .ok();
    let idle = told.reached(State::Idle);
    assert!(idle.questions.is_empty(), "{}", told.all());
}

#[test]
fn claude_is_told_what_the_template_says_and_goes_on_where_it_was() {
    let world = world("anthropic-api-key");
    let more = format!(
        "prompt = \"{TASK}\"\nresume = true\npermissions = \"all\"\nmodel = \"claude-haiku-4-5\"\nidle_stop = \"5s\"\n\
         [agent.mcp.nobody]\ncommand = [\"sh\", \"-c\", \"touch ~/asked\"]"
    );
    let told = Told::new(&world, "claude", "goes-on", &more);
    // Nothing is asked, and nobody looks: it is done, and stopped.
    let stopped = told.reached(State::Stopped);
    assert!(
        stopped.reason.contains("watched by nobody"),
        "{}",
        stopped.reason
    );
    let states: Vec<String> = told.states().into_iter().map(|(state, _)| state).collect();
    assert_eq!(
        states,
        ["working", "idle", "stopping", "stopped"],
        "{}",
        told.all()
    );
    let model = |it: &serde_json::Value| {
        it["body"]
            .as_str()
            .unwrap_or_default()
            .contains("claude-haiku-4-5")
    };
    assert!(world.requests().iter().any(model), "{:?}", world.requests());
    world.wsm.wsm(&["start", "goes-on"]).ok();
    told.reached(State::Idle);
    world.wsm.wait_screen("goes-on", "TASK-DONE");
    let said = world.wsm.inside("goes-on", "ls ~/asked");
    assert_eq!(said.code, 0, "{said}");
}

//! Every verb by `--host https://…` and a token: what it does, or why it can't be done from afar.

use std::collections::BTreeSet;

use wsm_tests::cli;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::{repository, wait};

use super::Served;

/// A service and a port beside the agent.
const TEMPLATE: &str = "schema = 1\nname = \"served\"\nextends = [\"shell\"]\n\
     [services.web]\ncommand = [\"sleep\", \"1000\"]\n[ports]\nweb = { inside = 5173, protocol = \"http\" }\n[network]\negress = \"allow\"\n";

/// Whose token: the agent's owner, an admin, whom it is handed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Ann,
    Kim,
    Bob,
}
use Who::{Ann, Bob, Kim};

/// Verbs in an order in which they can be done, with the code that they end with. `{bob}` is his
/// name, `{dir}` a directory of his.
const DONE: &[(Who, &str, i32)] = &[
    (Ann, "version", 0),
    (Ann, "status", 0),
    (Ann, "doctor", 0),
    (Ann, "whoami", 0),
    (Ann, "ls", 0),
    (Ann, "show far", 0),
    (Ann, "explain far", 0),
    (Ann, "ports", 0),
    (Ann, "send far true", 0),
    (Ann, "who far", 0),
    (Ann, "lease far", 0),
    (Ann, "exec far -- true", 0),
    (Ann, "capture far", 0),
    (Ann, "logs far", 0),
    (Ann, "rec ls far", 0),
    (Ann, "rec input far", 0),
    (Ann, "rec input far on", 0),
    (Ann, "rec export far -o {dir}/cast", 0),
    (Ann, "svc ls far", 0),
    (Ann, "svc stop far web", 0),
    (Ann, "svc start far web", 0),
    (Ann, "svc restart far web", 0),
    (Ann, "svc logs far web", 0),
    (Ann, "svc logs far", 0),
    (Ann, "policy show far", 0),
    (Ann, "policy allow far a.example:443", 0),
    (Ann, "policy check far a.example:443", 0),
    (Ann, "policy deny far a.example:443", 0),
    (Ann, "policy check far a.example:443", 3),
    (Ann, "diff far", 0),
    (Ann, "merge far", 0),
    (Ann, "apply far", 0),
    (Ann, "stop far", 0),
    (Ann, "start far", 0),
    (Ann, "wait far --until working,idle --timeout 30s", 0),
    (Ann, "pause far", 0),
    (Ann, "resume far", 0),
    (Ann, "restart far", 0),
    (Ann, "share far --with {bob} --role viewer", 0),
    (Bob, "capture far", 0),
    (Ann, "unshare far --with {bob}", 0),
    (Bob, "capture far", 4),
    (Ann, "handoff far --to {bob}", 0),
    (Bob, "decline far", 0),
    (Ann, "handoff far --to {bob}", 0),
    (Bob, "accept far", 0),
    (Ann, "show far", 4),
    (Bob, "open far", 0),
    (Bob, "rm far", 0),
    (Bob, "restore far", 0),
    (Bob, "prune --dry-run", 0),
    (Ann, "secret ls", 0),
    (Ann, "token ls", 0),
    (Ann, "device ls", 0),
    (Ann, "notify ls", 0),
    (Ann, "notify deliveries", 0),
    (Ann, "notify rules", 0),
    (Ann, "repo ls", 0),
    (Ann, "template ls", 0),
    (Kim, "user add carla", 0),
    (Kim, "user role carla admin", 0),
    (Kim, "user ls", 0),
    (Kim, "invite", 0),
    (Kim, "user rm carla", 0),
    (Kim, "audit query", 0),
    (Kim, "audit verify", 0),
    (Kim, "audit export -o {dir}/journal", 0),
    (Ann, "completion bash", 0),
    (Ann, "man", 0),
    // Nothing there that it could be done to.
    (Bob, "approve far", 1),
    (Bob, "deny far", 1),
    (Ann, "secret rm none", 4),
    (Ann, "token rm none", 4),
    (Ann, "device rm none", 4),
    (Ann, "notify rm none", 4),
    (Ann, "notify test none", 4),
    (Ann, "repo rm none", 4),
    // No token makes what would outlive it; pairing wants somebody at a terminal.
    (Ann, "token new", 3),
    (Ann, "pair", 2),
    (Ann, "notify add webhook https://hook.example/x", 3),
    // What takes an open directory, a socket or a program of that machine.
    (Ann, "new {dir}", 2),
    (Ann, "repo add {dir}", 3),
    (Ann, "secret set key", 3),
    (Ann, "secret login claude", 1),
    (Ann, "up", 3),
    (Ann, "template show shell", 3),
    (Ann, "template validate", 3),
    (Ann, "template init mine", 3),
];

/// What needs a terminal, or has no end of its own: below.
const LIVE: [&str; 4] = ["attach", "shell", "rec play", "audit tail"];

/// All verbs, as the program describes itself.
fn all() -> BTreeSet<String> {
    let page = std::fs::read_to_string(repository::root().join("docs/cli.md"));
    let page = page.expect("the page is committed");
    let heads = page
        .lines()
        .filter_map(|line| line.strip_prefix("## `wsm "));
    let verbs: BTreeSet<String> = heads
        .map(|head| head.trim_end_matches('`').into())
        .collect();
    let group = |verb: &&String| {
        let begin = format!("{verb} ");
        !verbs.iter().any(|other| other.starts_with(&begin))
    };
    verbs.iter().filter(group).cloned().collect()
}

#[test]
fn no_verb_is_forgotten() {
    let known = all();
    let said = |line: &str| {
        known
            .iter()
            .find(|verb| line == verb.as_str() || line.starts_with(&format!("{verb} ")))
    };
    let lines = DONE.iter().map(|(_, line, _)| *line).chain(LIVE);
    let tried: BTreeSet<_> = lines
        .map(|line| said(line).unwrap_or_else(|| panic!("no such verb: {line}")))
        .collect();
    let forgotten: Vec<_> = known.iter().filter(|verb| !tried.contains(verb)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[test]
fn every_verb_over_the_network() {
    let served = Served::start("");
    let (ann, bob, eve) = (
        Persona::new("ann"),
        Persona::new("bob"),
        Persona::new("eve"),
    );
    served.wsm.host_template("served", TEMPLATE);
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "served", "far");
    served
        .wsm
        .wsm(&["user", "add", "kim", "--role", "admin"])
        .ok();
    let kims = ["token", "new", "--user", "kim", "--scope", "admin", "-q"];
    let kims = served.wsm.wsm(&kims).ok().text().to_owned();
    let (anns, bobs) = (served.token(&ann, "own"), served.token(&bob, "own"));
    let mut made = eve.command("mkdir");
    made.arg(eve.home().join("there"));
    cli::run(made, b"").ok();
    let directory = eve.home().join("there").display().to_string();

    let there = |args: &[&str]| served.command(&eve, &anns, args);
    let term = Term::start(&there(&["attach", "far"]), 100, 24);
    term.wait_for("$");
    term.line("echo far-$((6*7))");
    term.wait_for("far-42");
    let shell = Term::start(&there(&["shell", "far"]), 100, 24);
    shell.wait_for("$");
    shell.line("exit");
    shell.wait_end();
    wait::until_true("what was shown to be recorded", || {
        let told = served.there(&eve, &anns, &["rec", "export", "far"]);
        told.stdout.contains("far-42")
    });
    let play = Term::start(&there(&["rec", "play", "far"]), 100, 24);
    play.wait_for("far-42");
    play.press("q");
    let tail = Term::start(
        &served.command(&eve, &kims, &["audit", "tail", "-f"]),
        150,
        24,
    );

    let mut wrong = Vec::new();
    for (who, line, code) in DONE {
        let line = line
            .replace("{bob}", bob.name())
            .replace("{dir}", &directory);
        let token = match who {
            Ann => &anns,
            Bob => &bobs,
            Kim => &kims,
        };
        let args: Vec<&str> = line.split(' ').collect();
        let told = served.there(&eve, token, &args);
        let spoke = !told.stdout.is_empty() || !told.stderr.is_empty() || told.code == 0;
        if told.code != *code || !spoke || told.stderr.contains("panicked") {
            wrong.push(format!("not {code}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    wait::until_true("what was done is told as it happens", || {
        tail.screen().contains("carla")
    });
    // The giver's window is closed by the handoff.
    assert_ne!(term.wait_end(), 0);
}

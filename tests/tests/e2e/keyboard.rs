//! Several people at one agent: one keyboard, asked for, given and taken.

use wsm_tests::host;
use wsm_tests::instance::Instance;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

fn attach(wsm: &Instance, who: &Persona, more: &[&str], cols: u16, rows: u16) -> Term {
    let args = [&["attach", "shared"], more].concat();
    Term::start(&wsm.command(who, &args), cols, rows)
}

#[test]
fn one_types_others_watch_what_fits_ask_and_take() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    wsm.new_agent_as(&ann, &repo, "shell", "shared");
    let anns = attach(&wsm, &ann, &[], 80, 24);
    anns.wait_for("$");
    anns.line("echo hers-$((6*7))");
    anns.wait_for("hers-42");
    // An admin sees it in a border, and can't type into her line.
    let roots = attach(&wsm, wsm.root(), &[], 100, 30);
    let screen = roots.wait_for("hers-42");
    assert!(screen.contains("\u{2502}"), "a border: {screen}");
    roots.type_text("x");
    roots.wait_for("has the keyboard");
    let refused = wsm.wsm(&["send", "shared", "echo no"]).fails(1);
    let _ = refused.says("has the keyboard");
    let who = wsm.wsm(&["who", "shared"]).ok().stdout;
    assert!(who.contains(ann.name()) && who.contains("root"), "{who}");
    assert!(who.contains("100x30"), "{who}");

    wsm.wsm(&["lease", "shared", "request"]).ok();
    anns.wait_for("root asks for the keyboard");
    wsm.wsm_as(&ann, &["lease", "shared", "grant", "root"]).ok();
    roots.wait_for("you have the keyboard");
    roots.line("clear; stty size | tr ' ' x");
    roots.wait_for("30x100");
    // The owner takes it back, and that is written down.
    let again = attach(&wsm, &ann, &["--take"], 90, 20);
    again.wait_for("$");
    again.line("clear; stty size | tr ' ' x");
    again.wait_for("20x90");
    roots.wait_for("keyboard");
    let told = wsm.wsm(&["explain", "shared"]).ok().stdout;
    assert!(told.contains("by force"), "{told}");
    // Who leaves leaves it free.
    drop(again);
    wait::until_true("a free keyboard", || {
        let text = wsm.wsm(&["lease", "shared"]).ok().stdout;
        text.contains("is free")
    });
    roots.line("echo mine-$((40+4))");
    anns.wait_for("mine-44");
}

#[test]
fn what_was_shown_is_kept_and_plays_again() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "kept");
    wsm.wsm(&["send", "kept", "echo seen-$((6*7))"]).ok();
    wsm.wait_screen("kept", "seen-42");
    let exported = || wsm.wsm(&["rec", "export", "kept"]).ok().stdout;
    wait::until_true("the recording", || exported().contains("seen-42"));
    wsm.wsm(&["stop", "kept"]).ok();
    wsm.wsm(&["start", "kept"]).ok();
    wsm.wsm(&["send", "kept", "echo again-$((40+4))"]).ok();
    wait::until_true("the second", || exported().contains("again-44"));
    let ids = wsm.wsm(&["rec", "ls", "kept", "-q"]).ok().stdout;
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(ids.len(), 2, "one for each start: {ids:?}");
    let first = wsm.wsm(&["rec", "export", "kept", ids[0]]).ok().stdout;
    assert!(
        first.contains("seen-42") && !first.contains("again-44"),
        "{first}"
    );
    for line in first.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON lines");
    }
    let play = ["rec", "play", "kept", ids[0], "--idle", "100ms"];
    let term = Term::start(&wsm.command(wsm.root(), &play), 100, 30);
    term.wait_for("seen-42");
    term.press("q");
    assert_eq!(term.wait_end(), 0);
    // Who may not see the agent is told of none.
    let eve = Persona::new("eve");
    let _ = wsm.wsm_as(&eve, &["rec", "ls", "kept"]).fails(4);
}

#[test]
fn what_is_typed_is_recorded_only_when_its_owner_asks() {
    let wsm = Instance::start();
    let (ann, bob) = (Persona::new("ann"), Persona::new("bob"));
    let repo = Repo::small(&ann, "project");
    wsm.new_agent_as(&ann, &repo, "shell", "shared");
    let share = ["share", "shared", "--with", bob.name(), "--role", "driver"];
    wsm.wsm_as(&ann, &share).ok();
    let bobs = attach(&wsm, &bob, &[], 80, 24);
    bobs.wait_for("$");
    bobs.line("echo before-$((6*7))");
    bobs.wait_for("before-42");
    // It is not bob's to say, and he is told when it begins.
    let input = |who: &Persona, more: &[&str]| {
        wsm.wsm_as(who, &[&["rec", "input", "shared"], more].concat())
    };
    let _ = input(&bob, &["on"]).fails(3);
    assert!(input(&ann, &[]).ok().stdout.contains("is not recorded"));
    input(&ann, &["on"]).ok();
    input(&ann, &["on"]).ok();
    bobs.wait_for("what is typed here is recorded");
    assert!(input(&bob, &[]).ok().stdout.contains("is recorded"));
    // A password is a line that is not echoed.
    bobs.line("stty -echo; head -1 >/dev/null; stty echo; echo read-$((6*7))");
    wait::until_true("a hidden prompt", || {
        let state = ["exec", "shared", "--", "sh", "-c", "pgrep -x head"];
        wsm.wsm_as(&ann, &state).code == 0
    });
    bobs.line("hunter2-hidden");
    bobs.wait_for("read-42");
    bobs.line("echo shown-$((40+4))");
    bobs.wait_for("shown-44");
    input(&ann, &["off"]).ok();
    bobs.wait_for("is not recorded any more");
    bobs.line("echo after-$((40+5))");
    bobs.wait_for("after-45");
    let exported = || wsm.wsm_as(&ann, &["rec", "export", "shared"]).ok().stdout;
    wait::until_true("the recording", || exported().contains("after-45"));
    let cast = exported();
    let lines = cast.lines().skip(1);
    let lines: Vec<serde_json::Value> = lines.map(|it| it.parse().expect("JSON lines")).collect();
    let of = |code: &str| {
        let such = lines.iter().filter(|it| it[1] == code);
        such.filter_map(|it| it[2].as_str()).collect::<Vec<_>>()
    };
    let typed = of("i").concat();
    assert!(typed.contains("echo shown-$((40+4))\r"), "{typed}");
    for never in ["before", "hunter2", "after"] {
        assert!(!typed.contains(never), "{typed}");
    }
    assert_eq!(of("m"), [format!("{} types", bob.name())]);
    // Whoever gets the agent did not ask for it.
    input(&ann, &["on"]).ok();
    wsm.wsm_as(&ann, &["handoff", "shared", "--to", bob.name()])
        .ok();
    wsm.wsm_as(&bob, &["accept", "shared"]).ok();
    assert!(input(&bob, &[]).ok().stdout.contains("is not recorded"));
    let (ann, bob) = (ann.name(), bob.name());
    let wanted = [
        (ann, "off on"),
        (ann, "on off"),
        (ann, "off on"),
        (bob, "on off"),
    ];
    let wanted = wanted.map(|(who, change)| format!("{who} {change}"));
    assert_eq!(switched(&wsm), wanted);
}

/// Who switched the recording of what is typed, and how, as the journal has it.
fn switched(wsm: &Instance) -> Vec<String> {
    let rows = ["audit", "query", "--verb", "recording.input", "--json"];
    let rows = wsm.wsm(&rows).ok().stdout;
    let rows = rows.lines().map(|row| {
        let row: serde_json::Value = row.parse().expect("JSON lines");
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("actor"), text("before"), text("after"))
    });
    rows.collect()
}

#[test]
fn what_could_not_be_recorded_is_not_said_to_be() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    let config = wsm.dir().join("etc/config.toml");
    std::fs::write(&config, "[recordings]\nenabled = false\n").expect("root writes");
    wsm.new_agent_as(&ann, &repo, "shell", "shared");
    std::fs::write(&config, "").expect("root writes");
    let input = ["rec", "input", "shared"];
    let on = [&input[..], &["on"]].concat();
    let refused = wsm.wsm_as(&ann, &on).fails(1);
    let _ = refused.says("was started when nothing was recorded");
    let shown = wsm.wsm_as(&ann, &input).ok().stdout;
    assert!(shown.contains("is not recorded"), "{shown}");
    let wanted = ["off on", "on off"].map(|change| format!("{} {change}", ann.name()));
    assert_eq!(switched(&wsm), wanted);
}

#[test]
fn an_agent_whose_keyboards_cant_be_taken_is_not_handed_over() {
    let wsm = Instance::start();
    let (ann, bob) = (Persona::new("ann"), Persona::new("bob"));
    let repo = Repo::small(&ann, "project");
    let agent = wsm.new_agent_as(&ann, &repo, "shell", "shared");
    wsm.wsm_as(&ann, &["handoff", "shared", "--to", bob.name()])
        .ok();
    let shim = host::shim_of(&agent.id);
    host::signal(shim, "STOP");
    let refused = wsm.wsm_as(&bob, &["accept", "shared"]).fails(1);
    let _ = refused.says("its terminals do not answer");
    assert_eq!(wsm.agent("shared").owner, ann.name());
    host::signal(shim, "CONT");
    wsm.wsm_as(&bob, &["accept", "shared"]).ok();
    assert_eq!(wsm.agent("shared").owner, bob.name());
}

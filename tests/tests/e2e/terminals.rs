//! Terminals that survive: attach, detach, resume, several viewers, exec, send, capture.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use wsm_tests::cli;
use wsm_tests::host;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

/// The default detach key, by tmux's name for it.
const DETACH: &str = "C-\\";

fn attach(wsm: &Instance, name: &str, cols: u16, rows: u16) -> Term {
    Term::start(&wsm.command(wsm.root(), &["attach", name]), cols, rows)
}

#[test]
fn detach_and_come_back_to_the_same_screen() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "seen");
    let term = attach(&wsm, "seen", 80, 24);
    term.wait_for("$");
    term.line("echo once-$((6*7))");
    term.wait_for("once-42");
    term.press(DETACH);
    assert_eq!(term.wait_end(), 0);
    assert!(
        term.screen().contains("attach seen"),
        "it says how to come back: {}",
        term.screen()
    );

    wsm.wsm(&["send", "seen", "echo while-$((40+4))-away"]).ok();
    let screen = wsm.wait_screen("seen", "while-44-away");
    assert!(screen.contains("once-42"), "{screen}");
    let again = attach(&wsm, "seen", 80, 24);
    let screen = again.wait_for("while-44-away");
    assert!(screen.contains("once-42"), "{screen}");
    again.line("echo third");
    again.wait_for("\nthird");
}

/// ADR 10: what the agent prints takes no way through the CLI, which gives the terminal back
/// however it is asked to end.
#[test]
fn the_shim_draws_past_a_cli_that_sleeps() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "direct");
    for signal in ["TERM", "INT", "QUIT"] {
        let term = attach(&wsm, "direct", 80, 24);
        term.wait_for("$");
        let pid = viewer(&wsm, "attach direct").expect("it has drawn");
        host::signal(pid, "STOP");
        wsm.wsm(&["send", "direct", &format!("clear; echo {signal}-$((6*7))")])
            .ok();
        term.wait_for(&format!("{signal}-42"));
        host::signal(pid, signal);
        host::signal(pid, "CONT");
        assert_eq!(term.wait_end(), 0, "{signal}: {}", term.screen());
        assert!(term.screen().contains("attach direct"), "{}", term.screen());
    }
}

/// Pid of the `wsm` with these arguments.
fn viewer(wsm: &Instance, args: &str) -> Option<i32> {
    let dir = wsm.dir().to_string_lossy().into_owned();
    let ours = |command: &str| command.contains(&dir) && command.ends_with(args);
    let mut all = host::processes().into_iter();
    let found = all.find(|process| !process.command.starts_with("sh ") && ours(&process.command));
    found.map(|process| process.pid)
}

/// A window that hangs, a connection that stands still: whoever writes there waits for ever.
#[test]
fn a_terminal_that_takes_no_output_does_not_keep_its_viewer() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "stuck");
    // The shim draws for the first, the viewer itself for the second.
    for (args, signal) in [
        (vec!["attach", "stuck"], "TERM"),
        (vec!["attach", "stuck", "--read-only"], "HUP"),
    ] {
        wsm.wsm(&["send", "stuck", "clear"]).ok();
        let term = Term::start(&wsm.command(wsm.root(), &args), 80, 24);
        term.wait_for("$");
        let pid = viewer(&wsm, &args.join(" ")).expect("it has drawn");
        let tmux = term.freeze();
        wsm.wsm(&["send", "stuck", "seq 300000; echo flood-$((6*7))"])
            .ok();
        wsm.wait_screen("stuck", "flood-42");
        host::signal(pid, signal);
        wait::until_true("the end of the viewer", || host::process(pid).is_none());
        term.thaw(tmux);
        // It did not leave in order, so there was no way to.
        assert_eq!(term.wait_end(), 1, "{signal}: {}", term.screen());
        // Its modes are what they were: the terminal shows what is typed.
        term.type_text("echoed-again");
        term.wait_for("echoed-again");
    }
}

#[test]
fn two_viewers_see_the_same_and_the_window_follows_the_typist() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "shared");
    let first = attach(&wsm, "shared", 80, 24);
    first.wait_for("$");
    let second = attach(&wsm, "shared", 100, 30);
    second.wait_for("$");
    second.line("stty size | tr ' ' x");
    second.wait_for("30x100");
    first.line("echo from-$((1+0))-the-first");
    first.wait_for("from-1-the-first");
    second.wait_for("from-1-the-first");
    first.resize(90, 20);
    first.line("clear; stty size | tr ' ' x");
    first.wait_for("20x90");
}

#[test]
fn full_screen_program_is_redrawn_on_attach() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "drawn");
    let draw = r"printf '\033[?1049h\033[2J\033[5;10H\033[1;31mcorner\033[0m\033[10;20Hmiddle'; sleep 1000";
    wsm.wsm(&["send", "drawn", draw]).ok();
    wsm.wait_screen("drawn", "middle");
    let term = attach(&wsm, "drawn", 80, 24);
    let screen = term.wait_for("middle");
    let rows: Vec<_> = screen.lines().collect();
    assert_eq!(rows[4].find("corner"), Some(9), "{screen}");
    assert_eq!(rows[9].find("middle"), Some(19), "{screen}");
    term.press(DETACH);
    assert_eq!(term.wait_end(), 0);
}

#[test]
fn exec_passes_everything_through() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "tool");
    assert_eq!(wsm.inside("tool", "exit 42").code, 42);
    assert_eq!(wsm.inside("tool", "kill -TERM $$").code, 143);
    let _ = wsm
        .wsm(&["exec", "tool", "--", "no-such-program"])
        .fails(127)
        .says("no-such-program");
    let split = wsm.inside("tool", "echo out; echo err >&2").ok();
    assert_eq!(
        (split.stdout.as_str(), split.stderr.as_str()),
        ("out\n", "err\n")
    );

    let bytes: Vec<u8> = (0..200_000_u32)
        .map(|n| u8::try_from(n % 251).expect("small"))
        .collect();
    let summed = wsm
        .wsm_with(&["exec", "tool", "--", "sha256sum"], &bytes)
        .ok();
    let mut here = std::process::Command::new("sha256sum");
    here.stdin(Stdio::piped());
    assert_eq!(summed.stdout, cli::run(here, &bytes).stdout);

    let begun = Instant::now();
    wsm.inside("tool", "sleep 30 & echo started").ok();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "exec waits for the command, not its child"
    );
    wsm.inside("tool", "pgrep -x sleep").ok();
    let _ = wsm.wsm(&["exec", "nobody", "--", "true"]).fails(125);
}

#[test]
fn exec_streams() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "pipe");
    let mut command = wsm.command(wsm.root(), &["exec", "pipe", "--", "head", "-n", "1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("wsm starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"first\n").expect("it reads");
    // head has what it wants; our end of the pipe stays open.
    let output = child.wait_with_output().expect("our child");
    assert_eq!(output.stdout, b"first\n");
    drop(stdin);
}

#[test]
fn shells_are_terminals_of_their_own() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "roomy");
    let term = Term::start(&wsm.command(wsm.root(), &["shell", "roomy"]), 80, 24);
    term.wait_for("$");
    term.line("echo in-$((2*4))");
    term.wait_for("in-8");
    assert!(
        !wsm.screen("roomy").contains("in-8"),
        "main does not show it"
    );
    assert!(wsm.agent("roomy").terminals.len() >= 2);
    term.line("exit");
    assert_eq!(term.wait_end(), 0);
}

/// A program that asks its terminal is answered once, by the shim, however many look on.
#[test]
fn queries_are_answered_once() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "asked");
    let first = attach(&wsm, "asked", 80, 24);
    let second = attach(&wsm, "asked", 80, 24);
    first.wait_for("$");
    second.wait_for("$");
    let ask = r"clear; stty -echo -icanon min 0 time 5; printf '\033[6n'; x=$(cat | od -An -c); stty sane; echo got $x.";
    wsm.wsm(&["send", "asked", ask]).ok();
    let screen = wsm.wait_screen("asked", "got 033");
    let line = screen
        .lines()
        .find(|line| line.starts_with("got 033"))
        .unwrap_or_default();
    assert_eq!(line.matches("033").count(), 1, "{screen}");
}

#[test]
fn wait_times_out_with_its_own_code() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "steady");
    let _ = wsm
        .wsm(&["wait", "steady", "--until", "paused", "--timeout", "300ms"])
        .fails(5);
    wsm.wsm(&[
        "wait",
        "steady",
        "--until",
        "working,idle",
        "--timeout",
        "5s",
    ])
    .ok();
}

//! Another machine's daemon, over nothing but ssh.

use std::io::Write as _;
use std::process::{Command, Stdio};

use wsm_tests::cli::{self, Output};
use wsm_tests::host;
use wsm_tests::instance::{self, Instance};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::sshd::{self, Sshd};
use wsm_tests::term::Term;
use wsm_tests::wait;

/// `wsm --host ssh://there/DIR …` as `who`.
fn command(wsm: &Instance, who: &Persona, args: &[&str]) -> Command {
    let mut command = who.command(instance::program("wsm"));
    command.arg("--host").arg(url(wsm)).args(args);
    command
}

fn url(wsm: &Instance) -> String {
    format!("ssh://{}{}", sshd::NAME, wsm.dir().display())
}

fn there(wsm: &Instance, who: &Persona, args: &[&str]) -> Output {
    cli::run(command(wsm, who, args), b"")
}

/// Processes of ssh that carry this instance's sockets.
fn carriers(wsm: &Instance) -> Vec<host::Process> {
    let mut all = host::processes();
    let dir = wsm.dir().display().to_string();
    all.retain(|p| p.command.starts_with("ssh ") && p.command.contains(&dir));
    all
}

#[test]
fn every_verb_over_ssh() {
    let wsm = Instance::start();
    let (ann, bob) = (Persona::new("ann"), Persona::new("bob"));
    let sshd = Sshd::start();
    sshd.let_in(&ann);
    sshd.let_in(&bob);
    let repo = Repo::small(&ann, "project");
    wsm.new_agent_as(&ann, &repo, "shell", "far");
    let there = |args: &[&str]| there(&wsm, &ann, args);

    let told = there(&["status"]).ok().stdout;
    assert!(
        told.contains(&url(&wsm)) && told.contains(ann.name()),
        "{told}"
    );
    for args in [
        &["ls"][..],
        &["show", "far"],
        &["explain", "far"],
        &["ports", "far"],
        &["svc", "ls", "far"],
        &["capture", "far"],
        &["logs", "far"],
        &["diff", "far"],
        &["policy", "show", "far"],
        &["template", "ls"],
        &["doctor"],
        &["stop", "far"],
        &["start", "far"],
        &[
            "wait",
            "far",
            "--until",
            "working,idle,blocked",
            "--timeout",
            "30s",
        ],
        &["pause", "far"],
        &["resume", "far"],
        &["send", "far", "echo $((6*7))-typed"],
    ] {
        let _ = there(args).ok();
    }
    wait::until_true("what was typed", || {
        there(&["capture", "far"]).stdout.contains("42-typed")
    });
    let exec = ["exec", "far", "--", "sh", "-c", "cat; exit 7"];
    let ran = cli::run(command(&wsm, &ann, &exec), b"through ssh");
    assert_eq!((ran.code, ran.stdout.as_str()), (7, "through ssh"), "{ran}");
    let set = command(&wsm, &ann, &["secret", "set", "key"]);
    let _ = cli::run(set, b"a value").ok();
    let listed = there(&["secret", "ls", "-q"]).ok();
    assert_eq!(listed.text(), "key");
    let commit = "echo x >x && git add x && git commit -qm x && git rev-parse HEAD";
    let made = there(&["exec", "far", "--", "sh", "-c", commit]).ok();
    wait::until_true("the commit", || repo.commit_of("wsm/far") == made.text());
    let _ = there(&["merge", "far"]).ok();

    // Whoever logs in is who asks.
    let none = self::there(&wsm, &bob, &["ls", "-q"]).ok();
    assert_eq!(none.stdout, "");
    let _ = self::there(&wsm, &bob, &["exec", "far", "--", "true"]).fails(125);
    let _ = self::there(&wsm, &bob, &["secret", "rm", "key"]).fails(4);

    // What needs an open directory of this machine's kernel is not possible.
    let path = repo.path().to_string_lossy();
    let _ = there(&["new", &path, "-d"])
        .fails(2)
        .says("on that machine");
    let _ = there(&["up"]).fails(3);
    let _ = there(&["template", "show", "shell"]).fails(3);
    let _ = there(&["stop", "nobody"])
        .fails(4)
        .says(&format!("`wsm --host {} ls -a`", url(&wsm)));
    let _ = there(&["rm", "far", "--purge"]).ok();
    wait::until_true("ssh to be gone", || carriers(&wsm).is_empty());
}

#[test]
fn what_fails_says_why() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let mut sshd = Sshd::start();
    sshd.let_in(&ann);
    let _ = there(&wsm, &ann, &["ls"]).ok();
    let host = |host: &str| {
        let mut command = ann.command(instance::program("wsm"));
        command.args(["--no-input", "--host", host, "ls"]);
        cli::run(command, b"")
    };
    for bad in [
        "ssh://-oProxyCommand=id",
        "ssh://x/$HOME",
        "telnet://x",
        "x",
    ] {
        let _ = host(bad).fails(2).says("ssh://");
    }
    // No daemon there.
    let nowhere = format!("ssh://{}/tmp/wsmt-nowhere", sshd::NAME);
    let _ = host(&nowhere).fails(6).says("wsm up");
    // Not the machine that it was.
    let known = ann.home().join(".ssh/known");
    let right = std::fs::read_to_string(&known).expect("it was written");
    let mut file = std::fs::File::create(&known).expect("root writes");
    let wrong = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let place = right.split(' ').next().expect("a line");
    writeln!(file, "{place} ssh-ed25519 {wrong}").expect("root writes");
    let _ = there(&wsm, &ann, &["ls"]).fails(6).says("host key");
    std::fs::write(&known, right).expect("root writes");
    // Nobody there.
    sshd.down();
    let _ = there(&wsm, &ann, &["ls"]).fails(6).says("refused");
}

#[test]
fn an_attachment_comes_back_by_itself() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let mut sshd = Sshd::start();
    sshd.let_in(&ann);
    let repo = Repo::small(&ann, "project");
    wsm.new_agent_as(&ann, &repo, "shell", "kept");
    let term = Term::start(&command(&wsm, &ann, &["attach", "kept"]), 100, 24);
    term.wait_for("$");
    term.line("echo one-$((6*7))");
    term.wait_for("one-42");

    // A short cut: nothing is lost, nothing comes twice. Whoever has the keyboard then.
    term.line("until [ -e cut ]; do sleep 0.1; done; echo mean-$((6*7))-while");
    term.wait_for("until [ -e cut ]");
    sshd.cut();
    wsm.inside("kept", "touch cut").ok();
    let screen = term.wait_for("mean-42-while");
    assert_eq!(screen.matches("one-42").count(), 1, "{screen}");

    // A long one: it says so, sends nothing that was typed blind, and goes on.
    sshd.down();
    term.wait_for("keys are not sent; trying again");
    term.line("echo blind-$((6*7))");
    sshd.up();
    term.wait_for("that was not sent");
    term.line("echo seen-$((6*7))");
    let screen = term.wait_for("seen-42");
    assert!(
        screen.contains("one-42") && !screen.contains("trying again"),
        "{screen}"
    );
    assert!(
        !screen.contains("blind") && !screen.contains("not sent"),
        "{screen}"
    );

    // Who does not want to wait leaves.
    sshd.down();
    term.wait_for("trying again");
    term.press("C-\\");
    assert_eq!(term.wait_end(), 0);
    wait::until_true("ssh to be gone", || carriers(&wsm).is_empty());
}

#[test]
fn ssh_ends_with_the_command_however_that_ends() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let sshd = Sshd::start();
    sshd.let_in(&ann);
    let repo = Repo::small(&ann, "project");
    wsm.new_agent_as(&ann, &repo, "shell", "long");
    let mut exec = command(&wsm, &ann, &["exec", "long", "--", "sleep", "1000"]);
    exec.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = exec.spawn().expect("wsm starts");
    wait::until_true("ssh to run", || !carriers(&wsm).is_empty());
    host::signal(i32::try_from(child.id()).expect("a pid"), "KILL");
    drop(child.wait());
    wait::until_true("ssh to be gone", || carriers(&wsm).is_empty());
}

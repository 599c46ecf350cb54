//! A shim that an older wsm started, under today's daemon.

use std::time::Duration;

use wsm_tests::cli::{self, Output};
use wsm_tests::instance::{Instance, Part};
use wsm_tests::older::Older;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

/// It is refused, and said why and what to do.
fn not_yet(told: &Output) {
    assert_ne!(told.code, 0, "{told}");
    let text = &told.stderr;
    assert!(
        text.contains("older wsm") && text.contains("wsm restart old"),
        "{told}"
    );
}

#[test]
fn a_shim_of_the_first_version_goes_on_and_refuses_the_rest() {
    let wsm = Instance::start();
    let (ann, bob) = (Persona::new("ann"), Persona::new("bob"));
    let repo = Repo::small(&ann, "project");
    let agent = wsm.new_agent_as(&ann, &repo, "shell", "old");
    let by = |args: &[&str]| wsm.wsm_as(&ann, args);
    let attach = wsm.command(&ann, &["attach", "old"]);
    let before = Term::start(&attach, 100, 24);
    before.wait_for("$");
    wsm.kill(&[Part::Daemon]);
    let socket = wsm.dir().join(format!("run/shim-{}.sock", agent.id));
    let older = Older::before(&socket);
    wsm.recover(&[Part::Daemon]);
    wsm.wait_state("old", "working,idle");

    // Who was there stays, who comes sees the same, and everything is typed once.
    let term = Term::start(&attach, 100, 24);
    term.wait_for("$");
    term.line("echo first-$((6*7))");
    before.wait_for("first-42");
    by(&["send", "old", "echo sent-$((6*7))"]).ok();
    term.wait_for("sent-42");
    wsm.kill(&[Part::Daemon]);
    wsm.recover(&[Part::Daemon]);
    term.line("echo again-$((6*7))");
    let screen = term.wait_for("again-42");
    assert_eq!(screen.matches("sent-42").count(), 1, "{screen}");
    before.wait_for("again-42");
    assert!(by(&["capture", "old"]).ok().stdout.contains("again-42"));
    let exec = ["exec", "old", "--", "sh", "-c", "cat; exit 7"];
    let ran = cli::run(wsm.command(&ann, &exec), b"passed on");
    assert_eq!((ran.code, ran.stdout.as_str()), (7, "passed on"), "{ran}");
    let commit = "echo x >x && git add x && git commit -qm x && git rev-parse HEAD";
    let made = by(&["exec", "old", "--", "sh", "-c", commit]).ok();
    wait::until_true("the commit", || repo.commit_of("wsm/old") == made.text());
    by(&["explain", "old"]).ok();
    by(&["rec", "ls", "old"]).ok();

    // It closes nobody: who comes with a right comes through the daemon, and is closed there.
    by(&["share", "old", "--with", bob.name(), "--role", "driver"]).ok();
    drop(term);
    let bobs = Term::start(&wsm.command(&bob, &["attach", "old"]), 100, 24);
    bobs.wait_for("again-42");
    bobs.line("echo bobs-$((6*7))");
    before.wait_for("bobs-42");
    by(&["unshare", "old", "--with", bob.name()]).ok();
    assert_ne!(bobs.wait_end(), 0);

    // What it does not know it is not asked, and who asks is told.
    for args in [
        &["who", "old"][..],
        &["lease", "old", "request"],
        &["lease", "old", "take"],
        &["rec", "input", "old", "on"],
        &["handoff", "old", "--to", bob.name()],
    ] {
        not_yet(&by(args));
    }
    assert_eq!(older.not_known(), Vec::<String>::new());
    by(&["restart", "old"]).ok();
    wait::until(
        "leases",
        Duration::from_secs(30),
        || (by(&["who", "old"]).code == 0).then_some(()),
        || by(&["who", "old"]).stderr,
    );
    by(&["handoff", "old", "--to", bob.name()]).ok();
    wsm.wsm_as(&bob, &["accept", "old"]).ok();
    assert_eq!(wsm.agent("old").owner, bob.name());
}

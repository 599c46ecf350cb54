//! The harness itself: its people, repositories and terminals are what they say.

use std::process::Command;

use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::{cli, host};

#[test]
fn personas_are_accounts_without_privileges() {
    let ann = Persona::new("ann");
    let name = ann.name().to_owned();
    let mut id = ann.command("sh");
    id.args([
        "-c",
        "id -un; grep CapEff /proc/self/status; echo $HOME; touch ~/x; cat /etc/shadow",
    ]);
    let said = cli::run(id, b"");
    let home = ann.home().to_owned();
    let expected = format!("{name}\nCapEff:\t0000000000000000\n{}\n", home.display());
    assert_eq!(said.stdout, expected, "{said}");
    assert_ne!(said.code, 0, "it read /etc/shadow");
    drop(ann);
    assert!(!home.exists(), "the home goes with the account");
    let mut passwd = Command::new("getent");
    passwd.args(["passwd", &name]);
    assert_ne!(cli::run(passwd, b"").code, 0);
}

#[test]
fn repositories_are_as_named() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let root = Persona::root(home.path());
    let small = Repo::small(&root, "small");
    assert_eq!(small.git(&["status", "--porcelain"]).ok().stdout, "");
    assert_eq!(small.git(&["rev-list", "--count", "HEAD"]).ok().text(), "2");
    assert_eq!(small.fsck(), "");
    let large = Repo::large(&root, "large", 3000);
    assert_eq!(large.git(&["ls-files"]).ok().stdout.lines().count(), 3000);
    assert_eq!(Repo::unborn(&root, "unborn").commit_of("HEAD"), "");
    let detached = Repo::detached(&root, "detached");
    assert_ne!(detached.git(&["symbolic-ref", "-q", "HEAD"]).code, 0);
    let bare = Repo::bare(&root, "bare");
    assert_eq!(
        bare.git(&["rev-parse", "--is-bare-repository"]).ok().text(),
        "true"
    );
    let library = Repo::with_submodule(&root, "user");
    assert!(
        library
            .git(&["submodule", "status"])
            .ok()
            .stdout
            .contains("lib")
    );
}

#[test]
fn terminals_are_typed_at_and_read() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let root = Persona::root(home.path());
    let mut shell = root.command("sh");
    shell.args(["-c", "read line; echo \"got $line\"; stty size; exit 3"]);
    let term = Term::start(&shell, 70, 20);
    term.line("it's $HOME");
    term.wait_for("got it's $HOME");
    term.wait_for("20 70");
    assert_eq!(term.wait_end(), 3);
}

#[test]
fn processes_are_found_and_signalled() {
    let mut child = Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("sleep starts");
    let pid = i32::try_from(child.id()).expect("a pid");
    let found = host::process(pid).expect("it runs");
    assert_eq!(
        found.parent,
        i32::try_from(std::process::id()).expect("a pid")
    );
    host::signal(pid, "KILL");
    child.wait().expect("our child");
    assert!(host::process(pid).is_none());
    assert!(host::cgroups_of("nobody1").is_empty());
}

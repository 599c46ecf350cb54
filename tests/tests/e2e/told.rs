//! What a person is told: small failures too, by the name that they typed, and no more than helps.

use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

#[test]
fn doctor_looks_at_the_host_without_a_daemon() {
    let wsm = Instance::start();
    let with = wsm.wsm(&["doctor", "--json"]).ok().json();
    let dir = wsm.dir().to_string_lossy().into_owned();
    wsm.down();
    let without = wsm.wsm(&["doctor", "--json"]);
    let names = |checks: &serde_json::Value| -> Vec<String> {
        let all = checks.as_array().expect("a list");
        all.iter().map(|check| check["name"].to_string()).collect()
    };
    assert_eq!(names(&without.json()), names(&with), "the same checks");
    let without = without.fails(6).says("no daemon answers");
    let _ = without.says(&format!("wsm --dir {dir} up"));
    // Before anything was made there, too.
    let mut nowhere = wsm.root().command(wsm_tests::instance::program("wsm"));
    nowhere.args(["--dir", "/tmp/wsmt-nowhere/at-all", "doctor"]);
    let told = wsm_tests::cli::run(nowhere, b"").fails(6);
    assert!(told.stdout.contains("landlock"), "{told}");
}

#[test]
fn hints_name_the_directory_that_was_given() {
    let wsm = Instance::start();
    let dir = wsm.dir().to_string_lossy().into_owned();
    let _ = wsm
        .wsm(&["stop", "nobody"])
        .fails(4)
        .says(&format!("`wsm --dir {dir} ls -a`"));
}

const UNLUCKY: &str = r#"schema = 1
name = "unlucky"
description = "what it copies is not there, what it tears down fails"
extends = ["shell"]
[workspace]
copy = [".env.local"]
teardown = ["echo dropping the database; exit 3", "true"]
"#;

#[test]
fn small_failures_are_told() {
    let wsm = Instance::start();
    wsm.host_template("unlucky", UNLUCKY);
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "unlucky", "u");
    let told = wsm.wsm(&["explain", "u"]).ok().stdout;
    assert!(told.contains(".env.local: does not exist"), "{told}");
    let gone = wsm.wsm(&["rm", "--purge", "u"]).ok().stdout;
    assert!(
        gone.contains("teardown `echo dropping the database; exit 3`"),
        "{gone}"
    );
    assert!(gone.contains("ended with code 3"), "{gone}");
    assert_eq!(gone.matches("failed:").count(), 1, "{gone}");
}

#[test]
fn a_template_that_can_not_be_read_is_no_other_ones_problem() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    for directory in [
        wsm.root().home().join(".config/wsm/templates"),
        wsm.dir().join("etc/templates"),
    ] {
        std::fs::create_dir_all(&directory).expect("root writes");
        let layer = if directory.starts_with(wsm.dir()) {
            "host"
        } else {
            "user"
        };
        let bad = format!("schema = 1\nname = \"bad-{layer}\"\ndescription = \"caf\u{e9}\"\n");
        let latin: Vec<u8> = bad.chars().map(|c| c as u8).collect();
        std::fs::write(directory.join(format!("bad-{layer}.toml")), latin).expect("root writes");
        std::os::unix::fs::symlink("/nowhere", directory.join("gone.toml")).expect("root writes");
    }
    let made = wsm.wsm(&[
        "new",
        &repo.path().to_string_lossy(),
        "--name",
        "fine",
        "--detach",
    ]);
    let _ = made.ok().says("left out");
    let shown = wsm.wsm(&["template", "ls"]).ok().stdout;
    assert!(
        shown.contains("bad-user") && shown.contains("has problems"),
        "{shown}"
    );
    for layer in ["host", "user"] {
        let name = format!("bad-{layer}");
        let path = repo.path().to_string_lossy().into_owned();
        let refused = wsm.wsm(&["new", &path, "-t", &name, "--detach"]);
        let _ = refused.fails(2).says("not UTF-8");
    }
}

#[test]
fn show_tells_of_the_self_test_what_matters() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "shown");
    let all = wsm.wsm(&["show", "shown", "--json"]).ok().json();
    let count = all["probes"].as_array().expect("a list").len();
    let short = wsm.wsm(&["show", "shown"]).ok().stdout;
    assert!(
        short.contains(&format!("self-test: {count} of {count} held")),
        "{short}"
    );
    assert!(!short.contains("TRIED"), "{short}");
    let long = wsm.wsm(&["show", "shown", "--probes"]).ok().stdout;
    assert!(
        long.lines().count() >= short.lines().count() + count,
        "{long}"
    );
}

#[test]
fn a_repositorys_template_is_that_of_the_commit_it_starts_from() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let text = |base: &str, said: &str| {
        format!(
            "schema = 1\nname = \"own\"\ndescription = \"x\"\nextends = [\"shell\"]\n\
             [workspace]\nbase = \"{base}\"\nsetup = [\"echo {said} >~/said\"]\n"
        )
    };
    repo.git(&["checkout", "-q", "-b", "release"]).ok();
    repo.write(".wsm/own.toml", &text("release", "released"));
    repo.commit("released");
    repo.git(&["checkout", "-q", "main"]).ok();
    repo.write(".wsm/own.toml", &text("release", "newest"));
    repo.commit("newest");
    let path = repo.path().to_string_lossy().into_owned();
    let new = |more: &[&str]| {
        let args = [
            "new",
            &path,
            "-t",
            "own",
            "--name",
            "a",
            "--detach",
            "--no-input",
        ];
        wsm.wsm(&[&args[..], more].concat())
    };
    // What is shown, and trusted, is what would run.
    let shown = new(&[]).fails(3);
    assert!(shown.stderr.contains("echo released"), "{shown}");
    assert!(!shown.stderr.contains("newest"), "{shown}");
    let mut words = shown
        .stderr
        .split_whitespace()
        .skip_while(|word| *word != "digest");
    let digest = words.nth(1).expect("a digest is named").to_owned();
    new(&["--trust", &digest]).ok();
    assert_eq!(wsm.inside("a", "cat ~/said").ok().text(), "released");
    assert_eq!(wsm.agent("a").base, repo.commit_of("release"));
    // One that points on and on is refused, and so is one that is not where it points to.
    repo.git(&["checkout", "-q", "-b", "other", "release"]).ok();
    repo.git(&["checkout", "-q", "release"]).ok();
    repo.write(".wsm/own.toml", &text("other", "elsewhere"));
    repo.commit("elsewhere");
    repo.git(&["checkout", "-q", "main"]).ok();
    let _ = new(&[]).fails(2).says("--base");
    repo.write(".wsm/own.toml", &text("HEAD~2", "lost"));
    repo.commit("lost");
    let _ = new(&[]).fails(4).says("not in HEAD~2");
    assert_eq!(wsm.list().len(), 1);
}

#[test]
fn a_slow_git_inside_holds_nobody_up() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "slow");
    let slow = "printf '#!/bin/sh\\ntouch ~/asked; sleep 30; touch ~/answered\\n' >~/slow && chmod +x ~/slow && \
                git config --global core.fsmonitor ~/slow";
    wsm.inside("slow", slow).ok();
    let tree = std::path::Path::new(&agent.workspace);
    repo.git_in(
        tree,
        &["commit", "-q", "--allow-empty", "-m", "by the human"],
    )
    .ok();
    wsm.inside("slow", "git branch told").ok();
    wait::until_true("git inside to be slow", || {
        wsm.inside("slow", "test -e ~/asked").code == 0
    });
    wsm.wsm(&["pause", "slow"]).ok();
    wsm.wsm(&["resume", "slow"]).ok();
    let answered = wsm.inside("slow", "test -e ~/answered").code == 0;
    assert!(!answered, "both waited for it");
}

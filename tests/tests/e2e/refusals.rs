//! Bad inputs: each is refused in words, with its exit code, and leaves nothing behind.

use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;

/// What exists of the instance on disk, to compare before and after.
fn files(wsm: &Instance) -> Vec<String> {
    let mut find = std::process::Command::new("find");
    find.arg(wsm.dir().join("state"))
        .args(["-mindepth", "2", "-not", "-path", "*/daemon/*"]);
    let found = wsm_tests::cli::run(find, b"").ok();
    let mut lines: Vec<_> = found.stdout.lines().map(str::to_owned).collect();
    lines.retain(|line| !line.contains("/broker"));
    lines.sort();
    lines
}

/// Templates of the host that are wrong, each in its way.
fn bad_templates(wsm: &Instance) {
    wsm.host_template(
        "bad",
        "schema = 1\nname = \"bad\"\ncolour = 1\n[agent]\nkind = 7\n",
    );
    wsm.host_template(
        "wide",
        "schema = 1\nname = \"wide\"\ndescription = \"x\"\n[workspace]\nwarm = [\"node_modules\"]\n",
    );
    wsm.host_template(
        "absent",
        "schema = 1\nname = \"absent\"\ndescription = \"x\"\n[agent]\nkind = \"command\"\ncommand = [\"no-such-program\"]\n",
    );
}

#[test]
fn table_of_bad_requests() {
    let wsm = Instance::start();
    let good = Repo::small(wsm.root(), "good");
    let good = good.path().to_string_lossy().into_owned();
    let unborn = Repo::unborn(wsm.root(), "unborn")
        .path()
        .to_string_lossy()
        .into_owned();
    let bare = Repo::bare(wsm.root(), "bare")
        .path()
        .to_string_lossy()
        .into_owned();
    let nothing = Repo::nothing(wsm.root(), "nothing")
        .path()
        .to_string_lossy()
        .into_owned();
    bad_templates(&wsm);
    let before = files(&wsm);
    let name = ["--name", "x", "--detach", "--no-input"];
    // repository, template and more, exit code, what it says
    let table = [
        (&*nothing, "shell", 2, "not in a git repository"),
        ("/no/such/place", "shell", 2, "/no/such/place"),
        (&bare, "shell", 2, "bare"),
        (&unborn, "shell", 2, "no commit"),
        (&good, "no-such", 4, "no-such"),
        (&good, "../../etc/passwd", 4, "template"),
        (&good, "bad", 2, "colour"),
        (&good, "wide", 2, "not available yet"),
        (&good, "shell --base no-such-ref", 4, "no-such-ref"),
        (&good, "shell --grant /srv", 2, "does not write there"),
        (&good, "shell --set x=1", 2, "x"),
        (&good, "shell --set novalue", 2, "novalue"),
        (&good, "shell --colour mauve", 2, "--colour"),
    ];
    for (repo, template, code, says) in table {
        let more = template.split(' ');
        let args: Vec<_> = ["new", repo, "--template"]
            .into_iter()
            .chain(more)
            .chain(name)
            .collect();
        let _ = wsm.wsm(&args).fails(code).says(says);
    }
    assert!(wsm.list().is_empty(), "{:?}", wsm.list());
    assert_eq!(files(&wsm), before, "something was left behind");

    let missing = wsm.wsm(&[
        "new",
        &good,
        "--template",
        "absent",
        "--name",
        "gone",
        "--detach",
    ]);
    wsm.remember_agents();
    let _ = missing.fails(1).says("no-such-program");
}

#[test]
fn repositories_of_odd_kinds() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "good");
    let beside = |name: &str| {
        let path = repo.path().with_file_name(name);
        path.to_string_lossy().into_owned()
    };
    let (linked, moved, sparse) = (beside("linked"), beside("moved"), beside("sparse"));
    repo.git(&["worktree", "add", "-q", &linked]).ok();
    let elsewhere = format!("--separate-git-dir={}", beside("elsewhere"));
    repo.git(&["clone", "-q", &elsewhere, ".", &moved]).ok();
    repo.git(&["clone", "-q", ".", &sparse]).ok();
    let cone = [
        "-C",
        &sparse,
        "sparse-checkout",
        "set",
        "--sparse-index",
        "docs",
    ];
    repo.git(&cone).ok();
    let lines = Repo::small(wsm.root(), "two\nlines");
    let lines = lines.path().to_string_lossy().into_owned();
    let before = files(&wsm);
    for (path, says) in [
        (&linked, "main checkout"),
        (&moved, "git directory elsewhere"),
        (&sparse, "--no-sparse-index"),
        (&lines, "line break"),
    ] {
        let new = ["new", path, "--name", "x", "--detach", "--no-input"];
        let _ = wsm.wsm(&new).fails(2).says(says);
    }
    assert_eq!(files(&wsm), before, "something was left behind");
    // Anywhere below a checkout is in it, its git directory too.
    for (name, below) in [("dir", "src"), ("git-dir", ".git/refs")] {
        let below = repo.path().join(below).to_string_lossy().into_owned();
        wsm.wsm(&["new", &below, "--name", name, "--detach"]).ok();
        wsm.remember_agents();
    }
}

#[test]
fn bad_names() {
    let wsm = Instance::start();
    let good = Repo::small(wsm.root(), "good");
    let good = good.path().to_string_lossy().into_owned();
    for bad in [
        "-x",
        "x--y",
        "UPPER",
        "a/b",
        "..",
        "",
        "x y",
        &"x".repeat(41),
        "x\u{7}y",
    ] {
        let flag = format!("--name={bad}");
        let refused = wsm
            .wsm(&["new", &good, "--template", "shell", &flag, "--detach"])
            .fails(2);
        assert!(
            !refused.stderr.contains('\u{7}'),
            "control characters come out: {refused:?}"
        );
    }
    assert!(wsm.list().is_empty(), "{:?}", wsm.list());
}

#[test]
fn names_and_branches_that_are_taken() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "good");
    let path = repo.path().to_string_lossy().into_owned();
    repo.git(&["branch", "wsm/taken"]).ok();
    wsm.new_agent(&repo, "shell", "first");
    let new = |name: &str| wsm.wsm(&["new", &path, "--detach", "--no-input", "--name", name]);
    let _ = new("first").fails(1).says("--name");
    wsm.wsm(&["rm", "first"]).ok();
    let before = files(&wsm);
    let _ = new("first").fails(1).says("trash");
    let _ = new("taken").fails(1).says("another name");

    // Who names none is given one that is free.
    repo.git(&["branch", "wsm/good-shell"]).ok();
    let mut unnamed = wsm.command(wsm.root(), &["new", &path, "--detach", "--no-input"]);
    let at_once: Vec<_> = (0..6)
        .map(|_| unnamed.spawn().expect("it starts"))
        .collect();
    for mut one in at_once {
        assert!(one.wait().expect("it ends").success());
    }
    wsm.remember_agents();
    let names = wsm.list().into_iter().map(|agent| agent.name.to_string());
    let names: Vec<_> = names
        .filter(|name| name.starts_with("good-shell"))
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(!names.contains(&"good-shell".to_owned()), "{names:?}");
    for name in names {
        wsm.wsm(&["rm", "--purge", &name]).ok();
    }

    let other = Repo::small(wsm.root(), "other");
    other.git(&["branch", "wsm"]).ok();
    let below = other.path().to_string_lossy().into_owned();
    let _ = wsm
        .wsm(&["new", &below, "--detach", "--no-input", "--name", "below"])
        .fails(1)
        .says("below it");
    assert_eq!(wsm.list().len(), 1, "{:?}", wsm.list());
    assert_eq!(files(&wsm), before, "something was left behind");
}

#[test]
fn a_checkout_that_can_not_take_work_says_what_to_do() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    wsm.inside("author", "echo 1 >new && git add new && git commit -qm new")
        .ok();
    repo.git(&["checkout", "-q", "--detach"]).ok();
    for verb in ["merge", "apply"] {
        let refused = wsm.wsm(&[verb, "author"]).fails(1).says("detached");
        let _ = refused.says("git switch");
    }
}

#[test]
fn a_paused_agent_says_so_at_once() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "sleeper");
    wsm.wsm(&["pause", "sleeper"]).ok();
    // The daemon's words: a shim that waits for a frozen launcher gives up with others.
    let _ = wsm
        .wsm(&["exec", "sleeper", "--", "true"])
        .fails(125)
        .says("wsm resume sleeper");
    let _ = wsm
        .wsm(&["send", "sleeper", "x"])
        .fails(1)
        .says("wsm resume sleeper");
    wsm.wsm(&["resume", "sleeper"]).ok();
    wsm.inside("sleeper", "true").ok();
}

#[test]
fn no_such_agent_is_code_four_everywhere() {
    let wsm = Instance::start();
    for args in [
        &["show", "nobody"][..],
        &["stop", "nobody"],
        &["start", "nobody"],
        &["rm", "nobody"],
        &["restore", "nobody"],
        &["diff", "nobody"],
        &["merge", "nobody"],
        &["capture", "nobody"],
        &["logs", "nobody"],
        &["explain", "nobody"],
        &["wait", "nobody", "--until", "stopped"],
        &["attach", "nobody"],
        &["ports", "nobody"],
    ] {
        let refused = wsm.wsm(args).fails(4);
        assert!(refused.stdout.is_empty(), "{refused}");
    }
}

#[test]
fn usage_errors_are_code_two() {
    let wsm = Instance::start();
    for args in [
        &["frobnicate"][..],
        &["ls", "--nope"],
        &["wait", "x", "--until", "happy"],
        &["exec"],
    ] {
        let _ = wsm.wsm(args).fails(2);
    }
}

#[test]
fn json_errors_are_documents() {
    let wsm = Instance::start();
    let refused = wsm.wsm(&["show", "nobody", "--json"]).fails(4);
    let problem: serde_json::Value = serde_json::from_str(&refused.stderr).expect("a document");
    assert_eq!(problem["code"], "not-found");
    assert!(
        problem["message"]
            .as_str()
            .is_some_and(|m| m.contains("nobody"))
    );
}

#[test]
fn full_disk_is_told_and_leaves_nothing() {
    let wsm = Instance::start();
    let repo = Repo::large(wsm.root(), "large", 3000);
    let workspaces = wsm.dir().join("state/workspaces");
    std::fs::create_dir_all(&workspaces).expect("root writes");
    // 3,000 files need 3,000 inodes; this file system has 500.
    let mut mount = std::process::Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "nr_inodes=500,mode=711", "none"])
        .arg(&workspaces);
    wsm_tests::cli::run(mount, b"").ok();
    let path = repo.path().to_string_lossy();
    let args = [
        "new",
        &path,
        "--template",
        "shell",
        "--name",
        "big",
        "--detach",
        "--no-input",
    ];
    let failed = wsm.wsm(&args);
    wsm.remember_agents();
    let mut umount = std::process::Command::new("umount");
    umount.arg("--lazy").arg(&workspaces);
    wsm_tests::cli::run(umount, b"").ok();
    let _ = failed.fails(1).says("space");
    assert_eq!(repo.commit_of("wsm/big"), "", "the branch is gone again");
    let worktrees = repo.git(&["worktree", "list"]).ok().stdout;
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
}

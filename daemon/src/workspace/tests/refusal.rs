//! What `copy` brings, and creations that must not happen.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn copies_come_along_and_stay_inside() {
    let world = World::new();
    world.write(".gitignore", "node_modules\n.env*\nlocal/\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "ignore"]);
    world.write(".env.local", "SECRET=1\n");
    world.write("node_modules/vite/bin/vite.js", "x");
    fs::create_dir_all(world.main().join("node_modules/.bin")).unwrap();
    symlink(
        "../vite/bin/vite.js",
        world.main().join("node_modules/.bin/vite"),
    )
    .unwrap();
    put(&world.dir.path().join("outside/secret"), "s");
    symlink(world.dir.path().join("outside"), world.main().join("local")).unwrap();
    let mut creation = world.creation();
    creation.copy = vec![
        "node_modules".into(),
        ".env.local".into(),
        "missing".into(),
        "readme".into(),
    ];
    let created = match ask(Request::CreateWorkspace(Box::new(creation.clone()))) {
        Reply::Workspace(created) => created,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        created.notes,
        ["missing: does not exist in the source checkout"]
    );
    let ws = world.place().workspace;
    assert_eq!(
        fs::read_to_string(ws.join(".env.local")).unwrap(),
        "SECRET=1\n"
    );
    assert_eq!(
        fs::read_to_string(ws.join("node_modules/.bin/vite")).unwrap(),
        "x"
    );
    assert_eq!(world.human(["status", "--porcelain"]), "");
    for (entry, kind) in [
        ("local/secret", FailureKind::Failed),
        ("../outside", FailureKind::Invalid),
        ("/etc/passwd", FailureKind::Invalid),
        (".git/config", FailureKind::Invalid),
        ("", FailureKind::Invalid),
    ] {
        ask(Request::RemoveWorkspace {
            place: world.place(),
            branches: Branches::DeleteAll,
        });
        fs::remove_dir_all(&ws).ok();
        fs::remove_dir_all(world.place().private_git_dir).ok();
        creation.copy = vec![entry.into()];
        let failure = failed(ask(Request::CreateWorkspace(Box::new(creation.clone()))));
        assert_eq!(failure.kind, kind, "{entry}: {failure}");
        nothing_left(&world);
    }
}

fn nothing_left(world: &World) {
    let place = world.place();
    assert!(!place.git_dir.join("worktrees").exists());
    assert!(!place.workspace.exists() && !place.private_git_dir.exists());
    assert_eq!(world.git(["branch", "--list", "wsm/*"]), "");
}

#[test]
fn branches_are_known_to_be_free_before_anything_is_made() {
    let world = World::new();
    let free = |branch: &str| {
        ask(Request::BranchFree {
            git_dir: world.place().git_dir,
            branch: branch.into(),
        })
    };
    assert_eq!(free("wsm/new"), Reply::Free);
    for (branch, kind) in [
        ("main", FailureKind::Exists),
        ("main/x", FailureKind::Exists),
        ("-x", FailureKind::Invalid),
        ("a..b", FailureKind::Invalid),
    ] {
        let failure = failed(free(branch));
        assert_eq!(failure.kind, kind, "{branch}: {failure}");
        assert!(!failure.hint.is_empty(), "{branch}: {failure}");
    }
    nothing_left(&world);
}

#[test]
fn a_failed_creation_leaves_nothing() {
    let world = World::new();
    let expect = |change: &dyn Fn(&mut Create), kind: FailureKind, why: &str| {
        let mut creation = world.creation();
        change(&mut creation);
        let failure = failed(ask(Request::CreateWorkspace(Box::new(creation))));
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.why.contains(why), "{failure}");
    };
    expect(&|c| c.base = "nope".into(), FailureKind::NotFound, "nope");
    nothing_left(&world);
    expect(
        &|c| c.place.branch = "a..b".into(),
        FailureKind::Invalid,
        "branch",
    );
    expect(
        &|c| c.place.branch = "-x".into(),
        FailureKind::Invalid,
        "branch",
    );
    expect(
        &|c| c.place.admin_id = "../x".into(),
        FailureKind::Invalid,
        "id",
    );
    expect(
        &|c| c.place.branch = "main".into(),
        FailureKind::Exists,
        "exists already",
    );
    expect(
        &|c| c.place.branch = "main/x".into(),
        FailureKind::Exists,
        "no branch can lie below",
    );
    nothing_left(&world);
    // The tree is in the way.
    put(&world.place().workspace.join("mine"), "keep");
    expect(&|_| {}, FailureKind::Exists, "not empty");
    assert!(world.place().workspace.join("mine").exists());
    fs::remove_dir_all(world.place().workspace).unwrap();
    nothing_left(&world);
    // An object of the tree is missing.
    let blob = world.git(["rev-parse", "HEAD:src/lib.rs"]);
    let file = world
        .main()
        .join(".git/objects")
        .join(&blob[..2])
        .join(&blob[2..]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(world.place().private_git_dir).unwrap();
    expect(&|_| {}, FailureKind::NotFound, &blob);
    assert_eq!(
        fs::read_dir(world.place().private_git_dir).unwrap().count(),
        0
    );
    fs::remove_dir(world.place().private_git_dir).unwrap();
    nothing_left(&world);
}

#[test]
fn a_branch_of_the_human_survives_the_removal_of_an_agent_that_never_was() {
    let world = World::new();
    world.git(["branch", "wsm/fix"]);
    let failure = failed(ask(Request::CreateWorkspace(Box::new(world.creation()))));
    assert_eq!(failure.kind, FailureKind::Exists, "{failure}");
    for branches in [Branches::DeleteMerged, Branches::DeleteAll] {
        let place = world.place();
        match ask(Request::RemoveWorkspace { place, branches }) {
            Reply::Removed { kept, .. } => assert_eq!(kept, ["refs/heads/wsm/fix"]),
            other => panic!("{other:?}"),
        }
    }
    world.git(["rev-parse", "wsm/fix"]);
}

#[test]
fn repositories_that_can_not_be_used_say_why() {
    let world = World::new();
    let inspect =
        |git_dir: PathBuf, work_tree: Option<PathBuf>| ask(Request::Inspect { git_dir, work_tree });
    let dir = world.dir.path();
    assert_eq!(
        failed(inspect(dir.into(), Some(dir.into()))).kind,
        FailureKind::NotARepository
    );
    assert_eq!(
        failed(inspect(dir.join("no"), None)).kind,
        FailureKind::NotARepository
    );
    ok(git(dir, ["init", "-q", "--bare", "bare"], &[]));
    assert_eq!(
        failed(inspect(dir.join("bare"), None)).kind,
        FailureKind::Bare
    );
    ok(git(dir, ["init", "-q", "empty"], &[]));
    let failure = failed(inspect(dir.join("empty/.git"), Some(dir.join("empty"))));
    assert_eq!(failure.kind, FailureKind::NoCommits);
    assert!(failure.hint.contains("git commit"));
    ok(git(
        dir,
        ["init", "-q", "--object-format=sha256", "long"],
        &[],
    ));
    let failure = failed(inspect(dir.join("long/.git"), Some(dir.join("long"))));
    assert_eq!(failure.kind, FailureKind::Unsupported, "{failure}");

    ok(git(dir, ["clone", "-q", "--shared", "main", "shared"], &[]));
    let alternates = dir.join("shared/.git/objects/info/alternates");
    put(&alternates, "/nowhere/objects\n");
    let failure = failed(inspect(dir.join("shared/.git"), Some(dir.join("shared"))));
    assert_eq!(failure.kind, FailureKind::Unsupported, "{failure}");
    assert!(failure.why.contains("/nowhere/objects"));

    world.write("readme", "changed\n");
    world.write("new", "");
    match inspect(world.main().join(".git"), Some(world.main())) {
        Reply::Inspected(facts) => {
            assert_eq!(
                (facts.branch.as_deref(), facts.dirty, facts.untracked),
                (Some("main"), 1, 1)
            );
            assert_eq!(facts.identity.unwrap().name, "Hanna");
            assert!(!facts.shallow && facts.submodules.is_empty() && facts.alternates.is_empty());
        }
        other => panic!("{other:?}"),
    }
    world.git(["checkout", "-q", "--detach"]);
    match inspect(world.main().join(".git"), Some(world.main())) {
        Reply::Inspected(facts) => assert_eq!(facts.branch, None),
        other => panic!("{other:?}"),
    }
}

//! Creation, inspection and removal.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Instant;

use super::*;

#[test]
fn host_and_agent_see_a_clean_worktree() {
    let (world, base) = World::with_workspace();
    let place = world.place();
    assert_eq!(world.branch(), base.as_str());
    let list = world.git(["worktree", "list"]);
    assert!(
        list.contains("[wsm/fix]") && list.contains("/ws "),
        "{list}"
    );
    assert!(
        !world
            .git(["worktree", "list", "--porcelain"])
            .contains("prunable")
    );
    assert_eq!(world.human(["status", "--porcelain"]), "");
    assert_eq!(
        world.human(["rev-parse", "--abbrev-ref", "HEAD"]),
        "wsm/fix"
    );
    assert_eq!(world.agent(["status", "--porcelain"]), "");
    assert_eq!(world.agent(["log", "--format=%s"]), "start");
    assert_eq!(world.agent(["rev-parse", "host/main"]), base.as_str());
    assert_eq!(world.agent(["config", "user.name"]), "Hanna");
    assert_eq!(world.agent(["remote"]), "");
    // Nothing is re-read: the stat data of both indexes is right.
    for index in [
        place.git_dir.join("worktrees/wsm-a1/index"),
        place.private_git_dir.join("index"),
    ] {
        let file: [(&str, &OsStr); 1] = [("GIT_INDEX_FILE", index.as_os_str())];
        assert_eq!(ok(git(&place.workspace, ["diff-files"], &file)), "");
    }
    world.sound();
}

#[test]
fn modes_links_and_odd_names_come_out_as_git_writes_them() {
    let world = World::new();
    world.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(
        world.main().join("run.sh"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    symlink("readme", world.main().join("link")).unwrap();
    symlink("/nowhere", world.main().join("dangling")).unwrap();
    world.write("ä ö/\"q\"\n.txt", "x");
    world.write("empty", "");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "odd"]);
    world.create();
    assert_eq!(world.human(["status", "--porcelain"]), "");
    assert_eq!(world.agent(["status", "--porcelain"]), "");
    assert_eq!(
        fs::read_link(world.place().workspace.join("dangling")).unwrap(),
        Path::new("/nowhere")
    );
    world.sound();
}

#[test]
fn line_ends_follow_the_repository() {
    for setup in ["config", "attributes"] {
        let world = World::new();
        if setup == "config" {
            world.git(["config", "core.autocrlf", "true"]);
        } else {
            world.write(".gitattributes", "*.txt text eol=crlf\n");
        }
        world.write("a.txt", "one\r\ntwo\r\n");
        world.git(["add", "."]);
        world.git(["commit", "-qm", "crlf"]);
        assert_eq!(world.git(["cat-file", "-s", "HEAD:a.txt"]), "8");
        world.create();
        assert_eq!(
            fs::read(world.place().workspace.join("a.txt")).unwrap(),
            b"one\r\ntwo\r\n"
        );
        assert_eq!(world.human(["status", "--porcelain"]), "", "{setup}");
        assert_eq!(world.agent(["status", "--porcelain"]), "", "{setup}");
    }
}

#[test]
fn no_filter_and_no_hook_runs() {
    let world = World::new();
    let trap = world.dir.path().join("trap");
    let run = format!("touch {}", trap.display());
    world.write(".gitattributes", "* filter=evil diff=evil\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "attributes"]);
    for key in [
        "filter.evil.smudge",
        "filter.evil.clean",
        "filter.evil.process",
        "core.fsmonitor",
        "diff.evil.textconv",
    ] {
        world.git(["config", key, &run]);
    }
    for hook in [
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "pre-commit",
        "post-merge",
    ] {
        let path = world.main().join(".git/hooks").join(hook);
        put(&path, format!("#!/bin/sh\n{run}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let base = world.create().base;
    put(&world.place().private_git_dir.join("x"), "");
    let place = world.place();
    // The agent's view has neither the hooks nor the filters.
    world.agent_commits("new", "x\n");
    world.import(&base);
    ask(Request::Diff {
        place: place.clone(),
        target: None,
        uncommitted: true,
        patch: true,
    });
    ask(Request::State {
        place,
        target: None,
    });
    assert!(!trap.exists());
}

/// `shallow` with one commit, and `shared` with borrowed objects and a submodule.
fn clones(world: &World) -> PathBuf {
    world.write("readme", "two\n");
    world.git(["commit", "-qam", "two"]);
    let dir = world.dir.path().to_owned();
    let url = format!("file://{}", world.main().display());
    let shared = dir.join("shared");
    ok(git(
        &dir,
        ["clone", "-q", "--depth=1", &url, "shallow"],
        &[],
    ));
    ok(git(
        &dir,
        ["clone", "-q", "--shared", "main", "shared"],
        &[],
    ));
    ok(git(&shared, ["config", "user.name", "x"], &[]));
    ok(git(&shared, ["config", "user.email", "x"], &[]));
    let file = "protocol.file.allow=always";
    ok(git(
        &shared,
        ["-c", file, "submodule", "--quiet", "add", &url, "sub"],
        &[],
    ));
    ok(git(&shared, ["commit", "-qm", "sub"], &[]));
    dir
}

#[test]
fn shallow_borrowed_and_submodule_repositories_work() {
    let world = World::new();
    let dir = clones(&world);
    for (at, name) in ["shallow", "shared"].into_iter().enumerate() {
        let work_tree = dir.join(name);
        let git_dir = work_tree.join(".git");
        let facts = match ask(Request::Inspect {
            git_dir: git_dir.clone(),
            work_tree: Some(work_tree.clone()),
        }) {
            Reply::Inspected(facts) => facts,
            other => panic!("{other:?}"),
        };
        assert_eq!(facts.shallow, name == "shallow");
        assert_eq!(facts.alternates.len(), at);
        assert_eq!(facts.submodules, if at == 1 { vec!["sub"] } else { vec![] });
        let mut creation = world.creation();
        creation.place.git_dir = git_dir;
        creation.place.workspace = dir.join(format!("ws-{name}"));
        creation.place.private_git_dir = dir.join(format!("private-{name}"));
        creation.source_tree = None;
        let place = creation.place.clone();
        assert!(matches!(
            ask(Request::CreateWorkspace(Box::new(creation))),
            Reply::Workspace(_)
        ));
        let view: [(&str, &OsStr); 2] = [
            ("GIT_DIR", place.private_git_dir.as_os_str()),
            ("GIT_WORK_TREE", place.workspace.as_os_str()),
        ];
        assert_eq!(
            ok(git(&place.workspace, ["status", "--porcelain"], &view)),
            ""
        );
        assert_eq!(
            ok(git(&place.workspace, ["status", "--porcelain"], &[])),
            ""
        );
        ok(git(&place.workspace, ["log", "--oneline"], &view));
        assert_eq!(ok(git(&place.workspace, ["fsck"], &view)), "");
    }
}

#[test]
fn template_files_come_from_the_commit() {
    let world = World::new();
    world.write(".wsm/dev.toml", "schema = 1\n");
    world.write(".wsm/notes.txt", "");
    world.write(".wsm/deep/x.toml", "");
    symlink("/etc/passwd", world.main().join(".wsm/link.toml")).unwrap();
    world.git(["add", "."]);
    world.git(["commit", "-qm", "templates"]);
    world.write(".wsm/dev.toml", "not committed\n");
    let read = |rev: &str| {
        ask(Request::ReadFiles {
            git_dir: world.main().join(".git"),
            rev: rev.into(),
            prefix: ".wsm/".into(),
            suffix: ".toml".into(),
        })
    };
    match read("main") {
        Reply::Files { files, .. } => {
            assert_eq!(
                files,
                [CommittedFile {
                    path: ".wsm/dev.toml".into(),
                    text: "schema = 1\n".into()
                }]
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(read("HEAD~1"), Reply::Files { files, .. } if files.is_empty()));
    assert_eq!(failed(read("nope")).kind, FailureKind::NotFound);
}

#[test]
fn removal_is_repeatable_and_keeps_what_is_not_merged() {
    let (world, base) = World::with_workspace();
    let remove = |branches| {
        ask(Request::RemoveWorkspace {
            place: world.place(),
            branches,
        })
    };
    world.agent_commits("work", "x\n");
    world.import(&base);
    let kept = || Reply::Removed {
        deleted: vec![],
        kept: vec!["refs/heads/wsm/fix".into()],
    };
    assert_eq!(remove(Branches::DeleteMerged), kept());
    assert_eq!(remove(Branches::DeleteMerged), kept());
    assert!(!world.git(["worktree", "list"]).contains("wsm/fix"));
    world.git(["merge", "-q", "wsm/fix"]);
    world.git(["pack-refs", "--all"]);
    let gone = Reply::Removed {
        deleted: vec!["refs/heads/wsm/fix".into()],
        kept: vec![],
    };
    assert_eq!(remove(Branches::DeleteMerged), gone);
    assert_eq!(
        remove(Branches::DeleteAll),
        Reply::Removed {
            deleted: vec![],
            kept: vec![]
        }
    );
    assert_eq!(world.git(["branch", "--list", "wsm/*"]), "");
    world.sound();
}

#[test]
fn three_thousand_files_are_quick() {
    let world = World::new();
    for n in 0..3000 {
        world.write(
            &format!("d{}/e{}/f{n}.txt", n % 30, n % 7),
            &format!("file {n}\n").repeat(100),
        );
    }
    world.git(["add", "."]);
    world.git(["commit", "-qm", "many"]);
    let begun = Instant::now();
    let created = world.create();
    let took = begun.elapsed();
    let begun = Instant::now();
    assert_eq!(world.human(["status", "--porcelain"]), "");
    let status = begun.elapsed();
    let other = world.dir.path().join("plain");
    let begun = Instant::now();
    world.git([
        "worktree",
        "add",
        "-q",
        "-b",
        "plain",
        other.to_str().unwrap(),
    ]);
    let by_git = begun.elapsed();
    println!(
        "{} files: created in {took:?}, first status {status:?}, git worktree add {by_git:?}",
        created.files
    );
    assert_eq!(created.files, 3002);
    world.agent_commits("d1/e1/new", "x\n");
    let begun = Instant::now();
    let imported = world.import(&created.base);
    println!("one commit came over in {:?}", begun.elapsed());
    assert_eq!(imported.index, IndexState::Refreshed);
}

#[test]
fn what_is_committed_is_not_hidden_and_guarded_files_are_written() {
    let world = World::new();
    world.write("dir/key", "committed");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "a key"]);
    for path in ["dir/key", "dir"] {
        let create = Create {
            hide: vec![path.into()],
            ..world.creation()
        };
        let Reply::Failed(failed) = ask(Request::CreateWorkspace(Box::new(create))) else {
            panic!("{path} was hidden");
        };
        assert_eq!(failed.kind, FailureKind::Refused);
        assert!(!world.place().workspace.exists(), "nothing is left");
    }
    symlink("/tmp", world.main().join("out")).unwrap();
    world.git(["add", "."]);
    world.git(["commit", "-qm", "a way out"]);
    let file = |path: &str| Create {
        hide: vec!["absent".into()],
        files: vec![(path.into(), "text".into())],
        ..world.creation()
    };
    let led = Request::CreateWorkspace(Box::new(file("out/wsm-led-out")));
    assert!(matches!(ask(led), Reply::Failed(_)));
    assert!(!Path::new("/tmp/wsm-led-out").exists());
    for path in ["new/deep/file", "out", "dir/key"] {
        let world = World::new();
        let create = Create {
            files: vec![(path.into(), "text".into())],
            ..world.creation()
        };
        let made = ask(Request::CreateWorkspace(Box::new(create)));
        assert!(matches!(made, Reply::Workspace(_)), "{made:?}");
        let written = fs::read_to_string(world.place().workspace.join(path));
        assert_eq!(written.unwrap(), "text");
    }
}

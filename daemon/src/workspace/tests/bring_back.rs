//! `diff`, `merge`, `apply` and what they refuse.

use super::*;

fn author() -> Identity {
    Identity {
        name: "Otto".into(),
        email: "otto@example.com".into(),
    }
}

fn merge(world: &World, squash: bool, uncommitted: Uncommitted) -> Reply {
    ask(merging(world, squash, uncommitted))
}

fn merging(world: &World, squash: bool, uncommitted: Uncommitted) -> Request {
    Request::Merge(Box::new(Merge {
        guarded: Vec::new(),
        place: world.place(),
        work_tree: world.main(),
        squash,
        message: "bring it back".into(),
        author: author(),
        mark: 1,
        uncommitted,
    }))
}

fn done(reply: Reply) -> (MergeKind, String) {
    match reply {
        Reply::Merge(MergeReply::Done { how, to, .. }) => (how, to.to_string()),
        other => panic!("{other:?}"),
    }
}

fn apply(world: &World) -> Reply {
    ask(Request::Apply {
        guarded: Vec::new(),
        place: world.place(),
        work_tree: world.main(),
        mark: 1,
    })
}

fn work(base: &Oid, world: &World) -> Oid {
    world.agent_commits("src/new.rs", "fn b() {}\n");
    world.import(base).last.unwrap()
}

#[test]
fn diff_and_state_count_all_work() {
    let (world, base) = World::with_workspace();
    work(&base, &world);
    world.agent_writes("readme", "two\nthree\n");
    world.agent_writes("untracked", "u\n");
    let diff = |uncommitted| match ask(Request::Diff {
        place: world.place(),
        target: None,
        uncommitted,
        patch: true,
    }) {
        Reply::Diff(diff) => diff,
        other => panic!("{other:?}"),
    };
    let committed = diff(false);
    assert_eq!(
        (
            committed.files_changed,
            committed.insertions,
            committed.deletions
        ),
        (1, 1, 0)
    );
    assert_eq!((committed.uncommitted, committed.untracked), (1, 1));
    let all = diff(true);
    assert_eq!(
        (all.files_changed, all.insertions, all.deletions),
        (3, 4, 1)
    );
    let files: Vec<_> = all
        .files
        .iter()
        .map(|f| (f.status, f.path.as_str()))
        .collect();
    assert_eq!(
        files,
        [('M', "readme"), ('A', "src/new.rs"), ('?', "untracked")]
    );
    assert!(all.patch.contains("+fn b() {}\n") && all.patch.contains("-one\n+two\n+three\n"));
    // git itself accepts the patch.
    put(&world.dir.path().join("p"), &all.patch);
    world.git([
        "apply",
        "--check",
        world.dir.path().join("p").to_str().unwrap(),
    ]);
    world.write("m", "m\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "main moves"]);
    match ask(Request::State {
        place: world.place(),
        target: None,
    }) {
        Reply::State(s) => {
            assert_eq!(
                (s.ahead, s.behind, s.merged, s.uncommitted, s.untracked),
                (1, 1, false, 1, 1)
            );
        }
        other => panic!("{other:?}"),
    }
    match ask(Request::State {
        place: world.place(),
        target: Some("wsm/fix".into()),
    }) {
        Reply::State(s) => assert!(s.merged && s.ahead == 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn merge_goes_forward_keeps_commits_or_squashes() {
    let (world, base) = World::with_workspace();
    let tip = work(&base, &world);
    let (how, to) = done(merge(&world, false, Uncommitted::Refuse));
    assert_eq!((how, to.as_str()), (MergeKind::FastForward, tip.as_str()));
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert_eq!(world.git(["rev-parse", "HEAD"]), to);
    assert!(
        world
            .git(["reflog", "-1", "main"])
            .contains("wsm: wsm/fix: merge")
    );
    assert!(world.git(["reflog", "-1"]).contains("wsm: wsm/fix: merge"));
    assert!(matches!(
        merge(&world, false, Uncommitted::Refuse),
        Reply::Merge(MergeReply::UpToDate { .. })
    ));

    world.write("m", "m\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "main moves"]);
    world.agent_commits("src/two.rs", "");
    let tip = world.import(&tip).last.unwrap();
    let (how, _) = done(merge(&world, false, Uncommitted::Refuse));
    assert_eq!(how, MergeKind::Merge);
    assert_eq!(world.git(["rev-parse", "HEAD^2"]), tip.as_str());
    assert_eq!(
        world.git(["log", "-1", "--format=%an %s"]),
        "Otto bring it back"
    );
    assert_eq!(world.git(["status", "--porcelain"]), "");

    world.agent_commits("src/three.rs", "");
    world.agent_commits("src/four.rs", "");
    world.import(&tip);
    assert_eq!(
        done(merge(&world, true, Uncommitted::Refuse)).0,
        MergeKind::Squash
    );
    assert_eq!(
        world
            .git(["show", "--format=%P", "--name-only", "HEAD"])
            .lines()
            .count(),
        4
    );
    assert_eq!(world.git(["status", "--porcelain"]), "");
    world.sound();
}

#[test]
fn squashed_work_counts_as_merged() {
    let (world, base) = World::with_workspace();
    work(&base, &world);
    let merged = || match ask(Request::State {
        place: world.place(),
        target: None,
    }) {
        Reply::State(state) => (state.merged, state.ahead),
        other => panic!("{other:?}"),
    };
    let remove = || match ask(Request::RemoveWorkspace {
        place: world.place(),
        branches: Branches::DeleteMerged,
    }) {
        Reply::Removed { deleted, .. } => deleted.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(merged(), (false, 1));
    assert_eq!(
        done(merge(&world, true, Uncommitted::Refuse)).0,
        MergeKind::Squash
    );
    assert_eq!(merged(), (true, 1));
    // Taken back by the human: not merged any more.
    world.git(["revert", "--no-edit", "HEAD"]);
    assert_eq!(merged(), (false, 1));
    assert_eq!(remove(), 0);
    world.git(["reset", "-q", "--hard", "HEAD~1"]);
    assert_eq!(remove(), 1);
    world.sound();
}

#[test]
fn what_is_in_the_way_is_told_before_anything_changes() {
    let (world, base) = World::with_workspace();
    world.agent_commits("readme", "agent\n");
    world.import(&base);
    let before = || {
        (
            world.git(["rev-parse", "HEAD"]),
            world.git(["status", "--porcelain"]),
        )
    };

    world.write("readme", "dirty\n");
    let state = before();
    let paths = vec!["readme".to_owned()];
    assert_eq!(
        merge(&world, false, Uncommitted::Refuse),
        Reply::Merge(MergeReply::Dirty {
            paths: paths.clone()
        })
    );
    assert_eq!(
        apply(&world),
        Reply::Merge(MergeReply::Dirty {
            paths: paths.clone()
        })
    );
    world.git(["add", "readme"]);
    assert_eq!(
        merge(&world, false, Uncommitted::Refuse),
        Reply::Merge(MergeReply::Dirty {
            paths: paths.clone()
        })
    );
    world.git(["reset", "-q"]);
    assert_eq!(before(), state);

    world.git(["commit", "-qam", "human"]);
    let state = before();
    assert_eq!(
        merge(&world, false, Uncommitted::Refuse),
        Reply::Merge(MergeReply::Conflicts {
            paths: paths.clone()
        })
    );
    assert_eq!(
        merge(&world, true, Uncommitted::Refuse),
        Reply::Merge(MergeReply::Conflicts {
            paths: paths.clone()
        })
    );
    assert_eq!(apply(&world), Reply::Merge(MergeReply::Conflicts { paths }));
    assert_eq!(before(), state);
}

#[test]
fn untracked_and_ignored_files_are_in_the_way_and_so_is_a_detached_head() {
    let (world, base) = World::with_workspace();
    world.agent_commits("fresh", "agent\n");
    world.agent_commits("x.log", "agent\n");
    world.import(&base);
    world.write("fresh", "human\n");
    world.write("x.log", "human\n");
    put(&world.main().join(".git/info/exclude"), "*.log\n");
    let paths = vec!["fresh".to_owned(), "x.log".to_owned()];
    assert_eq!(
        merge(&world, false, Uncommitted::Refuse),
        Reply::Merge(MergeReply::Dirty { paths })
    );
    assert_eq!(
        fs::read_to_string(world.main().join("fresh")).unwrap(),
        "human\n"
    );

    world.git(["checkout", "-q", "--detach"]);
    let failure = failed(merge(&world, false, Uncommitted::Refuse));
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure.why.contains("detached") && failure.hint.contains("git switch"),
        "{failure}"
    );
}

#[test]
fn dirt_elsewhere_is_left_alone() {
    let (world, base) = World::with_workspace();
    work(&base, &world);
    world.write("readme", "dirty\n");
    world.write("staged", "s\n");
    world.git(["add", "staged"]);
    assert_eq!(
        done(merge(&world, false, Uncommitted::Refuse)).0,
        MergeKind::FastForward
    );
    assert_eq!(
        world.git(["status", "--porcelain"]),
        "M readme\nA  staged".replacen('M', " M", 1)
    );
}

#[test]
fn uncommitted_work_counts() {
    let (world, base) = World::with_workspace();
    work(&base, &world);
    world.agent_writes("readme", "agent\n");
    world.agent_writes("untracked", "u\n");
    let paths = vec!["readme".to_owned(), "untracked".to_owned()];
    assert_eq!(
        merge(&world, false, Uncommitted::Refuse),
        Reply::Merge(MergeReply::Uncommitted { paths })
    );
    assert_eq!(world.git(["rev-parse", "HEAD"]), base.as_str());

    assert_eq!(
        world.human(["status", "--porcelain"]),
        "M readme\n?? untracked".replacen('M', " M", 1)
    );

    // Apply stages all of it and commits nothing.
    assert_eq!(done(apply(&world)).0, MergeKind::Staged);
    assert_eq!(world.git(["rev-parse", "HEAD"]), base.as_str());
    assert_eq!(
        world.git(["status", "--porcelain"]),
        "M  readme\nA  src/new.rs\nA  untracked"
    );
    world.git(["reset", "-q", "--hard"]);

    match merge(&world, false, Uncommitted::Ignore) {
        Reply::Merge(MergeReply::Done { left_behind, .. }) => assert_eq!(left_behind, 2),
        other => panic!("{other:?}"),
    }
    world.sound();
}

#[test]
fn removed_renamed_and_replaced_files_apply() {
    let (world, base) = World::with_workspace();
    let ws = world.place().workspace;
    world.agent(["mv", "src/lib.rs", "moved.rs"]);
    world.agent(["commit", "-qm", "move"]);
    world.import(&base);
    fs::remove_file(ws.join("readme")).unwrap();
    world.agent_writes("readme/now-a-directory", "x\n");
    std::os::unix::fs::symlink("moved.rs", ws.join("link")).unwrap();
    assert_eq!(done(apply(&world)).0, MergeKind::Staged);
    let status = world.git(["status", "--porcelain", "--no-renames"]);
    assert_eq!(
        status,
        "A  link\nA  moved.rs\nD  readme\nA  readme/now-a-directory\nD  src/lib.rs"
    );
    assert_eq!(
        fs::read_link(world.main().join("link")).unwrap(),
        Path::new("moved.rs")
    );
}

fn landed(world: &World, mark: u64) -> Option<String> {
    match ask(Request::Landed {
        place: world.place(),
        mark,
    }) {
        Reply::Landed(landed) => landed.map(|landed| landed.how),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_log_of_the_checkout_knows_what_came_in() {
    let (world, base) = World::with_workspace();
    work(&base, &world);
    assert_eq!(landed(&world, 1), None);
    done(apply(&world));
    assert_eq!(landed(&world, 1).as_deref(), Some("apply"));
    assert_eq!(landed(&world, 2), None, "another one");
    world.git(["reset", "-q", "--hard"]);
    done(merge(&world, false, Uncommitted::Refuse));
    let log = world.git(["reflog", "-1", "--format=%gs"]);
    assert_eq!(log, "wsm: wsm/fix: merge, fast-forward (1)");
    assert_eq!(landed(&world, 1).as_deref(), Some("merge, fast-forward"));
    world.sound();
}

#[test]
fn a_checkout_without_a_log_is_not_given_one() {
    let (world, base) = World::with_workspace();
    work(&base, &world);
    world.git(["config", "core.logAllRefUpdates", "false"]);
    fs::remove_dir_all(world.main().join(".git/logs")).unwrap();
    done(apply(&world));
    assert_eq!(landed(&world, 1), None);
    assert!(!world.main().join(".git/logs/HEAD").exists());
}

#[test]
fn nothing_changes_for_whoever_is_gone() {
    let (world, base) = World::with_workspace();
    work(&base, &world);
    for request in [
        Request::Apply {
            guarded: Vec::new(),
            place: world.place(),
            work_tree: world.main(),
            mark: 1,
        },
        merging(&world, false, Uncommitted::Refuse),
    ] {
        let mut told = Vec::new();
        helper::answer(&request, &mut |phase, _, _| {
            assert_eq!(world.git(["rev-parse", "HEAD"]), base.as_str(), "{phase}");
            assert_eq!(world.git(["status", "--porcelain"]), "", "{phase}");
            told.push(phase.to_owned());
        });
        assert_eq!(told, ["land"]);
        world.git(["reset", "-q", "--hard", base.as_str()]);
    }
}

#[test]
fn files_with_a_filter_come_as_committed_and_are_named() {
    let (world, base) = World::with_workspace();
    world.write(".gitattributes", "*.bin filter=lfs\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "filters"]);
    world.agent_commits("big.bin", "version https://git-lfs.github.com/spec/v1\n");
    world.import(&base);
    match merge(&world, false, Uncommitted::Refuse) {
        Reply::Merge(MergeReply::Done { unfiltered, .. }) => assert_eq!(unfiltered, ["big.bin"]),
        other => panic!("{other:?}"),
    }
}

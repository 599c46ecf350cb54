//! Commits come over, and nobody is overwritten.

use super::*;

#[test]
fn a_commit_comes_over_and_the_host_is_right() {
    let (world, base) = World::with_workspace();
    let new = world.agent_commits("src/new.rs", "fn b() {}\n");
    world.agent_writes("readme", "not committed\n");
    let imported = world.import(&base);
    assert!(
        matches!(&imported.outcome, Outcome::TookOver { from, to } if *from == base && to.as_str() == new)
    );
    assert_eq!(imported.objects, 4);
    assert_eq!(imported.index, IndexState::Refreshed);
    assert_eq!(
        imported.agent,
        AgentView::Branch {
            name: "wsm/fix".into()
        }
    );
    assert_eq!(world.branch(), new);
    assert_eq!(
        world.human(["status", "--porcelain"]),
        "M readme".replace("M", " M")
    );
    assert_eq!(world.human(["log", "--format=%s"]), "src/new.rs\nstart");
    assert_eq!(world.human(["diff", "--stat", "--cached"]), "");
    assert!(
        world
            .human(["reflog", "-1"])
            .contains("wsm: commits of agent fix")
    );
    assert!(
        world
            .git(["reflog", "-1", "wsm/fix"])
            .contains("wsm: commits of agent fix")
    );
    // Nothing more to do, and nothing lost when the daemon forgot what it wrote.
    let again = world.import(imported.last.as_ref().unwrap());
    assert_eq!((again.outcome, again.objects), (Outcome::Nothing, 0));
    world.agent_writes("readme", "one\n");
    world.agent(["commit", "-q", "--amend", "-m", "better"]);
    let forgetful = world.import(&base);
    assert!(
        matches!(forgetful.outcome, Outcome::TookOver { .. }),
        "{forgetful:?}"
    );
    assert_eq!(world.human(["status", "--porcelain"]), "");
    world.sound();
}

#[test]
fn many_commits_and_a_gc_inside_come_as_a_pack() {
    let (world, base) = World::with_workspace();
    for n in 0..60 {
        world.agent_commits(&format!("d/f{n}"), &format!("{n}\n"));
    }
    world.agent(["gc", "-q", "--prune=now"]);
    let imported = world.import(&base);
    assert_eq!(imported.objects, 60 * 4);
    assert_eq!(world.human(["rev-list", "--count", "HEAD"]), "61");
    world.sound();
    let packs = fs::read_dir(world.main().join(".git/objects/pack"))
        .unwrap()
        .count();
    assert!(packs >= 2);
    // After the gc new commits are loose again, and rest on packed ones.
    world.agent_commits("after", "x\n");
    assert_eq!(world.import(imported.last.as_ref().unwrap()).objects, 3);
    // The main repository may repack, too.
    world.git(["gc", "-q", "--prune=now"]);
    assert_eq!(world.agent(["status", "--porcelain"]), "");
    assert_eq!(world.agent(["fsck"]), "");
    world.sound();
}

#[test]
fn normal_work_inside_comes_over() {
    let (world, base) = World::with_workspace();
    world.agent_commits("a", "a\n");
    world.agent(["switch", "-qc", "topic"]);
    world.agent_commits("b", "b\n");
    world.agent_writes("c", "stashed\n");
    world.agent(["stash", "-qu"]);
    world.agent(["stash", "pop", "-q"]);
    let first = world.import(&base);
    assert_eq!(first.others, ["refs/wsm/fix/heads/topic"]);
    assert_eq!(
        first.agent,
        AgentView::Branch {
            name: "topic".into()
        }
    );
    world.agent(["add", "c"]);
    world.agent(["commit", "-qm", "c"]);
    world.agent(["switch", "-q", "wsm/fix"]);
    world.agent(["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    world.agent(["branch", "-q", "-D", "topic"]);
    world.agent(["branch", "-q", "topic/deep"]);
    world.agent(["pack-refs", "--all"]);
    world.agent(["tag", "v1"]);
    let second = world.import(first.last.as_ref().unwrap());
    assert!(
        matches!(second.outcome, Outcome::TookOver { .. }),
        "{second:?}"
    );
    assert_eq!(second.others, ["refs/wsm/fix/heads/topic/deep"]);
    assert_eq!(
        world.git([
            "for-each-ref",
            "--format=%(refname)",
            "refs/wsm",
            "refs/tags"
        ]),
        "refs/wsm/fix/heads/topic/deep"
    );
    assert_eq!(world.human(["status", "--porcelain"]), "");
    // The main branch moves on, the agent rebases on it; the objects are shared already.
    world.write("main-only", "m\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "main moves"]);
    let main = world.git(["rev-parse", "main"]);
    world.agent(["rebase", "-q", &main]);
    let third = world.import(second.last.as_ref().unwrap());
    assert!(
        matches!(third.outcome, Outcome::TookOver { .. }),
        "{third:?}"
    );
    assert_eq!(world.human(["status", "--porcelain"]), "");
    assert_eq!(world.git(["merge-base", "main", "wsm/fix"]), main);
    world.sound();
}

#[test]
fn a_human_who_commits_is_never_overwritten() {
    let (world, base) = World::with_workspace();
    // The human commits; the agent did not: its view can follow.
    put(&world.place().workspace.join("h"), "h\n");
    world.human(["add", "h"]);
    world.human(["commit", "-qm", "by hand"]);
    let human = world.branch();
    let behind = world.import(&base);
    assert!(
        matches!(&behind.outcome, Outcome::AgentBehind { oid } if oid.as_str() == human),
        "{behind:?}"
    );
    assert_eq!(world.branch(), human);
    // It can't at once: nothing goes back to its tip meanwhile.
    let last = behind.last.as_ref().unwrap();
    let still = world.import(last);
    assert!(
        matches!(still.outcome, Outcome::AgentBehind { .. }),
        "{still:?}"
    );
    assert_eq!(world.branch(), human);
    // The agent commits as well, on its old tip: both stay.
    let agent = world.agent_commits("g", "g\n");
    let apart = world.import(last);
    assert!(
        matches!(&apart.outcome, Outcome::Diverged { human: Some(h), agent: a } if h.as_str() == human && a.as_str() == agent),
        "{apart:?}"
    );
    assert_eq!(world.branch(), human);
    assert_eq!(
        world.git(["rev-parse", "refs/wsm/fix/heads/wsm/fix"]),
        agent
    );
    let again = world.import(apart.last.as_ref().unwrap_or(&base));
    assert!(matches!(again.outcome, Outcome::Diverged { .. }));
    // The agent merges the human's commit, which it sees through the shared objects.
    world.agent(["merge", "-q", "-m", "together", &human]);
    let together = world.import(&base);
    assert!(
        matches!(together.outcome, Outcome::TookOver { .. }),
        "{together:?}"
    );
    assert_eq!(world.git(["for-each-ref", "refs/wsm"]), "");
    assert_eq!(world.human(["status", "--porcelain"]), "");
    world.sound();
}

/// An agent without its branch has nothing to say about the one outside: what the human does to it
/// meanwhile is still the human's when the agent has a branch again.
#[test]
fn a_human_who_commits_while_the_agent_has_no_branch_is_not_overwritten() {
    let (world, base) = World::with_workspace();
    world.agent(["switch", "-q", "--detach"]);
    world.agent(["branch", "-q", "-D", "wsm/fix"]);
    world.human(["commit", "-q", "--allow-empty", "-m", "by hand"]);
    let human = world.branch();
    let gone = world.import(&base);
    assert_eq!(gone.outcome, Outcome::AgentBranchGone);
    world.agent(["switch", "-q", "-c", "wsm/fix"]);
    world.agent_commits("g", "g\n");
    let apart = world.import(gone.last.as_ref().unwrap());
    assert!(
        matches!(apart.outcome, Outcome::Diverged { .. }),
        "{apart:?}"
    );
    assert_eq!(world.branch(), human);
}

#[test]
fn a_human_who_stages_keeps_the_index() {
    let (world, base) = World::with_workspace();
    put(&world.place().workspace.join("staged"), "s\n");
    world.human(["add", "staged"]);
    world.agent_writes("readme", "two\n");
    world.agent(["commit", "-qam", "two"]);
    let imported = world.import(&base);
    assert!(matches!(imported.outcome, Outcome::TookOver { .. }));
    assert_eq!(
        imported.index,
        IndexState::Staged {
            paths: vec!["staged".into()]
        }
    );
    assert_eq!(
        world.human(["diff", "--cached", "--name-only"]),
        "readme\nstaged"
    );
    // What the human staged does not make the agent's work look uncommitted.
    match ask(Request::State {
        place: world.place(),
        target: None,
    }) {
        Reply::State(s) => assert_eq!((s.uncommitted, s.untracked), (0, 1)),
        other => panic!("{other:?}"),
    }
    // Once the human has unstaged it, the index follows.
    world.human(["rm", "-q", "--cached", "staged"]);
    let request = |check_index| {
        Request::Import(Box::new(Import {
            place: world.place(),
            last: imported.last.clone(),
            check_index,
        }))
    };
    let lock = world.place().git_dir.join("worktrees/wsm-a1/index.lock");
    put(&lock, "");
    assert!(matches!(
        ask(request(true)),
        Reply::Imported(Imported {
            index: IndexState::Locked,
            ..
        })
    ));
    fs::remove_file(lock).unwrap();
    assert!(matches!(
        ask(request(true)),
        Reply::Imported(Imported {
            index: IndexState::Refreshed,
            ..
        })
    ));
    assert_eq!(world.human(["status", "--porcelain"]), "?? staged");
    assert!(matches!(
        ask(request(true)),
        Reply::Imported(Imported {
            index: IndexState::Untouched,
            ..
        })
    ));
}

#[test]
fn a_branch_that_the_human_deleted_or_left_stays_so() {
    let (world, base) = World::with_workspace();
    world.human(["switch", "-q", "-c", "elsewhere"]);
    let first = world.agent_commits("a", "a\n");
    let imported = world.import(&base);
    assert_eq!(imported.index, IndexState::Untouched);
    assert_eq!(world.branch(), first);
    world.git(["branch", "-q", "-D", "wsm/fix"]);
    let second = world.agent_commits("b", "b\n");
    let imported = world.import(imported.last.as_ref().unwrap());
    assert!(
        matches!(imported.outcome, Outcome::Diverged { human: None, .. }),
        "{imported:?}"
    );
    assert_eq!(
        world.git(["rev-parse", "refs/wsm/fix/heads/wsm/fix"]),
        second
    );
    assert_eq!(world.git(["branch", "--list", "wsm/*"]), "");
    world.agent(["switch", "-q", "--detach"]);
    world.agent(["branch", "-q", "-D", "wsm/fix"]);
    let imported = world.import(&base);
    assert_eq!(imported.outcome, Outcome::AgentBranchGone);
    assert!(matches!(imported.agent, AgentView::Detached { .. }));
    assert_eq!(
        world.git(["rev-parse", "refs/wsm/fix/heads/wsm/fix"]),
        second
    );
}

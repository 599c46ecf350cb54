//! Work that is not on the agent's branch: nothing that only wsm would throw away goes unsaid.

use super::*;

fn state(world: &World) -> WorkState {
    match ask(Request::State {
        place: world.place(),
        target: None,
    }) {
        Reply::State(state) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_branch_of_the_agents_own_counts_until_it_is_merged() {
    let (world, base) = World::with_workspace();
    assert_eq!(state(&world).beside, [""; 0]);
    world.agent(["switch", "-qc", "feature"]);
    let commit = world.agent_commits("new", "n\n");
    // Before it was taken over, and after.
    assert_eq!(state(&world).beside, ["branch feature"]);
    world.import(&base);
    world.agent(["switch", "-q", "wsm/fix"]);
    let at = "branch feature at refs/wsm/fix/heads/feature";
    assert_eq!(state(&world).beside, [at]);
    let found = state(&world);
    assert!(found.merged && found.uncommitted + found.untracked == 0);
    world.git(["merge", "-q", "--squash", &commit]);
    world.git(["commit", "-qm", "squashed"]);
    assert_eq!(state(&world).beside, [""; 0]);
}

#[test]
fn commits_that_went_apart_from_the_branch_count() {
    let (world, base) = World::with_workspace();
    world.agent_commits("new", "n\n");
    assert_eq!(
        state(&world).beside,
        ["commits that are not on the branch outside"]
    );
    world.import(&base);
    assert_eq!(state(&world).beside, [""; 0]);
}

#[test]
fn a_branch_that_the_human_kept_does_not_count() {
    let (world, base) = World::with_workspace();
    world.agent(["switch", "-qc", "feature"]);
    let commit = world.agent_commits("new", "n\n");
    world.import(&base);
    world.agent(["switch", "-q", "wsm/fix"]);
    world.git(["tag", "kept", &commit]);
    assert_eq!(state(&world).beside, [""; 0]);
}

#[test]
fn commits_on_no_branch_and_stashes_count() {
    let (world, base) = World::with_workspace();
    world.agent(["switch", "-q", "--detach"]);
    assert_eq!(state(&world).beside, [""; 0], "where main is");
    world.agent_commits("new", "n\n");
    world.import(&base);
    assert_eq!(state(&world).beside, ["commits on no branch"]);
    world.agent(["switch", "-q", "wsm/fix"]);
    world.agent_writes("readme", "two\n");
    world.agent(["stash", "-q"]);
    assert_eq!(state(&world).beside, ["a stash"]);
    world.agent(["pack-refs", "--all"]);
    assert_eq!(state(&world).beside, ["a stash"], "packed");
    world.agent(["stash", "drop", "-q"]);
    assert_eq!(state(&world).beside, [""; 0]);
}

#[test]
fn a_submodule_that_was_checked_out_counts_for_it_can_not_be_compared() {
    let (world, base) = World::with_workspace();
    let other = World::new();
    let url = other.main().display().to_string();
    let file = "protocol.file.allow=always";
    world.agent(["-c", file, "submodule", "--quiet", "add", &url, "sub"]);
    world.agent(["commit", "-qm", "a submodule"]);
    world.import(&base);
    assert_eq!(state(&world).beside, ["submodule sub"]);
    std::fs::remove_dir_all(world.place().workspace.join("sub")).unwrap();
    std::fs::create_dir(world.place().workspace.join("sub")).unwrap();
    assert_eq!(state(&world).beside, [""; 0]);
}

#[test]
fn a_repository_in_the_tree_counts_as_a_new_file() {
    let (world, _) = World::with_workspace();
    ok(git(&world.place().workspace, ["init", "-q", "nested"], &[]));
    put(&world.place().workspace.join("nested/file"), "n\n");
    assert_eq!(state(&world).untracked, 1);
}

#[test]
fn a_git_directory_that_can_not_be_read_counts() {
    let (world, _) = World::with_workspace();
    let heads = world.place().private_git_dir.join("refs/heads");
    fs::remove_dir_all(&heads).unwrap();
    std::os::unix::fs::symlink("/", &heads).unwrap();
    let beside = state(&world).beside;
    assert!(
        beside.len() == 1 && beside[0].contains("refs/heads"),
        "{beside:?}"
    );
}

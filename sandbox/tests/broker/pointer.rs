//! The pointer to the git directory while a sandbox stands, and after.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wsm_sandbox::protocol::{Reply, Request};

use crate::harness::{Agent, World, until};

/// Whether root on the host can put another file in the pointer's place; it is as before after.
fn replaced(agent: &Agent) -> bool {
    let pointer = PathBuf::from(&agent.paths.workspace).join(".git");
    let beside = pointer.with_extension("new");
    fs::copy(&pointer, &beside).unwrap();
    let owner = fs::metadata(&pointer).unwrap();
    chown(&beside, Some(owner.uid()), Some(owner.gid())).unwrap();
    let replaced = fs::rename(&beside, &pointer).is_ok();
    drop(fs::remove_file(&beside));
    replaced
}

fn delete(world: &World, agent: &Agent) {
    let agent = agent.id.clone();
    let deleted = world.client().ask(Request::Delete { agent });
    assert_eq!(deleted, Ok(Reply::Done));
}

/// The line of `show` about it, which is there only when it is not held.
fn told(world: &World, agent: &Agent) -> Option<String> {
    let agent = agent.id.clone();
    match world.client().ask(Request::Inspect { agent }) {
        Ok(Reply::Inspected { layers, .. }) => {
            let mut layers = layers.into_iter();
            Some(layers.find(|layer| layer.layer == "git pointer")?.detail)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_pointer_stays_while_the_sandbox_stands_and_no_longer() {
    let mut world = World::new();
    let agent = world.prepare("pinned001");
    assert!(replaced(&agent), "the control");
    for _ in 0..2 {
        world.create(&agent);
        assert!(!replaced(&agent));
        assert_eq!(told(&world, &agent), None);
        // A broker that is new knows nothing of it, and takes nothing of it away.
        world.kill_broker();
        world.start("");
        assert!(!replaced(&agent));
        delete(&world, &agent);
        assert!(replaced(&agent));
    }
}

#[test]
fn what_a_stop_of_the_machine_left_is_let_go() {
    let mut world = World::new();
    let agent = world.prepare("pinned002");
    let (_, shim) = world.create(&agent);
    world.kill_broker();
    // As after a boot: nothing runs, and there are no control groups.
    kill(Pid::from_raw(shim), Signal::SIGKILL).unwrap();
    for group in world.leftovers() {
        until("its control groups to be empty", || emptied(&group));
    }
    assert!(!replaced(&agent));
    world.start("");
    assert!(replaced(&agent));
}

/// Removes a control group and those below.
fn emptied(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() && !emptied(&entry.path()) {
            return false;
        }
    }
    fs::remove_dir(group).is_ok()
}

#[test]
fn an_agent_whose_pointer_is_held_no_more_is_told_of() {
    let world = World::new();
    let agent = world.prepare("pinned004");
    world.create(&agent);
    let pointer = Path::new(&agent.paths.workspace).join(".git");
    let mut chattr = std::process::Command::new("chattr");
    assert!(chattr.arg("-i").arg(&pointer).status().unwrap().success());
    let said = told(&world, &agent).unwrap();
    assert!(said.contains("immutable"), "{said}");
    assert!(replaced(&agent));
    let said = told(&world, &agent).unwrap();
    assert!(said.contains("replaced on the host"), "{said}");
    delete(&world, &agent);
}

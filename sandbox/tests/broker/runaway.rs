//! An agent that forks without end is slowed, and only as long as it does.

use serde_json::json;
use wsm_sandbox::protocol::{Reply, Request};

use crate::harness::{Agent, World, command, until};

/// What is said of the agent's CPU limit.
fn cpu(world: &World, agent: &Agent) -> String {
    let asked = Request::Inspect {
        agent: agent.id.clone(),
    };
    let Ok(Reply::Inspected { layers, .. }) = world.client().ask(asked) else {
        return String::new();
    };
    let found = layers.into_iter().find(|layer| layer.layer == "cpu limit");
    found.unwrap().detail
}

/// Each forks until there is a file; then all end.
const BOMB: &str = "b() { until [ -e ~/enough ]; do (b) & wait; done; }; b 2>&-";
const HELD: &str = "0.100 cores, held there as long as it is at its process limit";

#[test]
fn a_fork_bomb_is_held_until_it_has_shrunk_also_by_the_next_broker() {
    let mut world = World::new();
    let agent = world.prepare("agent0020");
    let (shim, _) = world.create(&agent);
    assert_eq!(cpu(&world, &agent), "no limit is set");
    shim.ask(&json!({"Start": {"command": command(BOMB)}}));
    until("the bomb is held", || cpu(&world, &agent) == HELD);
    world.kill_broker();
    world.start("");
    until("it still is", || cpu(&world, &agent) == HELD);
    std::fs::write(std::path::Path::new(&agent.paths.home).join("enough"), "").unwrap();
    until("it is let go", || cpu(&world, &agent) == "no limit is set");
}

#[test]
fn a_new_sandbox_of_a_held_agent_is_not_held() {
    let world = World::new();
    let agent = world.prepare("agent0021");
    let (shim, _) = world.create(&agent);
    shim.ask(&json!({"Start": {"command": command(BOMB)}}));
    until("the bomb is held", || cpu(&world, &agent) == HELD);
    let deleted = world.client().ask(Request::Delete {
        agent: agent.id.clone(),
    });
    assert_eq!(deleted, Ok(Reply::Done));
    world.create(&agent);
    assert_eq!(cpu(&world, &agent), "no limit is set");
}

//! From a grant to a running command, and back to nothing.

use crate::harness::World;
use wsm_sandbox::protocol::{Reply, Request};

#[test]
fn a_command_runs_in_a_sandbox_and_nothing_is_left_of_it() {
    let world = World::new();
    let agent = world.prepare("agent0001");
    let (shim, _) = world.create(&agent);
    assert_eq!(shim.sh("id -u; id -un; hostname; pwd; echo $MARK"), (
        "1000\nagent\ninside\n/home/agent\ngiven".into(),
        0
    ));
    let client = world.client();
    let deleted = client.ask(Request::Delete { agent: agent.id.clone() });
    assert_eq!(deleted, Ok(Reply::Done));
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}

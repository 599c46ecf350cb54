//! A local user that wants to do harm.

use std::os::fd::AsRawFd;

use wsm_sandbox::protocol::{FailureKind, Purpose, Reply, Request};

use crate::harness::{ACCOUNT, World, until};

#[test]
fn descriptors_that_nobody_asked_for_do_not_stay_open_in_the_broker() {
    let world = World::new();
    let open = || {
        let fds = format!("/proc/{}/fd", world.broker_pid());
        std::fs::read_dir(fds).unwrap().count()
    };
    // Namespaces in reserve are descriptors too: wait until they are all there.
    let mut before = open();
    until("the broker is idle", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        before == std::mem::replace(&mut before, open())
    });
    let null = std::fs::File::open("/dev/null").unwrap();
    for count in [3, 65, 100, 253] {
        let client = world.client();
        client.send_with(Request::List, &vec![null.as_raw_fd(); count]);
        assert!(client.is_closed(), "{count} descriptors");
    }
    until("what came is closed", || open() <= before);
}

#[test]
fn nothing_that_holds_wsms_own_directories_is_shown_or_granted() {
    let world = World::new_in(std::path::Path::new("/opt"), "");
    let agent = world.prepare("hostile01");
    let workspace = std::path::PathBuf::from(&agent.paths.workspace);
    let grant = Request::Grant {
        purpose: Purpose::Directory,
    };
    match world.ask_as(ACCOUNT, &grant, std::slice::from_ref(&workspace)) {
        Reply::Failed(failed) => assert_eq!(failed.kind, FailureKind::Refused, "{failed}"),
        other => panic!("not refused: {other:?}"),
    }
    let top = world.path("").canonicalize().unwrap();
    match world.ask_as(0, &grant, &[top]) {
        Reply::Failed(failed) => assert!(failed.why.contains("wsm's own"), "{failed}"),
        other => panic!("not refused: {other:?}"),
    }
    let mut spec = world.spec(&agent);
    spec.read = vec![workspace.to_str().unwrap().to_owned()];
    let spec = Box::new(spec);
    let failed = world.client().ask(Request::Plan { spec }).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Refused, "{failed}");
}

//! The client and the helper over a real socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::super::client::{Helper, HelperError};
use super::super::helper::serve_socket;
use super::*;

#[tokio::test]
async fn requests_are_answered_in_order_with_progress() {
    let world = World::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let served = std::thread::spawn(move || {
        let theirs = theirs.into_std().unwrap();
        theirs.set_nonblocking(false).unwrap();
        serve_socket(&theirs)
    });
    let mut helper = Helper::new(ours);
    let mut phases = Vec::new();
    let created = helper
        .call_with(
            Request::CreateWorkspace(Box::new(world.creation())),
            |phase, done, total| {
                phases.push((phase.to_owned(), done, total));
            },
        )
        .await
        .unwrap();
    let Reply::Workspace(created) = created else {
        panic!("{created:?}")
    };
    assert_eq!(phases.last().unwrap(), &("files".to_owned(), 2, 2));
    world.agent_commits("a", "a\n");
    let import = Import {
        place: world.place(),
        last: Some(created.base),
        check_index: false,
    };
    let reply = helper
        .call(Request::Import(Box::new(import)))
        .await
        .unwrap();
    assert!(matches!(reply, Reply::Imported(_)));
    let bad = Request::ReadFiles {
        git_dir: "/nowhere".into(),
        rev: "x".into(),
        prefix: "y".into(),
        suffix: String::new(),
    };
    match helper.call(bad).await {
        Err(HelperError::Failed(failure)) => assert_eq!(failure.kind, FailureKind::NotARepository),
        other => panic!("{other:?}"),
    }
    drop(helper);
    served.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_helper_that_dies_hangs_or_lies_is_an_error() {
    let request = || Request::Inspect {
        git_dir: "/".into(),
        work_tree: None,
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    assert!(Helper::new(ours).call(request()).await.is_err());

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut helper = Helper::new(ours).with_time_max(Duration::from_millis(50));
    assert!(matches!(
        helper.call(request()).await,
        Err(HelperError::TimedOut(_))
    ));
    drop(helper);
    let mut sent = String::new();
    theirs.read_to_string(&mut sent).await.unwrap();
    assert!(sent.starts_with("{\"id\":1,"));

    for lie in [
        "nonsense\n",
        "{\"answer\":{\"id\":7,\"reply\":{\"kept\":{\"commit\":null}}}}\n",
    ] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(lie.as_bytes()).await.unwrap();
        assert!(matches!(
            Helper::new(ours).call(request()).await,
            Err(HelperError::Protocol(_))
        ));
    }
}

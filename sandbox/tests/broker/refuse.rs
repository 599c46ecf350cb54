//! What the broker does not do, and for whom.

use std::os::unix::fs::{PermissionsExt, symlink};

use wsm_sandbox::protocol::{FailureKind, HelperRights, Purpose, Reply, Request};
use wsm_sandbox::spec::{GrantId, Limits};

use crate::harness::{ACCOUNT, Agent, World};

fn refused(reply: Reply) -> (FailureKind, String) {
    match reply {
        Reply::Failed(failed) => (failed.kind, failed.why),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_local_user_may_grant_what_is_its_own_and_nothing_else() {
    let world = World::new();
    let agent = world.prepare("refuse001");
    let repo = world.path("repo");
    let git = repo.join(".git");
    let grant = || Request::Grant {
        purpose: Purpose::Repository,
    };
    let (kind, why) = refused(world.ask_as(4243, &grant(), &[repo.clone(), git.clone()]));
    assert_eq!(
        (kind, why.as_str()),
        (FailureKind::Refused, "it belongs to uid 4242, you are 4243")
    );
    let (kind, _) = refused(world.ask_as(ACCOUNT, &grant(), std::slice::from_ref(&repo)));
    assert_eq!(kind, FailureKind::Invalid);
    let (kind, _) = refused(world.ask_as(ACCOUNT, &grant(), &[repo.clone(), repo.clone()]));
    assert_eq!(kind, FailureKind::Invalid);
    for request in [
        Request::List,
        Request::Delete {
            agent: agent.id.clone(),
        },
        Request::Create {
            spec: Box::new(world.spec(&agent)),
        },
        Request::Helper {
            repository: agent.grant.clone(),
            agent: None,
            rights: HelperRights::Merge,
        },
    ] {
        let (kind, why) = refused(world.ask_as(ACCOUNT, &request, &[]));
        assert_eq!(kind, FailureKind::Refused);
        assert_eq!(why, "uid 4242 may only grant directories");
    }
    // The same grant again is the same.
    assert_eq!(world.grant(), agent.grant);
}

#[test]
fn a_directory_that_took_the_place_of_the_granted_one_is_refused() {
    let world = World::new();
    let agent = world.prepare("refuse002");
    std::fs::rename(world.path("repo"), world.path("old")).unwrap();
    symlink(world.path("old"), world.path("repo")).unwrap();
    let failed = world.create_in_vain(&agent);
    assert!(failed.why.contains("symbolic link"), "{failed}");
    std::fs::remove_file(world.path("repo")).unwrap();
    std::fs::create_dir_all(world.path("repo/.git")).unwrap();
    let failed = world.create_in_vain(&agent);
    assert_eq!(failed.kind, FailureKind::Refused, "{failed}");
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_spec_names_nothing_that_was_not_given() {
    let world = World::new();
    let agent = world.prepare("refuse003");
    let ask = |change: &dyn Fn(&mut wsm_sandbox::spec::SandboxSpec)| {
        let mut spec = world.spec(&agent);
        change(&mut spec);
        let planned = world
            .client()
            .ask(Request::Plan {
                spec: Box::new(spec.clone()),
            })
            .err();
        let failed = world
            .client()
            .ask(Request::Create {
                spec: Box::new(spec),
            })
            .unwrap_err();
        if let Some(planned) = planned {
            assert_eq!(planned, failed, "a dry run says the same");
        }
        failed.kind
    };
    for path in [
        "/run",
        "/proc/1",
        "/dev/null",
        "relative",
        "/usr/../root",
        "/",
        "/tmp/x",
    ] {
        let kind = ask(&|spec| spec.read.push(path.into()));
        assert!(
            matches!(kind, FailureKind::Refused | FailureKind::Invalid),
            "{path}: {kind:?}"
        );
    }
    assert_eq!(
        ask(&|spec| spec.write.push(GrantId("g0".into()))),
        FailureKind::NotFound
    );
    // A repository is no directory to write.
    assert_eq!(
        ask(&|spec| spec.write.push(agent.grant.clone())),
        FailureKind::NotFound
    );
    assert_eq!(
        ask(&|spec| spec.repository = GrantId("g0".into())),
        FailureKind::Refused
    );
    assert_eq!(
        ask(&|spec| spec.hostname = "a b".into()),
        FailureKind::Invalid
    );
    assert_eq!(
        ask(&|spec| spec
            .services
            .extend([("../x".to_owned(), Limits::default())])),
        FailureKind::Invalid
    );
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_the_account_cannot_reach_is_not_shown_to_its_agent() {
    let world = World::new();
    let agent = world.prepare("refuse005");
    let closed = tempfile::Builder::new()
        .prefix("wsm-closed-")
        .tempdir_in("/opt")
        .unwrap();
    std::fs::create_dir(closed.path().join("inner")).unwrap();
    let mut spec = world.spec(&agent);
    spec.read
        .push(closed.path().join("inner").to_str().unwrap().to_owned());
    let create = || {
        world.client().ask(Request::Create {
            spec: Box::new(spec.clone()),
        })
    };
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let failed = create().unwrap_err();
    assert!(failed.why.contains("Permission denied"), "{failed}");
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(create().is_ok());
}

#[test]
fn an_agent_is_erased_only_without_a_sandbox_and_then_for_good() {
    let world = World::new();
    let agent = world.prepare("refuse004");
    let (shim, _) = world.create(&agent);
    shim.sh("mkdir -p ~/a/b && ln -s /etc ~/a/etc && chmod 0 ~/a/b && mkdir ~/closed && chmod 0 ~/closed");
    let ask = |request| world.client().ask(request);
    let erase = || Request::Erase {
        agent: agent.id.clone(),
    };
    assert_eq!(ask(erase()).unwrap_err().kind, FailureKind::Refused);
    let again = Request::Create {
        spec: Box::new(world.spec(&agent)),
    };
    assert_eq!(ask(again).unwrap_err().kind, FailureKind::Exists);
    assert_eq!(
        ask(Request::Delete {
            agent: agent.id.clone()
        }),
        Ok(Reply::Done)
    );
    assert_eq!(
        ask(Request::Delete {
            agent: agent.id.clone()
        }),
        Ok(Reply::Done)
    );
    assert_eq!(ask(erase()), Ok(Reply::Done));
    assert_eq!(ask(erase()), Ok(Reply::Done));
    let Agent { paths, .. } = &agent;
    for path in [
        &paths.workspace,
        &paths.home,
        &paths.git_private,
        &paths.log,
    ] {
        assert!(!std::path::Path::new(path).exists(), "{path}");
    }
    let failed = world.create_in_vain(&agent);
    assert_eq!(failed.kind, FailureKind::NotFound, "{failed}");
}

#[test]
fn a_branch_is_watched_in_its_repository_alone() {
    let world = World::new();
    let agent = world.prepare("agent0031");
    let heads = world.path("repo").join(".git/refs/heads");
    std::fs::create_dir_all(heads.join("wsm")).unwrap();
    std::os::unix::fs::symlink("/etc", heads.join("link")).unwrap();
    for path in [&heads, &heads.join("wsm")] {
        std::os::unix::fs::chown(path, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
    }
    let watch = |branch: &str| {
        world.client().ask_with(Request::WatchBranch {
            agent: agent.id.clone(),
            branch: branch.into(),
        })
    };
    for branch in [
        "",
        "/etc/passwd",
        "../../config",
        "wsm/../../../config",
        "./a",
    ] {
        let failed = watch(branch).expect_err(branch);
        assert_eq!(failed.kind, FailureKind::Invalid, "{branch:?}: {failed}");
    }
    for branch in ["link/passwd", "missing/a"] {
        watch(branch).expect_err(branch);
    }
    let (reply, fds) = watch("wsm/a").unwrap();
    assert_eq!((reply, fds.len()), (Reply::Watched, 1));
    for fd in fds {
        nix::unistd::close(fd).unwrap();
    }
}

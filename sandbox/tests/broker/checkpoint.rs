//! What the broker does for people: checkpoints in a file of root's, login files taken away.

use std::os::unix::fs::{MetadataExt, symlink};

use wsm_sandbox::protocol::{CHECKPOINTS, FailureKind, JournalEnd, Reply, Request};

use crate::harness::{ACCOUNT, World, until};

fn checkpoint(seq: u64) -> Request {
    let end = |digit: &str| JournalEnd {
        seq,
        chain: digit.repeat(64),
    };
    Request::Checkpoint {
        person: end("a"),
        wsm: end("0"),
    }
}

#[test]
fn checkpoints_add_up_in_a_file_of_roots() {
    let world = World::new();
    let client = world.client();
    let file = world.path("state").join(CHECKPOINTS);
    for seq in 1..=3 {
        // One that comes too soon is refused, and nothing of it is written.
        until("a checkpoint", || client.ask(checkpoint(seq)).is_ok());
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let said: Vec<_> = text
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    let line = |seq: u64| format!("{seq} {} {seq} {}", "a".repeat(64), "0".repeat(64));
    assert_eq!(said, [line(1), line(2), line(3)]);
    let found = std::fs::metadata(&file).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o644));
    let soon = client.ask(checkpoint(4)).unwrap_err();
    assert_eq!(soon.kind, FailureKind::Refused, "{soon}");
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let world = World::new();
    let client = world.client();
    for bad in ["", "A", "g", "\n"] {
        let end = JournalEnd {
            seq: 1,
            chain: bad.repeat(64),
        };
        let request = Request::Checkpoint {
            person: end.clone(),
            wsm: end,
        };
        assert_eq!(client.ask(request).unwrap_err().kind, FailureKind::Invalid);
    }
    let reply = world.ask_as(ACCOUNT, &checkpoint(1), &[]);
    assert!(format!("{reply:?}").contains("Refused"), "{reply:?}");
    // A link in its place leads nowhere.
    let file = world.path("state").join(CHECKPOINTS);
    symlink(world.path("elsewhere"), &file).unwrap();
    assert_eq!(
        client.ask(checkpoint(1)).unwrap_err().kind,
        FailureKind::Failed
    );
    assert!(!world.path("elsewhere").exists());
}

#[test]
fn login_files_are_told_and_removed_and_no_link_is_followed() {
    let world = World::new();
    let agent = world.prepare("logins001");
    let client = world.client();
    let home = world
        .path("state")
        .join("agents")
        .join(agent.id.as_str())
        .join("home");
    let outside = world.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("auth.json"), "theirs").unwrap();
    std::fs::create_dir(home.join(".claude")).unwrap();
    std::fs::write(home.join(".claude/.credentials.json"), "mine").unwrap();
    std::fs::write(home.join(".claude/settings.json"), "{}").unwrap();
    symlink("/etc/passwd", home.join(".netrc")).unwrap();
    symlink(&outside, home.join(".codex")).unwrap();
    std::fs::create_dir_all(home.join(".npmrc")).unwrap();
    let ask = |remove| {
        let agent = agent.id.clone();
        match client.ask(Request::Logins { agent, remove }).unwrap() {
            Reply::Logins { files, stay } => (files, stay),
            other => panic!("{other:?}"),
        }
    };
    let there = [".claude/.credentials.json", ".netrc"]
        .map(str::to_owned)
        .to_vec();
    for remove in [false, true] {
        let (files, stay) = ask(remove);
        assert_eq!(files, there);
        assert_eq!(stay.len(), 2, "a link above, and a directory: {stay:?}");
    }
    assert_eq!(ask(false).0, Vec::<String>::new());
    assert!(home.join(".claude/settings.json").exists());
    assert!(outside.join("auth.json").exists());
    assert!(std::path::Path::new("/etc/passwd").exists());
    let request = Request::Logins {
        agent: agent.id.clone(),
        remove: true,
    };
    let reply = world.ask_as(ACCOUNT, &request, &[]);
    assert!(format!("{reply:?}").contains("Refused"), "{reply:?}");
}

//! What the broker does for people: checkpoints in a file of root's, login files taken away.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use wsm_sandbox::protocol::{
    CHECKPOINTS, CHECKPOINTS_BYTES_MAX, CHECKPOINTS_OLD, FailureKind, JournalEnd, Reply, Request,
};

use crate::harness::{ACCOUNT, Client, World, until};

fn end(seq: u64, digit: &str) -> JournalEnd {
    JournalEnd {
        seq,
        chain: digit.repeat(64),
    }
}

fn checkpoint(seq: u64) -> Request {
    Request::Checkpoint {
        person: end(seq, "a"),
        wsm: end(seq, "0"),
    }
}

fn cut(begins: bool, seq: u64, digit: &str) -> Request {
    Request::Cut {
        begins,
        person: end(seq, digit),
        wsm: end(seq, "0"),
    }
}

/// The lines without their times.
fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let said = |line: &str| line.split_once(' ').map_or("", |(_, said)| said).to_owned();
    text.lines().map(said).collect()
}

fn line(seq: u64, digit: &str) -> String {
    format!("{seq} {} {seq} {}", digit.repeat(64), "0".repeat(64))
}

/// Asks until it is not too soon any more.
fn patiently(client: &Client, request: &Request) -> Result<Reply, FailureKind> {
    let mut answer = None;
    until("an answer but `too soon`", || {
        let asked = client.ask(request.clone()).map_err(|failed| failed.kind);
        let soon = asked == Err(FailureKind::Refused);
        answer = Some(asked);
        !soon
    });
    answer.unwrap()
}

#[test]
fn what_was_said_of_the_journal_is_not_contradicted() {
    let mut world = World::new();
    let client = world.client();
    let file = world.path("state").join(CHECKPOINTS);
    assert_eq!(patiently(&client, &checkpoint(5)), Ok(Reply::Done));
    let person = |seq, digit| Request::Checkpoint {
        person: end(seq, digit),
        wsm: end(5, "0"),
    };
    let wsm = |seq, digit| Request::Checkpoint {
        person: end(6, "a"),
        wsm: end(seq, digit),
    };
    let others = [person(4, "a"), person(5, "b"), wsm(4, "0"), wsm(5, "1")];
    for other in &others {
        assert_eq!(patiently(&client, other), Err(FailureKind::Exists));
    }
    assert_eq!(patiently(&client, &person(6, "a")), Ok(Reply::Done));
    // A broker that is started again has read it; also when a crash cut the last line off.
    world.kill_broker();
    world.start("");
    let client = world.client();
    for other in &others {
        assert_eq!(patiently(&client, other), Err(FailureKind::Exists));
    }
    let mut text = std::fs::read_to_string(&file).unwrap();
    text += "17 9 aaaa";
    std::fs::write(&file, text).unwrap();
    assert_eq!(
        patiently(&client, &person(5, "a")),
        Err(FailureKind::Exists)
    );
    assert_eq!(patiently(&client, &checkpoint(7)), Ok(Reply::Done));
    let first = format!("6 {} 5 {}", "a".repeat(64), "0".repeat(64));
    let all = [line(5, "a"), first, "9 aaaa".into(), line(7, "a")];
    assert_eq!(lines(&file), all);
    // What is damaged stops nothing.
    std::fs::write(&file, [0xff; 9000]).unwrap();
    assert_eq!(patiently(&client, &checkpoint(3)), Ok(Reply::Done));
    assert_eq!(patiently(&client, &checkpoint(2)), Err(FailureKind::Exists));
}

#[test]
fn what_is_taken_out_of_the_journal_stands_in_the_file() {
    let world = World::new();
    let client = world.client();
    let file = world.path("state").join(CHECKPOINTS);
    let rotated = |seq| format!("rotated {}", line(seq, "a"));
    let begins = format!("begins {}", line(2, "a"));
    assert_eq!(patiently(&client, &cut(true, 2, "a")), Ok(Reply::Done));
    assert_eq!(patiently(&client, &checkpoint(9)), Ok(Reply::Done));
    // The first word stands: nobody says later that more was gone.
    assert_eq!(client.ask(cut(true, 9, "b")), Ok(Reply::Done));
    assert_eq!(patiently(&client, &cut(false, 4, "a")), Ok(Reply::Done));
    assert_eq!(client.ask(cut(false, 4, "a")), Ok(Reply::Done), "it stands");
    for (seq, digit) in [(3, "a"), (4, "b")] {
        let asked = patiently(&client, &cut(false, seq, digit));
        assert_eq!(asked, Err(FailureKind::Exists));
    }
    assert_eq!(
        patiently(&client, &checkpoint(8)),
        Err(FailureKind::Exists),
        "cuts hide no checkpoint"
    );
    assert_eq!(lines(&file), [begins, line(9, "a"), rotated(4)]);
    // It is carried over into the next file, and found when that is empty yet.
    let mut full = std::fs::read_to_string(&file).unwrap();
    let more = format!("1 {}\n", line(9, "a"));
    let room = usize::try_from(CHECKPOINTS_BYTES_MAX).unwrap() - full.len();
    full += &more.repeat(room / more.len() + 1);
    std::fs::write(&file, &full).unwrap();
    assert_eq!(patiently(&client, &checkpoint(8)), Err(FailureKind::Exists));
    assert_eq!(patiently(&client, &checkpoint(10)), Ok(Reply::Done));
    assert_eq!(lines(&file), [rotated(4), line(10, "a")]);
    let old = world.path("state").join(CHECKPOINTS_OLD);
    assert_eq!(std::fs::metadata(&old).unwrap().len(), full.len() as u64);
    std::fs::write(&file, "").unwrap();
    assert_eq!(patiently(&client, &checkpoint(8)), Err(FailureKind::Exists));
    assert_eq!(client.ask(cut(true, 9, "b")), Ok(Reply::Done));
    assert_eq!(patiently(&client, &checkpoint(11)), Ok(Reply::Done));
    assert_eq!(lines(&file), [rotated(4), line(11, "a")]);
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

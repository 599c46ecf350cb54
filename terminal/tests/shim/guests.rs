//! Viewers with tickets, and strangers without.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wsm_terminal::protocol::{Attach, Decoder, Frame, Hello, Io, Person, Reply, Request};

use crate::harness::{Client, INCARNATION, Shim};
use crate::viewer::{Viewer, attach};

/// An account that is neither root nor the daemon.
const NOBODY: u32 = 65_534;

/// Says what comes in on standard input, and prints what comes back until the end; then, of which
/// connection, if there are several, the others being silent.
const STRANGER: &str = "
import select, socket, sys
made = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    made.append(one)
try:
    made[-1].sendall(sys.stdin.buffer.read())
except OSError:
    pass
while True:
    ready = select.select(made, [], [], 20)[0]
    if not ready:
        sys.exit(9)
    try:
        got = ready[0].recv(65536)
    except ConnectionResetError:
        got = b''
    if not got:
        sys.exit(100 + made.index(ready[0]))
    sys.stdout.buffer.write(got)
";

/// Frames that a stranger got for these, and which of its connections was closed first.
fn stranger(shim: &Shim, connections: usize, frames: &[Frame]) -> (Vec<Frame>, usize) {
    let mut child = Command::new("python3")
        .args(["-c", STRANGER])
        .arg(shim.dir.path().join("sock"))
        .arg(connections.to_string())
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let done = child.wait_with_output().unwrap();
    let code = usize::try_from(done.status.code().unwrap()).unwrap();
    assert!(code >= 100, "the connection was not closed: {code}");
    let mut decoder = Decoder::default();
    decoder.push(&done.stdout);
    let mut got = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        got.push(frame);
    }
    (got, code - 100)
}

fn hello(ticket: Option<&str>) -> Frame {
    Frame::Hello(Hello::client(ticket.map(str::to_owned)))
}

fn started() -> (Shim, Client) {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start_terminal("main#1", "stty -echo; echo ready; cat");
    daemon.wait_for_text("ready");
    (shim, daemon)
}

#[test]
fn a_stranger_comes_in_by_a_ticket_and_once() {
    let (shim, mut daemon) = started();
    let ticket = daemon.ticket("main", false);
    let frames = [hello(Some(&ticket)), Frame::Attach(attach()), Frame::Detach];
    let (got, _) = stranger(&shim, 1, &frames);
    assert!(
        matches!(&got[..], [Frame::Hello(hello), Frame::Snapshot { .. }] if hello.incarnation == INCARNATION),
        "{got:?}"
    );
    let guessed = "0".repeat(32);
    for ticket in [None, Some(&*ticket), Some(&*guessed), Some("")] {
        let (got, _) = stranger(&shim, 1, &[hello(ticket), Frame::Attach(attach())]);
        assert_eq!(got, [], "{ticket:?}");
    }
    assert_eq!(
        stranger(&shim, 1, &[Frame::Request(1, Request::List)]).0,
        []
    );
    assert_eq!(daemon.list().len(), 1);
}

#[test]
fn strangers_that_say_nothing_are_dropped() {
    let (shim, mut daemon) = started();
    // The oldest gives way …
    assert_eq!(stranger(&shim, 9, &[]), (Vec::new(), 0));
    // … a flood without a hello ends at once …
    let begun = Instant::now();
    let mut flood = Vec::new();
    hello(Some(&"x".repeat(100_000))).encode(&mut flood);
    let mut decoder = Decoder::default();
    decoder.push(&flood);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(stranger(&shim, 1, &[frame]).0, []);
    assert!(begun.elapsed() < Duration::from_secs(3));
    // … and silence, or a ticket without an attachment, after a while.
    let ticket = daemon.ticket("main", false);
    let (got, _) = stranger(&shim, 1, &[hello(Some(&ticket)), Frame::Ping]);
    assert!(
        matches!(&got[..], [Frame::Hello(_), Frame::Pong]),
        "{got:?}"
    );
    assert!(begun.elapsed() > Duration::from_secs(4));
    assert_eq!(daemon.list().len(), 1);
}

#[test]
fn a_ticket_is_good_for_one_terminal_and_for_watching_it() {
    let (shim, mut daemon) = started();
    let refused = |daemon: &mut Client, frame: &Frame| {
        let ticket = daemon.ticket("main", false);
        let mut guest = shim.connect_with(Some(&ticket)).expect("a good ticket");
        guest.send(frame);
        assert_eq!(guest.receive(), None, "{frame:?}");
    };
    let other = Attach {
        terminal: "shell-1".into(),
        ..attach()
    };
    refused(&mut daemon, &Frame::Attach(other));
    let process = || "main#1".to_owned();
    refused(&mut daemon, &Frame::Open { process: process() });
    let requests = [
        Request::Start {
            process: "main#2".into(),
            command: wsm_sandbox::launch::Command {
                argv: vec!["true".into()],
                env: Vec::new(),
                cwd: "/".into(),
                leaf: wsm_sandbox::launch::Leaf::Agent,
            },
            io: Io::Stream,
            person: None,
        },
        Request::List,
        Request::Ticket {
            terminal: "main".into(),
            read_only: false,
            person: Person::default(),
            owner: false,
        },
        Request::Subscribe,
    ];
    for request in requests {
        refused(&mut daemon, &Frame::Request(1, request));
    }
    assert_eq!(daemon.list().len(), 1);
    assert!(shim.connect_with(Some("guessed")).is_none());
}

#[test]
fn a_guest_types_unless_it_may_only_look() {
    let (shim, mut daemon) = started();
    let ticket = daemon.ticket("main", false);
    let guest = shim.connect_with(Some(&ticket)).expect("a good ticket");
    let mut driver = Viewer::attach_by(guest, attach());
    driver.input(1, "typed\r");
    driver.until_text("typed");
    // What it says of itself does not matter.
    let ticket = daemon.ticket("main", true);
    let guest = shim.connect_with(Some(&ticket)).expect("a good ticket");
    let mut watcher = Viewer::attach_by(guest, attach());
    watcher.until_text("typed");
    watcher.input(1, "mine\r");
    watcher.until("refusal", |viewer| !viewer.refused.is_empty());
    assert_eq!(watcher.refused, ["you are only watching"]);
    driver.input(2, "more\r");
    watcher.until_text("more");
    assert!(!driver.text().contains("mine"));
    // Once attached it is a viewer like any other, for as long as it likes.
    assert!(shim.connect_with(Some(&ticket)).is_none());
}

/// Shows a ticket that says who this is, if there is one to be had.
fn comes(shim: &Shim, daemon: &mut Client, user: &str, read_only: bool) -> Option<Client> {
    let person = Person {
        user: user.to_owned(),
        device: String::new(),
    };
    let terminal = "main".to_owned();
    match daemon.request(Request::Ticket {
        terminal,
        read_only,
        person,
        owner: false,
    }) {
        Reply::Ticket { ticket } => shim.connect_with(Some(&ticket)),
        Reply::Refused { .. } => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_crowd_that_looks_shuts_nobody_else_out() {
    let (shim, mut daemon) = started();
    let mut crowd = Vec::new();
    let looks = Attach {
        read_only: true,
        ..attach()
    };
    for link in 0..4 {
        for _ in 0..64 {
            let came = comes(&shim, &mut daemon, &format!("link:{link}"), true);
            let Some(client) = came else { break };
            crowd.push(Viewer::attach_by(client, looks.clone()));
        }
    }
    assert!((32..=64).contains(&crowd.len()), "{}", crowd.len());
    let typist = comes(&shim, &mut daemon, "bob", false).expect("a place");
    let mut typist = Viewer::attach_by(typist, attach());
    typist.input(1, "typed\r");
    typist.until_text("typed");
    let own: Vec<Client> = (0..20).map(|_| shim.connect()).collect();
    assert_eq!(daemon.list().len(), 1);
    drop(own);
    // Whose places are free again they are.
    drop(crowd);
    crate::harness::eventually("a place", || comes(&shim, &mut daemon, "link:0", true));
}

#[test]
fn no_viewer_has_the_shim_keep_much_of_what_it_sends() {
    let (shim, mut daemon) = started();
    for read_only in [true, false] {
        let guest = comes(&shim, &mut daemon, "ada", read_only).expect("a place");
        let mut viewer = Viewer::attach_by(guest, attach());
        viewer.until_text("ready");
        // As much as a paste may bring at once is looked at …
        viewer.input(1, &"x".repeat(64 * 1024));
        viewer.input(2, "\x15seen\r");
        let answered = |it: &Viewer| !it.refused.is_empty() || it.text().contains("seen");
        viewer.until("an answer", answered);
        // … and of more than that nothing but its length.
        let mut head = (1024_u32 * 1024).to_le_bytes().to_vec();
        head.push(0x11);
        viewer.client.socket.write_all(&head).unwrap();
        while viewer.turn() {}
    }
    assert_eq!(daemon.list().len(), 1);
}

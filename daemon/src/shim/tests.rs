//! The client against a shim that the tests play.

use std::os::fd::AsRawFd;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::time::timeout;
use wsm_sandbox::launch::{Command, Exit, Leaf};
use wsm_terminal::protocol::{Io, Process};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// A listening shim in a directory whose path is longer than a socket address.
struct Fake {
    listener: UnixListener,
    directory: File,
    _home: TempDir,
}

/// One accepted connection, hellos exchanged.
struct Peer {
    frames: FrameReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Fake {
    fn new() -> Fake {
        let home = TempDir::new().expect("a temporary directory");
        let deep = home.path().join("x".repeat(200));
        std::fs::create_dir(&deep).expect("its own directory");
        let directory = File::open(&deep).expect("made just now");
        let path = format!("/proc/self/fd/{}/a.sock", directory.as_raw_fd());
        Fake {
            listener: UnixListener::bind(Path::new(&path)).expect("a free name"),
            directory,
            _home: home,
        }
    }

    async fn accept(&self, version: u32) -> Peer {
        let (stream, _) = timeout(DEADLINE, self.listener.accept())
            .await
            .expect("in time")
            .expect("a client");
        let (read, write) = stream.into_split();
        let mut peer = Peer {
            frames: FrameReader::new(read),
            write,
        };
        let hello = Hello::client(None);
        assert_eq!(peer.next().await, Some(Frame::Hello(hello)));
        let incarnation = 42;
        peer.say(&Frame::Hello(Hello {
            version,
            incarnation,
            ticket: None,
            speaks: 0,
        }))
        .await;
        peer
    }

    /// A client and its peer.
    async fn pair(&self) -> (Shim, Peer) {
        let (shim, peer) = tokio::join!(
            Shim::connect(&self.directory, "a.sock"),
            self.accept(PROTOCOL_VERSION)
        );
        (shim.expect("it listens"), peer)
    }
}

impl Peer {
    async fn next(&mut self) -> Option<Frame> {
        timeout(DEADLINE, self.frames.next())
            .await
            .expect("in time")
            .expect("well formed")
    }

    async fn request(&mut self) -> (u64, Request) {
        match self.next().await {
            Some(Frame::Request(number, request)) => (number, request),
            other => panic!("expected a request, got {other:?}"),
        }
    }

    async fn say(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.write.write_all(&bytes).await.expect("a client");
    }

    /// Takes the next request and answers it.
    async fn answer(&mut self, reply: Reply) -> Request {
        let (number, request) = self.request().await;
        self.say(&Frame::Reply(number, reply)).await;
        request
    }
}

fn forget(process: &str) -> Request {
    Request::Forget {
        process: process.to_owned(),
    }
}

fn bell(terminal: impl ToString) -> Event {
    Event::Bell {
        terminal: terminal.to_string(),
    }
}

#[tokio::test]
async fn greets_and_tells_versions_apart() {
    let fake = Fake::new();
    let (shim, _peer) = fake.pair().await;
    assert_eq!(shim.incarnation(), 42);
    let (newer, _peer) = tokio::join!(
        Shim::connect(&fake.directory, "a.sock"),
        fake.accept(PROTOCOL_VERSION + 1)
    );
    assert_eq!(
        newer.expect_err("newer").to_string(),
        "the shim speaks version 2 of the protocol, this daemon 1"
    );
    let none = Shim::connect(&fake.directory, "b.sock").await;
    assert!(matches!(none, Err(ShimError::Connect { .. })), "{none:?}");
}

#[tokio::test]
async fn a_raw_connection_leaves_what_follows_the_hello() {
    let fake = Fake::new();
    let serve = async {
        let mut peer = fake.accept(PROTOCOL_VERSION).await;
        peer.say(&Frame::Pong).await;
        peer
    };
    let (stream, _peer) = tokio::join!(raw(&fake.directory, "a.sock", None), serve);
    let (stream, hello) = stream.expect("it listens");
    assert_eq!(hello.incarnation, 42);
    let next = FrameReader::new(stream).next().await.expect("well formed");
    assert_eq!(next, Some(Frame::Pong));
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    let serve = async {
        let (first, _) = peer.request().await;
        let (second, asked) = peer.request().await;
        assert_eq!(asked, forget("two"));
        peer.say(&Frame::Reply(second, Reply::NotFound)).await;
        peer.say(&Frame::Reply(999, Reply::Exists)).await;
        peer.say(&Frame::Reply(first, Reply::Done)).await;
    };
    let (one, two, ()) = tokio::join!(
        shim.request(forget("one")),
        shim.request(forget("two")),
        serve
    );
    assert_eq!(one.expect("answered"), Reply::Done);
    assert_eq!(two.expect("answered"), Reply::NotFound);
}

#[tokio::test]
async fn a_dropped_request_harms_no_other() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    let given_up = timeout(Duration::from_millis(50), shim.request(forget("slow"))).await;
    assert!(given_up.is_err());
    assert!(shim.inner.shared.pending().is_empty());
    let serve = async {
        let (slow, _) = peer.request().await;
        peer.say(&Frame::Reply(slow, Reply::NotFound)).await;
        peer.answer(Reply::Done).await
    };
    let (reply, _) = tokio::join!(shim.request(forget("fast")), serve);
    assert_eq!(reply.expect("answered"), Reply::Done);
}

#[tokio::test]
async fn a_dead_shim_fails_what_waits_and_is_noticed() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    let (events, _) = tokio::join!(shim.subscribe(), peer.answer(Reply::Done));
    let mut events = events.expect("subscribed");
    let die = async {
        peer.request().await;
        drop(peer);
    };
    let (reply, ()) = tokio::join!(shim.request(forget("x")), die);
    assert!(matches!(reply, Err(ShimError::Closed)), "{reply:?}");
    timeout(DEADLINE, shim.closed()).await.expect("noticed");
    assert_eq!(events.recv().await, None);
    let late = shim.request(forget("x")).await;
    assert!(matches!(late, Err(ShimError::Closed)), "{late:?}");
}

#[tokio::test]
async fn dropping_the_last_clone_closes_the_connection() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    drop(shim.clone());
    let (reply, _) = tokio::join!(shim.request(forget("x")), peer.answer(Reply::Done));
    assert_eq!(reply.expect("open"), Reply::Done);
    drop(shim);
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn a_busy_subscriber_is_told_that_it_missed_something() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    let (events, _) = tokio::join!(shim.subscribe(), peer.answer(Reply::Done));
    let mut events = events.expect("subscribed");
    for number in 0..EVENTS_MAX * 2 {
        peer.say(&Frame::Event(bell(number))).await;
    }
    // An answered request proves that everything before it was read.
    let (reply, _) = tokio::join!(shim.request(forget("x")), peer.answer(Reply::Done));
    assert_eq!(reply.expect("open"), Reply::Done);
    for number in 0..EVENTS_MAX - 1 {
        assert_eq!(events.recv().await, Some(bell(number)));
    }
    assert_eq!(events.recv().await, Some(Event::Missed));
    peer.say(&Frame::Event(bell("new"))).await;
    assert_eq!(events.recv().await, Some(bell("new")));
}

fn command() -> Command {
    Command {
        argv: vec!["true".to_owned()],
        env: Vec::new(),
        cwd: "/".to_owned(),
        leaf: Leaf::Agent,
    }
}

/// Plays the start of `exec/1` and the opening of its streams.
async fn opened(fake: &Fake, peer: &mut Peer) -> Peer {
    let request = peer.answer(Reply::Started { pid: 5 }).await;
    let (process, io) = ("exec/1".to_owned(), Io::Stream);
    let expected = Request::Start {
        process: process.clone(),
        command: command(),
        io,
    };
    assert_eq!(request, expected);
    let mut stream = fake.accept(PROTOCOL_VERSION).await;
    assert_eq!(stream.next().await, Some(Frame::Open { process }));
    assert_eq!(stream.next().await, Some(Frame::StdinEnd));
    stream
}

#[tokio::test]
async fn a_command_runs_to_its_end_and_keeps_the_end_of_its_output() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    let serve = async {
        let mut stream = opened(&fake, &mut peer).await;
        stream
            .say(&Frame::Stdout(vec![b'a'; OUTPUT_BYTES_MAX]))
            .await;
        stream.say(&Frame::Stderr(b"end".to_vec())).await;
        stream.say(&Frame::Exited(Exit::Code(3))).await;
        assert_eq!(peer.answer(Reply::Done).await, forget("exec/1"));
    };
    let run = run_to_end(&shim, "exec/1", command(), DEADLINE);
    let (output, ()) = tokio::join!(run, serve);
    let output = output.expect("it ran");
    assert_eq!(output.exit, Exit::Code(3));
    assert_eq!(output.tail.len(), OUTPUT_BYTES_MAX);
    assert!(output.tail.ends_with(b"aend"));
    assert_eq!(output.dropped_bytes, 3);
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_and_forgotten() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    let serve = async {
        let mut stream = opened(&fake, &mut peer).await;
        stream.say(&Frame::Stdout(b"busy".to_vec())).await;
        let killed = Request::Signal {
            process: "exec/1".to_owned(),
            signal: 9,
            group: true,
        };
        assert_eq!(peer.answer(Reply::Done).await, killed);
        for exit in [None, Some(Exit::Signal(9))] {
            let process = Process {
                process: "exec/1".to_owned(),
                terminal: None,
                pid: 5,
                exit,
                started_ms: 0,
                output_ms: None,
                output_bytes: 0,
            };
            let processes = vec![process];
            assert_eq!(
                peer.answer(Reply::Listed { processes }).await,
                Request::List
            );
        }
        assert_eq!(peer.answer(Reply::Done).await, forget("exec/1"));
    };
    let run = run_to_end(&shim, "exec/1", command(), Duration::from_secs(1));
    let (output, ()) = tokio::join!(run, serve);
    match output {
        Err(RunError::TimedOut { tail, .. }) => assert_eq!(tail, b"busy"),
        other => panic!("expected a timeout, got {other:?}"),
    }
}

#[tokio::test]
async fn a_command_that_can_not_start_says_why() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    let failed = Reply::Failed {
        what: "exec true".to_owned(),
        errno: 2,
    };
    let run = run_to_end(&shim, "exec/1", command(), DEADLINE);
    let (output, _) = tokio::join!(run, peer.answer(failed));
    let error = output.expect_err("not started").to_string();
    assert_eq!(error, "exec true: No such file or directory (os error 2)");
}

/// What an agent's shim of the first version says: it may not be asked what it does not know.
#[tokio::test]
async fn an_older_shim_is_taken_for_what_it_is() {
    let fake = Fake::new();
    let (shim, mut peer) = fake.pair().await;
    assert_eq!(shim.speaks(), 1);
    let (reply, request) = tokio::join!(shim.request(Request::List), async {
        peer.answer(Reply::Done).await
    });
    assert_eq!(
        (reply.expect("answered"), request),
        (Reply::Done, Request::List)
    );
    // Its hello, byte for byte, has no word of what came later.
    let old = br#"{"version":1,"incarnation":42}"#;
    let hello: Hello = serde_json::from_slice(old).expect("an old hello");
    assert_eq!((hello.speaks, hello.ticket), (0, None));
    // And ours is one that it reads: nothing is missing, and the version is its own.
    let ours = serde_json::to_value(Hello::client(None)).expect("a hello");
    assert_eq!(ours["version"], 1);
}

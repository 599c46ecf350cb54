//! Processes without a terminal, and the end of everything.

use std::time::{Duration, Instant};

use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::{Event, Frame, Io, Reply, Request};

use crate::harness::{Client, Shim, eventually};
use crate::viewer::{Viewer, attach};

fn open(shim: &Shim, process: &str) -> Client {
    let mut client = shim.connect();
    client.send(&Frame::Open {
        process: process.into(),
    });
    client
}

/// Standard output, standard error, end.
fn collect(client: &mut Client) -> (Vec<u8>, Vec<u8>, Exit) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match client.receive().expect("an end") {
            Frame::Stdout(bytes) => out.extend(bytes),
            Frame::Stderr(bytes) => err.extend(bytes),
            Frame::Exited(exit) => return (out, err, exit),
            other => panic!("not of a stream: {other:?}"),
        }
    }
}

#[test]
fn exec_passes_input_output_and_the_code() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let script = "echo before >&2; wc -c; exit 42";
    let started = daemon.start("exec/1", &["sh", "-c", script], Io::Stream);
    assert!(matches!(started, Reply::Started { .. }), "{started:?}");
    let mut client = open(&shim, "exec/1");
    let data = vec![b'x'; 100_000];
    for _ in 0..30 {
        client.send(&Frame::Stdin(data.clone()));
    }
    client.send(&Frame::StdinEnd);
    let (out, err, exit) = collect(&mut client);
    assert_eq!(
        (out.trim_ascii(), err.as_slice()),
        (&b"3000000"[..], &b"before\n"[..])
    );
    assert_eq!(exit, Exit::Code(42));
    assert_eq!(client.receive(), None);
    let mut again = open(&shim, "exec/1");
    let refused = again.receive();
    assert!(
        matches!(&refused, Some(Frame::Refused { reason }) if reason.contains("opened before")),
        "{refused:?}"
    );
}

#[test]
fn output_waits_for_its_client_and_a_slow_client_holds_the_process() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let before = shim.memory_kib().1;
    daemon.start("exec/1", &["sh", "-c", "seq 1 3000000"], Io::Stream);
    daemon.start(
        "exec/2",
        &["sh", "-c", "echo short; echo bad >&2; kill -9 $$"],
        Io::Stream,
    );
    eventually("the end of the short one", || {
        let ended = daemon
            .list()
            .into_iter()
            .find(|process| process.process == "exec/2")?;
        ended.exit
    });
    // Ended before anybody came.
    let (out, err, exit) = collect(&mut open(&shim, "exec/2"));
    assert_eq!(
        (out, err, exit),
        (b"short\n".to_vec(), b"bad\n".to_vec(), Exit::Signal(9))
    );
    let full = eventually("a full buffer", || {
        let list = daemon.list();
        let long = list
            .into_iter()
            .find(|process| process.process == "exec/1")?;
        (long.output_bytes >= 1024 * 1024).then_some(long)
    });
    assert!(
        full.output_bytes < 1200 * 1024 && full.exit.is_none(),
        "{full:?}"
    );
    let (out, _, exit) = collect(&mut open(&shim, "exec/1"));
    assert_eq!((out.len(), exit), (22_888_896, Exit::Code(0)));
    assert!(out.ends_with(b"\n3000000\n"));
    let peak = shim.memory_kib().1;
    assert!(
        peak < before + 6 * 1024,
        "{before} KiB before, {peak} at most"
    );
}

#[test]
fn exec_returns_when_the_command_ends_and_its_children_live_on() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let file = shim.dir.path().join("child");
    let script = format!(
        "(sleep 0.5; for i in 1 2 3 4; do head -c 100000 /dev/zero; echo x >&2; done; echo survived > {}) & echo left",
        file.display()
    );
    let began = Instant::now();
    daemon.start("exec/1", &["sh", "-c", &script], Io::Stream);
    let (out, _, exit) = collect(&mut open(&shim, "exec/1"));
    assert_eq!((out.as_slice(), exit), (&b"left\n"[..], Exit::Code(0)));
    assert!(
        began.elapsed() < Duration::from_millis(450),
        "{:?}",
        began.elapsed()
    );
    let process = "exec/1".to_owned();
    assert_eq!(daemon.request(Request::Forget { process }), Reply::Done);
    let text = eventually("the child's file", || {
        std::fs::read_to_string(&file)
            .ok()
            .filter(|text| !text.is_empty())
    });
    assert_eq!(text, "survived\n");
}

#[test]
fn a_client_that_leaves_closes_input_but_not_the_process() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let file = shim.dir.path().join("done");
    let script = format!(
        "cat >/dev/null; seq 1 100000; echo done > {}",
        file.display()
    );
    daemon.start("exec/1", &["sh", "-c", &script], Io::Stream);
    let mut client = open(&shim, "exec/1");
    client.send(&Frame::Stdin(b"x".to_vec()));
    drop(client);
    eventually("its end", || {
        std::fs::read_to_string(&file)
            .ok()
            .filter(|text| text == "done\n")
    });
}

#[test]
fn a_name_is_started_once() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let file = shim.dir.path().join("count");
    let script = format!("echo x >> {}; sleep 0.1", file.display());
    let first = daemon.start("exec/1", &["sh", "-c", &script], Io::Stream);
    assert!(matches!(first, Reply::Started { .. }));
    for _ in 0..3 {
        let mut other = shim.connect();
        assert_eq!(
            other.start("exec/1", &["sh", "-c", &script], Io::Stream),
            Reply::Exists
        );
    }
    let busy = Request::Forget {
        process: "exec/1".into(),
    };
    assert!(matches!(
        daemon.request(busy.clone()),
        Reply::Failed { errno: 16, .. }
    ));
    eventually("its end", || daemon.list()[0].exit);
    assert_eq!(daemon.start("exec/1", &["true"], Io::Stream), Reply::Exists);
    assert_eq!(daemon.request(busy.clone()), Reply::Done);
    assert_eq!(daemon.request(busy), Reply::NotFound);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "x\n");
    let failed = daemon.start("exec/2", &["/no/such/program"], Io::Stream);
    let what = "exec /no/such/program".to_owned();
    assert_eq!(failed, Reply::Failed { what, errno: 2 });
    // Nothing is left of it: it may be tried again.
    assert_eq!(daemon.list(), []);
    let process = "none".to_owned();
    assert_eq!(
        daemon.request(Request::Signal {
            process,
            signal: 15,
            group: true
        }),
        Reply::NotFound
    );
    let long = "x".repeat(81);
    assert!(matches!(
        daemon.start(&long, &["true"], Io::Stream),
        Reply::Failed { .. }
    ));
    let huge = "x".repeat(200_000);
    assert!(matches!(
        daemon.start("huge", &["echo", &huge], Io::Stream),
        Reply::Failed { errno: 7, .. }
    ));
}

#[test]
fn a_log_is_told_read_by_number_and_kept_in_a_file() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.request(Request::Subscribe);
    let io = || Io::Log {
        service: "web".into(),
    };
    let script = "cat; echo one; echo two >&2; (sleep 0.3; echo from a child) & exit 1";
    daemon.start("service/web#1", &["sh", "-c", script], io());
    daemon.event(
        "log",
        |event| matches!(event, Event::Logged { process } if process == "service/web#1"),
    );
    daemon.event("end", |event| {
        matches!(
            event,
            Event::Exited {
                exit: Exit::Code(1),
                ..
            }
        )
    });
    let mut log = |process: &str, from, lines| {
        let process = process.to_owned();
        match daemon.request(Request::Log {
            process,
            from,
            lines,
        }) {
            Reply::Log { from, bytes, next } => (from, String::from_utf8(bytes).unwrap(), next),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        log("service/web#1", Some(0), 0),
        (0, "one\ntwo\n".into(), 8)
    );
    assert_eq!(log("service/web#1", None, 1), (4, "two\n".into(), 8));
    eventually("the child's line", || {
        (log("service/web#1", Some(8), 0).1 == "from a child\n").then_some(())
    });
    daemon.start("service/web#2", &["echo", "again"], io());
    daemon.event("end", |event| {
        matches!(
            event,
            Event::Exited {
                exit: Exit::Code(0),
                ..
            }
        )
    });
    let text = "one\ntwo\nfrom a child\nagain\n";
    assert_eq!(
        std::fs::read_to_string(shim.dir.path().join("web.log")).unwrap(),
        text
    );
    let service = "nameless".to_owned();
    let refused = daemon.start("service/x#1", &["true"], Io::Log { service });
    assert!(
        matches!(&refused, Reply::Failed { what, .. } if what.contains("without such a log")),
        "{refused:?}"
    );
}

#[test]
fn when_init_dies_everything_has_exited_and_the_shim_goes() {
    let mut shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.request(Request::Subscribe);
    daemon.start_terminal("main#1", "echo last words; sleep 1000");
    daemon.start("exec/1", &["sleep", "1000"], Io::Stream);
    let mut client = open(&shim, "exec/1");
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("last words");
    shim.kill_init();
    viewer.until("end", |viewer| viewer.exit.is_some());
    assert_eq!(viewer.exit, Some(Exit::Signal(9)));
    assert_eq!(collect(&mut client).2, Exit::Signal(9));
    for name in ["main#1", "exec/1"] {
        daemon.event(name, |event| matches!(event, Event::Exited { process, exit: Exit::Signal(9) } if process == name));
    }
    // It lingers for who still wants to know.
    assert_eq!(daemon.capture(0), "last words\n");
    assert!(matches!(
        daemon.start("exec/2", &["true"], Io::Stream),
        Reply::Failed { .. }
    ));
    drop((daemon, client, viewer));
    assert_eq!(shim.exit_code(), Some(0));
}

#[test]
fn without_a_launcher_or_told_to_end_init_is_killed() {
    let mut shim = Shim::start();
    nix::sys::socket::shutdown(
        std::os::fd::AsRawFd::as_raw_fd(&shim.launcher),
        nix::sys::socket::Shutdown::Both,
    )
    .unwrap();
    assert_eq!(shim.exit_code(), Some(0));
    assert!(!shim.init_lives());
    let mut shim = Shim::start();
    shim.connect().start_terminal("main#1", "sleep 1");
    shim.terminate();
    assert_eq!(shim.exit_code(), Some(0));
    assert!(!shim.init_lives());
}

#[test]
fn broken_clients_hurt_only_themselves() {
    use std::io::Write;
    let shim = Shim::start();
    let mut daemon = shim.connect();
    for bytes in [
        &b"\xff\xff\xff\xff"[..],
        b"\x01\0\0\0\x02",
        b"GET / HTTP/1.1\r\n",
        b"\x01\0\0\0\x40",
    ] {
        let mut socket =
            std::os::unix::net::UnixStream::connect(shim.dir.path().join("sock")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket.write_all(bytes).unwrap();
        assert_eq!(
            std::io::Read::read(&mut socket, &mut [0; 16]).unwrap(),
            0,
            "{bytes:?}"
        );
    }
    // One that asks much and reads nothing is not served further, and costs little.
    let mut deaf = shim.connect();
    deaf.socket
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut ping = Vec::new();
    for number in 0..10_000 {
        Frame::Request(number, Request::List).encode(&mut ping);
    }
    for _ in 0..100 {
        if deaf.socket.write_all(&ping).is_err() {
            break;
        }
    }
    daemon.send(&Frame::Ping);
    assert_eq!(daemon.receive(), Some(Frame::Pong));
    assert!(shim.memory_kib().1 < 24 * 1024);
}

#[test]
fn a_process_that_nobody_comes_for_is_ended_and_forgotten() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start("exec/alone", &["sleep", "1000"], Io::Stream);
    daemon.start("exec/ended", &["true"], Io::Stream);
    daemon.start("exec/served", &["cat"], Io::Stream);
    let mut served = open(&shim, "exec/served");
    served.send(&Frame::Stdin(b"x".to_vec()));
    // Whoever started them is killed before it comes for their streams.
    drop(daemon);
    let mut daemon = shim.connect();
    let left = |daemon: &mut Client| -> Vec<String> {
        let list = daemon.list().into_iter();
        list.map(|process| process.process).collect()
    };
    let all = ["exec/alone", "exec/ended", "exec/served"];
    assert_eq!(left(&mut daemon), all);
    let deadline = Instant::now() + Duration::from_secs(70);
    while left(&mut daemon) != ["exec/served"] {
        assert!(Instant::now() < deadline, "{:?}", daemon.list());
        std::thread::sleep(Duration::from_millis(200));
    }
    served.send(&Frame::StdinEnd);
    let (out, _, exit) = collect(&mut served);
    assert_eq!((out.as_slice(), exit), (&b"x"[..], Exit::Code(0)));
}

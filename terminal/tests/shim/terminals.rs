//! Terminals and their viewers.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::{Attach, Event, Frame, Io, Reply, Request};

use crate::harness::{INCARNATION, Shim, eventually};
use crate::viewer::{Viewer, attach};

#[test]
fn a_viewer_sees_the_screen_at_once_types_and_sees_the_end() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.request(Request::Subscribe);
    let started = daemon.start_terminal(
        "main#1",
        "printf 'hello\\033]2;the title\\007\\n'; cat; exit 3",
    );
    assert!(
        matches!(started, Reply::Started { pid } if pid > 1),
        "{started:?}"
    );
    daemon.wait_for_text("hello");
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.turn();
    assert_eq!((viewer.snapshots, viewer.text().as_str()), (1, "hello\n"));
    assert_eq!(viewer.screen.title(), "the title");
    viewer.input(1, "typed\r");
    viewer.until("echo and output", |viewer| {
        viewer.text() == "hello\ntyped\ntyped\n"
    });
    // A resend after a reconnect is not typed twice.
    viewer.input(1, "typed\r");
    viewer.input(2, "\x04");
    viewer.until("exit", |viewer| viewer.exit.is_some());
    assert_eq!(viewer.exit, Some(Exit::Code(3)));
    assert_eq!(viewer.text(), "hello\ntyped\ntyped\n");
    assert!(!viewer.turn());
    daemon.event("exit", |event| matches!(event, Event::Exited { process, exit: Exit::Code(3) } if process == "main#1"));
    // What it showed stays until it is forgotten.
    let mut late = Viewer::attach(&shim, attach());
    late.until("exit", |viewer| viewer.exit.is_some());
    assert_eq!(late.text(), "hello\ntyped\ntyped\n");
    let process = "main#1".to_owned();
    assert_eq!(daemon.request(Request::Forget { process }), Reply::Done);
    let mut nobody = Viewer::attach(&shim, attach());
    nobody.turn();
    assert_eq!(nobody.refused, ["there is no terminal main"]);
}

#[test]
fn a_viewer_that_comes_back_gets_what_it_missed() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start_terminal("main#1", "stty -echo; echo ready; cat");
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("ready");
    let seq = viewer.seq;
    let screen = std::mem::replace(&mut viewer.screen, wsm_terminal::screen::Screen::new(1, 1));
    drop(viewer);
    let bytes = b"while you were away\r".to_vec();
    let terminal = "main".to_owned();
    assert_eq!(
        daemon.request(Request::Send {
            terminal,
            bytes,
            person: None
        }),
        Reply::Done
    );
    daemon.wait_for_text("away");
    let resume = Some((INCARNATION, seq));
    let mut back = Viewer::attach(&shim, Attach { resume, ..attach() });
    back.screen = screen;
    back.seq = seq;
    back.until_text("away");
    assert_eq!((back.snapshots, back.text()), (0, daemon.capture(0)));
    // Another life's numbers, or ones that were never given, mean nothing.
    for resume in [(INCARNATION - 1, seq), (INCARNATION, seq + 1_000_000)] {
        let resume = Some(resume);
        let mut other = Viewer::attach(&shim, Attach { resume, ..attach() });
        other.until("snapshot", |viewer| viewer.snapshots == 1);
        assert_eq!(other.text(), daemon.capture(0));
    }
}

#[test]
fn the_last_who_typed_or_resized_has_the_size() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start_terminal(
        "main#1",
        "stty -echo; echo ready; while :; do new=$(stty size); [ \"$new\" = \"$old\" ] || echo \"$new\"; old=$new; sleep 0.05; done",
    );
    let size = |cols, rows| move |viewer: &Viewer| viewer.screen.size() == (cols, rows);
    let mut desk = Viewer::attach(
        &shim,
        Attach {
            cols: 100,
            rows: 30,
            ..attach()
        },
    );
    desk.until("its size", size(100, 30));
    desk.until_text("ready");
    // Who only comes to look changes nothing, whether or not it could type.
    let mut phone = Viewer::attach(
        &shim,
        Attach {
            cols: 40,
            rows: 20,
            ..attach()
        },
    );
    phone.until("the desk's size", size(100, 30));
    let mut guest = Viewer::attach(
        &shim,
        Attach {
            cols: 10,
            rows: 5,
            read_only: true,
            ..attach()
        },
    );
    guest.client.send(&Frame::Resize { cols: 11, rows: 5 });
    guest.until("the desk's size", size(100, 30));
    phone.input(1, "x");
    phone.until("its own size", size(40, 20));
    desk.until("the phone's size", size(40, 20));
    desk.until_text("20 40");
    desk.client.send(&Frame::Resize {
        cols: 0,
        rows: 60_000,
    });
    desk.until("the smallest and largest", size(2, 500));
    desk.client.send(&Frame::Resize { cols: 90, rows: 25 });
    for viewer in [&mut desk, &mut phone, &mut guest] {
        viewer.until("the desk's size again", size(90, 25));
        viewer.until_text("25 90");
        let text = viewer.text();
        eventually("the same screen", || {
            (daemon.capture(0) == text).then_some(())
        });
    }
    guest.input(1, "x");
    guest.until("refusal", |viewer| {
        viewer.refused == ["you are only watching"]
    });
}

#[test]
fn a_flood_starves_nobody_and_a_stalled_viewer_costs_nothing() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start_terminal(
        "main#1",
        "stty -echo; echo ready; read x; seq 1 4000000; echo all done; read x",
    );
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("ready");
    let mut stalled: Vec<Viewer> = (0..4).map(|_| Viewer::attach(&shim, attach())).collect();
    for viewer in &mut stalled {
        viewer.turn();
        viewer.acks = false;
    }
    let before = shim.memory_kib().0;
    viewer.input(1, "go\r");
    // Another terminal answers while the flood goes on.
    let io = Io::Terminal {
        terminal: "shell".into(),
        cols: 80,
        rows: 24,
        record: None,
    };
    daemon.start("shell#1", &["cat"], io);
    let mut shell = Viewer::attach(
        &shim,
        Attach {
            terminal: "shell".into(),
            ..attach()
        },
    );
    shell.turn();
    let typed = Instant::now();
    shell.input(1, "still here");
    shell.until_text("still here");
    let echo = typed.elapsed();
    assert!(echo < Duration::from_millis(500), "echo took {echo:?}");
    viewer.until_text("all done");
    let (now, peak) = shim.memory_kib();
    assert!(
        peak < before + 24 * 1024,
        "{before} KiB before, {now} after, {peak} at most"
    );
    let text = daemon.capture(0);
    assert_eq!(viewer.text(), text);
    for mut viewer in stalled {
        viewer.acks = true;
        viewer.until_text("all done");
        assert_eq!(viewer.text(), text);
        assert!(viewer.bytes < 1024 * 1024, "it skipped what it missed");
    }
}

#[test]
fn an_interrupt_gets_through_a_flood() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start_terminal("main#1", "yes 'a line of the flood'");
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("flood");
    let typed = Instant::now();
    viewer.input(1, "\x03");
    viewer.until("end", |viewer| viewer.exit.is_some());
    assert!(
        typed.elapsed() < Duration::from_secs(2),
        "{:?}",
        typed.elapsed()
    );
    assert_eq!(viewer.exit, Some(Exit::Signal(2)));
}

#[test]
fn a_program_gets_one_answer_however_many_watch() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let script = "stty raw -echo; printf ready; read -n1 x; printf 'ab\\033[6n'; read -t 5 -d R -r answer; \
                  read -t 0.3 -n1 -r more; stty sane; echo; echo \"answer:${answer#?}:$more.\"";
    daemon.start_terminal("main#1", script);
    let mut viewers: Vec<Viewer> = (0..3).map(|_| Viewer::attach(&shim, attach())).collect();
    for viewer in &mut viewers {
        viewer.until_text("ready");
    }
    viewers[0].input(1, "x");
    viewers[2].until_text("answer:[1;8:.");
}

#[test]
fn input_that_nobody_reads_is_refused_and_leases_order_it() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.request(Request::Subscribe);
    daemon.start_terminal("main#1", "stty raw -echo; echo ready; sleep 1000");
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("ready");
    for number in 1..=10 {
        viewer.input(number, &"x".repeat(16 * 1024));
    }
    viewer.until("refusal", |viewer| !viewer.refused.is_empty());
    assert_eq!(viewer.refused[0], "the program does not read its input");
    let process = "main#1".to_owned();
    daemon.request(Request::Signal {
        process,
        signal: 9,
        group: true,
    });
    daemon.event("exit", |event| matches!(event, Event::Exited { .. }));
    daemon.start_terminal("main#2", "stty -echo; echo again; cat");
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("again");
    let typed = |viewer: &mut Viewer, epoch, number, text: &str| {
        viewer.client.send(&Frame::Input {
            epoch,
            number,
            bytes: text.into(),
        });
    };
    // The first key makes it the holder; a number that was seen, or an epoch that is over, is not
    // typed again.
    typed(&mut viewer, 0, 1, "one\r");
    viewer.until("its lease", |viewer| viewer.lease.yours);
    let epoch = viewer.lease.epoch;
    typed(&mut viewer, epoch, 1, "one\r");
    typed(&mut viewer, epoch - 1, 9, "late\r");
    typed(&mut viewer, epoch, 10, "two\r");
    viewer.until("both", |viewer| {
        viewer.text().ends_with("again\none\ntwo\n")
    });
    assert_eq!(viewer.refused, ["somebody else has the keyboard now"]);
}

#[test]
fn a_new_process_takes_the_terminal_over() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.request(Request::Subscribe);
    daemon.start_terminal(
        "main#1",
        "printf '\\033[?1049h\\033[?1000h\\033[31mold'; sleep 0.2",
    );
    assert!(matches!(
        daemon.start_terminal("main#2", "true"),
        Reply::Failed { errno: 16, .. }
    ));
    daemon.event("exit", |event| matches!(event, Event::Exited { .. }));
    // One that can't be started leaves the screen as it was.
    let nowhere = Io::Terminal {
        terminal: "main".into(),
        cols: 80,
        rows: 24,
        record: None,
    };
    let failed = daemon.start_in("/no/such/directory", "main#2", &["true"], nowhere);
    assert!(
        matches!(failed, Reply::Failed { errno: 2, .. }),
        "{failed:?}"
    );
    let mut late = Viewer::attach(&shim, attach());
    late.until("end", |viewer| viewer.exit == Some(Exit::Code(0)));
    daemon.start_terminal("main#2", "echo new; sleep 100");
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("new");
    assert_eq!(viewer.screen.capture(0, true), "new\n");
    assert!(viewer.seq > 20, "numbers go on");
}

#[test]
fn what_is_drawn_anew_for_another_size_is_no_sign_of_life() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.request(Request::Subscribe);
    let script = "trap 'printf \"drawn\\033]2;drawn\\007\"' WINCH; sleep 0.2; printf 'up\\033]2;up\\007'; \
                  while :; do read -r -t 0.1 line && printf 'told\\033]2;told\\007'; done";
    daemon.start_terminal("main#1", script);
    daemon.event("activity", |event| {
        matches!(event, Event::Activity { active: true, .. })
    });
    daemon.event("silence", |event| {
        matches!(event, Event::Activity { active: false, .. })
    });
    let mut viewer = Viewer::attach(&shim, attach());
    viewer.until_text("up");
    viewer.client.send(&Frame::Resize { cols: 90, rows: 25 });
    let mut acted = |until: &str| {
        let mut acted = false;
        loop {
            match daemon.event("any", |_| true) {
                Event::Activity { active, .. } => acted |= active,
                Event::Title { title, .. } if title == until => return acted,
                _ => {}
            }
        }
    };
    assert!(!acted("drawn"), "somebody looked, and that was all");
    // As long as a program may take to draw itself.
    std::thread::sleep(Duration::from_millis(2_100));
    viewer.input(1, "x\n");
    assert!(acted("told"));
}

#[test]
fn what_is_noticed_is_told_and_bounded() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.request(Request::Subscribe);
    let script = "printf '\\033]9;need you\\007\\007\\033]133;D;2\\007'; \
                  for i in $(seq 1000); do printf '\\033]9;spam\\007\\033]2;t%d\\007' $i; done; sleep 100";
    daemon.start_terminal("main#1", script);
    daemon.event("activity", |event| {
        matches!(event, Event::Activity { active: true, .. })
    });
    daemon.event(
        "notice",
        |event| matches!(event, Event::Notice { text, .. } if text == "need you"),
    );
    daemon.event("bell", |event| matches!(event, Event::Bell { .. }));
    daemon.event("mark", |event| matches!(event, Event::Mark { .. }));
    let mut spam = 0;
    loop {
        match daemon.event("any", |_| true) {
            Event::Title { title, .. } if title == "t1000" => break,
            _ => spam += 1,
        }
    }
    assert!(spam < 100, "{spam} events");
}

#[test]
fn only_the_daemon_and_root_may_connect() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let shim = Shim::start();
    for path in [shim.dir.path().to_owned(), shim.dir.path().join("sock")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let script = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; \
                  print defined(<$s>) ? 'in' : 'out'";
    let output = Command::new("perl")
        .args(["-e", script])
        .arg(shim.dir.path().join("sock"))
        .uid(65534)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out");
}

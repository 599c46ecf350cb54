//! Viewers that give the shim their terminal to draw on.

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::{Attach, Frame, Request};
use wsm_terminal::pty;
use wsm_terminal::screen::{Fed, Screen};

use crate::harness::{Client, DEADLINE, Shim, eventually};
use crate::viewer::attach;

/// A person's terminal: what the other end of its PTY shows.
struct Desk {
    master: File,
    slave: OwnedFd,
    screen: Screen,
}

impl Desk {
    fn new() -> Desk {
        let OpenptyResult { master, slave } = openpty(None, None).unwrap();
        let mut raw = tcgetattr(&slave).unwrap();
        cfmakeraw(&mut raw);
        tcsetattr(&slave, SetArg::TCSANOW, &raw).unwrap();
        pty::set_nonblocking(master.as_fd()).unwrap();
        let screen = Screen::new(80, 24);
        let master = File::from(master);
        Desk {
            master,
            slave,
            screen,
        }
    }

    /// As a viewer gives it away.
    fn open(&self, flags: OFlag) -> OwnedFd {
        let path = format!("/proc/self/fd/{}", self.slave.as_raw_fd());
        let mut options = OpenOptions::new();
        options
            .read(flags.contains(OFlag::O_RDWR))
            .write(true)
            .custom_flags((flags | OFlag::O_NOCTTY).bits());
        options.open(path).unwrap().into()
    }

    /// Shows what has come. `false`: nobody has the terminal open any more.
    fn show(&mut self) -> bool {
        let mut bytes = [0; 65536];
        let mut fed = Fed::default();
        loop {
            match self.master.read(&mut bytes) {
                Ok(length) => self.screen.feed(&bytes[..length], &mut fed),
                Err(error) if error.raw_os_error() == Some(libc::EIO) => return false,
                Err(_) => return true,
            }
        }
    }

    fn until(&mut self, what: &str, text: impl Fn() -> String) {
        eventually(what, || {
            self.show();
            (self.screen.capture(0, false) == text()).then_some(())
        });
    }

    fn until_text(&mut self, text: &str) {
        eventually(text, || {
            self.show();
            self.screen.capture(0, false).contains(text).then_some(())
        });
    }
}

fn send_with(client: &mut Client, frame: &Frame, fds: &[RawFd]) {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    let rights = [ControlMessage::ScmRights(fds)];
    let parts = [IoSlice::new(&bytes)];
    let socket = client.socket.as_raw_fd();
    sendmsg::<()>(socket, &parts, &rights, MsgFlags::empty(), None).unwrap();
}

fn give(client: &mut Client, attach: Attach, fd: OwnedFd) {
    let frame = Frame::Attach(Attach {
        tty: true,
        ..attach
    });
    send_with(client, &frame, &[fd.as_raw_fd()]);
}

fn given(shim: &Shim, desk: &Desk) -> Client {
    let mut client = shim.connect_as(1);
    let fd = desk.open(OFlag::O_NONBLOCK);
    give(&mut client, attach(), fd);
    client
}

fn type_text(client: &mut Client, number: u64, text: &str) {
    client.send(&Frame::Input {
        epoch: 0,
        number,
        bytes: text.into(),
    });
}

#[test]
fn the_shim_draws_on_the_terminal_until_the_viewer_leaves() {
    let shim = Shim::start();
    let mut daemon = shim.connect_as(1);
    daemon.start_terminal(
        "main#1",
        "stty -echo; printf '\\033[31mred\\033[m\\n'; seq 1 30; cat",
    );
    daemon.wait_for_text("30");
    let mut desk = Desk::new();
    let mut client = given(&shim, &desk);
    let seen = daemon.capture(0);
    desk.until("the screen", || seen.clone());
    type_text(&mut client, 1, "typed\r");
    desk.until_text("typed");
    let seen = daemon.capture(0);
    desk.until("the same screen", || seen.clone());
    client.send(&Frame::Detach);
    // Nothing was sent the other way but that it drew; the end says that it has let go.
    while let Some(frame) = client.receive() {
        assert!(matches!(frame, Frame::Resized { .. }), "{frame:?}");
    }
    drop(std::mem::replace(
        &mut desk.slave,
        File::open("/dev/null").unwrap().into(),
    ));
    assert!(!desk.show(), "somebody has the terminal open");
}

/// Nanoseconds that the shim has had a processor.
fn ran(shim: &Shim) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", shim.pid())).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// The shim wakes when a key is pressed at a viewer's terminal, which the viewer reads.
#[test]
fn keys_that_never_come_cost_little_and_those_that_come_are_typed() {
    const KEYS: u32 = 1000;
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start_terminal("main#1", "stty -echo; echo ready; cat");
    let mut desk = Desk::new();
    let mut client = given(&shim, &desk);
    desk.until_text("ready");
    let before = ran(&shim);
    for _ in 0..KEYS {
        (&desk.master).write_all(b"x").unwrap();
        // Each is an event of its own, which a key that waits unread must not become.
        std::thread::sleep(Duration::from_micros(200));
    }
    let spent = Duration::from_nanos(ran(&shim) - before);
    // All of them would be 100 ms of looking; ten are looked for.
    assert!(spent < KEYS * Duration::from_micros(60), "{spent:?}");
    let before = ran(&shim);
    std::thread::sleep(Duration::from_millis(100));
    let spent = Duration::from_nanos(ran(&shim) - before);
    assert!(spent < Duration::from_millis(5), "{spent:?}");
    for number in 1..50 {
        (&desk.master).write_all(b"x").unwrap();
        type_text(&mut client, number, &format!("key-{number}\r"));
        desk.until_text(&format!("key-{number}\n"));
    }
    // Nobody waits at a terminal that was given back.
    client.send(&Frame::Detach);
    while client.receive().is_some() {}
    let stays = |from| {
        std::thread::sleep(Duration::from_millis(20));
        (ran(&shim) == from).then_some(())
    };
    eventually("sleep", || stays(ran(&shim)));
    let before = ran(&shim);
    (&desk.master).write_all(b"xxx").unwrap();
    stays(before).expect("it sleeps on");
}

#[test]
fn everything_is_drawn_before_the_end_is_told() {
    let shim = Shim::start();
    let mut daemon = shim.connect_as(1);
    daemon.start_terminal("main#1", "stty -echo; read x; seq 1 5000; exit 7");
    let mut desk = Desk::new();
    let mut client = given(&shim, &desk);
    type_text(&mut client, 1, "go\r");
    desk.until_text("5000");
    loop {
        match client.receive().unwrap() {
            Frame::Resized { .. } => {}
            Frame::Exited(exit) => break assert_eq!(exit, Exit::Code(7)),
            other => panic!("{other:?}"),
        }
    }
    desk.show();
    assert_eq!(desk.screen.capture(0, false), daemon.capture(0));
}

#[test]
fn a_terminal_that_takes_nothing_holds_nobody_up_and_gets_the_newest_screen() {
    let shim = Shim::start();
    let mut daemon = shim.connect_as(1);
    let colours =
        "for i in $(seq 60000); do printf '\\033[3%d;1mline %d\\033[m\\n' $((i%8)) $i; done";
    daemon.start_terminal(
        "main#1",
        &format!("stty -echo; echo ready; read x; {colours}; echo all done; read x"),
    );
    daemon.wait_for_text("ready");
    let mut desk = Desk::new();
    let mut client = given(&shim, &desk);
    desk.until_text("ready");
    let before = shim.memory_kib().0;
    type_text(&mut client, 1, "go\r");
    daemon.wait_for_text("all done");
    let peak = shim.memory_kib().1;
    assert!(peak < before + 24 * 1024, "{before} KiB before, {peak}");
    let seen = daemon.capture(0);
    desk.until("the newest screen", || seen.clone());
    // A bell, and nothing else, for what is not taken.
    type_text(&mut client, 2, &"x".repeat(100_000));
    eventually("a bell", || {
        let mut ready = [PollFd::new(desk.master.as_fd(), PollFlags::POLLIN)];
        (poll(&mut ready, PollTimeout::ZERO).unwrap() == 1).then_some(())
    });
    let mut bytes = [0; 8];
    let length = desk.master.read(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"\x07");
}

#[test]
fn what_is_not_fit_is_closed_and_the_viewer_gets_frames() {
    let shim = Shim::start();
    let mut daemon = shim.connect_as(1);
    daemon.start_terminal("main#1", "stty -echo; echo ready; cat");
    daemon.wait_for_text("ready");
    let desk = Desk::new();
    let blocking = desk.open(OFlag::empty());
    let readable = desk.open(OFlag::O_NONBLOCK | OFlag::O_RDWR);
    let file = File::create(shim.dir.path().join("file")).unwrap();
    pty::set_nonblocking(file.as_fd()).unwrap();
    let (_end, pipe) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
    let good = || desk.open(OFlag::O_NONBLOCK);
    let watcher = Attach {
        read_only: true,
        ..attach()
    };
    for (what, fd, attach) in [
        ("blocking", blocking, attach()),
        ("readable", readable, attach()),
        ("file", file.into(), attach()),
        ("pipe", pipe, attach()),
        ("watcher", good(), watcher),
    ] {
        let mut client = shim.connect_as(1);
        give(&mut client, attach, fd);
        let frame = client.receive().unwrap();
        assert!(matches!(frame, Frame::Snapshot { .. }), "{what}: {frame:?}");
    }
    // Not said what it is for.
    let mut client = shim.connect_as(1);
    send_with(&mut client, &Frame::Attach(attach()), &[good().as_raw_fd()]);
    assert!(matches!(client.receive(), Some(Frame::Snapshot { .. })));
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let shim = Shim::start();
    let open = || {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", shim.pid())).unwrap();
        entries.count()
    };
    let mut client = shim.connect_as(1);
    let before = open();
    for number in 0..50 {
        let (one, other) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let fds = [one.as_raw_fd(), other.as_raw_fd()].repeat(20);
        send_with(&mut client, &Frame::Request(number, Request::List), &fds);
        assert!(matches!(client.receive(), Some(Frame::Reply(..))));
    }
    // One is kept for the frame that says what it is for.
    assert!(open() <= before + 1, "{before} before, {} now", open());
    drop(client);
    let begun = std::time::Instant::now();
    while open() >= before {
        assert!(begun.elapsed() < DEADLINE, "it was not closed");
        std::thread::yield_now();
    }
}

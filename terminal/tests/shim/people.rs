//! Several people at one terminal.

use std::time::Duration;

use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::{Attach, Frame, Io, LeaseAct, Person, Reply, Request};

use crate::harness::{Client, Shim, eventually};
use crate::viewer::{Viewer, attach};

fn started() -> (Shim, Client) {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    daemon.start_terminal("main#1", "stty -echo; echo ready; cat");
    daemon.wait_for_text("ready");
    (shim, daemon)
}

fn come(shim: &Shim, daemon: &mut Client, user: &str, how: Attach) -> Viewer {
    let ticket = daemon.ticket_for("main", how.read_only, user);
    let client = shim.connect_with(Some(&ticket)).expect("a good ticket");
    let mut viewer = Viewer::attach_by(client, how);
    viewer.until_text("ready");
    viewer
}

fn lease(daemon: &mut Client, user: &str, act: LeaseAct, over: bool) -> Reply {
    daemon.request(Request::Lease {
        terminal: "main".into(),
        act,
        person: Person {
            user: user.into(),
            device: String::new(),
        },
        over,
    })
}

fn send(daemon: &mut Client, user: Option<&str>, text: &str) -> Reply {
    daemon.request(Request::Send {
        terminal: "main".into(),
        bytes: text.into(),
        person: user.map(|user| Person {
            user: user.into(),
            device: String::new(),
        }),
    })
}

#[test]
fn who_came_by_a_link_is_told_nobodys_name() {
    let (shim, mut daemon) = started();
    let mut ada = come(&shim, &mut daemon, "ada", attach());
    let looks = Attach {
        read_only: true,
        ..attach()
    };
    let mut guest = come(&shim, &mut daemon, "link:7", looks.clone());
    ada.input(1, "typed\r");
    guest.until("the holder", |viewer| viewer.lease.holder.is_some());
    let holder = guest.lease.holder.clone().expect("one");
    assert_eq!((&*holder.user, &*holder.device), ("somebody", ""));
    lease(&mut daemon, "bob", LeaseAct::Request, false);
    let mut late = come(&shim, &mut daemon, "link:8", looks);
    late.until("the holder", |viewer| viewer.lease.holder.is_some());
    assert!(late.lease.asked.is_empty());
    assert_eq!(late.lease.holder.clone().expect("one").user, "somebody");
}

#[test]
fn one_types_and_the_other_asks_and_gets_it() {
    let (shim, mut daemon) = started();
    let mut ada = come(&shim, &mut daemon, "ada", attach());
    let mut bob = come(&shim, &mut daemon, "bob", attach());
    ada.input(1, "from ada\r");
    ada.until("its lease", |viewer| viewer.lease.yours);
    bob.until_text("from ada");
    bob.until("the holder", |viewer| viewer.lease.holder.is_some());
    let holder = bob.lease.holder.clone().expect("one");
    assert_eq!(
        (holder.user.as_str(), holder.device.as_str()),
        ("ada", "ada's desk")
    );
    bob.input(1, "from bob\r");
    bob.until("refusal", |viewer| !viewer.refused.is_empty());
    assert!(
        bob.refused[0].starts_with("ada has the keyboard"),
        "{:?}",
        bob.refused
    );
    bob.refused.clear();

    // A command is held to the same, wsm itself is not.
    assert!(matches!(
        send(&mut daemon, Some("bob"), "no\r"),
        Reply::Refused { .. }
    ));
    assert_eq!(send(&mut daemon, Some("ada"), "by command\r"), Reply::Done);
    assert_eq!(send(&mut daemon, None, "by wsm\r"), Reply::Done);
    bob.until_text("by wsm");

    bob.client.send(&Frame::Ask(LeaseAct::Request));
    ada.until("the request", |viewer| viewer.lease.asked == ["bob"]);
    let stale = ada.lease.epoch;
    ada.client
        .send(&Frame::Ask(LeaseAct::Grant { to: "bob".into() }));
    bob.until("the lease", |viewer| viewer.lease.yours);
    // What ada typed before she knew.
    let bytes = b"late\r".to_vec();
    ada.client.send(&Frame::Input {
        epoch: stale,
        number: 2,
        bytes,
    });
    ada.until("refusal", |viewer| !viewer.refused.is_empty());
    bob.input(2, "from bob\r");
    bob.until_text("from bob");
    assert!(!daemon.capture(0).contains("late"));

    // Gone is free, for whoever types next.
    drop(bob);
    ada.refused.clear();
    ada.until("a free lease", |viewer| viewer.lease.holder.is_none());
    ada.input(3, "ada again\r");
    ada.until_text("ada again");
    // By a viewer nothing is taken: that is written down by the daemon.
    let mut eve = come(&shim, &mut daemon, "eve", attach());
    eve.client.send(&Frame::Ask(LeaseAct::Take));
    eve.until("refusal", |viewer| !viewer.refused.is_empty());
    assert!(matches!(
        lease(&mut daemon, "eve", LeaseAct::Take, false),
        Reply::Lease { .. }
    ));
    eve.until("the lease", |viewer| viewer.lease.yours);
}

#[test]
fn what_a_program_would_copy_is_told_to_who_may_type() {
    let (shim, mut daemon) = started();
    let looks = Attach {
        read_only: true,
        ..attach()
    };
    let fits = Attach {
        fit: true,
        ..attach()
    };
    let mut ada = come(&shim, &mut daemon, "ada", attach());
    let mut by_cli = come(&shim, &mut daemon, "ada", fits);
    let mut bob = come(&shim, &mut daemon, "bob", attach());
    let mut eve = come(&shim, &mut daemon, "eve", looks);
    let mut old = Viewer::attach_by(shim.connect_as(4), attach());
    // The keyboard is free: whoever may type could have it.
    send(&mut daemon, None, "\x1b]52;c;b25l\x07first\r");
    for viewer in [&mut ada, &mut bob, &mut eve, &mut old] {
        viewer.until_text("first");
    }
    by_cli.until_text("wants to copy 3 bytes");
    assert_eq!(ada.copies, ["one"]);
    assert_eq!(bob.copies, ["one"]);
    assert!(by_cli.copies.is_empty() && eve.copies.is_empty() && old.copies.is_empty());
    // A query is nothing, and a secret on a clipboard stays there.
    ada.input(1, "\x1b]52;c;?\x07\x1b]52;c;dHdv\x07second\r");
    for viewer in [&mut ada, &mut bob] {
        viewer.until_text("second");
    }
    assert_eq!(ada.copies, ["one", "two"]);
    assert_eq!(bob.copies, ["one"]);
}

#[test]
fn who_looks_is_told_and_named_by_the_ticket() {
    let (shim, mut daemon) = started();
    let mut ada = come(&shim, &mut daemon, "ada", attach());
    let read_only = true;
    let phone = come(
        &shim,
        &mut daemon,
        "bob",
        Attach {
            read_only,
            ..attach()
        },
    );
    ada.input(1, "x");
    ada.until("its lease", |viewer| viewer.lease.yours);
    ada.client.send(&Frame::Visible(false));
    let seen = eventually("ada hidden", || {
        let terminal = Some("main".to_owned());
        let Reply::Who {
            viewers, leases, ..
        } = daemon.request(Request::Who { terminal })
        else {
            panic!("not who")
        };
        assert_eq!(leases.len(), 1);
        (viewers.len() == 2 && !viewers[0].visible).then_some(viewers)
    });
    let of = |at: usize| {
        (
            seen[at].person.user.as_str(),
            seen[at].holds,
            seen[at].read_only,
        )
    };
    assert_eq!((of(0), of(1)), (("ada", true, false), ("bob", false, true)));
    drop(phone);
    eventually("bob gone", || {
        let Reply::Who { viewers, .. } = daemon.request(Request::Who { terminal: None }) else {
            panic!("not who")
        };
        (viewers.len() == 1).then_some(())
    });
}

#[test]
fn others_see_what_fits_and_the_size_is_the_holders() {
    let (shim, mut daemon) = started();
    let sized = |cols, rows| Attach {
        cols,
        rows,
        fit: true,
        ..attach()
    };
    let mut ada = come(&shim, &mut daemon, "ada", sized(60, 20));
    ada.input(1, "wide-enough-for-sixty-columns-of-text-in-one-row\r");
    ada.until_text("one-row");
    let mut large = come(&shim, &mut daemon, "bob", sized(100, 30));
    large.until_text("┘");
    large.until_text("one-row");
    let mut small = come(&shim, &mut daemon, "eve", sized(20, 6));
    small.until_text("wide-enough");
    small.until_text("60x20");
    assert!(!small.text().contains("one-row"));
    assert_eq!(large.snapshots + small.snapshots, 0);
    for line in 0..50 {
        ada.input(2 + line, &format!("line {line}\r"));
    }
    for viewer in [&mut ada, &mut large, &mut small] {
        viewer.until_text("line 49");
    }
    // A window of another size changes only its own picture.
    large.client.send(&Frame::Resize { cols: 90, rows: 25 });
    large.screen = wsm_terminal::screen::Screen::new(90, 25);
    large.until_text("line 49");
    assert_eq!(ada.screen.size(), (60, 20));
    // Who gets the keyboard gets the size.
    lease(&mut daemon, "bob", LeaseAct::Take, false);
    large.until("a screen of its own", |viewer| viewer.snapshots > 0);
    large.until("no border", |viewer| !viewer.text().contains('┘'));
    ada.until("a picture", |viewer| viewer.pictures > 0);
    ada.until_text("bob took the keyboard");
    ada.client.waits_for = "the notice to go".into();
    ada.client
        .socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    ada.until("no notice", |viewer| {
        !viewer.text().contains("took the keyboard")
    });
}

#[test]
fn who_lost_the_right_is_closed_and_types_no_more() {
    let (shim, mut daemon) = started();
    let mut ada = come(&shim, &mut daemon, "ada", attach());
    let mut bob = come(&shim, &mut daemon, "bob", attach());
    bob.input(1, "his\r");
    bob.until("its lease", |viewer| viewer.lease.yours);
    let ticket = daemon.ticket_for("main", false, "bob");
    let (user, looks) = ("bob".to_owned(), false);
    assert_eq!(daemon.request(Request::Expel { user, looks }), Reply::Done);
    while bob.turn() {}
    assert!(
        bob.refused.iter().any(|why| why.contains("no right")),
        "{:?}",
        bob.refused
    );
    assert!(shim.connect_with(Some(&ticket)).is_none());
    ada.input(1, "hers\r");
    ada.until_text("hers");
}

/// A shim of the version before leases, or such a client, is met with what it knows.
#[test]
fn who_does_not_know_leases_is_not_told_of_them() {
    let (shim, mut daemon) = started();
    let mut ada = come(&shim, &mut daemon, "ada", attach());
    let mut old = Viewer::attach_by(shim.connect_as(1), attach());
    old.until_text("ready");
    ada.input(1, "hers\r");
    old.until_text("hers");
    assert_eq!(old.lease.epoch, 0);
    old.input(1, "x");
    old.until("refusal", |viewer| !viewer.refused.is_empty());
}

fn run(daemon: &mut Client, process: &str, user: &str, script: &str) {
    let command = wsm_sandbox::launch::Command {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        leaf: wsm_sandbox::launch::Leaf::Agent,
    };
    let person = Person {
        user: user.into(),
        device: "a desk".into(),
    };
    let started = daemon.request(Request::Start {
        process: process.into(),
        command,
        io: Io::Stream,
        person: Some(person),
    });
    assert!(matches!(started, Reply::Started { .. }), "{started:?}");
}

/// A connection to what runs, which has said that it does.
fn opened(shim: &Shim, process: &str) -> Client {
    let mut client = shim.connect();
    client.send(&Frame::Open {
        process: process.into(),
    });
    assert_eq!(client.receive(), Some(Frame::Stdout(b"runs\n".to_vec())));
    client
}

#[test]
fn what_somebody_runs_ends_with_the_right_to() {
    let (shim, mut daemon) = started();
    run(&mut daemon, "exec/1", "bob", "echo runs; exec sleep 1000");
    run(
        &mut daemon,
        "exec/2",
        "bob",
        "trap '' HUP; echo runs; while :; do sleep 1; done",
    );
    run(&mut daemon, "exec/3", "ada", "echo runs; exec cat");
    let mut bobs = opened(&shim, "exec/1");
    // Who left it running has no connection that could be closed.
    drop(opened(&shim, "exec/2"));
    let mut adas = opened(&shim, "exec/3");
    let mut runners = || match daemon.request(Request::Who { terminal: None }) {
        Reply::Who { runners, .. } => runners.into_iter().map(|it| it.user).collect::<Vec<_>>(),
        other => panic!("not who: {other:?}"),
    };
    assert_eq!(runners(), ["ada", "bob"]);
    // That he may look on makes no difference to what he runs.
    let (user, looks) = ("bob".to_owned(), true);
    assert_eq!(daemon.request(Request::Expel { user, looks }), Reply::Done);
    let told = bobs.receive();
    assert!(matches!(told, Some(Frame::Refused { .. })), "{told:?}");
    assert_eq!(bobs.receive(), None);
    let exit = |daemon: &mut Client, name: &str| {
        let known = daemon.list().into_iter().find(|it| it.process == name);
        known.and_then(|it| it.exit)
    };
    let hung_up = eventually("the end of what heeds", || exit(&mut daemon, "exec/1"));
    assert_eq!(hung_up, Exit::Signal(1));
    let killed = eventually("the end of what does not", || exit(&mut daemon, "exec/2"));
    assert_eq!(killed, Exit::Signal(9));
    adas.send(&Frame::Stdin(b"on\n".to_vec()));
    assert_eq!(adas.receive(), Some(Frame::Stdout(b"on\n".to_vec())));
    assert_eq!(exit(&mut daemon, "exec/3"), None);
}

#[test]
fn the_keyboard_is_given_to_names_alone() {
    let (shim, mut daemon) = started();
    let fits = Attach {
        fit: true,
        ..attach()
    };
    let mut owner = come(&shim, &mut daemon, "ada", fits);
    let mut driver = come(&shim, &mut daemon, "bob", attach());
    driver.input(1, "mine\r");
    driver.until("its lease", |viewer| viewer.lease.yours);
    let long = "x".repeat(900_000);
    for to in ["\x1b]52;c;QQ==\x07", "", "a b", "a\u{202e}b", &long[..81]] {
        let act = LeaseAct::Grant { to: to.to_owned() };
        let before = driver.refused.len();
        driver.client.send(&Frame::Ask(act.clone()));
        driver.until("a refusal", |it| it.refused.len() > before);
        let reply = lease(&mut daemon, "bob", act, false);
        assert!(matches!(reply, Reply::Refused { .. }), "{to:?}: {reply:?}");
    }
    let reply = lease(&mut daemon, "bob", LeaseAct::Grant { to: long }, false);
    assert!(matches!(reply, Reply::Refused { .. }), "{reply:?}");
    owner.input(1, "late\r");
    owner.until("a refusal", |it| !it.refused.is_empty());
    assert!(owner.refused[0].starts_with("bob has the keyboard"));
}

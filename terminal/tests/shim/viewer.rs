//! A viewer as clients are.

use std::io::Write;

use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::{Attach, Frame, Lease};
use wsm_terminal::screen::{Fed, Screen};

use crate::harness::{Client, Shim};

/// Output drawn before it is acknowledged.
const ACK_BYTES: u64 = 32 * 1024;

/// A viewer with a screen of its own.
pub(crate) struct Viewer {
    pub(crate) client: Client,
    /// Its screen keeps its size.
    fit: bool,
    pub(crate) screen: Screen,
    pub(crate) seq: u64,
    acked: u64,
    pub(crate) snapshots: u32,
    pub(crate) bytes: u64,
    pub(crate) acks: bool,
    pub(crate) exit: Option<Exit>,
    pub(crate) refused: Vec<String>,
    pub(crate) lease: Lease,
    pub(crate) pictures: u32,
    pub(crate) copies: Vec<String>,
}

impl Viewer {
    pub(crate) fn attach(shim: &Shim, attach: Attach) -> Viewer {
        Viewer::attach_by(shim.connect(), attach)
    }

    pub(crate) fn attach_by(mut client: Client, attach: Attach) -> Viewer {
        let (fit, own) = (attach.fit, (attach.cols, attach.rows));
        let (cols, rows) = if fit { own } else { (80, 24) };
        client.send(&Frame::Attach(attach));
        Viewer {
            client,
            fit,
            screen: Screen::new(cols, rows),
            seq: 0,
            acked: 0,
            snapshots: 0,
            bytes: 0,
            acks: true,
            exit: None,
            refused: Vec::new(),
            lease: Lease::default(),
            pictures: 0,
            copies: Vec::new(),
        }
    }

    /// Takes one frame in. `false`: the connection is closed.
    pub(crate) fn turn(&mut self) -> bool {
        let Some(frame) = self.client.receive() else {
            return false;
        };
        let mut fed = Fed::default();
        let whole = matches!(frame, Frame::Snapshot { .. } | Frame::Picture { .. });
        match frame {
            Frame::Snapshot {
                seq,
                cols,
                rows,
                bytes,
            } => {
                self.screen = Screen::new(cols, rows);
                self.screen.feed(&bytes, &mut fed);
                self.seq = seq;
                self.snapshots += 1;
            }
            Frame::Output { seq, bytes } => {
                assert_eq!(seq, self.seq, "no gap, no overlap");
                self.seq += bytes.len() as u64;
                self.bytes += bytes.len() as u64;
                self.screen.feed(&bytes, &mut fed);
            }
            Frame::Resized { .. } if self.fit => {}
            Frame::Resized { cols, rows, .. } => {
                self.screen.resize(cols, rows);
            }
            Frame::Exited(exit) => self.exit = Some(exit),
            Frame::Refused { reason } => self.refused.push(reason),
            Frame::Lease(lease) => self.lease = lease,
            Frame::Copy { text } => self.copies.push(text),
            Frame::Picture { seq, bytes } => {
                self.screen.feed(&bytes, &mut fed);
                self.seq = seq;
                self.pictures += 1;
            }
            other => panic!("not for a viewer: {other:?}"),
        }
        assert!(fed.answers.is_empty(), "a query was forwarded");
        // As the CLI does: whole screens at once, output by and by.
        let due = whole || self.seq - self.acked >= ACK_BYTES;
        if self.acks && due && self.exit.is_none() && self.refused.is_empty() {
            let seq = self.seq;
            self.acked = seq;
            let mut bytes = Vec::new();
            Frame::Ack { seq }.encode(&mut bytes);
            // It may have closed already, its last frames still on the way.
            self.client.socket.write_all(&bytes).unwrap_or_default();
        }
        true
    }

    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Viewer) -> bool) {
        what.clone_into(&mut self.client.waits_for);
        while !done(self) {
            assert!(self.turn(), "closed before {what}: {:?}", self.refused);
        }
    }

    pub(crate) fn until_text(&mut self, text: &str) {
        self.until(text, |viewer| viewer.text().contains(text));
    }

    pub(crate) fn text(&self) -> String {
        self.screen.capture(0, false)
    }

    pub(crate) fn input(&mut self, number: u64, text: &str) {
        self.client.send(&Frame::Input {
            epoch: 0,
            number,
            bytes: text.into(),
        });
    }
}

pub(crate) fn attach() -> Attach {
    Attach {
        terminal: "main".into(),
        resume: None,
        cols: 80,
        rows: 24,
        read_only: false,
        history_lines: 0,
        tty: false,
        fit: false,
    }
}

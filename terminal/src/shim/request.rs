//! Frames of clients.

use std::time::Instant;

use nix::errno::Errno;
use wsm_sandbox::launch::Order;

use super::Shim;
use super::client::Role;
use super::process::Kind;
use super::tty::Tty;
use super::viewer::Viewer;
use crate::protocol::{Attach, FRAME_BYTES_MAX, Frame, Reply, Request, Verdict};

/// Longest text of a capture as JSON.
const CAPTURE_BYTES_MAX: usize = FRAME_BYTES_MAX - 4096;
/// Directories that may be watched.
const WATCH_MAX: usize = 64;

impl Shim {
    /// Does what one frame asks. `Err`: the client breaks the protocol.
    pub(super) fn frame(
        &mut self,
        id: u64,
        mut frame: Frame,
        now: Instant,
    ) -> Result<(), &'static str> {
        let Some(client) = self.clients.get_mut(&id) else {
            return Ok(());
        };
        if !client.greeted {
            let Frame::Hello(hello) = frame else {
                return Err("it did not say hello");
            };
            return self.welcome(id, &hello, now);
        }
        client.restrict(&mut frame)?;
        match (frame, &mut client.role) {
            (Frame::Ping, _) => client.send(&Frame::Pong),
            (Frame::Request(number, request), Role::Plain) => {
                if let Some(reply) = self.request(id, number, request, now)
                    && let Some(client) = self.clients.get_mut(&id)
                {
                    client.send(&Frame::Reply(number, reply));
                }
            }
            (Frame::Attach(attach), Role::Plain) => self.attach(id, &attach, now),
            (Frame::Ack { seq }, Role::Viewer(viewer)) => viewer.ack(seq),
            (
                Frame::Input {
                    epoch,
                    number,
                    bytes,
                },
                Role::Viewer(_),
            ) => self.typed(id, (epoch, number), &bytes, now),
            (Frame::Resize { cols, rows }, Role::Viewer(viewer)) => {
                viewer.resize((cols, rows));
                self.resized(id);
            }
            (Frame::Visible(visible), Role::Viewer(viewer)) => viewer.visible = visible,
            (Frame::Ask(act), Role::Viewer(_)) => self.ask(id, &act, now),
            (Frame::Detach, _) => client.closing = true,
            (Frame::Open { process }, Role::Plain) => self.open(id, process),
            (Frame::Stdin(bytes), Role::Stream(process)) => {
                let process = process.clone();
                if let Some(Kind::Stream(stream)) = self.kind(&process) {
                    stream.stdin(&bytes);
                }
            }
            (Frame::StdinEnd, Role::Stream(process)) => {
                let process = process.clone();
                if let Some(Kind::Stream(stream)) = self.kind(&process) {
                    stream.stdin_end();
                }
            }
            _ => return Err("a frame that is not due"),
        }
        Ok(())
    }

    fn kind(&mut self, process: &str) -> Option<&mut Kind> {
        self.processes.get_mut(process).map(|known| &mut known.kind)
    }

    fn request(&mut self, id: u64, number: u64, request: Request, now: Instant) -> Option<Reply> {
        match request {
            Request::Start {
                process,
                command,
                io,
                person,
            } => self.start((id, number), process, command, (&io, person)),
            Request::Signal {
                process,
                signal,
                group,
            } => Some(self.signal(&process, signal, group)),
            Request::Send {
                terminal,
                bytes,
                person,
            } => Some(self.send(&terminal, &bytes, person.as_ref(), now)),
            Request::List => Some(Reply::Listed {
                processes: self
                    .processes
                    .iter()
                    .map(|(name, process)| process.describe(name))
                    .collect(),
            }),
            Request::Forget { process } => Some(match self.forget(&process) {
                None => Reply::NotFound,
                Some(true) => Reply::Done,
                Some(false) => Reply::Failed {
                    what: format!("forget {process}, which runs"),
                    errno: Errno::EBUSY as i32,
                },
            }),
            Request::Capture {
                terminal,
                history_lines,
                styled,
            } => Some(self.capture(&terminal, history_lines, styled)),
            Request::Log {
                process,
                from,
                lines,
            } => Some(self.log(&process, from, lines)),
            Request::Watch { directories } => Some(self.watch(directories)),
            Request::Subscribe => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.subscribed = true;
                }
                Some(Reply::Done)
            }
            Request::Ticket {
                terminal,
                read_only,
                person,
                owner,
            } => Some(self.ticket((terminal, read_only), (person, owner), now)),
            Request::Expel { user, looks } => Some(self.expel_user(&user, looks, now)),
            Request::Who { terminal } => Some(self.who(terminal.as_deref())),
            Request::Lease {
                terminal,
                act,
                person,
                over,
            } => Some(self.dispose(&terminal, &act, (&person.user, over), now)),
            Request::RecordInput { on } => Some(self.set_record_input(on, now)),
            Request::Reports { after } => Some(self.reports(after)),
            Request::Decide { report, verdict } => Some(self.decide(report, verdict.as_ref())),
        }
    }

    pub(super) fn signal(&mut self, process: &str, signal: i32, group: bool) -> Reply {
        let Some(known) = self.processes.get(process) else {
            return Reply::NotFound;
        };
        // Gone already is what was wanted.
        if known.exit.is_some() {
            return Reply::Done;
        }
        let Some((&id, _)) = self.ids.iter().find(|(_, name)| *name == process) else {
            return Reply::Done;
        };
        self.order(&Order::Signal { id, signal, group }, "signal it")
    }

    pub(super) fn hear_reports(&mut self, now: Instant) {
        if let Some(desk) = &mut self.desk {
            desk.ready(&mut self.scratch, now);
        }
    }

    fn reports(&self, after: u64) -> Reply {
        let Some(desk) = &self.desk else {
            return Reply::NotFound;
        };
        let (reports, more) = desk.since(after);
        let open = desk.fates();
        Reply::Reports {
            reports,
            open,
            more,
        }
    }

    fn decide(&mut self, report: u64, verdict: Option<&Verdict>) -> Reply {
        let desk = self.desk.as_mut();
        match desk.is_some_and(|desk| desk.decide(report, verdict)) {
            true => Reply::Done,
            false => Reply::NotFound,
        }
    }

    fn watch(&mut self, directories: Vec<String>) -> Reply {
        if directories.len() > WATCH_MAX {
            return Reply::Failed {
                what: format!("watch more than {WATCH_MAX} directories"),
                errno: Errno::E2BIG as i32,
            };
        }
        self.order(&Order::Watch { directories }, "watch directories")
    }

    fn order(&mut self, order: &Order, what: &str) -> Reply {
        match self.launcher.send(order, Vec::new()) {
            Ok(()) => Reply::Done,
            Err(errno) => Reply::Failed {
                what: what.to_owned(),
                errno: errno as i32,
            },
        }
    }

    fn capture(&mut self, terminal: &str, history_lines: u32, styled: bool) -> Reply {
        let Some(known) = self.terminals.get(terminal) else {
            return Reply::NotFound;
        };
        let screen = &known.screen;
        let mut text = screen.capture(history_lines as usize, styled);
        // As JSON an escape character takes six bytes; the oldest lines give way.
        while encoded(&text) > CAPTURE_BYTES_MAX {
            let half = text.len() / 2;
            let line = text.as_bytes()[half..]
                .iter()
                .position(|&byte| byte == b'\n');
            text.drain(..line.map_or(text.len(), |at| half + at + 1));
        }
        let (cols, rows) = screen.size();
        Reply::Captured {
            text,
            cols,
            rows,
            seq: known.ring.end(),
            cursor: screen.cursor(),
            title: screen.title().to_owned(),
        }
    }

    fn log(&mut self, process: &str, from: Option<u64>, lines: u32) -> Reply {
        let Some(Kind::Log(service, _)) = self.processes.get(process).map(|known| &known.kind)
        else {
            return Reply::NotFound;
        };
        let Some(log) = self.logs.get(service) else {
            return Reply::NotFound;
        };
        let (from, bytes) = log.read(from, lines);
        let next = from + bytes.len() as u64;
        Reply::Log { from, bytes, next }
    }

    fn attach(&mut self, id: u64, attach: &Attach, now: Instant) {
        let Some(terminal) = self.terminals.get_mut(&attach.terminal) else {
            let reason = format!("there is no terminal {}", attach.terminal);
            self.refuse(id, &reason);
            return;
        };
        let own = (attach.cols, attach.rows);
        let fits = !attach.fit || own == terminal.screen.size();
        let resume = attach
            .resume
            .filter(|_| fits)
            .filter(|&(incarnation, seq)| {
                let range = terminal.ring.start()..=terminal.ring.end();
                let resized = terminal.resized > 0 && seq <= terminal.resized;
                // It may have seen a picture there, and lacks what went by.
                let wants = attach.history_lines > 0 && !attach.fit;
                let skipped = wants && seq <= terminal.skipped && terminal.skipped > 0;
                incarnation == self.incarnation && range.contains(&seq) && !resized && !skipped
            });
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let viewer = Viewer::new(attach, resume.map(|(_, seq)| seq), terminal.ring.end());
        if resume.is_some() {
            // The viewer learns the size even if nothing was written since.
            let (cols, rows) = terminal.screen.size();
            let seq = viewer.sent;
            client.send(&Frame::Resized { seq, cols, rows });
        }
        client.role = Role::Viewer(viewer);
        let passed = client.take_passed();
        // Who may only look shall not be able to hold up what others see.
        if let Some(fd) = passed.filter(|_| attach.tty && !attach.read_only) {
            client.tty = Tty::new(fd);
            if let Some(tty) = &client.tty {
                self.rare.add(id, tty);
            }
        }
        self.joined(id, now);
        self.serve(id);
    }

    fn open(&mut self, id: u64, process: String) {
        let exit = self.processes.get(&process).and_then(|known| known.exit);
        let opened = match self.kind(&process) {
            None => Err(format!("there is no process {process}")),
            Some(Kind::Terminal(_) | Kind::Log(..)) => {
                Err(format!("process {process} has no streams to open"))
            }
            Some(Kind::Stream(stream)) => match stream.open(id) {
                None => Err(format!("the streams of {process} were opened before")),
                Some(frames) => {
                    if exit.is_some() {
                        stream.leave();
                    }
                    Ok(frames)
                }
            },
        };
        let frames = match opened {
            Ok(frames) => frames,
            Err(reason) => return self.refuse(id, &reason),
        };
        let person = self
            .processes
            .get(&process)
            .and_then(|it| it.person.clone());
        if let Some(client) = self.clients.get_mut(&id) {
            client.person = person.unwrap_or_default();
            client.role = Role::Stream(process);
            frames.iter().for_each(|frame| client.send(frame));
            if let Some(exit) = exit {
                client.send(&Frame::Exited(exit));
                client.closing = true;
            }
        }
    }

    pub(super) fn refuse(&mut self, id: u64, reason: &str) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.send(&Frame::Refused {
                reason: reason.to_owned(),
            });
            client.closing = true;
        }
    }
}

/// Bytes of the text as JSON, at most.
fn encoded(text: &str) -> usize {
    let escaped = |byte: &u8| match byte {
        0..0x20 | 0x7f => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.as_bytes().iter().map(escaped).sum()
}

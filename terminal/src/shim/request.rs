//! Frames of clients.

use std::rc::Rc;
use std::time::Instant;

use nix::errno::Errno;
use wsm_sandbox::launch::Order;

use super::Shim;
use super::client::Role;
use super::process::Kind;
use super::tty::Tty;
use super::viewer::Viewer;
use crate::protocol::{Attach, FRAME_BYTES_MAX, Frame, Hello, PROTOCOL_VERSION, Reply, Request};

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
            client.admit(hello.ticket.as_deref(), &mut self.tickets, now)?;
            client.greeted = true;
            let version = PROTOCOL_VERSION;
            let incarnation = self.incarnation;
            client.send(&Frame::Hello(Hello {
                version,
                incarnation,
                ticket: None,
            }));
            // Both know now; one that speaks another version has been told ours.
            client.closing = hello.version != version;
            return Ok(());
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
            (Frame::Attach(attach), Role::Plain) => self.attach(id, &attach),
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
                viewer.size = (cols, rows);
                if !viewer.read_only {
                    self.drive(id);
                }
            }
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
            } => self.start((id, number), process, command, &io),
            Request::Signal {
                process,
                signal,
                group,
            } => Some(self.signal(&process, signal, group)),
            Request::Send { terminal, bytes } => Some(self.send(&terminal, &bytes, now)),
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
            } => Some(self.tickets.issue(terminal, read_only, now)),
        }
    }

    fn send(&mut self, terminal: &str, bytes: &[u8], now: Instant) -> Reply {
        let Some(known) = self.terminals.get_mut(terminal) else {
            return Reply::NotFound;
        };
        let (what, errno) = if known.master.is_none() {
            (
                "type into a terminal whose program does not run",
                Errno::EIO,
            )
        } else if known.input(bytes, now) {
            return Reply::Done;
        } else {
            ("type: the program does not read its input", Errno::EAGAIN)
        };
        Reply::Failed {
            what: what.to_owned(),
            errno: errno as i32,
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

    fn attach(&mut self, id: u64, attach: &Attach) {
        let Some(terminal) = self.terminals.get_mut(&attach.terminal) else {
            let reason = format!("there is no terminal {}", attach.terminal);
            self.refuse(id, &reason);
            return;
        };
        let resume = attach.resume.filter(|&(incarnation, seq)| {
            let range = terminal.ring.start()..=terminal.ring.end();
            let resized = terminal.resized > 0 && seq <= terminal.resized;
            incarnation == self.incarnation && range.contains(&seq) && !resized
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
        let first = terminal.driver.is_none() && !attach.read_only;
        if first {
            self.drive(id);
        }
        self.serve(id);
    }

    fn typed(&mut self, id: u64, (epoch, number): (u64, u64), bytes: &[u8], now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let Role::Viewer(viewer) = &mut client.role else {
            return;
        };
        let Some(terminal) = self.terminals.get_mut(&viewer.terminal) else {
            return;
        };
        let mut fresh = Ok(number > viewer.number || number == 0);
        if viewer.read_only {
            fresh = Err("you are only watching");
        } else if epoch > 0 {
            let moved = "somebody else has the keyboard now";
            fresh = terminal.admit(epoch, number).map_err(|()| moved);
        }
        viewer.number = viewer.number.max(number);
        let drives = terminal.driver == Some(id);
        let taken = match fresh {
            Ok(false) => return,
            Ok(true) if terminal.master.is_none() => Err("no program runs in this terminal"),
            Ok(true) if terminal.input(bytes, now) => {
                if terminal.echo.due(bytes.len()) {
                    self.echo = Some(Rc::clone(&terminal.name));
                }
                Ok(())
            }
            Ok(true) => Err("the program does not read its input"),
            Err(reason) => Err(reason),
        };
        match taken {
            Ok(()) if drives => {}
            Ok(()) => self.drive(id),
            Err(reason) => {
                let reason = reason.to_owned();
                client.send(&Frame::Refused { reason });
                if let Some(tty) = &mut client.tty {
                    tty.ring();
                }
            }
        }
    }

    /// This viewer has the terminal's size from now on.
    fn drive(&mut self, id: u64) {
        let Some(Role::Viewer(viewer)) = self.clients.get(&id).map(|client| &client.role) else {
            return;
        };
        let (name, size) = (viewer.terminal.clone(), viewer.size);
        let Some(terminal) = self.terminals.get_mut(&name) else {
            return;
        };
        terminal.driver = Some(id);
        if !terminal.resize(size) {
            return;
        }
        let mut viewers = Vec::new();
        for (other, client) in &mut self.clients {
            if let Role::Viewer(viewer) = &mut client.role
                && viewer.terminal == name
            {
                super::terminal::outdate(viewer);
                viewers.push(*other);
            }
        }
        viewers.into_iter().for_each(|viewer| self.serve(viewer));
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
        if let Some(client) = self.clients.get_mut(&id) {
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

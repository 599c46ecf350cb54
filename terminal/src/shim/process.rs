//! Processes: starting them through the launcher, and their ends.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use wsm_sandbox::launch::{Command, Exit, Order, Report, Stdio};

use super::Shim;
use super::serve::outdate;
use super::stream::{Peer, Stream};
use super::terminal::Terminal;
use crate::protocol::{self, Event, Frame, Io, Person, Reply};
use crate::pty;
use crate::screen::clamp_size;

use super::client::{Client, Role};

/// Processes known at once, ended ones included: the oldest ended one makes room.
const PROCESSES_MAX: usize = 256;
/// What people run at once, so that wsm itself always finds a place for what it runs.
const COMMANDS_MAX: usize = 64;
/// How long a process with streams may wait for its client, and stays known after its end: a client
/// that was killed in between never comes, and nobody else knows its name.
const STREAM_PATIENCE: Duration = Duration::from_secs(15);
/// Longest name of a process or terminal in bytes.
const NAME_BYTES_MAX: usize = 80;
/// Pipes that children of forgotten processes may still write to. More are closed on them.
const ORPHANS_MAX: usize = 64;

pub(super) struct Process {
    id: u64,
    pub(super) kind: Kind,
    pid: i32,
    pub(super) exit: Option<Exit>,
    /// Who runs it, where that is somebody's right.
    pub(super) person: Option<Person>,
    /// It was hung up: killed then.
    pub(super) doomed: Option<Instant>,
    /// Who waits to hear that it started.
    waits: Option<(u64, u64)>,
    started_ms: u64,
    /// When it started, or ended.
    since: Instant,
    output_ms: Option<u64>,
    output_bytes: u64,
}

/// What a process's standard streams are.
pub(super) enum Kind {
    Terminal(String),
    /// Read end of the pipe that it writes to, until all writers are gone.
    Log(String, Option<OwnedFd>),
    Stream(Box<Stream>),
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

fn failed(what: impl Into<String>, errno: Errno) -> Reply {
    Reply::Failed {
        what: what.into(),
        errno: errno as i32,
    }
}

impl Process {
    pub(super) fn wrote(&mut self, bytes: u64) {
        if bytes > 0 {
            self.output_bytes += bytes;
            self.output_ms = Some(now_ms());
        }
    }

    /// When it is ended, or forgotten, because nobody comes for its streams any more.
    fn swept(&self) -> Option<Instant> {
        if let (Some(doomed), None) = (self.doomed, self.exit) {
            return Some(doomed);
        }
        let Kind::Stream(stream) = &self.kind else {
            return None;
        };
        let over = self.exit.is_some() || stream.peer() == Peer::Awaited;
        over.then(|| self.since + STREAM_PATIENCE)
    }

    pub(super) fn describe(&self, name: &str) -> protocol::Process {
        let (terminal, bytes) = match &self.kind {
            Kind::Terminal(terminal) => (Some(terminal.clone()), self.output_bytes),
            Kind::Log(..) => (None, self.output_bytes),
            Kind::Stream(stream) => (None, stream.bytes()),
        };
        protocol::Process {
            process: name.to_owned(),
            terminal,
            pid: self.pid,
            exit: self.exit,
            started_ms: self.started_ms,
            output_ms: self.output_ms,
            output_bytes: bytes,
        }
    }
}

impl Shim {
    /// `None`: the answer comes when the launcher has reported.
    pub(super) fn start(
        &mut self,
        waits: (u64, u64),
        name: String,
        command: Command,
        (io, person): (&Io, Option<Person>),
    ) -> Option<Reply> {
        if self.processes.contains_key(&name) {
            return Some(Reply::Exists);
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Some(failed("name a process (1 to 80 bytes)", Errno::EINVAL));
        }
        if self.init_exit.is_some() || self.stopping {
            return Some(failed("start in a sandbox that has ended", Errno::ESRCH));
        }
        if person.is_some() && self.commands() >= COMMANDS_MAX {
            return Some(failed("run more than 64 commands at once", Errno::EAGAIN));
        }
        if let Err(reply) = self.make_room() {
            return Some(reply);
        }
        let (kind, stdio, fds) = match self.streams(&name, io) {
            Ok(streams) => streams,
            Err(reply) => return Some(reply),
        };
        let id = self.next_id;
        self.next_id += 1;
        let order = Order::Start { id, command, stdio };
        if let Err(errno) = self.launcher.send(&order, fds) {
            return Some(failed("order the launcher to start it", errno));
        }
        if let Kind::Terminal(terminal) = &kind {
            self.take_terminal(terminal, &name, stdio);
            self.record(terminal, io);
        }
        let process = Process {
            id,
            kind,
            pid: 0,
            exit: None,
            person,
            doomed: None,
            waits: Some(waits),
            started_ms: now_ms(),
            since: Instant::now(),
            output_ms: None,
            output_bytes: 0,
        };
        self.ids.insert(id, name.clone());
        self.processes.insert(name, process);
        None
    }

    /// What people run: connections that have it, also of what has ended, and what has none.
    fn commands(&self) -> usize {
        let streams =
            |it: &&Client| matches!(it.role, Role::Stream(_)) && !it.person.user.is_empty();
        let open = self.clients.values().filter(streams).count();
        let alone = |it: &&Process| match &it.kind {
            Kind::Stream(stream) => !matches!(stream.peer(), Peer::Here(_)),
            Kind::Terminal(_) | Kind::Log(..) => true,
        };
        let running = self.processes.values().filter(|it| it.exit.is_none());
        open + running
            .filter(|it| it.person.is_some())
            .filter(alone)
            .count()
    }

    fn make_room(&mut self) -> Result<(), Reply> {
        if self.processes.len() < PROCESSES_MAX {
            return Ok(());
        }
        let ended = self.processes.iter().filter(|(_, p)| p.exit.is_some());
        match ended.min_by_key(|(_, process)| process.id) {
            Some((name, _)) => {
                let name = name.clone();
                self.forget(&name);
                Ok(())
            }
            None => Err(failed("keep more than 256 processes", Errno::EAGAIN)),
        }
    }

    fn streams(&mut self, name: &str, io: &Io) -> Result<(Kind, Stdio, Vec<OwnedFd>), Reply> {
        let pipes = |error: std::io::Error| {
            let errno = error.raw_os_error().unwrap_or(0);
            let what = "make pipes".to_owned();
            Reply::Failed { what, errno }
        };
        match io {
            Io::Terminal {
                terminal,
                cols,
                rows,
                ..
            } => {
                if terminal.is_empty() || terminal.len() > NAME_BYTES_MAX {
                    return Err(failed("name a terminal (1 to 80 bytes)", Errno::EINVAL));
                }
                let (mut cols, mut rows) = clamp_size(*cols, *rows);
                if let Some(known) = self.terminals.get(terminal) {
                    if known.ended.is_none() && known.process != name {
                        let what = format!("take terminal {terminal} from {}", known.process);
                        return Err(failed(what, Errno::EBUSY));
                    }
                    if known.driver.is_some() {
                        (cols, rows) = known.screen.size();
                    }
                }
                let stdio = Stdio::Terminal { cols, rows };
                Ok((Kind::Terminal(terminal.clone()), stdio, Vec::new()))
            }
            Io::Log { service } => {
                if !self.logs.contains_key(service) {
                    let what = format!("log {service}: the sandbox was made without such a log");
                    return Err(failed(what, Errno::ENOENT));
                }
                let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).map_err(|e| pipes(e.into()))?;
                let (empty, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|e| pipes(e.into()))?;
                drop(writer);
                let again = theirs.try_clone().map_err(pipes)?;
                pty::set_nonblocking(ours.as_fd()).map_err(pipes)?;
                let kind = Kind::Log(service.clone(), Some(ours));
                Ok((kind, Stdio::Attached, vec![empty, theirs, again]))
            }
            Io::Stream => {
                let (stream, theirs) = Stream::new().map_err(pipes)?;
                Ok((Kind::Stream(Box::new(stream)), Stdio::Attached, theirs))
            }
        }
    }

    /// Its recording begins, if it shall have one, or goes on.
    fn record(&mut self, terminal: &str, io: &Io) {
        if let Io::Terminal {
            record: Some(record),
            ..
        } = io
            && let Some(known) = self.terminals.get_mut(terminal)
            && known.recorder.is_none()
        {
            known.recorder = self.recordings.begin(terminal, record).map(Box::new);
        }
    }

    fn take_terminal(&mut self, terminal: &str, process: &str, stdio: Stdio) {
        let Stdio::Terminal { cols, rows } = stdio else {
            return;
        };
        let Some(known) = self.terminals.get_mut(terminal) else {
            let new = Terminal::new(terminal, process.to_owned(), cols, rows, Instant::now());
            self.terminals.insert(terminal.to_owned(), new);
            return;
        };
        known.renew(process.to_owned());
        if known.resize((cols, rows)) {
            for client in self.clients.values_mut() {
                if let Role::Viewer(viewer) = &mut client.role
                    && viewer.terminal == terminal
                {
                    outdate(viewer);
                }
            }
        }
    }

    pub(super) fn report(&mut self, report: Report, fd: Option<OwnedFd>, now: Instant) {
        match report {
            Report::Ready => {}
            Report::Changed => self.events.push(Event::Changed),
            Report::Started { id, pid } => self.started(id, pid, fd),
            Report::Failed { id, what, errno } => {
                self.not_started(id, Reply::Failed { what, errno })
            }
            Report::Exited { id, status } => {
                if let Some(name) = self.ids.remove(&id) {
                    self.exited(&name, status, now);
                }
            }
        }
    }

    fn started(&mut self, id: u64, pid: i32, fd: Option<OwnedFd>) {
        let Some(process) = self
            .ids
            .get(&id)
            .and_then(|name| self.processes.get_mut(name))
        else {
            return;
        };
        process.pid = pid;
        let waits = process.waits.take();
        let terminal = match &process.kind {
            Kind::Terminal(terminal) => self.terminals.get_mut(terminal),
            Kind::Log(..) | Kind::Stream(_) => None,
        };
        if let Some(terminal) = terminal {
            // Without a master there is nothing to read; its exit will still be reported.
            if let Some(Err(error)) = fd.map(|master| terminal.started(master)) {
                eprintln!("wsm-shim: set up the terminal of process {id}: {error}");
            }
        }
        self.reply(waits, Reply::Started { pid });
    }

    fn not_started(&mut self, id: u64, reply: Reply) {
        let Some(name) = self.ids.remove(&id) else {
            return;
        };
        let Some(process) = self.processes.remove(&name) else {
            return;
        };
        if let Kind::Terminal(terminal) = &process.kind {
            // A screen of an earlier process stays to be looked at.
            let earlier = self
                .terminals
                .get_mut(terminal)
                .is_some_and(Terminal::restore);
            if !earlier {
                self.drop_terminal(terminal, &name);
            }
        }
        if let Kind::Stream(stream) = &process.kind
            && let Peer::Here(client) = stream.peer()
        {
            self.refuse(client, "it could not be started");
        }
        self.reply(process.waits, reply);
    }

    fn reply(&mut self, waits: Option<(u64, u64)>, reply: Reply) {
        if let Some((client, number)) = waits
            && let Some(client) = self.clients.get_mut(&client)
        {
            client.send(&Frame::Reply(number, reply));
        }
    }

    pub(super) fn exited(&mut self, name: &str, exit: Exit, now: Instant) {
        let Some(process) = self.processes.get_mut(name) else {
            return;
        };
        match &mut process.kind {
            Kind::Terminal(terminal) => {
                // Told when the terminal's output is complete.
                if let Some(terminal) = self.terminals.get_mut(terminal)
                    && terminal.process == name
                {
                    terminal.exited(exit, now);
                    return;
                }
            }
            Kind::Log(service, pipe) => {
                let bytes = read_log(pipe, &mut self.logs, service, name);
                process.wrote(bytes);
            }
            Kind::Stream(stream) => {
                let frames = stream.drain(&mut self.scratch[..super::TURN_BYTES]);
                let peer = stream.peer();
                if let Peer::Here(client) = peer {
                    if let Some(client) = self.clients.get_mut(&client) {
                        frames.iter().for_each(|frame| client.send(frame));
                        client.send(&Frame::Exited(exit));
                        client.closing = true;
                    }
                    stream.leave();
                }
            }
        }
        self.ended(name, exit);
    }

    /// Everything of it has been said.
    pub(super) fn ended(&mut self, name: &str, exit: Exit) {
        let Some(process) = self.processes.get_mut(name) else {
            return;
        };
        process.exit = Some(exit);
        process.since = Instant::now();
        let waits = process.waits.take();
        let pid = process.pid;
        self.reply(waits, Reply::Started { pid });
        self.events.push(Event::Exited {
            process: name.to_owned(),
            exit,
        });
    }

    /// When [`Shim::sweep`] has something to do.
    pub(super) fn sweep_due(&self) -> Option<Instant> {
        self.processes.values().filter_map(Process::swept).min()
    }

    /// Ends processes whose client never came, and forgets those that ended long ago.
    pub(super) fn sweep(&mut self, now: Instant) {
        let due = |process: &Process| process.swept().is_some_and(|at| at <= now);
        let over = self.processes.iter().filter(|(_, process)| due(process));
        let over: Vec<String> = over.map(|(name, _)| name.clone()).collect();
        for name in over {
            if self.forget(&name) == Some(false) {
                if let Some(process) = self.processes.get_mut(&name) {
                    // Once: a group that can't be killed is not asked again in each turn.
                    process.doomed = None;
                    if let Kind::Stream(stream) = &mut process.kind {
                        stream.leave();
                    }
                }
                if let Reply::Failed { what, .. } = self.signal(&name, libc::SIGKILL, true) {
                    eprintln!("wsm-shim: {name} waits for nobody: {what}");
                }
            }
        }
    }

    /// `false`: it runs.
    pub(super) fn forget(&mut self, name: &str) -> Option<bool> {
        let process = self.processes.get(name)?;
        if process.exit.is_none() {
            return Some(false);
        }
        let process = self.processes.remove(name)?;
        match process.kind {
            Kind::Terminal(terminal) => self.drop_terminal(&terminal, name),
            Kind::Log(_, pipe) => self.orphans.extend(pipe),
            Kind::Stream(stream) => self.orphans.extend(stream.into_pipes()),
        }
        let over = self.orphans.len().saturating_sub(ORPHANS_MAX);
        self.orphans.drain(..over);
        Some(true)
    }

    fn drop_terminal(&mut self, terminal: &str, process: &str) {
        if self
            .terminals
            .get(terminal)
            .is_none_or(|known| known.process != process)
        {
            return;
        }
        self.terminals.remove(terminal);
        for client in self.clients.values_mut() {
            if matches!(&client.role, Role::Viewer(viewer) if viewer.terminal == terminal) {
                let reason = format!("terminal {terminal} is gone");
                client.send(&Frame::Refused { reason });
                client.closing = true;
            }
        }
    }

    /// Init is gone, and with it every process.
    pub(super) fn all_exited(&mut self, now: Instant) {
        for (_, name) in std::mem::take(&mut self.ids) {
            self.exited(&name, Exit::Signal(libc::SIGKILL), now);
        }
    }
}

/// Moves what a service wrote into its log; returns the number of bytes.
pub(super) fn read_log(
    pipe: &mut Option<OwnedFd>,
    logs: &mut BTreeMap<String, super::log::Log>,
    service: &str,
    process: &str,
) -> u64 {
    let mut buffer = [0; 64 * 1024];
    let Some(fd) = pipe else {
        return 0;
    };
    match nix::unistd::read(&*fd, &mut buffer) {
        Err(Errno::EAGAIN | Errno::EINTR) => 0,
        Ok(0) | Err(_) => {
            *pipe = None;
            0
        }
        Ok(length) => {
            if let Some(log) = logs.get_mut(service) {
                log.push(process, &buffer[..length]);
            }
            length as u64
        }
    }
}

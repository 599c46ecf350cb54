//! The shim: owns what must not die with the daemon. One thread, one loop.
//!
//! ```text
//! clients ──frames──▶ ┌──────┐ ──orders──▶ launcher ──fork──▶ processes
//!  daemon ◀──frames── │ shim │ ◀─reports──                        │
//!                     └──────┘ ◀──── PTYs and pipes ──────────────┘
//! ```
//!
//! A turn of the loop takes a bounded number of bytes from each source, and everything that can wait
//! has a bound: nobody, neither the agent nor a viewer, can make it grow or keep it from the others.

mod client;
mod copy;
mod desk;
mod echo;
mod flood;
mod guest;
mod keys;
mod launcher;
mod log;
mod owner;
mod poll;
mod process;
mod record;
mod request;
mod serve;
mod share;
mod stream;
mod terminal;
mod tty;
mod viewer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use wsm_sandbox::launch::ShimConfig;

use self::client::{Client, Role};
use self::desk::Desk;
use self::guest::{PATIENCE, Place, Tickets, Trust};
use self::launcher::{Launcher, Received};
use self::log::Log;
use self::poll::{Rare, Source};
use self::process::{Kind, Process, read_log};
use self::record::Slots;
use self::stream::{End, Peer};
use self::terminal::Terminal;
use crate::protocol::Event;
use crate::pty;

/// Connections at once: one per viewer and per command that somebody runs, each of which has a bound
/// of its own, and what is left of these for the daemon.
const CLIENTS_MAX: usize = 192;
/// How long a shim without a sandbox waits for its clients to read the end.
const LINGER: Duration = Duration::from_secs(5);
/// How long init may take to die when the shim is told to end.
const STOP: Duration = Duration::from_secs(2);
/// Bytes taken from one terminal or connection per turn of the loop, so that a flood starves nobody.
const TURN_BYTES: usize = 64 * 1024;
/// Asked for to have those: so much comes fresh, neither cleared nor there before it is written.
const SCRATCH_BYTES: usize = 256 * 1024;
/// Reports taken from the launcher per turn.
const REPORTS_PER_TURN: usize = 64;

/// What a shim holds.
pub(crate) struct Shim {
    incarnation: u64,
    /// Leases count milliseconds from here.
    began: Instant,
    daemon_uid: u32,
    listener: UnixListener,
    launcher: Launcher,
    init: Pid,
    signals: SignalFd,
    rare: Rare,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    tickets: Tickets,
    processes: BTreeMap<String, Process>,
    /// Names of running processes by the number the launcher knows them by.
    ids: BTreeMap<u64, String>,
    next_id: u64,
    terminals: BTreeMap<String, Terminal>,
    logs: BTreeMap<String, Log>,
    recordings: Slots,
    /// What people type is recorded, too.
    record_input: bool,
    desk: Option<Desk>,
    /// Pipes whose processes were forgotten but whose children may write on.
    orphans: Vec<OwnedFd>,
    events: Vec<Event>,
    /// The terminal that a key was typed into in this turn.
    echo: Option<Rc<str>>,
    /// What was just read.
    scratch: Vec<u8>,
    /// When init ended.
    init_exit: Option<Instant>,
    /// Told to end, since when.
    stopping: bool,
    stop_by: Option<Instant>,
}

/// Runs until the sandbox has ended and its end was read, or SIGTERM.
///
/// # Errors
/// The configuration names descriptors that are not what they should be, or the kernel fails.
pub fn run(config: &ShimConfig) -> io::Result<()> {
    Shim::new(config)?.turn_until_done()
}

impl Shim {
    fn new(config: &ShimConfig) -> io::Result<Shim> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.add(Signal::SIGTERM);
        mask.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&mask, flags)?;
        let listener = UnixListener::from(pty::adopt(config.listen_fd)?);
        listener.set_nonblocking(true)?;
        let desk = Desk::open(config.reports)?;
        let desk_fd = desk.as_ref().map(Desk::fd);
        let fds = [listener.as_fd(), signals.as_fd()];
        let rare = Rare::new(fds.into_iter().chain(desk_fd))?;
        let mut logs = BTreeMap::new();
        for (service, &fd) in &config.logs {
            logs.insert(service.clone(), Log::new(File::from(pty::adopt(fd)?))?);
        }
        let mut recordings = Vec::new();
        for &fd in &config.recordings {
            recordings.push(File::from(pty::adopt(fd)?));
        }
        Ok(Shim {
            incarnation: config.incarnation,
            began: Instant::now(),
            daemon_uid: config.daemon_uid,
            listener,
            launcher: Launcher::new(pty::adopt(config.launcher_fd)?),
            init: Pid::from_raw(config.init_pid),
            signals,
            rare,
            clients: BTreeMap::new(),
            next_client: 1,
            tickets: Tickets::default(),
            processes: BTreeMap::new(),
            ids: BTreeMap::new(),
            next_id: 1,
            terminals: BTreeMap::new(),
            logs,
            recordings: Slots::new(recordings.into_iter()),
            record_input: false,
            desk,
            orphans: Vec::new(),
            events: Vec::new(),
            echo: None,
            scratch: vec![0; SCRATCH_BYTES],
            init_exit: None,
            stopping: false,
            stop_by: None,
        })
    }

    fn turn_until_done(mut self) -> io::Result<()> {
        // Init may have ended before SIGCHLD was blocked.
        self.reap(Instant::now());
        loop {
            let now = Instant::now();
            self.tick(now);
            if self.done(now) {
                return Ok(());
            }
            for source in self.wait(now)? {
                self.ready(source);
            }
            self.await_echo();
        }
    }

    fn ready(&mut self, (source, flags): (Source, PollFlags)) {
        let now = Instant::now();
        match source {
            Source::Rare => self.rare(now),
            Source::Launcher => self.hear(now),
            Source::Client(id) => self.client(id, flags, now),
            Source::Tty(id) => self.draw(id),
            Source::Master(name) => {
                self.output(&name);
            }
            Source::Log(name) => {
                if let Some(process) = self.processes.get_mut(&name)
                    && let Kind::Log(service, pipe) = &mut process.kind
                {
                    let bytes = read_log(pipe, &mut self.logs, service, &name);
                    process.wrote(bytes);
                }
            }
            Source::Stream(name, end) => self.stream(&name, end),
            Source::Orphan(at) => self.orphan(at),
        }
    }

    fn rare(&mut self, now: Instant) {
        let (keys, others) = self.rare.take();
        for client in keys {
            self.await_key(client, now);
        }
        if others {
            // Both find out themselves whether it is theirs.
            self.signalled(now);
            self.accept(now);
            self.hear_reports(now);
        }
    }

    /// Takes what the program of a terminal wrote. Whether there was something.
    fn output(&mut self, name: &str) -> bool {
        let Some(terminal) = self.terminals.get_mut(name) else {
            return false;
        };
        terminal.write();
        let now = Instant::now();
        let most = terminal.turn_bytes(now);
        let bytes = terminal.read(&mut self.scratch[..most], now, &mut self.events);
        if let Some(process) = self.processes.get_mut(&terminal.process) {
            process.wrote(bytes);
        }
        bytes > 0
    }

    fn stream(&mut self, name: &str, end: End) {
        let Some(process) = self.processes.get_mut(name) else {
            return;
        };
        let Kind::Stream(stream) = &mut process.kind else {
            return;
        };
        if end == End::Stdin {
            stream.write();
            return;
        }
        let frame = stream.read(end, &mut self.scratch[..TURN_BYTES]);
        let peer = stream.peer();
        if let (Some(frame), Peer::Here(client)) = (frame, peer)
            && let Some(client) = self.clients.get_mut(&client)
        {
            client.send(&frame);
        }
        process.wrote(0);
    }

    fn orphan(&mut self, at: usize) {
        let Some(pipe) = self.orphans.get(at) else {
            return;
        };
        match nix::unistd::read(pipe, &mut self.scratch[..TURN_BYTES]) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // The order of the others changes; they come again in the next turn.
            Ok(0) | Err(_) => drop(self.orphans.swap_remove(at)),
            Ok(_) => {}
        }
    }

    fn accept(&mut self, now: Instant) {
        let Ok((socket, _)) = self.listener.accept() else {
            return;
        };
        let known = getsockopt(&socket, PeerCredentials)
            .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == self.daemon_uid);
        let mut trust = Trust::Full;
        if !known {
            trust = Trust::Stranger(now + PATIENCE);
            let others = self.clients.iter();
            match guest::place(others.map(|(id, client)| (*id, &client.trust))) {
                Place::Free => {}
                Place::Of(oldest) => self.drop_client(oldest),
                Place::Nowhere => return,
            }
        }
        if self.clients.len() >= CLIENTS_MAX || socket.set_nonblocking(true).is_err() {
            return;
        }
        let client = Client::new(socket, trust);
        self.clients.insert(self.next_client, client);
        self.next_client += 1;
    }

    fn hear(&mut self, now: Instant) {
        self.launcher.flush();
        for _ in 0..REPORTS_PER_TURN {
            match self.launcher.receive(&mut self.scratch) {
                Received::Nothing => break,
                Received::Report(report, fd) => self.report(report, fd, now),
                Received::Closed => {
                    // Without its launcher a sandbox is lost.
                    self.launcher.close();
                    self.kill_init();
                    break;
                }
            }
        }
    }

    /// Init ends by itself when the launcher does; this hurries it where we may.
    fn kill_init(&self) {
        if self.init_exit.is_none() && self.init.as_raw() > 1 {
            match kill(self.init, Signal::SIGKILL) {
                Ok(()) | Err(Errno::EPERM | Errno::ESRCH) => {}
                Err(errno) => eprintln!("wsm-shim: kill init {}: {errno}", self.init),
            }
        }
    }

    fn signalled(&mut self, now: Instant) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo == Signal::SIGTERM as u32 && !self.stopping {
                self.stopping = true;
                self.stop_by = Some(now + STOP);
                self.launcher.close();
                self.kill_init();
            }
        }
        self.reap(now);
    }

    fn reap(&mut self, now: Instant) {
        if self.init_exit.is_some() || self.init.as_raw() <= 1 {
            return;
        }
        match waitpid(self.init, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => return,
            // Gone, or never ours: there is nothing to own.
            Ok(_) | Err(_) => {}
        }
        self.init_exit = Some(now);
        // What the launcher still said comes first.
        while let Received::Report(report, fd) = self.launcher.receive(&mut self.scratch) {
            self.report(report, fd, now);
        }
        self.launcher.close();
        self.all_exited(now);
    }

    fn client(&mut self, id: u64, flags: PollFlags, now: Instant) {
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        let broken = PollFlags::POLLERR | PollFlags::POLLHUP;
        if self.client_reads(client) && flags.intersects(PollFlags::POLLIN | broken) {
            if let Some(client) = self.clients.get_mut(&id) {
                client.read(&mut self.scratch[..TURN_BYTES]);
            }
            self.client_frames(id, now);
        } else if flags.intersects(broken)
            && let Some(client) = self.clients.get_mut(&id)
        {
            client.gone = true;
        }
    }

    fn client_frames(&mut self, id: u64, now: Instant) {
        while let Some(client) = self.clients.get_mut(&id).filter(|client| !client.closing) {
            match client.next_frame() {
                Ok(None) => {
                    client.gone |= client.rambles();
                    break;
                }
                Ok(Some(frame)) => {
                    if let Err(why) = self.frame(id, frame, now) {
                        self.expel(id, why);
                    }
                }
                Err(error) => self.expel(id, &error.to_string()),
            }
        }
    }

    /// Drops a client that breaks the protocol; the log is not for others than the daemon to fill.
    fn expel(&mut self, id: u64, why: &str) {
        let client = self.clients.get(&id);
        if client.is_some_and(|client| matches!(client.trust, Trust::Full)) {
            eprintln!("wsm-shim: client {id} closed: {why}");
        }
        self.drop_client(id);
    }

    fn drop_client(&mut self, id: u64) {
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        if let Some(tty) = &client.tty {
            self.rare.remove(tty);
        }
        match client.role {
            Role::Plain => {}
            Role::Viewer(viewer) => self.left(id, &viewer.terminal),
            Role::Stream(process) => {
                if let Some(process) = self.processes.get_mut(&process)
                    && let Kind::Stream(stream) = &mut process.kind
                    && stream.peer() == Peer::Here(id)
                {
                    stream.leave();
                }
            }
        }
    }

    /// Gives one viewer what it lacks.
    fn serve(&mut self, id: u64) {
        if let Some(client) = self.clients.get_mut(&id)
            && let Role::Viewer(viewer) = &client.role
            && let Some(terminal) = self.terminals.get_mut(&viewer.terminal)
        {
            terminal.serve(client);
        }
    }

    /// What time brings, and what the last turn left to say.
    fn tick(&mut self, now: Instant) {
        self.tick_leases(now);
        self.tell_copies(now);
        let mut exits = Vec::new();
        for terminal in self.terminals.values_mut() {
            if let Some(exit) = terminal.tick(now, &mut self.events) {
                exits.push((terminal.process.clone(), exit));
            }
        }
        for (process, exit) in exits {
            self.ended(&process, exit);
        }
        for log in self.logs.values_mut() {
            if log.due(now).is_some_and(|at| at <= now) {
                let news = log.tell(now).into_iter();
                self.events
                    .extend(news.map(|process| Event::Logged { process }));
            }
        }
        if self.desk.as_mut().is_some_and(|desk| desk.tick(now)) {
            self.events.push(Event::Reported);
        }
        let events = std::mem::take(&mut self.events);
        for client in self.clients.values_mut() {
            if client.subscribed {
                events.iter().for_each(|event| client.event(event));
            }
            if let Role::Viewer(viewer) = &mut client.role
                && let Some(terminal) = self.terminals.get_mut(&viewer.terminal)
            {
                viewer.tick(now);
                // One that was behind goes on as soon as it can, the others when output is due.
                let owed = viewer.is_owed() && !terminal.flood.on();
                let behind = viewer.stale || owed || terminal.behind(viewer.sent);
                if behind || terminal.shows {
                    terminal.serve(client);
                }
            }
            if client.pending() > 0 || client.closing {
                client.flush();
            }
        }
        let gone: Vec<u64> = self
            .clients
            .iter()
            .filter(|(_, client)| client.gone || client.due().is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        gone.into_iter().for_each(|id| self.drop_client(id));
        self.sweep(now);
    }

    fn done(&self, now: Instant) -> bool {
        if self.stop_by.is_some_and(|at| at <= now) {
            return true;
        }
        let Some(ended) = self.init_exit else {
            return false;
        };
        let draining = self
            .processes
            .values()
            .any(|process| process.exit.is_none());
        let idle = self.stopping || self.clients.is_empty();
        now >= ended + LINGER || (idle && !draining)
    }
}

//! What the loop waits for: bytes where there is room for them, room where bytes wait, and time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::client::{Client, Role};
use super::desk::Desk;
use super::process::Kind;
use super::stream::{End, Peer};
use super::terminal::Terminal;
use super::tty::Tty;
use super::viewer::OUT_HIGH;
use super::{LINGER, Shim};

/// A wait for a later time is made of several.
const LONGEST: Duration = Duration::from_secs(60);

/// Clients are numbered from 1.
const NO_CLIENT: u64 = 0;

/// Something that [`poll`] looks at.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Rare,
    Launcher,
    Client(u64),
    /// The terminal of a viewer.
    Tty(u64),
    Master(Rc<str>),
    Log(String),
    Stream(String, End),
    Orphan(usize),
}

/// What seldom has anything to say, as one descriptor: a key shall not cost a look at each.
///
/// And what says that a key is on its way: the terminals of viewers. It is said once for each, when
/// it happens, because it is the viewer who reads keys.
pub(super) struct Rare(Epoll);

impl Rare {
    pub(super) fn new<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Rare> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for fd in fds {
            epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, NO_CLIENT))?;
        }
        Ok(Rare(epoll))
    }

    /// Says from now on when keys are pressed at the terminal of a client.
    pub(super) fn add(&self, client: u64, tty: &Tty) {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        // Without it the key comes a little later.
        let _added = self.0.add(tty.fd(), EpollEvent::new(flags, client));
    }

    /// Says so no more; closing is not enough where the viewer has the description as well.
    pub(super) fn remove(&self, tty: &Tty) {
        let _removed = self.0.delete(tty.fd());
    }

    /// Clients at whose terminals a key was pressed, and whether there is anything else.
    pub(super) fn take(&self) -> (Vec<u64>, bool) {
        let mut events = [EpollEvent::empty(); 8];
        let count = self.0.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let (keys, others): (Vec<u64>, Vec<u64>) = events[..count]
            .iter()
            .map(EpollEvent::data)
            .partition(|&client| client != NO_CLIENT);
        (keys, !others.is_empty())
    }
}

impl Shim {
    /// Waits for something to happen; returns where.
    pub(super) fn wait(&self, now: Instant) -> io::Result<Vec<(Source, PollFlags)>> {
        // About as many as there will be: a key shall not cost several allocations.
        let room = 4 + 2 * self.clients.len() + self.terminals.len() + self.processes.len();
        let mut sources = Vec::with_capacity(room);
        let mut fds = Vec::with_capacity(room);
        self.interests(&mut |source, fd, flags| {
            sources.push(source);
            fds.push(PollFd::new(fd, flags));
        });
        let timeout = match self.deadline(now) {
            None => PollTimeout::NONE,
            Some(at) => {
                let left = at.saturating_duration_since(now).min(LONGEST);
                let millis = left.as_secs() * 1000 + u64::from(left.subsec_micros().div_ceil(1000));
                PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
            }
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready = fds.iter().zip(sources).filter_map(|(fd, source)| {
            let flags = fd.revents().unwrap_or(PollFlags::POLLERR);
            (!flags.is_empty()).then_some((source, flags))
        });
        Ok(ready.collect())
    }

    fn interests<'a>(&'a self, add: &mut impl FnMut(Source, BorrowedFd<'a>, PollFlags)) {
        let (read, write) = (PollFlags::POLLIN, PollFlags::POLLOUT);
        add(Source::Rare, self.rare.0.0.as_fd(), read);
        if let Some(fd) = self.launcher.fd() {
            let waits = if self.launcher.waits() {
                write
            } else {
                PollFlags::empty()
            };
            add(Source::Launcher, fd, read | waits);
        }
        for (id, client) in &self.clients {
            let mut flags = PollFlags::empty();
            flags.set(read, self.client_reads(client));
            flags.set(write, client.pending() > 0);
            add(Source::Client(*id), client.socket().as_fd(), flags);
            if let Some(tty) = client.tty.as_ref().filter(|tty| tty.full()) {
                add(Source::Tty(*id), tty.fd(), write);
            }
        }
        for terminal in self.terminals.values() {
            if let Some(master) = &terminal.master {
                let waits = if terminal.input_waits() {
                    write
                } else {
                    PollFlags::empty()
                };
                let name = Rc::clone(&terminal.name);
                add(Source::Master(name), master.as_fd(), read | waits);
            }
        }
        for (name, process) in &self.processes {
            match &process.kind {
                Kind::Log(_, Some(pipe)) => add(Source::Log(name.clone()), pipe.as_fd(), read),
                Kind::Stream(stream) => {
                    let room = self.stream_room(stream.peer());
                    for end in [End::Stdin, End::Stdout, End::Stderr] {
                        let flags = if end == End::Stdin { write } else { read };
                        if let Some(fd) = stream.wants(end, room) {
                            add(Source::Stream(name.clone(), end), fd.as_fd(), flags);
                        }
                    }
                }
                Kind::Log(_, None) | Kind::Terminal(_) => {}
            }
        }
        for (at, pipe) in self.orphans.iter().enumerate() {
            add(Source::Orphan(at), pipe.as_fd(), read);
        }
    }

    /// A client whose input goes to a process that does not read it waits too.
    pub(super) fn client_reads(&self, client: &Client) -> bool {
        let hungry = match &client.role {
            Role::Stream(process) => match self.processes.get(process).map(|known| &known.kind) {
                Some(Kind::Stream(stream)) => stream.hungry(),
                _ => true,
            },
            Role::Plain | Role::Viewer(_) => true,
        };
        hungry && client.reads()
    }

    fn stream_room(&self, peer: Peer) -> bool {
        match peer {
            Peer::Here(client) => self
                .clients
                .get(&client)
                .is_some_and(|client| client.pending() <= OUT_HIGH),
            Peer::Awaited | Peer::Left => true,
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let terminals = self.terminals.values().filter_map(Terminal::due);
        let logs = self.logs.values().filter_map(|log| log.due(now));
        let guests = self.clients.values().filter_map(Client::due);
        let viewers = self
            .clients
            .values()
            .filter_map(|client| match &client.role {
                Role::Viewer(viewer) => viewer.due(),
                Role::Plain | Role::Stream(_) => None,
            });
        let linger = self.init_exit.map(|at| at + LINGER);
        terminals
            .chain(logs)
            .chain(guests)
            .chain(viewers)
            .chain(self.leases_due())
            .chain(linger)
            .chain(self.sweep_due())
            .chain(self.desk.as_ref().and_then(Desk::due))
            .chain(self.stop_by)
            .min()
    }
}

//! The broker: the one process that is root. One thread, one loop, a closed set of requests.
//!
//! ```text
//! connection ─request→ admitted here ─fork→ worker acts ─packet→ broker ─reply→ connection
//! ```
//!
//! Whatever may take time or fail is done by a short-lived fork, so that nothing hangs the loop and
//! nothing that a request opened stays open. Requests that change one agent run one after another.
//! The truth about what exists is in the control groups and in `state/broker/`; a broker that is
//! killed at any instruction is started again and knows as much as before.

mod access;
mod branch;
mod checkpoint;
mod create;
mod dirs;
mod disk;
mod ending;
mod extras;
mod grants;
mod helper;
mod inspect;
mod logins;
mod maps;
mod pointer;
mod record;
mod records;
mod requests;
mod runaway;
mod setup;
mod shares;
mod usage;
mod work;
mod zygote;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{SockFlag, accept4, getsockopt, sockopt};

use crate::config::BrokerConfig;
use crate::fail::{self, Context, failure};
use crate::packet::{self, Packet, Received};
use crate::protocol::{
    Envelope, Failure, FailureKind, PACKET_BYTES_MAX, PROTOCOL_VERSION, Reply, Request,
};
use crate::spec::AgentId;
use crate::sys;
use access::Peer;
use ending::Ending;
use maps::FileMaps;
use runaway::Runaways;
use setup::Host;
use shares::User;
use work::{Outcome, Task, Worker};
use zygote::Zygote;

/// Descriptors beside one request: a repository's working tree and git directory.
const REQUEST_FDS_MAX: usize = 2;
/// Longest wait of the loop without an event.
const TICK: Duration = Duration::from_millis(500);
/// Network namespaces kept ready: making one takes longer than all other namespaces together.
const POOL_SIZE: usize = 16;
/// With fewer than this the pool is filled. One worker makes many, so that few creations are
/// followed by one.
const POOL_LOW: usize = 8;

/// Pause after a failure to make something ready.
const PAUSE: Duration = Duration::from_secs(1);

/// One client.
#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    peer: Peer,
    /// A request is being worked on: the next one waits in the socket.
    busy: bool,
}

/// A request that waits for its turn.
#[derive(Debug)]
struct Waiting {
    connection: u64,
    peer: Peer,
    request: Request,
    fds: Vec<OwnedFd>,
}

/// The broker.
#[derive(Debug)]
struct Broker {
    host: Host,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    waiting: VecDeque<Waiting>,
    workers: Vec<Worker>,
    endings: Vec<Ending>,
    pool: Vec<OwnedFd>,
    file_maps: FileMaps,
    /// What spawners are forked from.
    zygote: Option<Zygote>,
    /// After a failure to make something ready, not before this.
    not_ready_before: Instant,
    runaways: Runaways,
}

/// Serves until it is killed.
///
/// # Errors
/// It could not start: another broker runs here, or a directory is not as it must be.
pub fn run(config: BrokerConfig, die_with_parent: bool) -> Result<(), Failure> {
    let host = Host::set_up(config, die_with_parent)?;
    host.let_pointers_go();
    let zygote = Zygote::start(&host).what(|| "start the zygote".into())?;
    let mut broker = Broker {
        runaways: Runaways::find(&host),
        host,
        connections: BTreeMap::new(),
        next_connection: 1,
        waiting: VecDeque::new(),
        workers: Vec::new(),
        endings: Vec::new(),
        pool: Vec::new(),
        file_maps: FileMaps::default(),
        zygote: Some(zygote),
        not_ready_before: Instant::now(),
    };
    loop {
        broker.turn()?;
    }
}

/// What a descriptor in the poll set belongs to.
#[derive(Debug, Clone, Copy)]
enum Source {
    Listener,
    Signals,
    Connection(u64),
    Worker(i32),
    Ending,
}

impl Broker {
    fn turn(&mut self) -> Result<(), Failure> {
        self.start_waiting();
        self.make_ready();
        for source in self.wait()? {
            match source {
                Source::Listener => self.accept(),
                Source::Signals => {
                    reap(&self.host.signals);
                    // The event of a group comes up to 10 ms later than that of its last process.
                    self.look_at_endings();
                }
                Source::Ending => self.look_at_endings(),
                Source::Connection(number) => self.receive(number),
                Source::Worker(pid) => self.hear_worker(pid),
            }
        }
        self.end_late_workers();
        let (workers, endings) = (&self.workers, &self.endings);
        let busy = |agent: &AgentId| is_changed(agent, workers, endings);
        self.runaways.look(&self.host, busy);
        Ok(())
    }

    /// Waits for events; gives their sources.
    fn wait(&self) -> Result<Vec<Source>, Failure> {
        let mut sources = vec![Source::Listener, Source::Signals];
        let mut fds = vec![
            PollFd::new(self.host.listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.host.signals.as_fd(), PollFlags::POLLIN),
        ];
        for (number, connection) in &self.connections {
            // A busy one is only watched for its end.
            let events = if connection.busy {
                PollFlags::empty()
            } else {
                PollFlags::POLLIN
            };
            sources.push(Source::Connection(*number));
            fds.push(PollFd::new(connection.socket.as_fd(), events));
        }
        for worker in &self.workers {
            sources.push(Source::Worker(worker.pid.as_raw()));
            fds.push(PollFd::new(worker.socket.as_fd(), PollFlags::POLLIN));
        }
        for ending in &self.endings {
            sources.push(Source::Ending);
            fds.push(PollFd::new(ending.as_fd(), PollFlags::POLLPRI));
        }
        let timeout = PollTimeout::try_from(TICK).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => {
                return Err(failure(FailureKind::Failed, "wait", errno.to_string(), ""));
            }
        }
        let ready = fds
            .iter()
            .zip(sources)
            .filter(|(fd, _)| fd.any().unwrap_or(false));
        Ok(ready.map(|(_, source)| source).collect())
    }

    fn accept(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(raw) = accept4(self.host.listener.as_raw_fd(), flags) else {
            return; // the client gave up, or descriptors are short: it asks again
        };
        let socket = sys::own(raw);
        let Ok(credentials) = getsockopt(&socket, sockopt::PeerCredentials) else {
            return;
        };
        let peer = Peer {
            uid: credentials.uid(),
            gid: credentials.gid(),
        };
        let held = self.connections.values().map(|other| self.user(other.peer));
        if !shares::may_connect(held, self.user(peer)) {
            return;
        }
        let number = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(
            number,
            Connection {
                socket,
                peer,
                busy: false,
            },
        );
    }

    fn user(&self, peer: Peer) -> User {
        (!self.host.is_daemon(peer)).then_some(peer.uid)
    }

    fn receive(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if connection.busy {
            // Its end; what it asked for is finished, or undone, when it is done.
            self.connections.remove(&number);
            return;
        }
        match packet::receive(connection.socket.as_fd(), PACKET_BYTES_MAX) {
            Ok(Received::Packet(packet)) if packet.fds.len() > REQUEST_FDS_MAX => {
                self.connections.remove(&number);
            }
            Ok(Received::Packet(packet)) => {
                connection.busy = true;
                let peer = connection.peer;
                self.take_request(number, peer, packet);
            }
            Ok(Received::Nothing) => {}
            Ok(Received::End) | Err(_) => {
                self.connections.remove(&number);
            }
        }
    }

    fn take_request(&mut self, connection: u64, peer: Peer, packet: Packet) {
        let refused = match serde_json::from_slice::<Envelope>(&packet.bytes) {
            Ok(Envelope {
                version: PROTOCOL_VERSION,
                request,
            }) => match self.host.may(peer, &request) {
                Ok(()) => {
                    let fds = packet.fds;
                    self.waiting.push_back(Waiting {
                        connection,
                        peer,
                        request,
                        fds,
                    });
                    return;
                }
                Err(refused) => refused,
            },
            Ok(Envelope { version, .. }) => failure(
                FailureKind::Invalid,
                "read the request",
                format!("it has version {version}, this broker speaks {PROTOCOL_VERSION}"),
                "restart wsm, so that all its parts have one version",
            ),
            Err(error) => failure(
                FailureKind::Invalid,
                "read the request",
                error.to_string(),
                "",
            ),
        };
        self.reply(connection, &Reply::Failed(refused));
    }

    /// Starts what may run now: nothing else is changing the same agent.
    fn start_waiting(&mut self) {
        let mut later = VecDeque::new();
        while let Some(waiting) = self.waiting.pop_front() {
            let agent = requests::changes(&waiting.request);
            let taken = agent.is_some_and(|agent| {
                let working = is_changed(agent, &self.workers, &self.endings);
                let before = later
                    .iter()
                    .any(|other: &Waiting| requests::changes(&other.request) == Some(agent));
                working || before
            });
            let keeping = |worker: &Worker| matches!(worker.task, Task::Keep);
            let taken =
                taken || requests::keeps(&waiting.request) && self.workers.iter().any(keeping);
            let at_work = self.workers.iter().map(|worker| worker.user);
            let full = !shares::may_work(at_work, self.user(waiting.peer));
            if taken || full {
                later.push_back(waiting);
            } else {
                self.start(waiting);
            }
        }
        self.waiting = later;
    }

    fn start(&mut self, waiting: Waiting) {
        let connection = waiting.connection;
        if let Request::Delete { agent } = &waiting.request
            && self.kill_at_once(connection, agent)
        {
            return;
        }
        let user = Some(waiting.peer).filter(|peer| !self.host.is_daemon(*peer));
        match self.begin(waiting) {
            Ok(mut worker) => {
                worker.user = user.map(|peer| peer.uid);
                self.workers.push(worker);
            }
            Err(failed) => self.reply(connection, &Reply::Failed(failed)),
        }
    }

    fn hear_worker(&mut self, pid: i32) {
        let found = self
            .workers
            .iter()
            .position(|worker| worker.pid.as_raw() == pid);
        let Some(at) = found else { return };
        let worker = &mut self.workers[at];
        match packet::receive(worker.socket.as_fd(), PACKET_BYTES_MAX) {
            Ok(Received::Packet(packet)) => worker.hear(packet),
            Ok(Received::Nothing) => {}
            Ok(Received::End) | Err(_) => {
                let worker = self.workers.swap_remove(at);
                self.finish(worker, false);
            }
        }
    }

    fn end_late_workers(&mut self) {
        let now = Instant::now();
        if self.endings.iter().any(|ending| ending.is_late(now)) {
            self.look_at_endings();
        }
        while let Some(at) = self
            .workers
            .iter()
            .position(|worker| worker.deadline <= now)
        {
            let worker = self.workers.swap_remove(at);
            worker.kill();
            self.finish(worker, true);
        }
    }

    /// A worker ended: answers, keeps what must be kept, undoes what failed.
    fn finish(&mut self, worker: Worker, late: bool) {
        let connection = worker.connection;
        let connected = connection.is_some_and(|number| self.connections.contains_key(&number));
        match self.conclude(worker, late, connected) {
            Outcome::Reply(packet) => {
                if let Some(number) = connection {
                    self.send(number, &packet);
                }
            }
            Outcome::GoOn(next) => self.workers.push(next),
            Outcome::Pooled(netns) => {
                if netns.is_empty() {
                    self.not_ready_before = Instant::now() + PAUSE;
                }
                self.pool.extend(netns);
            }
        }
    }

    fn reply(&mut self, connection: u64, reply: &Reply) {
        let bytes = serde_json::to_vec(reply).expect("our own types serialize");
        self.send(
            connection,
            &Packet {
                bytes,
                fds: Vec::new(),
            },
        );
    }

    /// A client that does not read its answer is dropped; the answer is in the kernel's state.
    fn send(&mut self, number: u64, packet: &Packet) {
        let at_fault = fail::point("broker.reply");
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.busy = false;
        if at_fault.is_err() {
            self.connections.remove(&number);
            return;
        }
        let fds: Vec<_> = packet.fds.iter().map(AsFd::as_fd).collect();
        if packet::send_bytes(connection.socket.as_fd(), &packet.bytes, &fds).is_err() {
            self.connections.remove(&number);
        }
    }

    /// Keeps a zygote, a spawner and network namespaces ready, while nothing else is to do.
    fn make_ready(&mut self) {
        let idle = self.workers.is_empty() && self.waiting.is_empty();
        if !idle || Instant::now() < self.not_ready_before {
            return;
        }
        let networks = POOL_SIZE - self.pool.len();
        let made = self.make_spawner_ready().and_then(|()| {
            if self.pool.len() < POOL_LOW {
                self.workers.push(self.begin_pool(networks)?);
            }
            Ok(())
        });
        if made.is_err() {
            // The next creation tries again, and says why it can't.
            self.not_ready_before = Instant::now() + PAUSE;
        }
    }

    fn make_spawner_ready(&mut self) -> Result<(), Failure> {
        let what = || "make a spawner ready".to_owned();
        let mut zygote = match self.zygote.take().filter(|zygote| !zygote.is_old()) {
            Some(zygote) => zygote,
            None => Zygote::start(&self.host).what(what)?,
        };
        match zygote.make_ready().what(what) {
            Ok(()) => self.zygote = Some(zygote),
            Err(failed) => {
                zygote.kill();
                return Err(failed);
            }
        }
        Ok(())
    }
}

/// Shims that ended, and workers; who they were is known by their sockets.
fn reap(signals: &SignalFd) {
    while let Ok(Some(_)) = signals.read_signal() {}
    while let Ok(Some(_)) = sys::reap() {}
}

/// Whether a worker changes this agent now, or it is ending.
fn is_changed(agent: &AgentId, workers: &[Worker], endings: &[Ending]) -> bool {
    let mut owners = workers.iter().filter_map(|worker| worker.agent.as_ref());
    owners.any(|owner| owner == agent) || endings.iter().any(|ending| ending.agent == *agent)
}

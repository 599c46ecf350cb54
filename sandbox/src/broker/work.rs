//! Workers: forks of the broker that do one thing and report it in packets.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use serde::Serialize;

use super::create::Creating;
use super::setup::Host;
use crate::fail::{Context, failure};
use crate::packet::{self, Packet};
use crate::protocol::{Failure, FailureKind, Purpose, Reply};
use crate::spec::AgentId;
use crate::sys::{self, Fork};

/// How long a worker may take before it is killed: below the client's own patience of 60 s.
const WORK_TIMEOUT: Duration = Duration::from_secs(30);

/// A fork of the broker, or of its zygote, at work.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: Pid,
    pub(super) socket: OwnedFd,
    /// Who waits for it.
    pub(super) connection: Option<u64>,
    /// Uid of the user other than the daemon that asked for it.
    pub(super) user: Option<u32>,
    /// Whom it changes.
    pub(super) agent: Option<AgentId>,
    pub(super) deadline: Instant,
    pub(super) task: Task,
    /// What it said last, where that is the answer.
    pub(super) said: Option<Packet>,
}

/// What the broker makes of a worker's reports.
#[derive(Debug)]
pub(super) enum Task {
    /// Its packet is the reply.
    Answer,
    /// The same, of what goes into the file of checkpoints: one at a time.
    Keep,
    /// Its packet is a checked grant, to be recorded.
    Grant(Purpose),
    /// It builds a sandbox and becomes its shim.
    Create(Box<Creating>),
    /// It removes what a failed attempt left; then this is the reply.
    CleanUp(Failure),
    /// Its packet carries network namespaces.
    Pool,
}

/// What follows from a worker's end.
#[derive(Debug)]
pub(super) enum Outcome {
    Reply(Packet),
    GoOn(Worker),
    Pooled(Vec<OwnedFd>),
}

impl Worker {
    /// One that begins now.
    pub(super) fn new(
        pid: Pid,
        socket: OwnedFd,
        connection: Option<u64>,
        agent: Option<AgentId>,
        task: Task,
    ) -> Worker {
        Worker {
            pid,
            socket,
            connection,
            user: None,
            agent,
            deadline: Instant::now() + WORK_TIMEOUT,
            task,
            said: None,
        }
    }

    pub(super) fn hear(&mut self, packet: Packet) {
        match &mut self.task {
            Task::Create(creating) => creating.hear(packet),
            Task::Answer | Task::Keep | Task::Grant(_) | Task::CleanUp(_) | Task::Pool => {
                self.said = Some(packet);
            }
        }
    }

    pub(super) fn kill(&self) {
        // The pid is a child that was not waited for, or gone: either way nobody else's.
        sys::kill(self.pid, libc::SIGKILL).unwrap_or(());
    }
}

/// Forks. `work` runs in the child and gives its exit code.
pub(super) fn fork(
    host: &Host,
    connection: Option<u64>,
    agent: Option<AgentId>,
    task: Task,
    work: impl FnOnce(&OwnedFd) -> i32,
) -> Result<Worker, Failure> {
    let what = || "start a worker".to_owned();
    let (here, there) = packet::pair().what(what)?;
    let broker = getpid();
    match sys::fork().what(what)? {
        Fork::Child => {
            drop(here);
            host.let_go();
            sys::reset_signals();
            sys::ignore_sigpipe();
            let tied = prctl::set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == broker;
            sys::exit_now(if tied { work(&there) } else { 1 });
        }
        Fork::Parent(pid) => Ok(Worker::new(pid, here, connection, agent, task)),
    }
}

/// Forks a worker whose result is the reply.
pub(super) fn answer(
    host: &Host,
    connection: Option<u64>,
    agent: Option<AgentId>,
    work: impl FnOnce() -> Result<(Reply, Vec<OwnedFd>), Failure>,
) -> Result<Worker, Failure> {
    answer_as(Task::Answer, host, connection, agent, work)
}

/// The same, of a task of this kind.
pub(super) fn answer_as(
    task: Task,
    host: &Host,
    connection: Option<u64>,
    agent: Option<AgentId>,
    work: impl FnOnce() -> Result<(Reply, Vec<OwnedFd>), Failure>,
) -> Result<Worker, Failure> {
    fork(host, connection, agent, task, |socket| {
        let (reply, fds) = work().unwrap_or_else(|failed| (Reply::Failed(failed), Vec::new()));
        tell(socket, &reply, &fds)
    })
}

/// Says a worker's result; gives its exit code.
pub(super) fn tell(socket: &OwnedFd, document: &impl Serialize, fds: &[OwnedFd]) -> i32 {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    i32::from(packet::send(socket.as_fd(), document, &fds).is_err())
}

/// A reply as a packet.
pub(super) fn reply(reply: &Reply) -> Packet {
    let bytes = serde_json::to_vec(reply).expect("our own types serialize");
    Packet {
        bytes,
        fds: Vec::new(),
    }
}

/// The failure of a worker that ended without a word.
pub(super) fn silent(late: bool) -> Failure {
    let why = if late {
        format!("it took longer than {} s", WORK_TIMEOUT.as_secs())
    } else {
        "the worker ended without an answer".to_owned()
    };
    failure(
        FailureKind::Failed,
        "carry out the request",
        why,
        "the broker's log says more",
    )
}

//! The child that makes the agent's control groups and moves the spawner into the shim's, while the
//! spawner builds the root: making them is a tenth of a creation, and moving a task waits for every
//! processor (tens of milliseconds on an idle machine). It waits for its order as the spawner does,
//! because a process that is woken finds an idle processor sooner than one that is new.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, close, getpid, getppid};
use serde::{Deserialize, Serialize};

use crate::ablation::{self, Layer};
use crate::cgroup::{AgentLimits, Tree};
use crate::fail::{self, Context, failure};
use crate::packet::{self, Received};
use crate::protocol::{Failure, FailureKind, PACKET_BYTES_MAX};
use crate::spec::{AgentId, LayerReport, Limits, SandboxSpec};
use crate::sys::{self, Fork};

/// The child, for one order.
#[derive(Debug)]
pub(super) struct Grouper {
    pid: Pid,
    socket: OwnedFd,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    agent: AgentId,
    limits: AgentLimits,
}

impl Grouper {
    /// Starts it without the broker's socket: it must not keep that open.
    pub(super) fn start(tree: &Tree, status: &OwnedFd) -> Result<Grouper, Failure> {
        let spawner = getpid();
        let (socket, there) = packet::pair().what(what)?;
        match sys::fork().what(what)? {
            Fork::Child => {
                drop(socket);
                let tied = prctl::set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == spawner;
                let alone = close(status.as_raw_fd()).is_ok();
                sys::exit_now(if tied && alone {
                    run(tree, spawner, &there)
                } else {
                    1
                });
            }
            Fork::Parent(pid) => Ok(Grouper { pid, socket }),
        }
    }

    /// Has it begin.
    pub(super) fn order(&self, spec: &SandboxSpec) -> Result<(), Failure> {
        let order = Order {
            agent: spec.agent.clone(),
            limits: AgentLimits {
                payload: if ablation::off(Layer::Limits) {
                    Limits::default()
                } else {
                    spec.limits.clone()
                },
                services: spec.services.clone(),
            },
        };
        packet::send(self.socket.as_fd(), &order, &[]).what(what)
    }

    /// Waits until the groups are there; gives the limits as they were set.
    pub(super) fn made(&self) -> Result<Vec<LayerReport>, Failure> {
        match packet::receive(self.socket.as_fd(), PACKET_BYTES_MAX).what(what)? {
            Received::Packet(packet) => {
                let made = serde_json::from_slice(&packet.bytes);
                made.map_err(io::Error::from).what(what)?
            }
            Received::Nothing | Received::End => {
                let why = "the child that makes them ended early";
                Err(failure(FailureKind::Failed, what(), why, ""))
            }
        }
    }

    /// Waits until the spawner is in the shim's groups.
    pub(super) fn end(&self) -> Result<(), Failure> {
        let what = || "join the shim's control group".to_owned();
        match waitpid(self.pid, None).what(what)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => {
                let why = format!("{other:?}");
                Err(failure(FailureKind::Failed, what(), why, ""))
            }
        }
    }
}

fn what() -> String {
    "make the control groups".to_owned()
}

/// In the child: gives its exit code.
fn run(tree: &Tree, spawner: Pid, socket: &OwnedFd) -> i32 {
    let Ok(Received::Packet(packet)) = packet::receive(socket.as_fd(), PACKET_BYTES_MAX) else {
        return 1;
    };
    let Ok(Order { agent, limits }) = serde_json::from_slice(&packet.bytes) else {
        return 1;
    };
    let made = tree.create(&agent, &limits).map_err(Failure::from);
    let (said, group) = match made.and_then(|group| fail::point("group.made").map(|()| group)) {
        Ok(group) => (Ok(group.reports().to_vec()), Some(group)),
        Err(failed) => (Err(failed), None),
    };
    let told = packet::send(socket.as_fd(), &said, &[]);
    let procs = group.and_then(|group| group.shim_procs_fds().ok());
    let (Ok(()), Some(procs)) = (told, procs) else {
        return 1;
    };
    let spawner = spawner.to_string();
    let join = |fd: &OwnedFd| nix::unistd::write(fd, spawner.as_bytes()).is_ok();
    i32::from(!procs.iter().all(join))
}

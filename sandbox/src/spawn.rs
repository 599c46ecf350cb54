//! The spawner: a fork of the broker that builds one sandbox and then becomes its shim.
//!
//! ```text
//! broker ─fork→ spawner: cgroup, mount namespace, root by descriptors, netns
//!                 ├─clone3→ child: proc and masks, user namespace, exec init from memory
//!                 └─ last uid of the range, no capabilities, exec wsm-shim (same pid)
//! ```
//!
//! The pid, mount, ipc and uts namespaces belong to the host's user namespace: they are made
//! before the agent's user namespace is entered, so that root inside has no rights over them.
//! Until its exec the spawner dies with the broker; what it leaves is a control group.

mod inside;
mod outside;

pub(crate) use inside::CONFIG_FD;
pub(crate) use outside::{enter_network, enter_root, new_network, private_mounts, socket_name};

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid};
use serde::{Deserialize, Serialize};

use crate::cgroup::{AgentCgroup, AgentLimits, Tree};
use crate::fail::{self, Context, failure};
use crate::init::InitConfig;
use crate::landlock::LandlockStatus;
use crate::launch::Leaf;
use crate::packet;
use crate::plan::{Facts, Plan};
use crate::protocol::{Failure, FailureKind, PACKET_BYTES_MAX};
use crate::spec::{LayerReport, ProbeReport, Requirement, SandboxSpec};
use crate::sys::{self, Fork};

/// What one sandbox is made of.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// Admitted.
    pub(crate) spec: SandboxSpec,
    /// Of the host.
    pub(crate) facts: Facts,
    /// Made from both.
    pub(crate) plan: Plan,
    /// Control groups of this instance.
    pub(crate) tree: &'a Tree,
    /// A prepared network namespace.
    pub(crate) netns: Option<&'a OwnedFd>,
    /// The run directory, where the shims' sockets are.
    pub(crate) sockets: &'a OwnedFd,
    /// A directory of the host to mount the new root on.
    pub(crate) stage: PathBuf,
    /// This program, sealed.
    pub(crate) init_program: &'a OwnedFd,
    /// The shim, sealed.
    pub(crate) shim_program: &'a OwnedFd,
    /// Who connects to the shim.
    pub(crate) daemon: (u32, u32),
    /// Which life of the agent this is.
    pub(crate) incarnation: u64,
}

/// What spawner and launcher tell the broker while it waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Status {
    /// From the spawner: limits as they were set, the range of ids.
    Built {
        /// First id of the range.
        range_base: u32,
        /// The limits.
        limits: Vec<LayerReport>,
    },
    /// From the launcher: closed and tested.
    Tested {
        /// What Landlock took; `None` where the kernel has none.
        landlock: Option<LandlockStatus>,
        /// What the self-test saw.
        probes: Vec<ProbeReport>,
    },
    /// From whoever failed.
    Failed(Failure),
}

/// Builds, then execs the shim. Returns only on failure, after telling it.
pub(crate) fn run(job: &Job<'_>, status: &OwnedFd, broker: Pid) -> i32 {
    let failed = match spawn(job, status.as_fd(), broker) {
        Err(failed) => failed,
        Ok(never) => match never {},
    };
    // The broker is gone if this fails, and with it who would care.
    let told = packet::send(status.as_fd(), &Status::Failed(failed), &[]);
    i32::from(told.is_err()) + 1
}

fn spawn(
    job: &Job<'_>,
    status: BorrowedFd<'_>,
    broker: Pid,
) -> Result<std::convert::Infallible, Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).what(|| "tie the spawner to the broker".into())?;
    if getppid() != broker {
        return Err(failure(
            FailureKind::Failed,
            "start the spawner",
            "the broker died",
            "",
        ));
    }
    fail::point("spawn.start")?;
    let lease = crate::lease::take(job.spec.agent.as_str()).what(|| "lease a uid range".into())?;
    let grouping = Grouping::begin(job)?;
    let listen = outside::listen(job)?;
    let logs = outside::logs(job)?;
    let stderr = outside::shim_log(job)?;
    let stage = outside::Stage::build(job, lease.range)?;
    fail::point("spawn.root")?;
    let (group, limits) = grouping.made(job)?;
    fail::point("spawn.cgroup")?;
    let leaves = leaves(&group, &job.spec)?;
    let payload = group.payload_procs_fds()?;
    let (orders, shim_orders) = packet::pair().what(|| "make the launcher's socket".into())?;
    let config = init_config(job, &leaves, &orders, status, &lease.lock);
    let built = Status::Built {
        range_base: lease.range.base,
        limits,
    };
    packet::send(status, &built, &[]).what(|| "report to the broker".into())?;
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let child = sys::clone3(flags, group.v2_dir_fd()).what(|| "clone init".into())?;
    let pid = match child {
        Fork::Child => inside::enter(job, &config, &payload, &stage, status, lease.range),
        Fork::Parent(pid) => pid,
    };
    drop((orders, leaves, payload, group));
    fail::point("spawn.cloned")?;
    // While init comes up: what was started and not waited for.
    stage.holders.end()?;
    grouping.end()?;
    outside::become_shim(outside::Shim {
        job,
        range: lease.range,
        init: pid,
        listen: &listen,
        orders: &shim_orders,
        logs: &logs,
        lock: &lease.lock,
        stderr: &stderr,
    })
}

/// `cgroup.procs` of each leaf, open.
type Leaves = Vec<(Leaf, Vec<OwnedFd>)>;

fn leaves(group: &AgentCgroup, spec: &SandboxSpec) -> Result<Leaves, Failure> {
    let services = spec.services.keys().cloned().map(Leaf::Service);
    let mut leaves = Vec::new();
    for leaf in std::iter::once(Leaf::Agent).chain(services) {
        let fds = group.leaf_procs_fds(&leaf)?;
        leaves.push((leaf, fds));
    }
    Ok(leaves)
}

/// The child that makes the agent's control groups and moves the spawner into the shim's, while the
/// root is built: making them is a tenth of a creation, and moving a task waits for every processor
/// (tens of milliseconds on an idle machine).
struct Grouping {
    child: Pid,
    answer: OwnedFd,
}

impl Grouping {
    fn begin(job: &Job<'_>) -> Result<Grouping, Failure> {
        let what = || "make the control groups".to_owned();
        let spawner = getpid();
        let (answer, told) = packet::pair().what(what)?;
        match sys::fork().what(what)? {
            Fork::Child => {
                drop(answer);
                let tied = prctl::set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == spawner;
                sys::exit_now(if tied { group(job, spawner, &told) } else { 1 });
            }
            Fork::Parent(child) => Ok(Grouping { child, answer }),
        }
    }

    /// Waits until they are made. Opens them; tells the limits as they were set.
    fn made(&self, job: &Job<'_>) -> Result<(AgentCgroup, Vec<LayerReport>), Failure> {
        let what = || "make the control groups".to_owned();
        match packet::receive(self.answer.as_fd(), PACKET_BYTES_MAX).what(what)? {
            packet::Received::Packet(packet) => {
                let made: Result<Vec<LayerReport>, Failure> = serde_json::from_slice(&packet.bytes)
                    .map_err(std::io::Error::from)
                    .what(what)?;
                Ok((job.tree.open_agent(&job.spec.agent)?, made?))
            }
            _ => {
                let why = "the child that makes them ended early";
                Err(failure(FailureKind::Failed, what(), why, ""))
            }
        }
    }

    /// Waits until the spawner is in the shim's groups.
    fn end(&self) -> Result<(), Failure> {
        let what = || "join the shim's control group".to_owned();
        match waitpid(self.child, None).what(what)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => {
                let why = format!("{other:?}");
                Err(failure(FailureKind::Failed, what(), why, ""))
            }
        }
    }
}

/// In the child: gives its exit code.
fn group(job: &Job<'_>, spawner: Pid, told: &OwnedFd) -> i32 {
    let limits = AgentLimits {
        payload: job.spec.limits.clone(),
        services: job.spec.services.clone(),
    };
    let (said, group) = match job.tree.create(&job.spec.agent, &limits) {
        Ok(group) => (Ok(group.reports().to_vec()), Some(group)),
        Err(error) => (Err(Failure::from(error)), None),
    };
    let told = packet::send(told.as_fd(), &said, &[]);
    let procs = group.and_then(|group| group.shim_procs_fds().ok());
    let (Ok(()), Some(procs)) = (told, procs) else {
        return 1;
    };
    let spawner = spawner.to_string();
    let join = |fd: &OwnedFd| nix::unistd::write(fd, spawner.as_bytes()).is_ok();
    i32::from(!procs.iter().all(join))
}

/// Moves the calling process.
fn join(procs: &[OwnedFd]) -> std::io::Result<()> {
    for fd in procs {
        nix::unistd::write(fd, b"0")?;
    }
    Ok(())
}

fn init_config(
    job: &Job<'_>,
    leaves: &Leaves,
    orders: &OwnedFd,
    status: BorrowedFd<'_>,
    lock: &OwnedFd,
) -> InitConfig {
    let numbers = |fds: &Vec<OwnedFd>| fds.iter().map(AsRawFd::as_raw_fd).collect();
    let canaries = [
        job.facts.git_dir.join("config"),
        job.stage.join("broker.sock"),
        "/etc/shadow".into(),
        "/sys/kernel".into(),
    ];
    InitConfig {
        orders_fd: orders.as_raw_fd(),
        status_fd: status.as_raw_fd(),
        lock_fd: lock.as_raw_fd(),
        leaves: leaves
            .iter()
            .map(|(leaf, fds)| (leaf.clone(), numbers(fds)))
            .collect(),
        rules: job.plan.rules.clone(),
        landlock_required: job.spec.landlock == Requirement::Required,
        debug: job.spec.debug,
        canaries: canaries.to_vec(),
    }
}

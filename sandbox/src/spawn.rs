//! The spawner: a fork of the zygote that builds one sandbox and then becomes its shim.
//!
//! ```text
//! zygote ─clone→ spawner: mount namespace, root by descriptors, netns; the broker makes the control
//!                 │        groups meanwhile
//!                 ├─clone3→ init: proc and masks, user namespace, no descriptor but its own
//!                 └─ last uid of the range, no capabilities, the shim (same pid)
//! ```
//!
//! The pid, mount, ipc and uts namespaces belong to the host's user namespace: they are made
//! before the agent's user namespace is entered, so that root inside has no rights over them.
//! Until it is the shim the spawner dies with the broker; what it leaves is a control group.

mod inside;
mod outside;

pub(crate) use outside::{
    EmptyMounts, enter_network, enter_root, new_network, private_mounts, socket_name,
};

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ablation::{self, Layer};
use crate::cgroup::{AgentCgroup, Tree};
use crate::fail::{self, Context, failure};
use crate::init::Init;
use crate::landlock::LandlockStatus;
use crate::launch::Leaf;
use crate::lease::{self, Lease};
use crate::packet;
use crate::plan::{self, Facts, HostLayout, Plan};
use crate::protocol::{Failure, FailureKind, PACKET_BYTES_MAX};
use crate::spec::{Network, ProbeReport, Requirement, SandboxSpec};
use crate::sys::{self, Fork};
use crate::userns::Range;
use crate::zygote::ShimMain;

/// Longest order in bytes: a request, and what the broker knows besides.
const ORDER_BYTES_MAX: usize = 2 * PACKET_BYTES_MAX;

/// Where sandboxes are made: the same for all of an instance.
#[derive(Debug)]
pub(crate) struct Place {
    /// Control groups of this instance.
    pub(crate) tree: Tree,
    /// The run directory, where the shims' sockets are.
    pub(crate) sockets: OwnedFd,
    /// The run directory's path.
    pub(crate) stage: PathBuf,
    /// What a sandbox's mounts begin with.
    pub(crate) empty: EmptyMounts,
    /// Who connects to the shim.
    pub(crate) daemon: (u32, u32),
    /// What the host looks like.
    pub(crate) layout: HostLayout,
    /// The parent of every spawner.
    pub(crate) broker: Pid,
}

/// What the broker orders. Descriptors come beside it in the order of its last fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Admitted.
    pub(crate) spec: SandboxSpec,
    /// Of the host.
    pub(crate) facts: Facts,
    /// Which life of the agent this is.
    pub(crate) incarnation: u64,
    /// A range that the broker leased: its lock, and the map that shows the account's files as
    /// those of the range's agent.
    pub(crate) lease: Option<Range>,
    /// A prepared network namespace.
    pub(crate) network: bool,
}

/// What one sandbox is made of.
#[derive(Debug)]
struct Job<'a> {
    place: &'a Place,
    spec: SandboxSpec,
    facts: Facts,
    /// Made from both.
    plan: Plan,
    incarnation: u64,
    lease: Lease,
    /// The map of file owners, if there is one for this range.
    file_map: Option<OwnedFd>,
    netns: Option<OwnedFd>,
}

/// Probes that held, of those that there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) held: usize,
    pub(crate) tried: usize,
}

impl Tally {
    pub(crate) fn of(probes: &[ProbeReport]) -> Tally {
        Tally {
            held: probes.iter().filter(|probe| probe.held).count(),
            tried: probes.len(),
        }
    }
}

/// What the broker says after the order, once the control groups stand.
pub(crate) const GROUPED: &[u8] = b"1";

/// What spawner and launcher tell the broker while it waits.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Status {
    /// From the launcher: closed and tested.
    Tested {
        /// What Landlock took; `None` where the kernel has none.
        landlock: Option<LandlockStatus>,
        /// How many probes held, and how many there were.
        tally: Tally,
        /// What the self-test saw, as [`ProbeReport`]s: kept, and read by whoever asks for it.
        probes: Box<RawValue>,
    },
    /// From the spawner: from here on it is the shim. The map of file owners comes beside it.
    Serves {
        /// First id of the range.
        range_base: u32,
    },
    /// From whoever failed.
    Failed(Failure),
}

/// Reads its order, builds, and is the shim until the sandbox ends. Gives the exit code of a
/// failure, after telling it.
pub(crate) fn run(place: &Place, status: OwnedFd, shim: ShimMain) -> i32 {
    let failed = match spawn(place, &status, shim) {
        Err(failed) => failed,
        Ok(never) => match never {},
    };
    // The broker is gone if this fails, and with it who would care.
    let told = packet::send(status.as_fd(), &Status::Failed(failed), &[]);
    i32::from(told.is_err()) + 1
}

fn spawn(
    place: &Place,
    status: &OwnedFd,
    shim: ShimMain,
) -> Result<std::convert::Infallible, Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).what(|| "tie the spawner to the broker".into())?;
    if getppid() != place.broker {
        let why = "the broker died";
        return Err(failure(FailureKind::Failed, "start the spawner", why, ""));
    }
    let job = &ordered(place, status.as_fd())?;
    if ablation::off(Layer::Network) && job.spec.network != Network::Loopback {
        let why = "its rules would be made in the host's own network";
        return Err(failure(
            FailureKind::Refused,
            "start without a network",
            why,
            "",
        ));
    }
    fail::point("spawn.start")?;
    let listen = outside::listen(job)?;
    let logs = outside::logs(job)?;
    let recordings = outside::recordings(job)?;
    let stderr = outside::shim_log(job)?;
    let stage = outside::Stage::build(job)?;
    fail::point("spawn.root")?;
    await_groups(status.as_fd())?;
    let group = place.tree.open_agent(&job.spec.agent)?;
    fail::point("spawn.cgroup")?;
    let payload = group.payload_procs_fds()?;
    let (orders, shim_orders) = packet::pair().what(|| "make the launcher's socket".into())?;
    let init = init(job, leaves(&group, &job.spec)?, orders, status)?;
    let namespaces = [
        (Layer::Pid, libc::CLONE_NEWPID),
        (Layer::Ipc, libc::CLONE_NEWIPC),
        (Layer::Uts, libc::CLONE_NEWUTS),
    ];
    let made = namespaces
        .iter()
        .filter(|(layer, _)| !ablation::off(*layer));
    let flags = made.fold(0, |flags, (_, flag)| flags | flag);
    let child = sys::clone3(flags, group.v2_dir_fd()).what(|| "clone init".into())?;
    let pid = match child {
        Fork::Child => inside::enter(job, init, &payload, &stage),
        Fork::Parent(pid) => pid,
    };
    drop((init, payload));
    fail::point("spawn.cloned")?;
    // While init comes up: what was started and not waited for, and what may wait for every
    // processor.
    drop(stage.holders);
    join(&group.shim_procs_fds()?).what(|| "join the shim's control group".into())?;
    drop(group);
    let descriptors = outside::Shim {
        init: pid,
        listen,
        orders: shim_orders,
        logs,
        recordings,
        stderr,
        reports: stage.reports,
        file_map: stage.file_map,
    };
    outside::become_shim(job, descriptors, status, shim)
}

/// Waits until the broker has made the control groups. It ends this process if it can't.
fn await_groups(status: BorrowedFd<'_>) -> Result<(), Failure> {
    let what = || "wait for the control groups".to_owned();
    match packet::receive(status, GROUPED.len()).what(what)? {
        packet::Received::Packet(_) => Ok(()),
        _ => Err(failure(
            FailureKind::Failed,
            what(),
            "the broker is gone",
            "",
        )),
    }
}

/// The order that the broker put into the socket.
fn ordered<'a>(place: &'a Place, status: BorrowedFd<'_>) -> Result<Job<'a>, Failure> {
    let what = || "read the order".to_owned();
    let packet::Received::Packet(packet) = packet::receive(status, ORDER_BYTES_MAX).what(what)?
    else {
        return Err(failure(FailureKind::Failed, what(), "there is none", ""));
    };
    let mut order: Order = serde_json::from_slice(&packet.bytes)
        .map_err(std::io::Error::from)
        .what(what)?;
    order.facts.host = place.layout.clone();
    #[cfg(feature = "ablation")]
    ablation::read(&place.sockets);
    #[cfg_attr(
        not(feature = "ablation"),
        expect(unused_mut, reason = "see ablation.rs")
    )]
    let mut plan = plan::plan(&order.spec, &order.facts)?;
    #[cfg(feature = "ablation")]
    ablation::weaken(&mut plan);
    let mut fds = packet.fds.into_iter();
    let (lease, file_map) = match (order.lease, order.lease.and_then(|_| fds.next())) {
        (Some(range), Some(lock)) => (Lease { range, lock }, fds.next()),
        _ => {
            let what = || "lease a uid range".into();
            (lease::take(order.spec.agent.as_str()).what(what)?, None)
        }
    };
    Ok(Job {
        place,
        plan,
        spec: order.spec,
        facts: order.facts,
        incarnation: order.incarnation,
        lease,
        file_map,
        netns: order.network.then(|| fds.next()).flatten(),
    })
}

/// `cgroup.procs` of each leaf, open.
pub(crate) type Leaves = Vec<(Leaf, Vec<OwnedFd>)>;

fn leaves(group: &AgentCgroup, spec: &SandboxSpec) -> Result<Leaves, Failure> {
    let services = spec.services.keys().cloned().map(Leaf::Service);
    let mut leaves = Vec::new();
    for leaf in std::iter::once(Leaf::Agent).chain(services) {
        let fds = group.leaf_procs_fds(&leaf)?;
        leaves.push((leaf, fds));
    }
    Ok(leaves)
}

/// Moves the calling process.
fn join(procs: &[OwnedFd]) -> std::io::Result<()> {
    for fd in procs {
        nix::unistd::write(fd, b"0")?;
    }
    Ok(())
}

fn init(job: &Job<'_>, leaves: Leaves, orders: OwnedFd, status: &OwnedFd) -> Result<Init, Failure> {
    let copy = |fd: &OwnedFd| fd.try_clone().what(|| "prepare init".into());
    let canaries = [
        job.facts.git_dir.join("config"),
        job.place.stage.join("broker.sock"),
        "/etc/shadow".into(),
        "/sys/kernel".into(),
    ];
    Ok(Init {
        orders,
        status: copy(status)?,
        lock: copy(&job.lease.lock)?,
        leaves,
        rules: job.plan.rules.clone(),
        landlock_required: job.spec.landlock == Requirement::Required,
        debug: job.spec.debug,
        extras: job.plan.expected.clone(),
        canaries: canaries.to_vec(),
    })
}

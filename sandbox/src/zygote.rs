//! The zygote: a small clean process that every sandbox is forked from.
//!
//! ```text
//! broker ─exec from memory→ zygote ─clone→ spawner (the broker's child) ─clone→ init ─fork→ launcher
//!                                             └─ becomes the shim
//! ```
//!
//! Starting a program takes as long as building half a sandbox, so it is done once. The zygote is
//! executed from a sealed memory file with an empty environment. It is told where the instance
//! lies, and after that reads nothing: what belongs to an agent is read by its spawner, so that no
//! process of one agent was ever forked from one that knew another's.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getppid};
use serde::{Deserialize, Serialize};

use crate::cgroup::Tree;
use crate::fail::{self, Context, failure};
use crate::launch::ShimConfig;
use crate::packet::{self, Received};
use crate::plan::HostLayout;
use crate::protocol::{Failure, FailureKind, PACKET_BYTES_MAX};
use crate::spawn::{self, EmptyMounts, Place};
use crate::stacks;
use crate::sys::{self, Fork};

/// What the shim does; it ends when this returns.
pub type ShimMain = fn(&ShimConfig) -> io::Result<()>;

/// The word that makes a zygote of the program.
pub const ZYGOTE: &str = "zygote";

/// What is the same for every sandbox of an instance. The run directory comes beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZygoteConfig {
    /// Spawners are its children, and die with it.
    pub(crate) broker: i32,
    /// Names the control groups.
    pub(crate) instance: String,
    /// The run directory's path.
    pub(crate) stage: PathBuf,
    /// Who connects to shims.
    pub(crate) daemon: (u32, u32),
    /// What the host looks like.
    pub(crate) layout: HostLayout,
    /// The fault that a test wants.
    pub(crate) fault: Option<String>,
}

/// Serves the broker at the other end of standard input, until that is closed. Gives the exit code.
#[must_use]
pub fn run(shim: ShimMain) -> i32 {
    match serve(shim) {
        Ok(()) => 0,
        Err(failed) => {
            eprintln!("wsm-shim: zygote: {failed}");
            1
        }
    }
}

fn serve(shim: ShimMain) -> Result<(), Failure> {
    let what = || "start the zygote".to_owned();
    prctl::set_dumpable(false).what(what)?;
    // Its forks execute nothing on the host. One that is the shim checks again.
    sys::clear_bounding_set().what(what)?;
    sys::ignore_sigpipe();
    stacks::prepare().what(what)?;
    let control = nix::unistd::dup(io::stdin()).what(what)?;
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let null = nix::fcntl::open("/dev/null", flags, Mode::empty()).what(what)?;
    sys::dup_to(null.as_fd(), 0).what(what)?;
    drop(null);
    sys::cloexec_from(3).what(what)?;
    let (config, run) = told(control.as_fd()).what(what)?;
    let broker = Pid::from_raw(config.broker);
    prctl::set_pdeathsig(Signal::SIGKILL).what(what)?;
    if getppid() != broker {
        return Err(failure(FailureKind::Failed, what(), "no broker", ""));
    }
    fail::watch(&run, broker, config.fault.clone());
    let tree = Tree::open(&config.instance)?;
    tree.join_as_zygote()?;
    let place = Place {
        tree,
        sockets: run,
        empty: EmptyMounts::make(&config.stage)?,
        stage: config.stage,
        daemon: config.daemon,
        layout: config.layout,
        broker,
    };
    while let Received::Packet(packet) =
        packet::receive(control.as_fd(), PACKET_BYTES_MAX).what(what)?
    {
        let Some(status) = packet.fds.into_iter().next() else {
            continue;
        };
        // The broker's child and not ours: it waits for it, and it alone is to be followed.
        match sys::clone3(libc::CLONE_PARENT, None).what(|| "start a spawner".into())? {
            Fork::Child => {
                drop(control);
                sys::exit_now(spawn::run(&place, status, shim));
            }
            Fork::Parent(pid) => {
                packet::send(control.as_fd(), &pid.as_raw(), &[]).what(what)?;
            }
        }
    }
    Ok(())
}

fn told(control: BorrowedFd<'_>) -> io::Result<(ZygoteConfig, OwnedFd)> {
    let Received::Packet(packet) = packet::receive(control, PACKET_BYTES_MAX)? else {
        return Err(io::Error::other("the broker said nothing"));
    };
    let config = serde_json::from_slice(&packet.bytes)?;
    let run = packet.fds.into_iter().next();
    Ok((config, run.ok_or(io::ErrorKind::InvalidData)?))
}

/// Descriptors above standard error that a process keeps; all others are closed.
pub(crate) fn keep_only<'a>(fds: impl Iterator<Item = &'a OwnedFd>) -> io::Result<()> {
    let mut keep: Vec<i32> = fds.map(AsRawFd::as_raw_fd).collect();
    keep.sort_unstable();
    sys::close_others(&keep)
}

//! PID 1 of a sandbox: starts the launcher, reaps, and ends when the launcher or the shim does.
//!
//! A fork of the zygote with an empty environment; `/proc/1/exe` is a sealed memory file. It is
//! root inside, without a capability, not dumpable, and outside the agent's Landlock domain; it
//! reads nothing that the agent writes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::ablation::{self, Layer};
use crate::fail::{self as fault, Context, failure};
use crate::landlock;
use crate::launcher;
use crate::packet;
use crate::plan;
use crate::protocol::{Failure, FailureKind};
use crate::spawn::{Leaves, Status};
use crate::sys::{self, Fork};

/// What init and the launcher are given. Nothing else is open in them.
#[derive(Debug)]
pub(crate) struct Init {
    /// The launcher's end of the socket to the shim.
    pub(crate) orders: OwnedFd,
    /// Where the self-test's result goes.
    pub(crate) status: OwnedFd,
    /// Lock of the uid range, held as long as the sandbox lives.
    pub(crate) lock: OwnedFd,
    /// `cgroup.procs` of each leaf.
    pub(crate) leaves: Leaves,
    /// The second wall.
    pub(crate) rules: landlock::Rules,
    /// Whether to refuse a kernel without Landlock.
    pub(crate) landlock_required: bool,
    /// ptrace of own children.
    pub(crate) debug: bool,
    /// What the self-test finds beyond the usual.
    pub(crate) extras: plan::Expected,
    /// Host paths that must not exist inside.
    pub(crate) canaries: Vec<PathBuf>,
}

impl Init {
    /// Every descriptor.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        let leaves = self.leaves.iter().flat_map(|(_, fds)| fds);
        [&self.orders, &self.status, &self.lock]
            .into_iter()
            .chain(leaves)
    }
}

/// Runs as PID 1 until the sandbox ends. Gives the exit code.
pub(crate) fn run(init: Init) -> i32 {
    let begun = init.orders.try_clone().what(|| "start init".into());
    let begun = begun.and_then(|life| Ok((life, prepare()?)));
    let (life, signals) = match begun {
        Ok(begun) => begun,
        Err(failed) => return fail(&init.status, failed),
    };
    let launcher = match sys::fork() {
        Ok(Fork::Child) => {
            drop((life, signals));
            sys::exit_now(launcher::run(init));
        }
        Ok(Fork::Parent(pid)) => pid,
        Err(error) => {
            let why = error.to_string();
            let failed = failure(FailureKind::Failed, "start the launcher", why, "");
            return fail(&init.status, failed);
        }
    };
    let Init {
        orders,
        status,
        lock: _lock,
        leaves,
        ..
    } = init;
    drop((orders, leaves));
    if let Err(failed) = drop_rights() {
        return fail(&status, failed);
    }
    drop(status);
    reap(&signals, life.as_fd(), launcher)
}

/// Tells the broker; gives the exit code.
fn fail(status: &OwnedFd, failed: Failure) -> i32 {
    let told = packet::send(status.as_fd(), &Status::Failed(failed), &[]);
    i32::from(told.is_err()) + 72
}

/// What must hold before the launcher exists.
fn prepare() -> Result<SignalFd, Failure> {
    let what = || "prepare init".to_owned();
    prctl::set_dumpable(false).what(what)?;
    prctl::set_name(c"wsm-init").what(what)?;
    if !ablation::off(Layer::Capabilities) {
        sys::lock_securebits().what(what)?;
        sys::clear_bounding_set().what(what)?;
    }
    sys::ignore_sigpipe();
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().what(what)?;
    fault::point("init.prepared")?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).what(what)
}

/// Root by name only: reaping needs no right.
fn drop_rights() -> Result<(), Failure> {
    let what = || "drop init's rights".to_owned();
    sys::clear_capabilities().what(what)?;
    prctl::set_no_new_privs().what(what)?;
    fault::point("init.dropped")
}

/// Reaps until the launcher ends or the shim is gone: its socket hangs up. Death of the parent
/// can't be signalled across the two users, so the socket says it.
fn reap(signals: &SignalFd, life: BorrowedFd<'_>, launcher: Pid) -> i32 {
    loop {
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(life, PollFlags::empty()),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return 75,
        }
        let gone = fds[1]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP));
        if gone {
            return 76;
        }
        while let Ok(Some(_)) = signals.read_signal() {}
        while let Ok(Some((pid, exit))) = sys::reap() {
            if pid == launcher {
                return exit.shell_code();
            }
        }
    }
}

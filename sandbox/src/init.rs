//! PID 1 of a sandbox: starts the launcher, reaps, and ends when the launcher or the shim does.
//!
//! Executed from a sealed memory file with an empty environment. It is root inside, without a
//! capability, not dumpable, and outside the agent's Landlock domain; it reads nothing that the
//! agent writes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::fail::{Context, failure};
use crate::landlock;
use crate::launch::Leaf;
use crate::launcher;
use crate::packet;
use crate::protocol::{Failure, FailureKind};
use crate::spawn::{CONFIG_FD, Status};
use crate::sys::{self, Fork};

/// Longest configuration in bytes; ours is a few KiB.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// What init is told, by a sealed file at a fixed descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InitConfig {
    /// The launcher's end of the socket to the shim.
    pub(crate) orders_fd: i32,
    /// Where the self-test's result goes.
    pub(crate) status_fd: i32,
    /// Lock of the uid range, held as long as the sandbox lives.
    pub(crate) lock_fd: i32,
    /// `cgroup.procs` of each leaf.
    pub(crate) leaves: Vec<(Leaf, Vec<i32>)>,
    /// The second wall.
    pub(crate) rules: landlock::Rules,
    /// Whether to refuse a kernel without Landlock.
    pub(crate) landlock_required: bool,
    /// ptrace of own children.
    pub(crate) debug: bool,
    /// Host paths that must not exist inside.
    pub(crate) canaries: Vec<PathBuf>,
}

impl InitConfig {
    /// Every descriptor that init inherits.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = i32> {
        let leaves = self.leaves.iter().flat_map(|(_, fds)| fds.iter().copied());
        [self.orders_fd, self.status_fd, self.lock_fd]
            .into_iter()
            .chain(leaves)
    }
}

/// What the launcher goes on with.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) orders: OwnedFd,
    pub(crate) status: OwnedFd,
    pub(crate) leaves: Vec<(Leaf, Vec<OwnedFd>)>,
}

/// Runs as PID 1 until the sandbox ends. Gives the exit code.
#[must_use]
pub fn run() -> i32 {
    let Ok(config) = read_config() else {
        return 70; // not started by the spawner: nobody to tell
    };
    let lock = sys::inherit(config.lock_fd);
    let (Ok(inherited), Ok(_lock)) = (inherit(&config), lock) else {
        return 71;
    };
    match serve(&config, inherited) {
        Ok(code) => code,
        Err((status, failed)) => {
            let told = packet::send(status.as_fd(), &Status::Failed(failed), &[]);
            i32::from(told.is_err()) + 72
        }
    }
}

fn serve(config: &InitConfig, inherited: Inherited) -> Result<i32, (OwnedFd, Failure)> {
    let life = match inherited.orders.try_clone() {
        Ok(life) => life,
        Err(error) => {
            let failed = failure(FailureKind::Failed, "start init", error.to_string(), "");
            return Err((inherited.status, failed));
        }
    };
    let signals = match prepare() {
        Ok(signals) => signals,
        Err(failed) => return Err((inherited.status, failed)),
    };
    let launcher = match sys::fork() {
        Ok(Fork::Child) => {
            drop((life, signals));
            sys::exit_now(launcher::run(config, inherited));
        }
        Ok(Fork::Parent(pid)) => pid,
        Err(error) => {
            let failed = failure(
                FailureKind::Failed,
                "start the launcher",
                error.to_string(),
                "",
            );
            return Err((inherited.status, failed));
        }
    };
    let Inherited {
        orders,
        status,
        leaves,
    } = inherited;
    drop((orders, leaves));
    if let Err(failed) = drop_rights() {
        return Err((status, failed));
    }
    drop(status);
    Ok(reap(&signals, life.as_fd(), launcher))
}

fn read_config() -> std::io::Result<InitConfig> {
    let file = std::fs::File::from(sys::inherit(CONFIG_FD)?);
    let mut bytes = vec![0; CONFIG_BYTES_MAX];
    let length = std::os::unix::fs::FileExt::read_at(&file, &mut bytes, 0)?;
    Ok(serde_json::from_slice(&bytes[..length])?)
}

fn inherit(config: &InitConfig) -> std::io::Result<Inherited> {
    let mut leaves = Vec::new();
    for (leaf, numbers) in &config.leaves {
        let fds: Result<Vec<_>, _> = numbers.iter().map(|fd| sys::inherit(*fd)).collect();
        leaves.push((leaf.clone(), fds?));
    }
    let inherited = Inherited {
        orders: sys::inherit(config.orders_fd)?,
        status: sys::inherit(config.status_fd)?,
        leaves,
    };
    for fd in config.descriptors() {
        let fd = std::mem::ManuallyDrop::new(sys::inherit(fd)?);
        cloexec(&fd)?;
    }
    Ok(inherited)
}

fn cloexec(fd: &OwnedFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}

/// What must hold before the launcher exists.
fn prepare() -> Result<SignalFd, Failure> {
    let what = || "prepare init".to_owned();
    prctl::set_dumpable(false).what(what)?;
    prctl::set_name(c"wsm-init").what(what)?;
    sys::ignore_sigpipe();
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().what(what)?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).what(what)
}

/// Root by name only: reaping needs no right.
fn drop_rights() -> Result<(), Failure> {
    let what = || "drop init's rights".to_owned();
    sys::lock_securebits().what(what)?;
    sys::clear_bounding_set().what(what)?;
    sys::clear_capabilities().what(what)?;
    prctl::set_no_new_privs().what(what)
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

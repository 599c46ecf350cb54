//! The child in its new namespaces: the last mounts, the user namespace, and init.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgroups, sethostname, setresgid, setresuid, setsid};

use super::outside::Stage;
use super::{Job, Status, join};
use crate::ablation::{self, Layer};
use crate::apply::new_mount;
use crate::fail::{self, Context};
use crate::files;
use crate::init::{self, Init};
use crate::packet;
use crate::protocol::Failure;
use crate::sys::{self, attr};
use crate::zygote::keep_only;

/// Files of /proc that speak of the whole host, hidden behind `/dev/null`.
const HIDDEN_FILES: [&str; 10] = [
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "sysrq-trigger",
    "interrupts",
    "cmdline",
];

/// Directories of /proc that steer the whole host: visible, read-only.
const READ_ONLY: [&str; 5] = ["sys", "bus", "fs", "irq", "pressure"];

/// Directories of /proc hidden behind an empty one.
const HIDDEN_DIRS: [&str; 3] = ["acpi", "scsi", "driver"];

/// How eagerly the agent is killed when the host runs out of memory: before everybody else.
const OOM_SCORE: &str = "500";

/// Becomes init, or tells the broker why not; ends.
pub(super) fn enter(job: &Job<'_>, init: Init, payload: &[OwnedFd], stage: &Stage) -> ! {
    match become_init(job, &init, payload, stage) {
        Ok(()) => sys::exit_now(init::run(init)),
        Err(failed) => {
            let told = packet::send(init.status.as_fd(), &Status::Failed(failed), &[]);
            sys::exit_now(i32::from(told.is_err()) + 1)
        }
    }
}

fn become_init(
    job: &Job<'_>,
    init: &Init,
    payload: &[OwnedFd],
    stage: &Stage,
) -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).what(|| "tie init to the spawner".into())?;
    join(payload).what(|| "join the agent's control group".into())?;
    if !ablation::off(Layer::Cgroup) {
        unshare(CloneFlags::CLONE_NEWCGROUP).what(|| "unshare the cgroup namespace".into())?;
    }
    setsid().what(|| "start a session".into())?;
    umask(Mode::from_bits_truncate(0o022));
    if !ablation::off(Layer::Uts) {
        sethostname(&job.plan.hostname).what(|| "set the host name".into())?;
    }
    sys::join_session_keyring().what(|| "join a fresh session keyring".into())?;
    mount_proc(stage)?;
    std::fs::write("/proc/self/oom_score_adj", OOM_SCORE).what(|| "set the OOM score".into())?;
    fail::point("inside.proc")?;
    let what = || "prepare init".to_owned();
    let null = open_null(stage.root.as_fd()).what(what)?;
    let root = if ablation::off(Layer::User) {
        job.lease.range.root()
    } else {
        setns(&stage.userns, CloneFlags::CLONE_NEWUSER)
            .what(|| "enter the user namespace".into())?;
        0
    };
    let (uid, gid) = (Uid::from_raw(root), Gid::from_raw(root));
    if ablation::off(Layer::User) {
        prctl::set_keepcaps(true).what(what)?;
    }
    setgroups(&[]).what(what)?;
    setresgid(gid, gid, gid).what(what)?;
    setresuid(uid, uid, uid).what(what)?;
    if ablation::off(Layer::User) {
        let kept = caps::read(None, caps::CapSet::Permitted);
        let raised = kept.and_then(|kept| caps::set(None, caps::CapSet::Effective, &kept));
        raised.map_err(std::io::Error::other).what(what)?;
    }
    fail::point("inside.user")?;
    for to in 0..3 {
        sys::dup_to(null.as_fd(), to).what(what)?;
    }
    keep_only(init.descriptors()).what(what)?;
    // Nothing is dropped from here on: what this process had open is closed.
    std::mem::forget(null);
    Ok(())
}

fn open_null(root: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    files::open_below(root, Path::new("dev/null"), OFlag::O_RDWR)
}

/// A proc of the new pid namespace with what concerns the host hidden or read-only.
fn mount_proc(stage: &Stage) -> Result<(), Failure> {
    let root = stage.root.as_fd();
    let what = |name: &str| format!("mount /proc/{name}");
    let flags = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let options = [(c"hidepid", "invisible".to_owned())];
    let hidden = usize::from(!ablation::off(Layer::HidePid));
    let proc = new_mount(c"proc", &options[..hidden], flags).what(|| what(""))?;
    let place = files::open_below(root, Path::new("proc"), OFlag::O_PATH).what(|| what(""))?;
    sys::move_mount(proc.as_fd(), place.as_fd()).what(|| what(""))?;
    if ablation::off(Layer::ProcMasks) {
        return Ok(());
    }
    for name in READ_ONLY {
        if let Some(dir) = part(proc.as_fd(), name).what(|| what(name))? {
            let copy = sys::open_tree(dir.as_fd(), c"", false).what(|| what(name))?;
            sys::mount_setattr(copy.as_fd(), false, attr::RDONLY, None).what(|| what(name))?;
            sys::move_mount(copy.as_fd(), dir.as_fd()).what(|| what(name))?;
        }
    }
    let null = files::open_below(root, Path::new("dev/null"), OFlag::O_PATH)
        .what(|| "open /dev/null".into())?;
    for name in HIDDEN_FILES {
        if let Some(file) = part(proc.as_fd(), name).what(|| what(name))? {
            let copy = sys::open_tree(null.as_fd(), c"", false).what(|| what(name))?;
            sys::mount_setattr(copy.as_fd(), false, attr::NOEXEC, None).what(|| what(name))?;
            sys::move_mount(copy.as_fd(), file.as_fd()).what(|| what(name))?;
        }
    }
    for name in HIDDEN_DIRS {
        if let Some(dir) = part(proc.as_fd(), name).what(|| what(name))? {
            let empty = sys::open_tree(stage.bare.as_fd(), c"", false).what(|| what(name))?;
            sys::mount_setattr(empty.as_fd(), false, flags | attr::RDONLY, None)
                .what(|| what(name))?;
            sys::move_mount(empty.as_fd(), dir.as_fd()).what(|| what(name))?;
        }
    }
    Ok(())
}

/// A part of /proc, if this kernel has it.
fn part(proc: BorrowedFd<'_>, name: &str) -> std::io::Result<Option<OwnedFd>> {
    match files::open_below(proc, Path::new(name), OFlag::O_PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

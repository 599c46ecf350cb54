//! Failures as the broker answers them, and named fail points for tests.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use nix::fcntl::OFlag;
use nix::unistd::{Pid, UnlinkatFlags, unlinkat};

use crate::files;
use crate::protocol::{Failure, FailureKind};

/// Adds what was being done to an error of the operating system.
pub(crate) trait Context<T> {
    /// Turns the error into a [`Failure`] that names the step.
    fn what(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> Context<T> for io::Result<T> {
    fn what(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| host_failure(what(), &error))
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn what(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|errno| host_failure(what(), &errno.into()))
    }
}

fn host_failure(what: String, error: &io::Error) -> Failure {
    let hint = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "free some disk space",
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit of open files",
        Some(libc::EPERM) => "the broker must run as root with all capabilities: `wsm doctor`",
        Some(libc::ENOSYS) => "this kernel is too old: `wsm doctor`",
        _ => "",
    };
    Failure {
        kind: FailureKind::Failed,
        what,
        why: error.to_string(),
        hint: hint.into(),
    }
}

/// A failure with a reason of our own.
pub(crate) fn failure(
    kind: FailureKind,
    what: impl Into<String>,
    why: impl Into<String>,
    hint: impl Into<String>,
) -> Failure {
    Failure {
        kind,
        what: what.into(),
        why: why.into(),
        hint: hint.into(),
    }
}

/// Something of the host's that an agent was made with is there no longer.
pub(crate) fn gone(path: &Path) -> Failure {
    failure(
        FailureKind::Failed,
        format!("open {}", path.display()),
        "it is gone",
        "put it back where it was, or remove the agent with `wsm rm`",
    )
}

const fn compiled() -> bool {
    cfg!(any(debug_assertions, feature = "faults"))
}

/// A test writes the name of a point into this file of the run directory. Whoever of the broker's
/// processes comes there removes the file and kills the broker: once, not again the next one.
const FILE: &str = "fault";

/// The name of every point that is passed is added to this file, if a test made it.
const PASSED: &str = "passed";

/// What a test wants of a broker and of all that it starts.
#[derive(Debug)]
struct Armed {
    run_dir: OwnedFd,
    broker: Pid,
    /// `WSM_FAULT` of the broker; the others have no environment.
    wanted: Option<String>,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Looks for this broker's fail points in this directory from now on.
pub(crate) fn watch(run_dir: &OwnedFd, broker: Pid, wanted: Option<String>) {
    if compiled()
        && let Ok(run_dir) = run_dir.try_clone()
    {
        ARMED.get_or_init(|| Armed {
            run_dir,
            broker,
            wanted,
        });
    }
}

/// The fault that the environment names: `WSM_FAULT=point` or `WSM_FAULT=point:kill`.
pub(crate) fn wanted() -> Option<String> {
    std::env::var("WSM_FAULT").ok().filter(|_| compiled())
}

/// Notes that it was passed; kills the broker if a test named it.
fn pass(name: &str) {
    let Some(armed) = ARMED.get() else {
        return;
    };
    let dir = &armed.run_dir;
    // Tests alone make and read these files: what does not work there is seen there.
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND;
    if let Ok(file) = files::open_below(dir.as_fd(), Path::new(PASSED), flags) {
        drop(std::fs::File::from(file).write_all(format!("{name}\n").as_bytes()));
    }
    let file = files::open_below(dir.as_fd(), Path::new(FILE), OFlag::O_RDONLY);
    let mut wanted = String::new();
    let read = file.and_then(|file| std::fs::File::from(file).read_to_string(&mut wanted));
    if read.is_ok()
        && wanted.trim() == name
        && unlinkat(dir.as_fd(), FILE, UnlinkatFlags::NoRemoveDir).is_ok()
    {
        // Inside a pid namespace or without the right this fails: then only this process ends.
        crate::sys::kill(armed.broker, libc::SIGKILL).unwrap_or(());
        crate::sys::exit_now(137);
    }
}

/// Fails, or kills this process, if the broker's environment names this point. Compiled out of
/// release builds.
pub(crate) fn point(name: &str) -> Result<(), Failure> {
    if !compiled() {
        return Ok(());
    }
    pass(name);
    let Some(wanted) = ARMED.get().and_then(|armed| armed.wanted.as_deref()) else {
        return Ok(());
    };
    match wanted.split_once(':').unwrap_or((wanted, "fail")) {
        // PID 1 of a namespace can't signal itself.
        (point, "kill") if point == name && std::process::id() == 1 => crate::sys::exit_now(137),
        (point, "kill") if point == name => {
            crate::sys::kill(nix::unistd::getpid(), libc::SIGKILL).what(|| format!("fault {name}"))
        }
        (point, _) if point == name => Err(failure(
            FailureKind::Failed,
            name,
            "fault injected by WSM_FAULT",
            "",
        )),
        _ => Ok(()),
    }
}

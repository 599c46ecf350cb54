//! Giving up every right, in an order in which no later step needs an earlier one.

use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Gid, Uid, chdir, getcwd, getresgid, getresuid, setgroups, setresgid, setresuid};

use crate::ablation::{self, Layer};
use crate::fail::{Context, failure};
use crate::init::Init;
use crate::landlock::{self, LandlockStatus};
use crate::protocol::{Failure, FailureKind};
use crate::seccomp;
use crate::selftest;
use crate::spec::{INSIDE_ID, ProbeReport};
use crate::stacks;
use crate::sys;

/// Open files of one process: what databases and bundlers ask for.
const FILES_MAX: u64 = 65_536;
/// Locked memory: enough for keys in password tools.
const LOCKED_BYTES_MAX: u64 = 8 << 20;
/// POSIX message queues of the agent's user.
const QUEUE_BYTES_MAX: u64 = 1 << 20;
/// Queued signals of the agent's user.
const SIGNALS_MAX: u64 = 8192;

/// Closes the sandbox around this process. What Landlock took; `None` where it is not required
/// and the kernel has none.
pub(super) fn enter(init: &Init) -> Result<Option<LandlockStatus>, Failure> {
    let what = || "close the sandbox".to_owned();
    prctl::set_name(c"wsm-launcher").what(what)?;
    if !ablation::off(Layer::RLimits) {
        limit_resources()?;
    }
    let mut landlock = None;
    if ablation::off(Layer::NoNewPrivs) {
        // Without it only capabilities let a process enter domain and filter.
        landlock = wall(init)?;
    }
    let keep = ablation::off(Layer::Capabilities);
    // Init did away with the bounding set and locked the secure bits.
    let id = become_agent(keep)?;
    if keep {
        keep_capabilities()?;
    } else {
        sys::clear_capabilities().what(|| "clear the capabilities".into())?;
    }
    check_rights(id, keep)?;
    prctl::set_dumpable(false).what(what)?;
    chdir("/").what(what)?;
    let cwd = getcwd().what(what)?;
    if !cwd.starts_with("/") {
        let why = format!("the working directory is {}", cwd.display());
        return Err(failure(FailureKind::Failed, what(), why, ""));
    }
    if !ablation::off(Layer::NoNewPrivs) {
        prctl::set_no_new_privs().what(what)?;
        landlock = wall(init)?;
    }
    Ok(landlock)
}

/// Enters the Landlock domain and the filter.
fn wall(init: &Init) -> Result<Option<LandlockStatus>, Failure> {
    let everything = landlock::Rules {
        write: vec!["/".into()],
        devices: vec!["/".into()],
        ..landlock::Rules::default()
    };
    let rules = if ablation::off(Layer::LandlockFiles) {
        &everything
    } else {
        &init.rules
    };
    let mut entered = None;
    if !ablation::off(Layer::Landlock) {
        let status = landlock::enforce(rules, init.landlock_required);
        let status = status.map_err(|error| landlock_failure(&error))?;
        entered = (status.abi > 0).then_some(status);
    }
    if !ablation::off(Layer::Seccomp) {
        let program = seccomp::program(&seccomp::Options { debug: init.debug });
        sys::load_seccomp(&program).what(|| "load the seccomp filter".into())?;
    }
    Ok(entered)
}

/// Every capability that there is, also after an exec.
fn keep_capabilities() -> Result<(), Failure> {
    let all = caps::read(None, caps::CapSet::Permitted);
    let all = all
        .map_err(std::io::Error::other)
        .what(|| "read the capabilities".into())?;
    for set in [
        caps::CapSet::Effective,
        caps::CapSet::Inheritable,
        caps::CapSet::Ambient,
    ] {
        let kept = caps::set(None, set, &all).map_err(std::io::Error::other);
        kept.what(|| "keep the capabilities".into())?;
    }
    Ok(())
}

fn landlock_failure(error: &landlock::LandlockError) -> Failure {
    let kind = match error {
        landlock::LandlockError::TooOld { .. } => FailureKind::Unsupported,
        _ => FailureKind::Failed,
    };
    let cause = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
    let hint =
        "set `landlock = \"best-effort\"` in the template to go without, or boot a newer kernel";
    failure(kind, error.to_string(), cause, hint)
}

fn limit_resources() -> Result<(), Failure> {
    // A core limit of 1, not 0: only that keeps a piped core_pattern helper of the host from
    // reading the agent's memory.
    for (resource, most) in [
        (Resource::RLIMIT_CORE, 1),
        (Resource::RLIMIT_NOFILE, FILES_MAX),
        (Resource::RLIMIT_MEMLOCK, LOCKED_BYTES_MAX),
        (Resource::RLIMIT_MSGQUEUE, QUEUE_BYTES_MAX),
        (Resource::RLIMIT_SIGPENDING, SIGNALS_MAX),
        (Resource::RLIMIT_RTPRIO, 0),
    ] {
        let what = || format!("set {resource:?}");
        let (_, hard) = getrlimit(resource).what(what)?;
        let most = most.min(hard);
        setrlimit(resource, most, most).what(what)?;
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).what(|| "read RLIMIT_NPROC".into())?;
    // Tasks are counted by the control group; a smaller soft limit would only confuse.
    setrlimit(Resource::RLIMIT_NPROC, hard, hard).what(|| "set RLIMIT_NPROC".into())
}

/// Gives its id, which is [`INSIDE_ID`].
fn become_agent(keep_capabilities: bool) -> Result<u32, Failure> {
    let what = || "become the agent's user".to_owned();
    let id = if ablation::off(Layer::User) {
        getresuid().what(what)?.real.as_raw() + INSIDE_ID
    } else {
        INSIDE_ID
    };
    if keep_capabilities {
        prctl::set_keepcaps(true).what(what)?;
    }
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[]).what(what)?;
    setresgid(gid, gid, gid).what(what)?;
    setresuid(uid, uid, uid).what(what)?;
    Ok(id)
}

/// Reads back what was given up: a step that silently did nothing must not pass.
fn check_rights(id: u32, capable: bool) -> Result<(), Failure> {
    let what = || "check the dropped rights".to_owned();
    let uids = getresuid().what(what)?;
    let gids = getresgid().what(what)?;
    let own_uid = [uids.real, uids.effective, uids.saved]
        .iter()
        .all(|is| is.as_raw() == id);
    let own_gid = [gids.real, gids.effective, gids.saved]
        .iter()
        .all(|is| is.as_raw() == id);
    // The other two take a call for each capability; the self-test reads all five at once.
    let sets = [
        caps::CapSet::Effective,
        caps::CapSet::Permitted,
        caps::CapSet::Inheritable,
    ];
    let mut none_left = true;
    for set in sets {
        let held = caps::read(None, set)
            .map_err(std::io::Error::other)
            .what(what)?;
        none_left &= held.is_empty();
    }
    if own_uid && own_gid && (none_left || capable) {
        return Ok(());
    }
    let why = format!("uid {own_uid}, gid {own_gid}, no capabilities {none_left}");
    Err(failure(FailureKind::Failed, what(), why, ""))
}

/// Name of the abstract socket that the self-test must not reach.
const OUTSIDE_NAME: &str = "wsm-selftest";

/// A socket from before the domain, for the self-test: whoever is in the domain can't connect.
pub(super) fn listen_outside() -> Result<UnixListener, Failure> {
    let address = SocketAddr::from_abstract_name(OUTSIDE_NAME);
    address
        .and_then(|address| UnixListener::bind_addr(&address))
        .what(|| "listen on an abstract socket for the self-test".into())
}

/// What the self-test shall find. Scopes are probed where the kernel has them.
pub(super) fn expected(
    init: &Init,
    landlock: Option<&LandlockStatus>,
    outside: &UnixListener,
) -> selftest::Context {
    let scoped = landlock.is_some_and(|status| status.fully);
    let mut fds: Vec<i32> = init.descriptors().map(AsRawFd::as_raw_fd).collect();
    fds.push(outside.as_raw_fd());
    selftest::Context {
        uid: INSIDE_ID,
        debug: init.debug,
        landlock: landlock.is_some(),
        canaries: init.canaries.clone(),
        extras: init.extras.clone(),
        unruled: None,
        abstract_name: scoped.then(|| OUTSIDE_NAME.to_owned()),
        fds,
        interfaces: vec!["lo".into()],
    }
}

/// Runs the self-test in a child, which has exactly the rights of everything that comes later.
pub(super) fn test(expected: &selftest::Context) -> Result<Vec<ProbeReport>, Failure> {
    let what = || "test the sandbox from inside".to_owned();
    let mut probes = None;
    // In a child that is given nothing but this memory, in which it tells what it saw.
    let stack = stacks::lend().what(what)?;
    let child = sys::vfork(&stack, || {
        probes = Some(selftest::run(expected));
        0
    });
    let status = nix::sys::wait::waitpid(child.what(what)?, None).what(what)?;
    match (status, probes) {
        (WaitStatus::Exited(_, 0), Some(probes)) => Ok(probes),
        _ => Err(failure(
            FailureKind::Unsupported,
            what(),
            format!("the test died: {status:?}"),
            "this is a defect of wsm or of the kernel's configuration: `wsm doctor`",
        )),
    }
}

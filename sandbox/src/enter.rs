//! Starting the daemon as its own user, in a mount namespace where its directories are reachable.
//!
//! An instance's directory may lie where that user can't go (below /root, or a 0700 temporary
//! directory). So root opens the three parts, binds them below a small tmpfs that only this
//! process tree sees, binds the API socket, and then gives everything up and becomes the daemon.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, fexecve, setgroups, setresgid, setresuid};

use crate::config::{EnterConfig, VIEW};

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct EnterError {
    what: String,
    #[source]
    source: io::Error,
}

fn step<T, E: Into<io::Error>>(what: &str, result: Result<T, E>) -> Result<T, EnterError> {
    result.map_err(|e| EnterError {
        what: what.to_owned(),
        source: e.into(),
    })
}

/// Becomes the program. Dies with the parent, as `wsm up` promises.
///
/// # Errors
/// A step failed; nothing was started.
pub fn enter(config: &EnterConfig) -> Result<std::convert::Infallible, EnterError> {
    let parent = nix::unistd::getppid();
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let program = step(
        "open the program",
        open(config.program.as_str(), flags, Mode::empty()),
    )?;

    let listener = listen(Path::new(&config.run_dir), &config.socket)?;
    step(
        "unshare the mount namespace",
        unshare(CloneFlags::CLONE_NEWNS),
    )?;
    bind_parts(config)?;

    // Connections to published ports take two each, and others' connections are not ours to count.
    step("raise the limit of open files", files_as_many_as_may_be())?;
    if config.lock_memory {
        let all = nix::sys::resource::RLIM_INFINITY;
        // A root without CAP_SYS_RESOURCE may not: the program sees the limit that it has.
        setrlimit(Resource::RLIMIT_MEMLOCK, all, all).unwrap_or(());
    }
    let gid = Gid::from_raw(config.gid);
    let uid = Uid::from_raw(config.uid);
    step("drop the groups", setgroups(&[]))?;
    step("drop the gid", setresgid(gid, gid, gid))?;
    step("drop the uid", setresuid(uid, uid, uid))?;
    step("set no_new_privs", prctl::set_no_new_privs())?;
    // After the uid change, which clears it (prctl(2)).
    step("follow the parent", prctl::set_pdeathsig(Signal::SIGKILL))?;
    if nix::unistd::getppid() != parent {
        return step(
            "follow the parent",
            Err(io::Error::other("it is gone already")),
        );
    }

    let fd = listener.as_raw_fd();
    step(
        "keep the socket",
        fcntl(&listener, FcntlArg::F_SETFD(FdFlag::empty())),
    )?;
    let text = |t: String| {
        step(
            "build the arguments",
            CString::new(t).map_err(io::Error::other),
        )
    };
    let argv = config
        .argv
        .iter()
        .map(|arg| text(arg.replace("{fd}", &fd.to_string())));
    let argv = argv.collect::<Result<Vec<_>, _>>()?;
    let env = config
        .env
        .iter()
        .map(|(key, value)| text(format!("{key}={value}")));
    let env = env.collect::<Result<Vec<_>, _>>()?;
    step("start the program", fexecve(program, &argv, &env))
}

/// Raises the soft limit of open files to the hard one.
pub(crate) fn files_as_many_as_may_be() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// A listening socket that every local user may connect to; who they are is asked of the kernel.
fn listen(dir: &Path, name: &str) -> Result<UnixListener, EnterError> {
    let opened = step("open the run directory", fs::File::open(dir))?;
    // Through the descriptor: a socket address holds 107 bytes, a directory's path may be longer.
    let path = format!("/proc/self/fd/{}/{name}", opened.as_raw_fd());
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return step("remove the old API socket", Err(e));
        }
        _ => {}
    }
    let listener = step("bind the API socket", UnixListener::bind(&path))?;
    let everyone = fs::Permissions::from_mode(0o666);
    step(
        "open the API socket to all",
        fs::set_permissions(&path, everyone),
    )?;
    Ok(listener)
}

fn bind_parts(config: &EnterConfig) -> Result<(), EnterError> {
    const NONE: Option<&str> = None;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let parts = [
        ("state", &config.state_dir),
        ("run", &config.run_dir),
        ("etc", &config.etc_dir),
    ];
    // Opened before the tmpfs hides what may lie below it, and after unshare: a mount can only be
    // bound within its own namespace.
    let mut sources = Vec::new();
    for (name, path) in parts {
        sources.push((name, step(path, open(path.as_str(), flags, Mode::empty()))?));
    }
    // Slaves: what the host unmounts later must not stay mounted here, and nothing of ours goes out.
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    step("make mounts slaves", mount(NONE, "/", NONE, slave, NONE))?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let size = Some("size=64k,mode=755");
    step(
        "mount the view",
        mount(Some("wsm"), VIEW, Some("tmpfs"), plain, size),
    )?;
    for (name, source) in sources {
        let target = format!("{VIEW}/{name}");
        step(&target, fs::create_dir(&target))?;
        let from = format!("/proc/self/fd/{}", source.as_raw_fd());
        let bind = MsFlags::MS_BIND;
        step(
            &target,
            mount(Some(from.as_str()), target.as_str(), NONE, bind, NONE),
        )?;
        let mut again = plain | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
        if name == "etc" {
            again |= MsFlags::MS_RDONLY;
        }
        step(&target, mount(NONE, target.as_str(), NONE, again, NONE))?;
    }
    Ok(())
}

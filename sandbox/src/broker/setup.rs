//! Starting the broker: directories, the one lock, the socket, and copies of the programs.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, UnlinkatFlags, getpid, getppid, unlinkat};

use crate::apply;
use crate::cgroup::Tree;
use crate::config::BrokerConfig;
use crate::fail::{Context, failure};
use crate::files;
use crate::plan::HostLayout;
use crate::protocol::{Failure, FailureKind};
use crate::sys;

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 128;
/// How often, and how long apart, the lock is tried: two seconds in all.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Everything the broker opened at its start.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) config: BrokerConfig,
    /// `state`, its real path.
    pub(super) state_path: PathBuf,
    pub(super) state: OwnedFd,
    /// `run`, its real path.
    pub(super) run_path: PathBuf,
    /// `etc`, its real path.
    pub(super) etc_path: PathBuf,
    pub(super) etc: OwnedFd,
    /// `run`: the shims' sockets.
    pub(super) run: OwnedFd,
    /// `state/broker`: grants.
    pub(super) records: OwnedFd,
    /// `state/broker/agents`: one record each.
    pub(super) agents: OwnedFd,
    pub(super) tree: Tree,
    pub(super) layout: HostLayout,
    pub(super) shim_program: OwnedFd,
    pub(super) listener: OwnedFd,
    pub(super) signals: SignalFd,
    lock: OwnedFd,
}

impl Host {
    pub(super) fn set_up(config: BrokerConfig, die_with_parent: bool) -> Result<Host, Failure> {
        let parent = getppid();
        if die_with_parent {
            prctl::set_pdeathsig(Signal::SIGKILL).what(|| "follow the parent".into())?;
            if getppid() != parent {
                return Err(failure(
                    FailureKind::Failed,
                    "follow the parent",
                    "it is gone",
                    "",
                ));
            }
        }
        if !Uid::effective().is_root() {
            let hint = "start it as root: `sudo wsm up`";
            return Err(failure(
                FailureKind::Refused,
                "start the broker",
                "it is not root",
                hint,
            ));
        }
        harden()?;
        let (state_path, state) = directory(&config.state_dir)?;
        let (run_path, run) = directory(&config.run_dir)?;
        let (etc_path, etc) = directory(&config.etc_dir)?;
        let lock = lock(&run, &run_path)?;
        crate::fail::watch(&run, getpid(), crate::fail::wanted());
        let make = |dir: &OwnedFd, name: &str, mode| {
            files::make_dirs(dir.as_fd(), Path::new(name), mode, (0, 0))
                .what(|| format!("make {name}"))
        };
        let records = make(&state, "broker", 0o700)?;
        let agents = make(&records, "agents", 0o700)?;
        make(&state, "agents", 0o711)?;
        make(&state, "workspaces", 0o711)?;
        let tree = Tree::open(&config.instance)?;
        let shim =
            std::fs::read(&config.shim_program).what(|| format!("read {}", config.shim_program))?;
        let shim_program =
            files::sealed("wsm-shim", &shim, true).what(|| "keep the shim in memory".into())?;
        let hook = std::fs::canonicalize(&config.shim_program)
            .what(|| format!("find {}", config.shim_program))?;
        let signals = signals()?;
        let listener = listen_at(&run)?;
        Ok(Host {
            state_path,
            state,
            run_path,
            etc_path,
            etc,
            run,
            records,
            agents,
            tree,
            layout: HostLayout {
                hook,
                ..apply::host_layout()
            },
            shim_program,
            listener,
            signals,
            config,
            lock,
        })
    }
}

impl Host {
    /// Refuses a directory that holds this instance's own, or lies in it: grants, the ceiling,
    /// sockets and the workspaces of other agents are there.
    pub(super) fn check_apart(&self, path: &Path) -> Result<(), Failure> {
        let own = [&self.state_path, &self.run_path, &self.etc_path];
        match own
            .iter()
            .find(|own| path.starts_with(own) || own.starts_with(path))
        {
            None => Ok(()),
            Some(own) => Err(failure(
                FailureKind::Refused,
                format!("use {}", path.display()),
                format!("{} is wsm's own", own.display()),
                "name a directory apart from it, or give wsm another --dir",
            )),
        }
    }

    /// In a fork: gives up the socket and the lock, which are the broker's alone. Otherwise clients
    /// would connect to a broker that is dead as long as a fork of it lives.
    pub(super) fn let_go(&self) {
        if let Ok(null) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) {
            for fd in [&self.listener, &self.lock] {
                // Fails for no valid descriptor, and then nothing is lost but a moment.
                sys::dup_to(null.as_fd(), fd.as_raw_fd()).unwrap_or(());
            }
        }
    }
}

/// What holds for the broker and, by inheritance, for all that it starts.
fn harden() -> Result<(), Failure> {
    let what = || "prepare the broker".to_owned();
    sys::cloexec_from(3).what(what)?;
    crate::enter::files_as_many_as_may_be().what(what)?;
    // 0 to 2 are taken for ever: what is started later finds its own streams there.
    loop {
        let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).what(what)?;
        if null.as_raw_fd() > 2 {
            break;
        }
        std::mem::forget(null);
    }
    sys::ignore_sigpipe();
    // Modes are given exactly; what is started later sets its own mask.
    umask(Mode::empty());
    prctl::set_dumpable(false).what(what)?;
    // No network: not by systemd's IPAddressDeny=, which would hold for sockets too that are made in
    // an agent's namespace and handed out.
    // The test-only build stays, so that a sandbox without a network of its own is in the host's.
    if !cfg!(feature = "ablation") {
        unshare(CloneFlags::CLONE_NEWNET).what(|| "leave the host's network".into())?;
    }
    // Git helpers outlive the worker that started them; they are reaped here.
    prctl::set_child_subreaper(true).what(what)
}

fn signals() -> Result<SignalFd, Failure> {
    let what = || "watch for ended children".to_owned();
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().what(what)?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).what(what)
}

/// Opens a directory of ours: real path, root's, nobody else writes it.
fn directory(path: &str) -> Result<(PathBuf, OwnedFd), Failure> {
    let what = || format!("open {path}");
    let real = std::fs::canonicalize(path).what(what)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let fd = open(&real, flags, Mode::empty()).what(what)?;
    let stat = files::stat(fd.as_fd()).what(what)?;
    if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
        let why = format!(
            "it is not root's alone (uid {}, mode {:o})",
            stat.st_uid, stat.st_mode
        );
        return Err(failure(
            FailureKind::Refused,
            what(),
            why,
            format!("chown root {path}"),
        ));
    }
    Ok((real, fd))
}

fn lock(run: &OwnedFd, path: &Path) -> Result<OwnedFd, Failure> {
    let what = || format!("lock {}/broker.lock", path.display());
    let flags = OFlag::O_RDWR | OFlag::O_CREAT;
    let name = Path::new("broker.lock");
    let file = File::from(files::create_below(run.as_fd(), name, flags, 0o600).what(what)?);
    // Workers of a broker that was killed hold the lock until they notice.
    for _ in 0..LOCK_TRIES {
        if files::try_lock(&file).what(what)? {
            return Ok(file.into());
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    let hint = "stop the other `wsm up`, or use another --dir";
    Err(failure(
        FailureKind::Exists,
        what(),
        "another broker runs here",
        hint,
    ))
}

fn listen_at(run: &OwnedFd) -> Result<OwnedFd, Failure> {
    let what = || "listen at broker.sock".to_owned();
    let name = "broker.sock";
    match unlinkat(run, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => {}
        Err(errno) => return Err(errno).what(what),
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).what(what)?;
    // Through the descriptor: the directory's own path may be longer than a socket address.
    let path = format!("/proc/self/fd/{}/{name}", run.as_raw_fd());
    let address = UnixAddr::new(path.as_str()).what(what)?;
    // Everybody may connect; who they are is asked of the kernel, and most is refused.
    let mask = umask(Mode::from_bits_truncate(0o111));
    let bound = bind(socket.as_raw_fd(), &address);
    umask(mask);
    bound.what(what)?;
    listen(&socket, Backlog::new(BACKLOG).what(what)?).what(what)?;
    Ok(socket)
}

//! What the spawner does on the host's side: the new root, the shim's descriptors, and its exec.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen as listen_on, socket,
};
use nix::unistd::{
    Gid, Pid, Uid, UnlinkatFlags, fchdir, fchownat, fexecve, pivot_root, setgroups, setresgid,
    setresuid, unlinkat,
};

use super::Job;
use crate::apply::{Applier, NewRoot};
use crate::fail::{self, Context};
use crate::files;
use crate::launch::{SETUP_LOG, ShimConfig};
use crate::protocol::{Failure, SHIM_SOCKET_PREFIX};
use crate::sys::{self, attr};
use crate::userns::{self, Holder, Range};

/// Viewers and daemon connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// The built root and what of the host is still needed after it is out of sight.
#[derive(Debug)]
pub(super) struct Stage {
    /// The root, current root of this process.
    pub(super) root: OwnedFd,
    /// The agent's user namespace.
    pub(super) userns: OwnedFd,
    /// Children to be waited for when there is time.
    pub(super) holders: Holders,
}

/// Those that held the user namespaces while they were made.
#[derive(Debug)]
pub(super) struct Holders([Holder; 2]);

impl Holders {
    pub(super) fn end(&self) -> Result<(), Failure> {
        for holder in &self.0 {
            holder
                .end()
                .what(|| "end the makers of user namespaces".into())?;
        }
        Ok(())
    }
}

impl Stage {
    /// Leaves the host's mounts: when this returns, `/` is the sandbox's root.
    pub(super) fn build(job: &Job<'_>, range: Range) -> Result<Stage, Failure> {
        setgroups(&[]).what(|| "drop supplementary groups".into())?;
        private_mounts()?;
        let host = files::root().what(|| "open /".into())?;
        let proc = files::open_plain(host.as_fd(), Path::new("/proc"), OFlag::O_PATH)
            .what(|| "open /proc".into())?;
        let own = range.own_map();
        let (userns, own_holder) = userns::make(proc.as_fd(), &own, &own)
            .what(|| "make the agent's user namespace".into())?;
        let account = &job.facts.account;
        let (uids, gids) = (range.file_map(account.uid), range.file_map(account.gid));
        let (file_map, file_holder) = userns::make(proc.as_fd(), &uids, &gids)
            .what(|| "make the map of file owners".into())?;
        fail::point("spawn.userns")?;
        let stage = files::open_plain(host.as_fd(), &job.stage, OFlag::O_PATH)
            .what(|| format!("open {}", job.stage.display()))?;
        let applier = Applier {
            host: host.as_fd(),
            account,
            root_id: range.root(),
            file_map: Some(file_map.as_fd()),
            stage: stage.as_fd(),
        };
        let NewRoot { fd: root } = applier.apply(&job.plan)?;
        fail::point("spawn.mounted")?;
        enter_root(&root)?;
        enter_network(job.netns)?;
        let holders = Holders([own_holder, file_holder]);
        Ok(Stage {
            root,
            userns,
            holders,
        })
    }
}

/// Enters a mount namespace whose changes stay in it.
pub(crate) fn private_mounts() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWNS).what(|| "unshare the mount namespace".into())?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .what(|| "make the mounts private".into())
}

/// Makes a built root the only one there is, read-only.
pub(crate) fn enter_root(root: &OwnedFd) -> Result<(), Failure> {
    fchdir(root).what(|| "enter the new root".into())?;
    pivot_root(".", ".").what(|| "pivot into the new root".into())?;
    umount2(".", MntFlags::MNT_DETACH).what(|| "leave the host's root".into())?;
    nix::unistd::chdir("/").what(|| "enter the new root".into())?;
    sys::mount_setattr(root.as_fd(), false, attr::RDONLY, None)
        .what(|| "make the root read-only".into())
}

/// Enters a network namespace from the pool, or a new one.
pub(crate) fn enter_network(pooled: Option<&OwnedFd>) -> Result<(), Failure> {
    match pooled {
        Some(netns) => {
            setns(netns, CloneFlags::CLONE_NEWNET).what(|| "enter the network namespace".into())
        }
        None => new_network().what(|| "make a network namespace".into()),
    }
}

/// Enters a new network namespace with its loopback interface up.
pub(crate) fn new_network() -> std::io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let flags = SockFlag::SOCK_CLOEXEC;
    let any = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    sys::raise_loopback(any.as_fd())
}

/// The shim's listening socket, where everybody may knock: the shim looks at who comes, and lets
/// others than the daemon in only with a ticket from it.
pub(super) fn listen(job: &Job<'_>) -> Result<OwnedFd, Failure> {
    let name = socket_name(job.spec.agent.as_str());
    let what = || format!("listen at {name}");
    let dir = job.sockets.as_fd();
    match unlinkat(dir, name.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => {}
        Err(errno) => return Err(errno).what(what),
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).what(what)?;
    let path = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
    let address = UnixAddr::new(path.as_str()).what(what)?;
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o111));
    let bound = bind(socket.as_raw_fd(), &address);
    nix::sys::stat::umask(mask);
    bound.what(what)?;
    let (uid, gid) = (Uid::from_raw(job.daemon.0), Gid::from_raw(job.daemon.1));
    let no_follow = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
    fchownat(dir, name.as_str(), Some(uid), Some(gid), no_follow).what(what)?;
    let backlog = Backlog::new(BACKLOG).what(what)?;
    listen_on(&socket, backlog).what(what)?;
    Ok(socket)
}

/// Name of an agent's socket in the run directory.
pub(crate) fn socket_name(agent: &str) -> String {
    format!("{SHIM_SOCKET_PREFIX}{agent}.sock")
}

/// One log per service and one for `setup`, which the daemon may read.
pub(super) fn logs(job: &Job<'_>) -> Result<BTreeMap<String, OwnedFd>, Failure> {
    let mut logs = BTreeMap::new();
    let setup = SETUP_LOG.to_owned();
    for service in job.spec.services.keys().chain([&setup]) {
        logs.insert(
            service.clone(),
            log(job, &format!("{service}.log"), OFlag::O_RDWR)?,
        );
    }
    Ok(logs)
}

/// Where the shim's own messages go.
pub(super) fn shim_log(job: &Job<'_>) -> Result<OwnedFd, Failure> {
    log(job, ".shim.log", OFlag::O_WRONLY | OFlag::O_APPEND)
}

fn log(job: &Job<'_>, name: &str, flags: OFlag) -> Result<OwnedFd, Failure> {
    let dir = Path::new(&job.facts.paths.log);
    let what = || format!("open {}/{name}", dir.display());
    let root = files::root().what(what)?;
    let dir = files::open_plain(root.as_fd(), dir, OFlag::O_PATH).what(what)?;
    let flags = flags | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
    let fd = files::create_below(dir.as_fd(), Path::new(name), flags, 0o640).what(what)?;
    files::chown_at(dir.as_fd(), Path::new(name), (0, job.daemon.1)).what(what)?;
    Ok(fd)
}

/// What the shim is given.
#[derive(Debug)]
pub(super) struct Shim<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) range: Range,
    pub(super) init: Pid,
    pub(super) listen: &'a OwnedFd,
    pub(super) orders: &'a OwnedFd,
    pub(super) logs: &'a BTreeMap<String, OwnedFd>,
    pub(super) lock: &'a OwnedFd,
    pub(super) stderr: &'a OwnedFd,
}

/// Drops every right and execs the shim: same pid, last uid of the range.
pub(super) fn become_shim(shim: Shim<'_>) -> Result<std::convert::Infallible, Failure> {
    let what = || "start the shim".to_owned();
    let config = ShimConfig {
        agent: shim.job.spec.agent.to_string(),
        incarnation: shim.job.incarnation,
        listen_fd: shim.listen.as_raw_fd(),
        launcher_fd: shim.orders.as_raw_fd(),
        init_pid: shim.init.as_raw(),
        logs: shim
            .logs
            .iter()
            .map(|(name, fd)| (name.clone(), fd.as_raw_fd()))
            .collect(),
        daemon_uid: shim.job.daemon.0,
        keep_fds: vec![shim.lock.as_raw_fd()],
    };
    let text = serde_json::to_vec(&config)
        .map_err(std::io::Error::from)
        .what(what)?;
    let config = files::sealed("wsm-shim-config", &text, false).what(what)?;
    let null = nix::fcntl::open(
        "/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )
    .what(what)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    sys::cloexec_from(3).what(what)?;
    for (from, to) in [(&null, 0), (&null, 1), (shim.stderr, 2)] {
        sys::dup_to(from.as_fd(), to).what(what)?;
    }
    for fd in [shim.listen, shim.orders, shim.lock, &config]
        .into_iter()
        .chain(shim.logs.values())
    {
        keep(fd).what(what)?;
    }
    sys::join_session_keyring().what(what)?;
    sys::clear_bounding_set().what(what)?;
    prctl::set_no_new_privs().what(what)?;
    let id = shim.range.shim();
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[]).what(what)?;
    setresgid(gid, gid, gid).what(what)?;
    setresuid(uid, uid, uid).what(what)?;
    sys::clear_capabilities().what(what)?;
    fail::point("spawn.shim")?;
    let number = config.as_raw_fd().to_string();
    let argv = [
        c"wsm-shim".to_owned(),
        c"--config-fd".to_owned(),
        c_string(&number),
    ];
    fexecve(shim.job.shim_program, &argv, &[] as &[&std::ffi::CStr]).what(what)
}

fn c_string(text: &str) -> std::ffi::CString {
    std::ffi::CString::new(text).expect("a number has no NUL")
}

/// Lets a descriptor survive exec.
pub(super) fn keep(fd: &OwnedFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

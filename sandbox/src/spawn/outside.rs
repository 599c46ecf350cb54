//! What the spawner does on the host's side: the new root, the shim's descriptors, and its exec.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen as listen_on, socket,
};
use nix::unistd::{
    Gid, Pid, Uid, UnlinkatFlags, chroot, fchdir, fchownat, pivot_root, setgroups, setresgid,
    setresuid, unlinkat,
};

use super::{Job, Status};
use crate::ablation::{self, Layer};
use crate::apply::{Applier, new_mount};
use crate::cgroup::{SHIM_MEMORY_BYTES, SHIM_TASKS};
use crate::fail::{self, Context};
use crate::files;
use crate::launch::{
    RECORDINGS, ReportsConfig, SETUP_LOG, SHIM_LOG, ShimConfig, log_file, recording_file,
};
use crate::packet;
use crate::protocol::{Failure, SHIM_SOCKET_PREFIX};
use crate::spec::INSIDE_REPORTS;
use crate::sys::{self, attr};
use crate::userns::{self, Holder};
use crate::zygote::{ShimMain, keep_only};

/// Viewers and daemon connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// The built root and what of the host is still needed after it is out of sight.
#[derive(Debug)]
pub(super) struct Stage {
    /// The root, current root of this process.
    pub(super) root: OwnedFd,
    /// What lies below it: an empty directory.
    pub(super) bare: OwnedFd,
    /// The agent's user namespace.
    pub(super) userns: OwnedFd,
    /// The namespace that shows the account's files as the agent's.
    pub(super) file_map: OwnedFd,
    /// Children to be waited for when there is time.
    pub(super) holders: Vec<Holder>,
    /// Where programs inside report to.
    pub(super) reports: Option<OwnedFd>,
}

impl Stage {
    /// Leaves the host's mounts: when this returns, `/` is the sandbox's root.
    pub(super) fn build(job: &Job<'_>) -> Result<Stage, Failure> {
        let range = job.lease.range;
        setgroups(&[]).what(|| "drop supplementary groups".into())?;
        let host = files::root().what(|| "open /".into())?;
        let proc = files::open_plain(host.as_fd(), Path::new("/proc"), OFlag::O_PATH)
            .what(|| "open /proc".into())?;
        let own = range.own_map();
        let (userns, own_holder) = userns::make(proc.as_fd(), &own, &own)
            .what(|| "make the agent's user namespace".into())?;
        let mut holders = vec![own_holder];
        let account = &job.facts.account;
        let what = || "make the map of file owners".to_owned();
        let file_map = if let Some(made) = &job.file_map {
            made.try_clone().what(what)?
        } else {
            let (uids, gids) = (range.file_map(account.uid), range.file_map(account.gid));
            let (made, holder) = userns::make(proc.as_fd(), &uids, &gids).what(what)?;
            holders.push(holder);
            made
        };
        fail::point("spawn.userns")?;
        let applier = Applier {
            host: host.as_fd(),
            account,
            root_id: range.root(),
            file_map: Some(file_map.as_fd()),
        };
        let sources = applier.sources(&job.plan)?;
        fail::point("spawn.sources")?;
        job.place.empty.enter()?;
        let bare = files::root().what(|| "open the empty root".into())?;
        let root = applier.apply(&job.plan, sources, bare.as_fd())?;
        fail::point("spawn.mounted")?;
        let reports = cover_root(&root, job.spec.extras.reports)?;
        if !ablation::off(Layer::Network) {
            enter_network(job.netns.as_ref())?;
        }
        fail::point("spawn.network")?;
        Ok(Stage {
            root,
            bare,
            userns,
            file_map,
            holders,
            reports,
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

/// Makes a root that was built on top of an empty one the root of this process, read-only. What lies
/// below it is empty, so that nothing has to be taken away. With the socket for reports in it.
fn cover_root(root: &OwnedFd, reports: bool) -> Result<Option<OwnedFd>, Failure> {
    let what = || "enter the new root".to_owned();
    fchdir(root).what(what)?;
    chroot(".").what(what)?;
    let reports = reports.then(listen_inside).transpose()?;
    if !ablation::off(Layer::ReadOnly) {
        sys::mount_setattr(root.as_fd(), false, attr::RDONLY, None)
            .what(|| "make the root read-only".into())?;
    }
    Ok(reports)
}

/// A socket in the root's own part, which nobody inside can replace. Everybody inside may knock; the
/// shim looks at who comes.
fn listen_inside() -> Result<OwnedFd, Failure> {
    let what = || format!("listen at {INSIDE_REPORTS}");
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).what(what)?;
    let address = UnixAddr::new(INSIDE_REPORTS).what(what)?;
    bind_for_all(&socket, &address).what(what)?;
    let backlog = Backlog::new(BACKLOG).what(what)?;
    listen_on(&socket, backlog).what(what)?;
    Ok(socket)
}

/// Binds so that others than the owner can connect.
fn bind_for_all(socket: &OwnedFd, address: &UnixAddr) -> nix::Result<()> {
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o111));
    let bound = bind(socket.as_raw_fd(), address);
    nix::sys::stat::umask(mask);
    bound
}

/// A mount namespace with an empty root and nothing else. Sandboxes begin as copies of it: leaving a
/// copy of the host's mounts instead would wait for every processor.
#[derive(Debug)]
pub(crate) struct EmptyMounts(OwnedFd);

impl EmptyMounts {
    /// Makes it with a directory to build on, and comes back.
    pub(crate) fn make(stage: &Path) -> Result<EmptyMounts, Failure> {
        let what = || "make an empty mount namespace".to_owned();
        let own = || {
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
            nix::fcntl::open("/proc/self/ns/mnt", flags, nix::sys::stat::Mode::empty()).what(what)
        };
        let host = own()?;
        private_mounts()?;
        let empty = own()?;
        let root = files::root().what(what)?;
        let stage = files::open_plain(root.as_fd(), stage, OFlag::O_PATH).what(what)?;
        let options = [
            (c"size", "4096".to_owned()),
            (c"nr_inodes", "2".to_owned()),
            (c"mode", "555".to_owned()),
        ];
        let flags = attr::NOSUID | attr::NODEV | attr::NOEXEC;
        let bare = new_mount(c"tmpfs", &options, flags).what(what)?;
        sys::move_mount(bare.as_fd(), stage.as_fd()).what(what)?;
        enter_root(&bare)?;
        setns(&host, CloneFlags::CLONE_NEWNS).what(what)?;
        Ok(EmptyMounts(empty))
    }

    /// Enters a copy of it.
    fn enter(&self) -> Result<(), Failure> {
        let what = || "enter a new mount namespace".to_owned();
        setns(&self.0, CloneFlags::CLONE_NEWNS).what(what)?;
        unshare(CloneFlags::CLONE_NEWNS).what(what)
    }
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
    let dir = job.place.sockets.as_fd();
    match unlinkat(dir, name.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => {}
        Err(errno) => return Err(errno).what(what),
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).what(what)?;
    let path = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
    let address = UnixAddr::new(path.as_str()).what(what)?;
    bind_for_all(&socket, &address).what(what)?;
    let (uid, gid) = (
        Uid::from_raw(job.place.daemon.0),
        Gid::from_raw(job.place.daemon.1),
    );
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
            log(job, &log_file(service), OFlag::O_RDWR)?,
        );
    }
    Ok(logs)
}

/// What terminals showed, for the daemon to read.
pub(super) fn recordings(job: &Job<'_>) -> Result<Vec<OwnedFd>, Failure> {
    let files = (0..RECORDINGS).map(recording_file);
    files.map(|file| log(job, &file, OFlag::O_RDWR)).collect()
}

/// Where the shim's own messages go.
pub(super) fn shim_log(job: &Job<'_>) -> Result<OwnedFd, Failure> {
    log(job, SHIM_LOG, OFlag::O_WRONLY | OFlag::O_APPEND)
}

fn log(job: &Job<'_>, name: &str, flags: OFlag) -> Result<OwnedFd, Failure> {
    let dir = Path::new(&job.facts.paths.log);
    let what = || format!("open {}/{name}", dir.display());
    let root = files::root().what(what)?;
    let dir = files::open_plain(root.as_fd(), dir, OFlag::O_PATH).what(what)?;
    files::log(dir.as_fd(), name, flags, job.place.daemon.1).what(what)
}

/// What the shim is given.
#[derive(Debug)]
pub(super) struct Shim {
    pub(super) init: Pid,
    pub(super) listen: OwnedFd,
    pub(super) orders: OwnedFd,
    pub(super) logs: BTreeMap<String, OwnedFd>,
    pub(super) recordings: Vec<OwnedFd>,
    pub(super) stderr: OwnedFd,
    pub(super) reports: Option<OwnedFd>,
    /// For the broker, which keeps it for the next agent.
    pub(super) file_map: OwnedFd,
}

/// Drops every right and every other descriptor and is the shim: same pid, last uid of the range.
pub(super) fn become_shim(
    job: &Job<'_>,
    shim: Shim,
    status: &OwnedFd,
    main: ShimMain,
) -> Result<Infallible, Failure> {
    let what = || "start the shim".to_owned();
    let null = nix::fcntl::open(
        "/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )
    .what(what)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    for (from, to) in [(&null, 0), (&null, 1), (&shim.stderr, 2)] {
        sys::dup_to(from.as_fd(), to).what(what)?;
    }
    sys::join_session_keyring().what(what)?;
    sys::clear_bounding_set().what(what)?;
    prctl::set_no_new_privs().what(what)?;
    for (resource, most) in [
        (Resource::RLIMIT_DATA, SHIM_MEMORY_BYTES),
        (Resource::RLIMIT_NPROC, SHIM_TASKS.into()),
    ] {
        setrlimit(resource, most, most).what(what)?;
    }
    fail::point("spawn.drop")?;
    let id = job.lease.range.shim();
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[]).what(what)?;
    setresgid(gid, gid, gid).what(what)?;
    setresuid(uid, uid, uid).what(what)?;
    sys::clear_capabilities().what(what)?;
    prctl::set_name(c"wsm-shim").what(what)?;
    prctl::set_dumpable(false).what(what)?;
    fail::point("spawn.shim")?;
    let serves = Status::Serves {
        range_base: job.lease.range.base,
    };
    packet::send(status.as_fd(), &serves, &[shim.file_map.as_fd()]).what(what)?;
    let kept = [&shim.listen, &shim.orders, &job.lease.lock];
    let files = shim
        .logs
        .values()
        .chain(&shim.recordings)
        .chain(&shim.reports);
    keep_only(kept.into_iter().chain(files)).what(what)?;
    // From here on it outlives the broker. The change of uid did this already, see prctl(2).
    prctl::set_pdeathsig(None).what(what)?;
    let config = config(job, &shim);
    let code = match main(&config) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("wsm-shim: {error}");
            1
        }
    };
    // Nothing of this process's past is dropped: its descriptors were closed above.
    sys::exit_now(code)
}

/// What the shim is told. Its descriptors stay open: whoever has them drops nothing any more.
fn config(job: &Job<'_>, shim: &Shim) -> ShimConfig {
    let logs = shim.logs.iter();
    ShimConfig {
        agent: job.spec.agent.to_string(),
        incarnation: job.incarnation,
        listen_fd: shim.listen.as_raw_fd(),
        launcher_fd: shim.orders.as_raw_fd(),
        init_pid: shim.init.as_raw(),
        logs: logs
            .map(|(name, fd)| (name.clone(), fd.as_raw_fd()))
            .collect(),
        recordings: shim.recordings.iter().map(AsRawFd::as_raw_fd).collect(),
        daemon_uid: job.place.daemon.0,
        keep_fds: vec![job.lease.lock.as_raw_fd()],
        reports: shim.reports.as_ref().map(|listen| ReportsConfig {
            listen_fd: listen.as_raw_fd(),
            uid: job.lease.range.agent(),
        }),
    }
}

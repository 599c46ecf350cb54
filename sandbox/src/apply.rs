//! Executes a plan: every source and every target is a descriptor, nothing is done by path.
//!
//! Runs in the spawner, as root. First everything of the host is opened and copied, detached; then,
//! in a mount namespace that need not show the host any more, it is put into its place. Mount points
//! are made in the sandbox's own file systems only, never in a directory of the host.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, makedev, mknodat};
use nix::unistd::symlinkat;

use crate::ablation::{self, Layer};
use crate::fail::{Context, failure};
use crate::files::{self, AccountRights};
use crate::plan::{Access, HostLayout, Op, Owners, Plan};
use crate::protocol::{Account, Failure, FailureKind};
use crate::spec::INSIDE_ID;
use crate::sys::{self, attr};

/// Terminals that one agent may have open.
const TERMINALS_MAX: &str = "256";

/// What the operations are done with.
#[derive(Debug)]
pub(crate) struct Applier<'a> {
    /// Root of the host, in the mount namespace of the first half.
    pub(crate) host: BorrowedFd<'a>,
    /// Owner of the agent's files.
    pub(crate) account: &'a Account,
    /// Uid and gid, on the host, of root inside: owns what the root is made of.
    pub(crate) root_id: u32,
    /// The user namespace that shows the account's files as the agent's; without one they are
    /// shown as what they are.
    pub(crate) file_map: Option<BorrowedFd<'a>>,
}

/// Copies of what a plan binds, in its order; `None` for what is missing and may be.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Option<Source>>);

/// A detached mount with its access and owners.
#[derive(Debug)]
struct Source {
    mount: OwnedFd,
    directory: bool,
}

/// A root file system, mounted on the stage.
#[derive(Debug)]
pub(crate) struct NewRoot {
    /// Its root directory.
    pub(crate) fd: OwnedFd,
}

impl Applier<'_> {
    /// The first half: opens, checks and copies what is bound. Nothing is attached anywhere.
    pub(crate) fn sources(&self, plan: &Plan) -> Result<Sources, Failure> {
        let binds = plan.ops.iter().filter(|op| matches!(op, Op::Bind { .. }));
        let sources: Result<_, _> = binds.map(|op| self.copy(op)).collect();
        sources.map(Sources)
    }

    /// The second half: makes the root file system on `stage`, which only this namespace sees.
    pub(crate) fn apply(
        &self,
        plan: &Plan,
        sources: Sources,
        stage: BorrowedFd<'_>,
    ) -> Result<NewRoot, Failure> {
        let mut root: Option<OwnedFd> = None;
        let mut binds: Vec<&Path> = Vec::new();
        let mut sources = sources.0.into_iter();
        for op in &plan.ops {
            let what = || op.to_string();
            match (&root, op) {
                (None, Op::Tmpfs { .. }) => {
                    let mount = self.tmpfs(op).what(what)?;
                    sys::move_mount(mount.as_fd(), stage).what(what)?;
                    root = Some(mount);
                }
                (None, _) => return Err(no_root(op)),
                (Some(root), Op::Bind { at, .. }) => {
                    let standing = binds.iter().any(|bind| at.starts_with(bind));
                    if let Some(source) = sources.next().flatten() {
                        self.bind(root.as_fd(), at, &source, standing).what(what)?;
                    }
                    binds.push(at);
                }
                (Some(root), _) => self.make(root.as_fd(), op).what(what)?,
            }
        }
        match root {
            Some(fd) => Ok(NewRoot { fd }),
            None => Err(failure(
                FailureKind::Invalid,
                "apply the plan",
                "it is empty",
                "",
            )),
        }
    }

    fn owner(&self) -> (u32, u32) {
        (self.root_id, self.root_id)
    }

    fn tmpfs(&self, op: &Op) -> io::Result<OwnedFd> {
        let Op::Tmpfs {
            bytes,
            files,
            mode,
            devices,
            ..
        } = op
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let root = self.root_id.to_string();
        let options = [
            (c"size", bytes.to_string()),
            (c"nr_inodes", files.to_string()),
            (c"mode", format!("{mode:o}")),
            (c"uid", root.clone()),
            (c"gid", root),
        ];
        let kept = if *devices { attr::NODEV } else { 0 };
        new_mount(c"tmpfs", &options, bare() & !kept)
    }

    /// Everything but binds.
    fn make(&self, root: BorrowedFd<'_>, op: &Op) -> io::Result<()> {
        match op {
            Op::Tmpfs { at, .. } => {
                let mount = self.tmpfs(op)?;
                sys::move_mount(mount.as_fd(), self.dir(root, at)?.as_fd())
            }
            Op::Dir(at) => self.dir(root, at).map(drop),
            Op::File { at, text } => self.file(root, at, text.as_bytes()).map(drop),
            Op::Link { at, to } => {
                let (dir, name) = self.parent(root, at)?;
                symlinkat(to, dir.as_fd(), name)?;
                files::chown_at(dir.as_fd(), name, self.owner())
            }
            Op::Device { at, major, minor } => {
                let (dir, name) = self.parent(root, at)?;
                let device = makedev((*major).into(), (*minor).into());
                let mode = Mode::from_bits_truncate(0o666);
                mknodat(dir.as_fd(), name, SFlag::S_IFCHR, mode, device)?;
                files::chown_at(dir.as_fd(), name, self.owner())
            }
            Op::Terminals { at } => {
                let tty = self.root_id + 5; // group tty
                let options = [
                    (c"ptmxmode", "666".to_owned()),
                    (c"mode", "620".to_owned()),
                    (c"gid", tty.to_string()),
                    (c"max", TERMINALS_MAX.to_owned()),
                ];
                let mount = new_mount(c"devpts", &options, attr::NOSUID | attr::NOEXEC)?;
                sys::move_mount(mount.as_fd(), self.dir(root, at)?.as_fd())
            }
            Op::Bind { .. } => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn copy(&self, op: &Op) -> Result<Option<Source>, Failure> {
        let Op::Bind {
            from,
            access,
            owners,
            optional,
            ..
        } = op
        else {
            return Err(no_root(op));
        };
        let what = || op.to_string();
        let source = match self.source(from, *access, *owners) {
            Err(error) if *optional && error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.what(what)?,
        };
        let stat = files::stat(source.as_fd()).what(what)?;
        let directory = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if !directory && stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(failure(
                FailureKind::Refused,
                op.to_string(),
                "it is neither a directory nor a plain file",
                "a socket or device of the host would reach out of the sandbox",
            ));
        }
        if *access != Access::Read && *owners == Owners::Account && stat.st_uid != self.account.uid
        {
            return Err(failure(
                FailureKind::Refused,
                op.to_string(),
                format!(
                    "it belongs to uid {}, not to {}",
                    stat.st_uid, self.account.uid
                ),
                "",
            ));
        }
        let mount = self.clone_mount(source.as_fd(), *access, *owners, op)?;
        Ok(Some(Source { mount, directory }))
    }

    fn bind(
        &self,
        root: BorrowedFd<'_>,
        at: &Path,
        source: &Source,
        standing: bool,
    ) -> io::Result<()> {
        let place = match (standing, source.directory) {
            (true, _) => self.standing(root, at),
            (false, true) => self.dir(root, at),
            (false, false) => self.file(root, at, b""),
        };
        sys::move_mount(source.mount.as_fd(), place?.as_fd())
    }

    /// Opens a mount point that is there already, in a bind. In one whose owners are mapped root
    /// has no rights over files of other groups, but the agent's user has its own.
    fn standing(&self, root: BorrowedFd<'_>, at: &Path) -> io::Result<OwnedFd> {
        let agent = self.root_id + INSIDE_ID;
        let _rights = self.file_map.map(|_| AccountRights::take((agent, agent)));
        files::open_plain(root, at, OFlag::O_PATH)
    }

    /// Opens a source. What a template wants to read is opened with the account's rights; our own
    /// tree and granted directories may lie where the account can't go, and their owner is checked.
    fn source(&self, from: &Path, access: Access, owners: Owners) -> io::Result<OwnedFd> {
        match (access, owners) {
            (Access::Read, Owners::Account) => {
                let _rights = AccountRights::take((self.account.uid, self.account.gid));
                files::open_plain(self.host, from, OFlag::O_PATH)
            }
            _ => files::open_plain(self.host, from, OFlag::O_PATH),
        }
    }

    fn clone_mount(
        &self,
        source: BorrowedFd<'_>,
        access: Access,
        owners: Owners,
        op: &Op,
    ) -> Result<OwnedFd, Failure> {
        let what = || op.to_string();
        let recursive = access == Access::Read;
        let read_only = if access == Access::Write || ablation::off(Layer::ReadOnly) {
            0
        } else {
            attr::RDONLY
        };
        let flags = read_only | bare();
        let mount = sys::open_tree(source, c"", recursive).what(what)?;
        let map = self.file_map.filter(|_| owners == Owners::Account);
        let Some(map) = map else {
            sys::mount_setattr(mount.as_fd(), recursive, flags, None).what(what)?;
            return Ok(mount);
        };
        match sys::mount_setattr(mount.as_fd(), recursive, flags, Some(map)) {
            Ok(()) => Ok(mount),
            // Shown as nobody's, a directory to read is still readable where others may read it.
            Err(_) if access == Access::Read => {
                sys::mount_setattr(mount.as_fd(), recursive, flags, None).what(what)?;
                Ok(mount)
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(failure(
                FailureKind::Unsupported,
                op.to_string(),
                format!("its file system ({}) can't map owners", file_system(source)),
                "use ext4, xfs, btrfs or tmpfs for repositories and for wsm's state directory",
            )),
            Err(error) => Err(error).what(what),
        }
    }

    fn dir(&self, root: BorrowedFd<'_>, at: &Path) -> io::Result<OwnedFd> {
        files::make_dirs(root, below_root(at)?, 0o755, self.owner())
    }

    fn parent<'p>(&self, root: BorrowedFd<'_>, at: &'p Path) -> io::Result<(OwnedFd, &'p Path)> {
        let name = at.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.dir(root, at.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        Ok((dir, Path::new(name)))
    }

    fn file(&self, root: BorrowedFd<'_>, at: &Path, bytes: &[u8]) -> io::Result<OwnedFd> {
        let (dir, name) = self.parent(root, at)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let mode = Mode::from_bits_truncate(0o644);
        let file = openat(dir.as_fd(), name, flags | OFlag::O_CLOEXEC, mode)?;
        let mut file = std::fs::File::from(file);
        io::Write::write_all(&mut file, bytes)?;
        files::chown_at(dir.as_fd(), name, self.owner())?;
        Ok(file.into())
    }
}

/// What every mount is without: set-id programs and devices.
fn bare() -> u64 {
    if ablation::off(Layer::NoDev) {
        0
    } else {
        attr::NOSUID | attr::NODEV
    }
}

fn no_root(op: &Op) -> Failure {
    failure(
        FailureKind::Invalid,
        op.to_string(),
        "the plan does not begin with a root",
        "",
    )
}

fn below_root(at: &Path) -> io::Result<&Path> {
    at.strip_prefix("/")
        .map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// A new instance of a file system, detached.
pub(crate) fn new_mount(
    fs_type: &std::ffi::CStr,
    options: &[(&std::ffi::CStr, String)],
    attributes: u64,
) -> io::Result<OwnedFd> {
    let fs = sys::fsopen(fs_type)?;
    for (key, value) in options {
        sys::fsconfig_string(fs.as_fd(), key, &CString::new(value.as_str())?)?;
    }
    sys::fsconfig_create(fs.as_fd())?;
    sys::fsmount(fs.as_fd(), attributes)
}

/// Name of the file system that something lies on, for messages.
fn file_system(fd: BorrowedFd<'_>) -> String {
    let Ok(statfs) = nix::sys::statfs::fstatfs(fd) else {
        return "unknown".into();
    };
    match statfs.filesystem_type().0 {
        0x6969 => "nfs".into(),
        0x0102_1997 => "9p".into(),
        0x6573_5546 => "fuse".into(),
        0xff53_4d42 => "cifs".into(),
        0x794c_7630 => "overlayfs".into(),
        0x2fc1_2fc1 => "zfs".into(),
        0x0102_1994 => "tmpfs".into(),
        other => format!("type {other:#x}"),
    }
}

/// Looks at the host once: what of it every sandbox shows.
pub(crate) fn host_layout() -> HostLayout {
    let mut layout = HostLayout {
        shown: vec!["/usr".into()],
        ..HostLayout::default()
    };
    for name in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
        let path = PathBuf::from(name);
        match (std::fs::read_link(&path), path.is_dir()) {
            (Ok(target), _) => layout.links.push((path, target)),
            (Err(_), true) => layout.shown.push(path),
            (Err(_), false) => {}
        }
    }
    let etc = Path::new("/etc");
    for name in crate::plan::SHOWN_ETC {
        let path = etc.join(name);
        match (std::fs::read_link(&path), path.exists()) {
            (Ok(target), _) => layout.etc_links.push((path, target)),
            (Err(_), true) => layout.shown.push(path),
            (Err(_), false) => {}
        }
    }
    if let Ok(zone) = std::fs::read_link("/etc/localtime") {
        layout.etc_links.push(("/etc/localtime".into(), zone));
    }
    layout
}

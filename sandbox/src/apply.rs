//! Executes a plan: every source and every target is a descriptor, nothing is done by path.
//!
//! Runs in the spawner, as root. First everything of the host is opened and copied, detached; then,
//! in a mount namespace that need not show the host any more, it is put into its place. Mount points
//! are made in the sandbox's own file systems only, never in a directory of the host.

mod guards;
mod root;

use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, SFlag, makedev, mknodat};
use nix::unistd::symlinkat;

use crate::ablation::{self, Layer};
use crate::fail::{Context, failure, gone};
use crate::files::{self, AccountRights};
use crate::keystore;
use crate::pin;
use crate::plan::{Access, HostLayout, Op, Owners, Plan};
use crate::protocol::{Account, Failure, FailureKind};
use crate::spec::INSIDE_ID;
use crate::sys::{self, attr};
use root::NewRoot;

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
    /// `None` for something empty, which is made where it is needed.
    mount: Option<OwnedFd>,
    directory: bool,
}

impl Applier<'_> {
    /// The first half: opens, checks and copies what is bound. Nothing is attached anywhere.
    pub(crate) fn sources(&self, plan: &Plan) -> Result<Sources, Failure> {
        let mut sources = Vec::new();
        let mut empty: Vec<&Path> = Vec::new();
        for op in &plan.ops {
            match op {
                Op::Bind { .. } => sources.push(self.copy(op)?),
                Op::Hold { .. } => sources.push(Some(self.hold(op)?)),
                // There is nothing below what appears empty.
                Op::Guard { at, .. } if empty.iter().any(|above| at.starts_with(above)) => {
                    sources.push(None);
                }
                Op::Guard { at, .. } => {
                    let (source, covers) = self.guard(op)?;
                    empty.extend(covers.then_some(at.as_path()));
                    sources.push(Some(source));
                }
                _ => {}
            }
        }
        Ok(Sources(sources))
    }

    /// The second half: makes the root file system on `stage`, which only this namespace sees. Gives
    /// its root directory.
    pub(crate) fn apply(
        &self,
        plan: &Plan,
        sources: Sources,
        stage: BorrowedFd<'_>,
    ) -> Result<OwnedFd, Failure> {
        let mut root: Option<NewRoot> = None;
        // What is mounted, and whether it is of the host.
        let mut mounts: Vec<(Cow<'_, OsStr>, bool)> = Vec::new();
        let mut sources = sources.0.into_iter();
        // What is made belongs to root inside from the start. Only root outside may make devices.
        let mut rights = None;
        for op in &plan.ops {
            let what = || op.to_string();
            rights = match op {
                Op::Device { .. } => None,
                _ => rights.or_else(|| Some(AccountRights::take(self.owner()))),
            };
            match (&mut root, op) {
                (None, Op::Tmpfs { .. }) => {
                    let mount = self.tmpfs(op).what(what)?;
                    sys::move_mount(mount.as_fd(), stage).what(what)?;
                    root = Some(NewRoot::new(mount));
                }
                (None, _) => return Err(no_root(op)),
                (Some(root), Op::Bind { at, .. } | Op::Hold { at, .. } | Op::Guard { at, .. }) => {
                    // Parents come before what lies below them: the last one is the nearest.
                    let mut above = mounts.iter().rev();
                    let place = root::plain(at);
                    let above = above.find(|(mount, _)| root::is_below(&place, mount));
                    let standing = above.is_some_and(|(_, of_host)| *of_host);
                    if let Some(source) = sources.next().flatten() {
                        self.bind(root, at, &source, standing).what(what)?;
                    }
                    mounts.push((place, true));
                }
                (Some(root), _) => {
                    self.make(root, op).what(what)?;
                    if let Op::Tmpfs { at, .. } = op {
                        mounts.push((root::plain(at), false));
                    }
                }
            }
        }
        let empty = || failure(FailureKind::Invalid, "apply the plan", "it is empty", "");
        let root = root.ok_or_else(empty)?.fd;
        root.try_clone().what(|| "keep the new root".into())
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
    fn make(&self, root: &mut NewRoot, op: &Op) -> io::Result<()> {
        match op {
            Op::Tmpfs { at, .. } => root.mount(self.tmpfs(op)?, at),
            Op::Dir(at) => root.dir(at).map(drop),
            Op::File { at, after, text } => {
                let text_of = |path| host_text(self.host, path);
                let mut all = after.as_deref().map_or(Ok(Vec::new()), text_of)?;
                all.extend_from_slice(text.as_bytes());
                root.file(at, &all).map(drop)
            }
            Op::KeyStore { at, after, text } => {
                let mut all = host_text(self.host, after)?;
                all.extend_from_slice(text.as_bytes());
                root.file(at, &keystore::of_pem(&all)).map(drop)
            }
            Op::Link { at, to } => {
                let (dir, name) = root.parent(at)?;
                Ok(symlinkat(to, dir.as_fd(), name)?)
            }
            Op::Device { at, major, minor } => {
                let (dir, name) = root.parent(at)?;
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
                root.mount(mount, at)
            }
            Op::Close(at) => {
                let mount = files::open_plain(root.fd.as_fd(), at, OFlag::O_PATH)?;
                sys::mount_setattr(mount.as_fd(), false, attr::RDONLY, None)
            }
            Op::Bind { .. } | Op::Hold { .. } | Op::Guard { .. } => {
                Err(io::ErrorKind::InvalidInput.into())
            }
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone(from)),
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
        let mount = Some(self.clone_mount(source.as_fd(), *access, *owners, op)?);
        if *access == Access::Pin && !directory {
            self.hold_pointer(from, &stat).what(what)?;
        }
        Ok(Some(Source { mount, directory }))
    }

    /// What is pinned stays at its name; where that can't be had, `inspect` tells it.
    fn hold_pointer(&self, pointer: &Path, stat: &FileStat) -> io::Result<()> {
        let workspace = pointer.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let workspace = files::open_plain(self.host, workspace, flags)?;
        pin::hold(workspace.as_fd(), stat).map(drop)
    }

    fn bind(
        &self,
        root: &mut NewRoot,
        at: &Path,
        source: &Source,
        standing: bool,
    ) -> io::Result<()> {
        let place = match (standing, source.directory) {
            (true, _) => Rc::new(self.standing(root.fd.as_fd(), at)?),
            (false, true) => root.dir(at)?,
            (false, false) => Rc::new(root.file(at, b"")?),
        };
        match &source.mount {
            Some(mount) => sys::move_mount(mount.as_fd(), place.as_fd())?,
            None => self.cover(root.fd.as_fd(), place.as_fd(), source.directory)?,
        }
        root.forget(at);
        Ok(())
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
}

/// What a file of the host says; nothing if there is none.
fn host_text(host: BorrowedFd<'_>, path: &Path) -> io::Result<Vec<u8>> {
    // Half of what the root has room for.
    const BYTES_MAX: u64 = 2 << 20;
    let mut text = Vec::new();
    match files::open_in_root(host, path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        file => drop(io::Read::read_to_end(
            &mut io::Read::take(std::fs::File::from(file?), BYTES_MAX),
            &mut text,
        )?),
    }
    Ok(text)
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
    let named = crate::plan::SHOWN_ETC.map(PathBuf::from).into_iter();
    for name in named.chain(java_settings(etc)) {
        let path = etc.join(name);
        match (std::fs::read_link(&path), path.exists()) {
            (Ok(target), _) => layout.etc_links.push((path, target)),
            (Err(_), true) => layout.shown.push(path),
            (Err(_), false) => {}
        }
    }
    layout.programs = programs();
    if let Ok(zone) = std::fs::read_link("/etc/localtime") {
        layout.etc_links.push(("/etc/localtime".into(), zone));
    }
    layout
}

/// What Debian's Java looks up at its start, a directory for each version; it ends without.
fn java_settings(etc: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(etc).into_iter().flatten().flatten();
    let names = names.map(|entry| PathBuf::from(entry.file_name()));
    let of_java = |name: &PathBuf| {
        let name = name.to_string_lossy();
        name.starts_with("java-") && name.ends_with("-openjdk")
    };
    let mut found: Vec<_> = names.filter(of_java).collect();
    found.sort();
    found
}

/// Directories with programs, in the order of PATH. Links to others are left out.
fn programs() -> Vec<PathBuf> {
    let path = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
        "/usr/local/games",
        "/usr/games",
    ];
    let mut found: Vec<PathBuf> = path.map(PathBuf::from).to_vec();
    // Where Debian keeps what people expect in PATH; the newest first, as in the agent's PATH.
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut postgres: Vec<PathBuf> = versions
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    postgres.sort_unstable_by(|one, other| other.cmp(one));
    found.extend(postgres);
    found.retain(|path| path.symlink_metadata().is_ok_and(|found| found.is_dir()));
    found
}

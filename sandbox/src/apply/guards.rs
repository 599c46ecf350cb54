//! Guarded names: what of the host is mounted onto itself, and what is mounted over it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, makedev, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Applier, Source, new_mount, no_root};
use crate::fail::{Context, failure};
use crate::files::{self, AccountRights};
use crate::guard;
use crate::plan::{Access, Op, Owners};
use crate::protocol::{Failure, FailureKind};
use crate::sys::{self, attr};

/// The node behind files that appear empty, for the moment in which it has a name.
const EMPTY: &std::ffi::CStr = c".empty";

impl Applier<'_> {
    /// A writable directory to be mounted onto itself; made if it is absent.
    pub(super) fn hold(&self, op: &Op) -> Result<Source, Failure> {
        let Op::Hold { at, base } = op else {
            return Err(no_root(op));
        };
        let what = || op.to_string();
        let (base, below) = self.base(base, at, true).what(what)?;
        let owner = (self.account.uid, self.account.gid);
        let dir = match files::make_dirs(base.as_fd(), below, 0o755, owner) {
            Ok(dir) => dir,
            Err(error) => return no_link(error, op)?.what(what),
        };
        self.check_owner(dir.as_fd(), op)?;
        Ok(Source {
            mount: Some(self.clone_mount(dir.as_fd(), Access::Write, Owners::Account, op)?),
            directory: true,
        })
    }

    /// What is mounted over a guarded name. The second says whether nothing of the host is below it.
    pub(super) fn guard(&self, op: &Op) -> Result<(Source, bool), Failure> {
        let Op::Guard {
            at,
            base,
            hide,
            directory,
            absent,
            owned,
        } = op
        else {
            return Err(no_root(op));
        };
        let what = || op.to_string();
        let (base, below) = self.base(base, at, *owned).what(what)?;
        let look = || files::open_below(base.as_fd(), below, OFlag::O_PATH);
        let found = match look() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(no_link(error, op)?.what(what)?),
            Ok(fd) => Some(fd),
        };
        let Some(fd) = found else {
            if !absent {
                let why = "it does not exist, and nothing is made outside of the workspace";
                let hint = "make it, or leave it out";
                return Err(failure(FailureKind::Refused, what(), why, hint));
            }
            self.place(base.as_fd(), below, *directory).what(what)?;
            return Ok((empty(*directory), true));
        };
        let stat = files::stat(fd.as_fd()).what(what)?;
        let kind = stat.st_mode & libc::S_IFMT;
        let directory = kind == libc::S_IFDIR;
        if *hide || guard::is_place(&stat) || !(directory || kind == libc::S_IFREG) {
            return Ok((empty(directory), true));
        }
        self.check_owner(fd.as_fd(), op)?;
        if let Some(why) = guard::second_name(fd.as_fd()).what(what)? {
            let hint = "give it one name alone, by copying it";
            return Err(failure(FailureKind::Refused, what(), why, hint));
        }
        let mount = self.clone_mount(fd.as_fd(), Access::Pin, Owners::Account, op)?;
        let source = Source {
            mount: Some(mount),
            directory,
        };
        Ok((source, false))
    }

    /// Opens the bind that a name lies in, and gives the name's path below it.
    fn base<'p>(&self, base: &Path, at: &'p Path, owned: bool) -> io::Result<(OwnedFd, &'p Path)> {
        let below = at.strip_prefix(base);
        let below = below.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let _rights = (!owned).then(|| AccountRights::take((self.account.uid, self.account.gid)));
        Ok((files::open_plain(self.host, base, OFlag::O_PATH)?, below))
    }

    fn place(&self, base: BorrowedFd<'_>, below: &Path, directory: bool) -> io::Result<()> {
        let parent = below.parent().unwrap_or(Path::new(""));
        let name = below.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = files::open_below(base, parent, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let owner = (self.account.uid, self.account.gid);
        guard::make_place(dir.as_fd(), Path::new(name), directory, owner)
    }

    fn check_owner(&self, fd: BorrowedFd<'_>, op: &Op) -> Result<(), Failure> {
        let owner = files::stat(fd).what(|| op.to_string())?.st_uid;
        if owner == self.account.uid {
            return Ok(());
        }
        let why = format!("it belongs to uid {owner}, not to {}", self.account.uid);
        Err(failure(FailureKind::Refused, op.to_string(), why, ""))
    }

    /// Mounts something empty over a name.
    pub(super) fn cover(
        &self,
        root: BorrowedFd<'_>,
        place: BorrowedFd<'_>,
        directory: bool,
    ) -> io::Result<()> {
        let _rights = AccountRights::take((0, 0)); // to make a node
        let mount = self.empty(root, directory)?;
        sys::move_mount(mount.as_fd(), place)?;
        if !directory {
            // The kernel mounts nothing that has no name; once mounted it needs none.
            let dev = files::open_plain(root, Path::new("/dev"), OFlag::O_PATH)?;
            unlinkat(&dev, EMPTY, UnlinkatFlags::NoRemoveDir)?;
        }
        Ok(())
    }

    /// Something empty: a directory, or a node that reads as an empty file,
    /// which nobody inside may write, and which git passes over.
    fn empty(&self, root: BorrowedFd<'_>, directory: bool) -> io::Result<OwnedFd> {
        let flags = attr::NOSUID | attr::NOEXEC | attr::RDONLY;
        if directory {
            let root_id = self.root_id.to_string();
            let options = [
                (c"size", "4096".to_owned()),
                (c"nr_inodes", "2".to_owned()),
                (c"mode", "555".to_owned()),
                (c"uid", root_id.clone()),
                (c"gid", root_id),
            ];
            return new_mount(c"tmpfs", &options, flags | attr::NODEV);
        }
        let dev = files::open_plain(root, Path::new("/dev"), OFlag::O_PATH)?;
        let mode = Mode::from_bits_truncate(0o444);
        mknodat(&dev, EMPTY, SFlag::S_IFCHR, mode, makedev(1, 3))?;
        let mount = sys::open_tree(dev.as_fd(), EMPTY, false)?;
        sys::mount_setattr(mount.as_fd(), false, flags, None)?;
        Ok(mount)
    }
}

fn empty(directory: bool) -> Source {
    Source {
        mount: None,
        directory,
    }
}

/// A symlink on the way is refused in words: what it leads to could be changed without it.
fn no_link<T>(error: io::Error, op: &Op) -> Result<io::Result<T>, Failure> {
    if error.raw_os_error() == Some(libc::ELOOP) {
        let why = "a symbolic link stands there or above it: what it leads to is another name";
        let hint = "guard the name that it leads to";
        return Err(failure(FailureKind::Refused, op.to_string(), why, hint));
    }
    Ok(Err(error))
}

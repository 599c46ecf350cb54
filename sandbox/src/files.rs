//! Opening and making files by descriptor, never through a symlink.

use std::ffi::CString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, Mode, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat, setfsgid, setfsuid};

/// The root directory of the calling process's mount namespace.
pub(crate) fn root() -> io::Result<OwnedFd> {
    Ok(open(
        "/",
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?)
}

/// Opens an absolute path from `root`; a symlink anywhere in it is an error (ELOOP).
pub(crate) fn open_plain(root: BorrowedFd<'_>, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let relative = path
        .strip_prefix("/")
        .map_err(|_| io::ErrorKind::InvalidInput)?;
    open_below(root, relative, flags)
}

/// Opens a path below `dir` and not outside it; a symlink anywhere in it is an error (ELOOP).
pub(crate) fn open_below(dir: BorrowedFd<'_>, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    create_below(dir, path, flags, 0)
}

/// Opens a file of root's for reading; symlinks are followed as if `root` were the root directory,
/// which it need not be any more.
pub(crate) fn open_in_root(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    Ok(openat2(root, path, how)?)
}

/// As [`open_below`]; what is mounted there is an error (EXDEV).
pub(crate) fn open_same_mount(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlag,
) -> io::Result<OwnedFd> {
    resolve(dir, path, flags, 0, ResolveFlag::RESOLVE_NO_XDEV)
}

/// As [`open_below`], with the mode of a file that `O_CREAT` makes.
pub(crate) fn create_below(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlag,
    mode: u32,
) -> io::Result<OwnedFd> {
    resolve(dir, path, flags, mode, ResolveFlag::empty())
}

fn resolve(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlag,
    mode: u32,
    more: ResolveFlag,
) -> io::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH | more;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .mode(Mode::from_bits_truncate(mode))
        .resolve(resolve);
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    Ok(openat2(dir, path, how)?)
}

/// Makes the directory `path` below `dir` with everything above it that is missing, owned by
/// `owner`; what exists is left as it is. Gives the directory, as `O_PATH`.
pub(crate) fn make_dirs(
    dir: BorrowedFd<'_>,
    path: &Path,
    mode: u32,
    owner: (u32, u32),
) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    match open_below(dir, path, flags) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    let mut at = open_below(dir, Path::new(""), flags)?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let name = Path::new(name);
        at = match open_below(at.as_fd(), name, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match make_dir(at.as_fd(), name, mode, owner) {
                    // Somebody else made it in between.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    result => result?,
                }
                open_below(at.as_fd(), name, flags)?
            }
            result => result?,
        };
    }
    Ok(at)
}

/// Makes one directory with exactly this mode and owner; one that exists is an error.
///
/// In a directory of `owner` it is made with that user's rights and never given away: an instant
/// later another thing may stand at its name, a hard link to a file of root's for example.
pub(crate) fn make_dir(
    dir: BorrowedFd<'_>,
    name: &Path,
    mode: u32,
    owner: (u32, u32),
) -> io::Result<()> {
    let mode = Mode::from_bits_truncate(mode);
    let parent = stat(dir)?.st_uid;
    if parent == 0 {
        mkdirat(dir, name, mode)?;
        return chown_at(dir, name, owner);
    }
    if parent != owner.0 {
        let why = format!("its parent belongs to uid {parent}, not to {}", owner.0);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let _rights = AccountRights::take(owner);
    Ok(mkdirat(dir, name, mode)?)
}

/// An exclusive lock on an open file, for as long as any copy of the descriptor lives.
/// `false` if somebody else has it.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// File system access with the rights of a user, until dropped. Capabilities that pass over modes
/// leave with the uid.
#[derive(Debug)]
#[must_use]
pub(crate) struct AccountRights {
    before: (Uid, Gid),
}

impl AccountRights {
    /// Of this uid and gid.
    pub(crate) fn take((uid, gid): (u32, u32)) -> AccountRights {
        let gid = setfsgid(Gid::from_raw(gid));
        let uid = setfsuid(Uid::from_raw(uid));
        AccountRights { before: (uid, gid) }
    }
}

impl Drop for AccountRights {
    fn drop(&mut self) {
        let (uid, gid) = self.before;
        setfsuid(uid);
        setfsgid(gid);
    }
}

/// Gives a file to a user, without following a symlink.
pub(crate) fn chown_at(dir: BorrowedFd<'_>, name: &Path, owner: (u32, u32)) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)));
    Ok(fchownat(dir, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// Opens a log that members of `group` may read, and makes it where it is missing.
pub(crate) fn log(
    dir: BorrowedFd<'_>,
    name: &str,
    flags: OFlag,
    group: u32,
) -> io::Result<OwnedFd> {
    let name = Path::new(name);
    match open_below(dir, name, flags) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = create_below(dir, name, flags | OFlag::O_CREAT, 0o640)?;
            chown_at(dir, name, (0, group))?;
            Ok(made)
        }
        opened => opened,
    }
}

/// A random number.
pub(crate) fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// `fstat`.
pub(crate) fn stat(fd: BorrowedFd<'_>) -> io::Result<FileStat> {
    Ok(fstat(fd)?)
}

/// A sealed file in memory: nobody, root included, changes it any more.
pub(crate) fn sealed(name: &str, bytes: &[u8], executable: bool) -> io::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    // MFD_NOEXEC_SEAL and MFD_EXEC say it outright; kernels before 6.3 know neither.
    let word = MFdFlags::from_bits_retain(if executable { 0x10 } else { 0x8 });
    let base = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let name = CString::new(name)?;
    let fd = match memfd_create(name.as_c_str(), base | word) {
        Err(nix::Error::EINVAL) => memfd_create(name.as_c_str(), base)?,
        result => result?,
    };
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes)?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    use super::*;

    #[test]
    fn in_a_directory_of_a_user_only_that_users_rights_count() {
        const USER: u32 = 4242;
        let top = tempfile::tempdir().unwrap();
        let own = top.path().join("own");
        std::fs::create_dir(&own).unwrap();
        chown(&own, Some(USER), Some(USER)).unwrap();
        let dir = open(&own, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        let make = |name: &str, owner| make_dir(dir.as_fd(), Path::new(name), 0o750, owner);
        make("made", (USER, USER)).unwrap();
        let made = own.join("made").metadata().unwrap();
        assert_eq!(
            (made.uid(), made.gid(), made.mode() & 0o7777),
            (USER, USER, 0o750)
        );
        assert!(make("of-another", (USER + 1, USER + 1)).is_err());
        // Root may write here whatever the mode: that it fails shows whose rights were used.
        std::fs::set_permissions(&own, PermissionsExt::from_mode(0o500)).unwrap();
        let refused = make("closed", (USER, USER)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        make_dir(dir.as_fd(), Path::new("roots"), 0o700, (0, 0)).unwrap_err();
    }

    #[test]
    fn directories_that_several_make_at_once_are_there_for_all() {
        let top = tempfile::tempdir().unwrap();
        let dir = open(top.path(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        for round in 0..200 {
            let path = format!("a{round}/b/c");
            let make = || make_dirs(dir.as_fd(), Path::new(&path), 0o755, (0, 0)).map(drop);
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                for one in all {
                    one.join().unwrap().unwrap();
                }
            });
        }
    }
}

//! The pointer to the git directory can't be replaced while a sandbox stands, by anybody.
//!
//! A read-only mount on it keeps the agent away. But a mount is on a file and not on its name: when
//! somebody renames another file over it on the host, the kernel takes the mount away in every
//! namespace, and the agent may write what stands there then. So the file is immutable besides
//! (`chattr +i`): nobody, root included, removes it, renames it or writes to it before the flag is
//! taken off again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::FileStat;

use crate::files;
use crate::sys;

/// The pointer's name in a workspace.
pub(crate) const NAME: &str = ".git";

/// `FS_IMMUTABLE_FL`.
const IMMUTABLE: i32 = 0x10;

/// Makes the pointer in a workspace immutable. `expected`: what the mount on it is of. Whether the
/// file system can do that, and this root may.
///
/// # Errors
/// Another file stands there by now.
pub(crate) fn hold(workspace: BorrowedFd<'_>, expected: &FileStat) -> io::Result<bool> {
    // The kind as well: a file system gives the number of what is gone to the next thing.
    let identity = |stat: &FileStat| (stat.st_dev, stat.st_ino, stat.st_mode & libc::S_IFMT);
    let same = |stat: &FileStat| identity(stat) == identity(expected);
    let replaced = || io::Error::other("it was replaced this moment");
    let file = open(workspace);
    if let Ok(file) = &file
        && !same(&files::stat(file.as_fd())?)
    {
        return Err(replaced());
    }
    let held = file
        .as_ref()
        .is_ok_and(|file| set(file.as_fd(), true).is_ok());
    // From here on the name stays with the file: if it is not that one now, it never was held.
    let there = files::open_below(workspace, Path::new(NAME), OFlag::O_PATH);
    let there = there.and_then(|there| files::stat(there.as_fd()));
    if there.is_ok_and(|stat| same(&stat)) {
        return Ok(held);
    }
    if let (true, Ok(file)) = (held, &file) {
        set(file.as_fd(), false)?;
    }
    Err(replaced())
}

/// Takes the flag off again, from a plain file of `owner`. What is not there, or something else, is
/// left as it is.
pub(crate) fn let_go(workspace: BorrowedFd<'_>, owner: u32) -> io::Result<()> {
    // A file without the flag may have become anything; one that has it stands where it stood.
    let Ok(file) = open(workspace) else {
        return Ok(());
    };
    let stat = files::stat(file.as_fd())?;
    if stat.st_uid != owner || !is_held(file.as_fd()) {
        return Ok(());
    }
    set(file.as_fd(), false)
}

/// Whether the pointer in a workspace is immutable.
pub(crate) fn holds(workspace: BorrowedFd<'_>) -> bool {
    open(workspace).is_ok_and(|file| is_held(file.as_fd()))
}

/// Not through a mount: a person's own file system may stand there, and never answer.
fn open(workspace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let file = files::open_same_mount(workspace, Path::new(NAME), flags)?;
    let kind = files::stat(file.as_fd())?.st_mode & libc::S_IFMT;
    if kind == libc::S_IFREG {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

fn is_held(file: BorrowedFd<'_>) -> bool {
    sys::inode_flags(file, None).is_ok_and(|flags| flags & IMMUTABLE != 0)
}

fn set(file: BorrowedFd<'_>, held: bool) -> io::Result<()> {
    let before = sys::inode_flags(file, None)?;
    let after = if held {
        before | IMMUTABLE
    } else {
        before & !IMMUTABLE
    };
    if after != before {
        sys::inode_flags(file, Some(after))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use nix::fcntl::open as open_at;
    use nix::sys::stat::Mode;

    use super::*;

    fn workspace() -> (tempfile::TempDir, OwnedFd) {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join(NAME), "gitdir: /x\n").unwrap();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let fd = open_at(top.path(), flags, Mode::empty()).unwrap();
        (top, fd)
    }

    fn stat_of(workspace: &OwnedFd) -> FileStat {
        files::stat(open(workspace.as_fd()).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn nobody_replaces_it_until_it_is_let_go() {
        let (top, fd) = workspace();
        let (pointer, other) = (top.path().join(NAME), top.path().join("other"));
        fs::write(&other, "gitdir: /tmp/evil\n").unwrap();
        assert!(hold(fd.as_fd(), &stat_of(&fd)).unwrap());
        assert!(hold(fd.as_fd(), &stat_of(&fd)).unwrap() && holds(fd.as_fd()));
        // As root, on the host.
        assert!(fs::rename(&other, &pointer).is_err());
        assert!(fs::rename(&pointer, top.path().join("away")).is_err());
        assert!(fs::remove_file(&pointer).is_err());
        assert!(fs::write(&pointer, "gitdir: /tmp/evil\n").is_err());
        assert!(fs::hard_link(&pointer, top.path().join("second")).is_err());
        assert_eq!(fs::read_to_string(&pointer).unwrap(), "gitdir: /x\n");
        let owner = fs::metadata(&pointer).unwrap().uid();
        let_go(fd.as_fd(), owner + 1).unwrap();
        assert!(holds(fd.as_fd()), "it is not theirs");
        let_go(fd.as_fd(), owner).unwrap();
        let_go(fd.as_fd(), owner).unwrap();
        fs::rename(&other, &pointer).unwrap();
    }

    #[test]
    fn another_file_is_not_held() {
        let (top, fd) = workspace();
        let before = stat_of(&fd);
        fs::write(top.path().join("other"), "x").unwrap();
        fs::rename(top.path().join("other"), top.path().join(NAME)).unwrap();
        assert!(hold(fd.as_fd(), &before).is_err());
        assert!(!holds(fd.as_fd()));
        for make in [
            |path: &Path| symlink("other", path),
            |path: &Path| fs::create_dir(path),
        ] {
            fs::remove_file(top.path().join(NAME)).unwrap();
            make(&top.path().join(NAME)).unwrap();
            assert!(hold(fd.as_fd(), &before).is_err());
            let_go(fd.as_fd(), 0).unwrap();
            let_go(fd.as_fd(), 0).unwrap();
            drop(fs::remove_dir(top.path().join(NAME)));
            drop(fs::write(top.path().join(NAME), ""));
        }
        fs::remove_file(top.path().join(NAME)).unwrap();
        let_go(fd.as_fd(), 0).unwrap();
    }
}

//! Places for what is mounted over names that are absent, and what else guarded names need.
//!
//! A mount needs something to be mounted on. Where a guarded name is absent, an empty thing is put
//! there while the sandbox lives: a socket without rights or an empty directory. Git looks at neither,
//! on no side: the human's `status` stays clean. Nobody can read, write or connect to it, and no person
//! makes one like it, so that it is known again when it is to be removed, whoever made it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::files::{self, AccountRights};

/// Mode of an empty directory in the place of a name: sticky, and not writable.
const DIRECTORY_MODE: u32 = 0o1555;
/// Most entries of a guarded directory that are looked at for other names.
const ENTRIES_MAX: usize = 20_000;

/// Whether it is a place that was made for a mount.
pub(crate) fn is_place(stat: &FileStat) -> bool {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFSOCK => stat.st_mode & 0o7777 == 0,
        libc::S_IFDIR => stat.st_mode & 0o7777 == DIRECTORY_MODE,
        _ => false,
    }
}

/// Makes a place with the rights of `owner`, whose directory it is.
pub(crate) fn make_place(
    dir: BorrowedFd<'_>,
    name: &Path,
    directory: bool,
    owner: (u32, u32),
) -> io::Result<()> {
    if directory {
        return files::make_dir(dir, name, DIRECTORY_MODE, owner);
    }
    let parent = files::stat(dir)?.st_uid;
    if parent != owner.0 {
        let why = format!("its parent belongs to uid {parent}, not to {}", owner.0);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let _rights = AccountRights::take(owner);
    Ok(mknodat(dir, name, SFlag::S_IFSOCK, Mode::empty(), 0)?)
}

/// Removes the place at `path` below `base`, and directories above it that are empty then. What is
/// anything else stays.
pub(crate) fn remove_place(base: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| {
        let kind = error.kind();
        kind == io::ErrorKind::NotFound || kind == io::ErrorKind::NotADirectory
    };
    let mut above = path;
    while let (Some(parent), Some(name)) = (above.parent(), above.file_name()) {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let dir = match files::open_below(base, parent, flags) {
            // What is above it may be there.
            Err(error) if gone(&error) => {
                above = parent;
                continue;
            }
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(()),
            result => result?,
        };
        let removed = if above == path {
            let stat = match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(nix::Error::ENOENT) => None,
                result => Some(result?),
            };
            match stat {
                Some(stat) if is_place(&stat) => {
                    let directory = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
                    unlink(&dir, name, directory)
                }
                Some(_) => return Ok(()),
                None => Ok(()),
            }
        } else {
            unlink(&dir, name, true)
        };
        match removed {
            Ok(()) | Err(nix::Error::ENOENT) => {}
            // Somebody put something there.
            Err(nix::Error::ENOTEMPTY | nix::Error::EEXIST) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        above = parent;
    }
    Ok(())
}

fn unlink(dir: &OwnedFd, name: &OsStr, directory: bool) -> nix::Result<()> {
    let flag = if directory {
        UnlinkatFlags::RemoveDir
    } else {
        UnlinkatFlags::NoRemoveDir
    };
    unlinkat(dir, name, flag)
}

/// Why a guard would not hold for what stands there: something in it has a second name, by which it
/// could be changed.
pub(crate) fn second_name(fd: BorrowedFd<'_>) -> io::Result<Option<String>> {
    let stat = files::stat(fd)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Ok((stat.st_nlink > 1).then(|| "it has another name (a hard link)".to_owned()));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let mut open = vec![files::open_below(fd, Path::new(""), flags)?];
    let mut seen = 0;
    while let Some(dir) = open.pop() {
        let mut entries = Dir::from_fd(dir.try_clone()?)?;
        for entry in entries.iter() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            seen += 1;
            if seen > ENTRIES_MAX {
                let why = format!("more than {ENTRIES_MAX} entries are in it");
                return Ok(Some(why));
            }
            if entry.file_type() == Some(Type::Directory) {
                open.push(files::open_below(dir.as_fd(), Path::new(name), flags)?);
                continue;
            }
            let stat = fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                open.push(files::open_below(dir.as_fd(), Path::new(name), flags)?);
            } else if stat.st_nlink > 1 {
                let name = name.to_string_lossy();
                return Ok(Some(format!(
                    "{name:?} in it has another name (a hard link)"
                )));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};

    use nix::fcntl::open;

    use super::*;

    const OWNER: (u32, u32) = (4242, 4242);

    fn directory() -> (tempfile::TempDir, OwnedFd) {
        let top = tempfile::tempdir().unwrap();
        chown(top.path(), Some(OWNER.0), Some(OWNER.1)).unwrap();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let fd = open(top.path(), flags, Mode::empty()).unwrap();
        (top, fd)
    }

    #[test]
    fn a_place_is_known_again_and_removed_with_what_is_empty_above_it() {
        let (top, fd) = directory();
        let deep = files::make_dirs(fd.as_fd(), Path::new("a/b"), 0o755, OWNER).unwrap();
        nix::sys::stat::umask(Mode::empty());
        make_place(deep.as_fd(), Path::new("file"), false, OWNER).unwrap();
        make_place(deep.as_fd(), Path::new("dir"), true, OWNER).unwrap();
        let file = top.path().join("a/b/file");
        assert!(file.symlink_metadata().unwrap().file_type().is_socket());
        assert!(std::fs::read(&file).is_err());
        remove_place(fd.as_fd(), Path::new("a/b/file")).unwrap();
        assert!(!file.exists() && top.path().join("a/b/dir").exists());
        remove_place(fd.as_fd(), Path::new("a/b/dir")).unwrap();
        assert!(!top.path().join("a").exists());
        remove_place(fd.as_fd(), Path::new("a/b/dir")).unwrap();
        // Made by somebody who got no further.
        std::fs::create_dir(top.path().join("a")).unwrap();
        remove_place(fd.as_fd(), Path::new("a/b/dir")).unwrap();
        assert!(!top.path().join("a").exists());
    }

    #[test]
    fn what_is_no_place_stays() {
        let (top, fd) = directory();
        std::fs::write(top.path().join("file"), "mine").unwrap();
        std::fs::create_dir(top.path().join("dir")).unwrap();
        std::os::unix::net::UnixListener::bind(top.path().join("socket")).unwrap();
        std::os::unix::fs::symlink("dir", top.path().join("link")).unwrap();
        for name in ["file", "dir", "socket", "link", "link/x"] {
            remove_place(fd.as_fd(), Path::new(name)).unwrap();
        }
        for name in ["file", "dir", "socket", "link"] {
            assert!(top.path().join(name).symlink_metadata().is_ok(), "{name}");
        }
        let own = top.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::fs::set_permissions(&own, PermissionsExt::from_mode(0o1555)).unwrap();
        std::fs::write(own.join("kept"), "x").unwrap();
        remove_place(fd.as_fd(), Path::new("own")).unwrap();
        assert!(own.join("kept").exists());
    }

    #[test]
    fn a_second_name_is_found() {
        let (top, fd) = directory();
        std::fs::create_dir_all(top.path().join("a/b")).unwrap();
        std::fs::write(top.path().join("a/b/file"), "x").unwrap();
        let dir = files::open_below(fd.as_fd(), Path::new("a"), OFlag::O_PATH).unwrap();
        let file = files::open_below(fd.as_fd(), Path::new("a/b/file"), OFlag::O_PATH).unwrap();
        assert_eq!(second_name(dir.as_fd()).unwrap(), None);
        assert_eq!(second_name(file.as_fd()).unwrap(), None);
        std::fs::hard_link(top.path().join("a/b/file"), top.path().join("other")).unwrap();
        assert!(second_name(dir.as_fd()).unwrap().unwrap().contains("file"));
        assert!(second_name(file.as_fd()).unwrap().is_some());
    }
}

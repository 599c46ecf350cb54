//! Files and directories of a control group hierarchy, relative to an open directory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::CgroupError;

/// Longest file that is read: a `cgroup.procs` of more than 100,000 processes.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn io_error(what: impl Fn() -> String) -> impl Fn(io::Error) -> CgroupError {
    move |source| CgroupError::Io {
        what: what(),
        source,
    }
}

pub(super) fn open_dir(at: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

pub(super) fn open_readable(at: BorrowedFd<'_>, path: &str) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(at, path, flags, Mode::empty())?))
}

pub(super) fn open_writable(at: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

/// Makes a directory; one that stands already is as good.
pub(super) fn make_dir(at: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    match mkdirat(at, path, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes a directory; one that is gone is as good.
pub(super) fn remove_dir(at: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    match unlinkat(at, path, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn write_file(at: BorrowedFd<'_>, path: &str, value: &str) -> io::Result<()> {
    File::from(open_writable(at, path)?).write_all(value.as_bytes())
}

pub(super) fn read_file(at: BorrowedFd<'_>, path: &str) -> io::Result<String> {
    let mut text = String::new();
    open_readable(at, path)?
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text.trim_end().into())
}

/// Names of the groups directly below.
pub(super) fn children(dir: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Pids in a group, without those of its children.
pub(super) fn pids(dir: BorrowedFd<'_>) -> io::Result<Vec<i32>> {
    let text = read_file(dir, "cgroup.procs")?;
    // 0 stands for a process of a foreign pid namespace: not ours to name.
    Ok(text
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect())
}

/// Deepest group below `agent-ID`: `payload/services/NAME`.
const DEPTH_MAX: u32 = 4;

/// Pids in a group and all below.
pub(super) fn pids_below(dir: BorrowedFd<'_>) -> io::Result<Vec<i32>> {
    fn walk(dir: BorrowedFd<'_>, depth: u32, all: &mut Vec<i32>) -> io::Result<()> {
        use std::os::fd::AsFd;
        all.extend(pids(dir)?);
        if depth < DEPTH_MAX {
            for name in children(dir)? {
                walk(open_dir(dir, &name)?.as_fd(), depth + 1, all)?;
            }
        }
        Ok(())
    }
    let mut all = Vec::new();
    walk(dir, 0, &mut all)?;
    Ok(all)
}

/// Removes a group and all below. Listing a group takes longer than removing it, so that those it
/// usually has are tried by their names first, leaves before their parents.
pub(super) fn remove_tree(at: BorrowedFd<'_>, name: &str, usual: &[&str]) -> io::Result<()> {
    for group in usual {
        // What is not there, or has more below, is seen to by the next.
        drop(remove_dir(at, &format!("{name}/{group}")));
    }
    remove_dir(at, name).or_else(|_| remove_all(at, name))
}

/// Removes a group and all below, leaves first.
fn remove_all(at: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    fn walk(at: BorrowedFd<'_>, name: &str, depth: u32) -> io::Result<()> {
        use std::os::fd::AsFd;
        let dir = match open_dir(at, name) {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if depth < DEPTH_MAX {
            for child in children(dir.as_fd())? {
                walk(dir.as_fd(), &child, depth + 1)?;
            }
        }
        remove_dir(at, name)
    }
    walk(at, name, 0)
}

//! Opening what an agent may have written: below a directory descriptor, never through a link,
//! never blocking on a FIFO.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Directory,
    File,
    Symlink,
    Other,
}

/// Opens a directory whose path the daemon recorded. Its last component may not be a link.
pub(super) fn root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(path, flags, Mode::empty())?)
}

/// Opens a directory below `at`.
pub(super) fn directory(at: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    open(
        at,
        path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        Mode::empty(),
    )
}

/// Opens a regular file below `at` for reading, and says how long it is.
pub(super) fn regular(at: impl AsFd, path: &Path) -> io::Result<(File, u64)> {
    let fd = open(at, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty())?;
    let file = File::from(fd);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok((file, meta.len()))
}

/// Makes a new file below `at`.
pub(super) fn create(at: impl AsFd, path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    open(at, path, flags, Mode::from_bits_truncate(mode)).map(File::from)
}

fn open(at: impl AsFd, path: &Path, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY)
        .mode(mode)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    Ok(openat2(at, path, how)?)
}

/// Reads a whole regular file of at most `bytes_max`; `None` if it does not exist.
pub(super) fn read(at: impl AsFd, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let (file, _) = match regular(at, path) {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {bytes_max} bytes"),
        ));
    }
    Ok(Some(bytes))
}

/// The entries of a directory, at most `entries_max`, sorted.
pub(super) fn list(directory: OwnedFd, entries_max: usize) -> io::Result<Vec<(OsString, Kind)>> {
    use std::os::unix::ffi::OsStringExt;
    let mut dir = Dir::from_fd(directory)?;
    let mut found = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if found.len() == entries_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("more than {entries_max} entries"),
            ));
        }
        let kind = match entry.file_type() {
            Some(Type::Directory) => Kind::Directory,
            Some(Type::File) => Kind::File,
            Some(Type::Symlink) => Kind::Symlink,
            Some(_) | None => Kind::Other,
        };
        found.push((OsString::from_vec(name.to_vec()), kind));
    }
    found.sort();
    Ok(found)
}

/// What stands at `path` itself, reached through no link.
pub(super) fn kind(at: impl AsFd, path: &Path) -> io::Result<Kind> {
    let fd = openat2(
        at,
        path,
        OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_SYMLINKS
                    | ResolveFlag::RESOLVE_NO_MAGICLINKS,
            ),
    )?;
    let stat = fstat(&fd)?;
    Ok(match stat.st_mode & nix::libc::S_IFMT {
        nix::libc::S_IFDIR => Kind::Directory,
        nix::libc::S_IFREG => Kind::File,
        nix::libc::S_IFLNK => Kind::Symlink,
        _ => Kind::Other,
    })
}

//! The new root while it is made: its directories, each opened once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use crate::files;
use crate::sys;

/// A root file system, mounted on the stage.
#[derive(Debug)]
pub(super) struct NewRoot {
    /// Its root directory.
    pub(super) fd: Rc<OwnedFd>,
    /// Directories that were made in it, or are roots of file systems of its own, as they are seen
    /// now: every sandbox is made of many names in few directories.
    dirs: BTreeMap<OsString, Rc<OwnedFd>>,
}

impl NewRoot {
    pub(super) fn new(mount: OwnedFd) -> NewRoot {
        let fd = Rc::new(mount);
        let dirs = BTreeMap::from([("/".into(), Rc::clone(&fd))]);
        NewRoot { fd, dirs }
    }

    /// A directory, made with everything above it that is missing.
    pub(super) fn dir(&mut self, at: &Path) -> io::Result<Rc<OwnedFd>> {
        if let Some(dir) = self.dirs.get(&*plain(at)) {
            return Ok(Rc::clone(dir));
        }
        let (above, name) = self.parent(at)?;
        match mkdirat(above.as_fd(), name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let dir = Rc::new(files::open_below(above.as_fd(), name, flags)?);
        self.dirs.insert(plain(at).into_owned(), Rc::clone(&dir));
        Ok(dir)
    }

    pub(super) fn parent<'p>(&mut self, at: &'p Path) -> io::Result<(Rc<OwnedFd>, &'p Path)> {
        let name = at.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.dir(at.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        Ok((dir, Path::new(name)))
    }

    pub(super) fn file(&mut self, at: &Path, bytes: &[u8]) -> io::Result<OwnedFd> {
        let (dir, name) = self.parent(at)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let mode = Mode::from_bits_truncate(0o644);
        let file = openat(dir.as_fd(), name, flags | OFlag::O_CLOEXEC, mode)?;
        let mut file = std::fs::File::from(file);
        io::Write::write_all(&mut file, bytes)?;
        Ok(file.into())
    }

    /// Puts a file system of its own into its place.
    pub(super) fn mount(&mut self, mount: OwnedFd, at: &Path) -> io::Result<()> {
        sys::move_mount(mount.as_fd(), self.dir(at)?.as_fd())?;
        self.dirs.insert(plain(at).into_owned(), Rc::new(mount));
        Ok(())
    }

    /// Something of the host is mounted there now.
    pub(super) fn forget(&mut self, at: &Path) {
        self.dirs.remove(&*plain(at));
    }
}

/// A path in the one spelling in which bytes tell what is the same: comparing paths part by part
/// takes longer than making what they name.
pub(super) fn plain(path: &Path) -> Cow<'_, OsStr> {
    let bytes = path.as_os_str().as_bytes();
    let odd = |pair: &[u8]| pair[0] == b'/' && matches!(pair[1], b'/' | b'.');
    let trails = bytes.len() > 1 && bytes.ends_with(b"/");
    if trails || bytes.windows(2).any(odd) {
        Cow::Owned(path.components().collect::<PathBuf>().into_os_string())
    } else {
        Cow::Borrowed(path.as_os_str())
    }
}

/// Whether a plain path is another, or lies below it.
pub(super) fn is_below(path: &OsStr, above: &OsStr) -> bool {
    let (path, above) = (path.as_bytes(), above.as_bytes());
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || above == b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_what_paths_tell() {
        let paths = [
            "/", "/a", "/a/", "//a", "/a//b", "/a/./b", "/a/b", "/ab", "/a/.b", "/a/b/c", "/a/.",
        ];
        for one in paths.map(Path::new) {
            for other in paths.map(Path::new) {
                let (bytes, others) = (plain(one), plain(other));
                assert_eq!(bytes == others, one == other, "{one:?} {other:?}");
                let below = is_below(&bytes, &others);
                assert_eq!(below, one.starts_with(other), "{one:?} {other:?}");
            }
        }
    }
}

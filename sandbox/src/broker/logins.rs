//! Login files in an agent's private home: told, and removed when it gets another owner.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::files;
use crate::protocol::{Failure, LOGINS, Reply};
use crate::spec::AgentId;

/// Looks for each of a closed list of names, and takes it away. The home is the agent's: no link
/// of it is followed, and what is no plain file stays and is told.
pub(super) fn look(
    state: BorrowedFd<'_>,
    agent: &AgentId,
    remove: bool,
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let home = PathBuf::from("agents").join(agent.as_str()).join("home");
    let (mut found, mut stay) = (Vec::new(), Vec::new());
    for login in LOGINS {
        match one(state, &home.join(login), remove) {
            Ok(true) => found.push(login.to_owned()),
            Ok(false) => {}
            Err(error) => stay.push(format!("{login} ({error})")),
        }
    }
    Ok((Reply::Logins { files: found, stay }, Vec::new()))
}

/// Whether it was there.
fn one(state: BorrowedFd<'_>, path: &Path, remove: bool) -> io::Result<bool> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(false);
    };
    let dir = match files::open_below(state, above, OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Ok(dir) => dir,
        Err(error) => return absent(error),
    };
    let found = match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(errno) => return absent(errno.into()),
    };
    let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
    if kind == SFlag::S_IFDIR {
        return Err(io::Error::other("it is a directory"));
    }
    if remove {
        match unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(true)
}

fn absent(error: io::Error) -> io::Result<bool> {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => Ok(false),
        _ => Err(error),
    }
}

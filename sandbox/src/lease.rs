//! Uid ranges, leased on this host by locks that the kernel gives back when the agent is gone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::files;
use crate::userns::{RANGES, Range};

/// Where the locks of all instances on this host lie.
const LOCK_DIR: &str = "run/wsm-uids";

/// A range of ids that nobody else on this host has while the lock is open anywhere.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The ids.
    pub(crate) range: Range,
    /// The lock: inherited by the shim and by init.
    pub(crate) lock: OwnedFd,
}

/// Leases a free range. The search starts at a place that depends on `seed`, so that a range is
/// seldom used again soon.
pub(crate) fn take(seed: &str) -> io::Result<Lease> {
    let dir = locks()?;
    let start = seed.bytes().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    for offset in 0..RANGES {
        if let Some(lease) = try_take(&dir, start.wrapping_add(offset) % RANGES)? {
            return Ok(lease);
        }
    }
    Err(io::Error::other(format!(
        "all {RANGES} uid ranges of this host are in use"
    )))
}

/// Leases this range, if nobody has it.
pub(crate) fn take_again(range: Range) -> io::Result<Option<Lease>> {
    try_take(&locks()?, range.index())
}

fn locks() -> io::Result<OwnedFd> {
    let root = files::root()?;
    // /var/run and /run are the same; /run itself is never a symlink.
    let dir = files::make_dirs(root.as_fd(), Path::new(LOCK_DIR), 0o700, (0, 0))?;
    let stat = files::stat(dir.as_fd())?;
    if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
        return Err(io::Error::other("/run/wsm-uids is not root's alone"));
    }
    Ok(dir)
}

fn try_take(dir: &OwnedFd, number: u32) -> io::Result<Option<Lease>> {
    let name = number.to_string();
    let flags = OFlag::O_RDWR | OFlag::O_CREAT;
    let lock = File::from(files::create_below(
        dir.as_fd(),
        Path::new(&name),
        flags,
        0o600,
    )?);
    let range = Range::number(number);
    let free = files::try_lock(&lock)?;
    let lock = lock.into();
    Ok(free.then_some(Lease { range, lock }))
}

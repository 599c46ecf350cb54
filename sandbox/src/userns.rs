//! User namespaces: the agent's own, and the one that maps the ids of its files.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::spec::INSIDE_ID;
use crate::stacks::{self, Lent};
use crate::sys;

/// First id of the first range. The ranges lie above what `useradd` and `newuidmap` give out.
pub(crate) const RANGE_BASE: u32 = 0x7000_0000;
/// Ids in one range.
pub(crate) const RANGE_IDS: u32 = 65_536;
/// Ranges on one host: up to 0x8000_0000, above which old programs take ids for negative.
pub(crate) const RANGES: u32 = 4096;

/// One agent's range of ids on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    /// First id.
    pub(crate) base: u32,
}

impl Range {
    /// The range of this number.
    pub(crate) fn number(number: u32) -> Range {
        Range {
            base: RANGE_BASE + number % RANGES * RANGE_IDS,
        }
    }

    /// Its number.
    pub(crate) fn index(self) -> u32 {
        (self.base - RANGE_BASE) / RANGE_IDS
    }

    /// Root inside, on the host.
    pub(crate) fn root(self) -> u32 {
        self.base
    }

    /// The agent's user, on the host.
    pub(crate) fn agent(self) -> u32 {
        self.base + INSIDE_ID
    }

    /// The shim's user: the last of the range, mapped nowhere.
    pub(crate) fn shim(self) -> u32 {
        self.base + RANGE_IDS - 1
    }

    /// The map of the agent's user namespace: everything but the shim's id.
    pub(crate) fn own_map(self) -> String {
        format!("0 {} {}\n", self.base, RANGE_IDS - 1)
    }

    /// The map that shows an account's files as the agent's.
    pub(crate) fn file_map(self, account: u32) -> String {
        format!("{account} {} 1\n", self.agent())
    }
}

/// The child that held a new user namespace until it was open, on a stack of its own. It ends by
/// itself, and is waited for when this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Holder {
    pid: Pid,
    _stack: Lent,
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Fails for no child of ours that was not waited for.
        waitpid(self.pid, None).map(drop).unwrap_or(());
    }
}

/// Makes a user namespace with these maps. A child holds it until it is open here; nothing waits
/// for that child to run.
pub(crate) fn make(
    proc: BorrowedFd<'_>,
    uid_map: &str,
    gid_map: &str,
) -> io::Result<(OwnedFd, Holder)> {
    let (wait, done) = pipe2(OFlag::O_CLOEXEC)?;
    let stack = stacks::lend()?;
    let pid = sys::hold_user_namespace(wait.as_fd(), done.as_fd(), &stack)?;
    drop(wait);
    let result: io::Result<OwnedFd> = (|| {
        write(proc, &format!("{pid}/uid_map"), uid_map)?;
        write(proc, &format!("{pid}/gid_map"), gid_map)?;
        let path = format!("{pid}/ns/user");
        Ok(nix::fcntl::openat(
            proc,
            path.as_str(),
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            nix::sys::stat::Mode::empty(),
        )?)
    })();
    drop(done);
    let holder = Holder { pid, _stack: stack };
    Ok((result?, holder))
}

fn write(proc: BorrowedFd<'_>, path: &str, text: &str) -> io::Result<()> {
    let fd = files::open_below(proc.as_fd(), Path::new(path), OFlag::O_WRONLY)?;
    std::fs::File::from(fd).write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_do_not_overlap_and_stay_below_the_sign_bit() {
        let last = Range::number(RANGES - 1);
        assert_eq!(Range::number(0).base, RANGE_BASE);
        assert_eq!(Range::number(0).shim() + 1, Range::number(1).base);
        assert_eq!(last.shim(), 0x7fff_ffff);
        assert_eq!(last.index(), RANGES - 1);
        assert_eq!(Range::number(1).own_map(), "0 1879113728 65535\n");
    }
}

//! How much of the disk an agent's files take: found by walking them, which takes its time.
//!
//! The worker is the account whose files they are, and steps back for whoever wants the processor or
//! the disk. The trees are the agent's, which may change them meanwhile: no link is followed, no
//! mount entered, and where there is too much it gives up and says so.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::dirs;
use super::setup::Host;
use crate::fail::Context;
use crate::protocol::{Disk, Failure, Reply};
use crate::spec::AgentId;
use crate::{files, sys};

/// Longest walk: below a worker's own time.
const TIME_MAX: Duration = Duration::from_secs(15);
/// Levels that are entered: each is an open descriptor.
const DEPTH_MAX: usize = 128;
/// Files with several names that are remembered, to be counted once.
const LINKS_MAX: usize = 200_000;
/// What a block of `st_blocks` is, whatever the file system's are (inode(7)).
const BLOCK_BYTES: u64 = 512;

/// Walks. The worker becomes the account, and ends.
pub(super) fn look(host: &Host, agent: &AgentId) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let what = || format!("count the disk space of {agent}");
    let record = host.record(agent)?;
    let paths = dirs::paths(&host.state_path, &record.git_dir, agent, &record.account);
    let root = files::root().what(what)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let open = |path: &str| files::open_plain(root.as_fd(), Path::new(path), flags);
    let trees = [&paths.workspace, &paths.home, &paths.state].map(|path| open(path));
    sys::step_back();
    let (uid, gid) = (record.account.uid, record.account.gid);
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[]).what(what)?;
    setresgid(gid, gid, gid).what(what)?;
    setresuid(uid, uid, uid).what(what)?;
    let mut walk = Walk::new(Instant::now() + TIME_MAX);
    let [workspace, home, state] = trees.map(|tree| walk.top(tree));
    let disk = Disk {
        workspace,
        home,
        state,
        exact: walk.exact,
    };
    Ok((Reply::Disk(disk), Vec::new()))
}

/// A walk of some trees.
struct Walk {
    until: Instant,
    /// Device and inode of files that have other names as well.
    links: HashSet<(u64, u64)>,
    exact: bool,
}

impl Walk {
    fn new(until: Instant) -> Walk {
        Walk {
            until,
            links: HashSet::new(),
            exact: true,
        }
    }

    /// Bytes of a tree; one that is not made yet, or gone, has none.
    fn top(&mut self, tree: io::Result<OwnedFd>) -> u64 {
        match tree {
            Ok(dir) => self.tree(&dir, DEPTH_MAX),
            Err(error) => {
                self.exact &= error.kind() == io::ErrorKind::NotFound;
                0
            }
        }
    }

    /// Bytes of a directory and what lies below; of what can't be looked at, none.
    fn tree(&mut self, dir: &OwnedFd, depth: usize) -> u64 {
        self.below(dir, depth).unwrap_or_else(|_| {
            self.exact = false;
            0
        })
    }

    fn below(&mut self, dir: &OwnedFd, depth: usize) -> io::Result<u64> {
        let mut bytes = allocated(&fstat(dir)?);
        let mut listing = Dir::from_fd(dir.try_clone()?)?;
        for entry in listing.iter() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.is_late() {
                break;
            }
            match self.entry(dir, name, depth) {
                Ok(more) => bytes = bytes.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.exact = false,
            }
        }
        Ok(bytes)
    }

    fn entry(&mut self, dir: &OwnedFd, name: &OsStr, depth: usize) -> io::Result<u64> {
        // What is mounted there is not even asked: its server may never answer.
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let found = files::open_same_mount(dir.as_fd(), Path::new(name), flags)?;
        let found = fstat(&found)?;
        let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
        if kind == SFlag::S_IFDIR {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            let depth = depth.checked_sub(1).ok_or(io::ErrorKind::Other)?;
            let inner = files::open_same_mount(dir.as_fd(), Path::new(name), flags)?;
            return Ok(self.tree(&inner, depth));
        }
        if found.st_nlink > 1 {
            if self.links.len() >= LINKS_MAX {
                return Err(io::ErrorKind::Other.into());
            }
            if !self.links.insert((found.st_dev, found.st_ino)) {
                return Ok(0);
            }
        }
        Ok(allocated(&found))
    }

    /// Whether the time is over.
    fn is_late(&mut self) -> bool {
        let late = Instant::now() >= self.until;
        self.exact &= !late;
        late
    }
}

fn allocated(found: &FileStat) -> u64 {
    u64::try_from(found.st_blocks).unwrap_or(0) * BLOCK_BYTES
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;

    use super::*;

    const BIG: usize = 1 << 20;

    fn counted(path: &Path, depth: usize, until: Instant) -> (u64, bool) {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let dir = nix::fcntl::open(path, flags, Mode::empty()).unwrap();
        let mut walk = Walk::new(until);
        (walk.tree(&dir, depth), walk.exact)
    }

    #[test]
    fn what_lies_there_is_counted_once_and_what_is_linked_to_is_not() {
        let top = tempfile::tempdir().unwrap();
        let (tree, soon) = (top.path().join("tree"), Instant::now() + TIME_MAX);
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        let big = vec![7; BIG];
        std::fs::write(top.path().join("outside"), &big).unwrap();
        std::os::unix::fs::symlink("../outside", tree.join("file")).unwrap();
        std::os::unix::fs::symlink("..", tree.join("a/up")).unwrap();
        let (empty, exact) = counted(&tree, 9, soon);
        assert!(exact && empty < BIG as u64, "{empty}");
        std::fs::write(tree.join("a/b/one"), &big).unwrap();
        std::fs::hard_link(tree.join("a/b/one"), tree.join("two")).unwrap();
        // A file that is all hole takes nothing.
        let hole = std::fs::File::create(tree.join("hole")).unwrap();
        hole.set_len(1 << 30).unwrap();
        let (full, exact) = counted(&tree, 9, soon);
        assert!(exact);
        assert!(
            (BIG as u64..BIG as u64 + 65_536).contains(&(full - empty)),
            "{full}"
        );
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_said_not_to_be_counted() {
        let top = tempfile::tempdir().unwrap();
        let soon = Instant::now() + TIME_MAX;
        std::fs::create_dir_all(top.path().join("a/b/c")).unwrap();
        assert!(counted(top.path(), 3, soon).1);
        assert!(!counted(top.path(), 2, soon).1);
        assert!(!counted(top.path(), 3, Instant::now()).1);
    }
}

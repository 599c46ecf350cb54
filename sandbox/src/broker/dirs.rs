//! An agent's directories: where they are, making them, removing them for good.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::fcntl::{OFlag, renameat};
use nix::sys::stat::{Mode, fchmodat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::setup::Host;
use crate::fail::{Context, failure};
use crate::files;
use crate::launch::{RECORDINGS, SETUP_LOG, SHIM_LOG, log_file, recording_file};
use crate::protocol::{Account, AgentPaths, Failure, FailureKind};
use crate::spec::AgentId;

/// Levels that are removed at once: each is an open descriptor. What is deeper is moved up first.
const DEPTH_MAX: usize = 512;
/// Holds a directory for each account, with the workspaces of its agents.
pub(super) const WORKSPACES: &str = "workspaces";
/// Services of one agent.
const SERVICES_MAX: usize = 64;

/// Where an agent's files lie.
pub(super) fn paths(state: &Path, git_dir: &str, agent: &AgentId, account: &Account) -> AgentPaths {
    let own = state.join("agents").join(agent.as_str());
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    AgentPaths {
        workspace: text(workspaces(state, account).join(agent.as_str())),
        git_private: text(own.join("git")),
        git_admin: format!("{git_dir}/worktrees/wsm-{agent}"),
        home: text(own.join("home")),
        state: text(own.join("state")),
        log: text(own.join("log")),
    }
}

fn workspaces(state: &Path, account: &Account) -> PathBuf {
    state.join(WORKSPACES).join(account.uid.to_string())
}

/// Names of services become names of directories and files.
pub(super) fn check_services<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
    let mut count = 0;
    for name in names {
        count += 1;
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if count > SERVICES_MAX || name.is_empty() || name.len() > 40 || !plain {
            let why = format!("{name:?} is not a name, or there are more than {SERVICES_MAX}");
            return Err(failure(FailureKind::Invalid, "read the services", why, ""));
        }
    }
    Ok(())
}

impl Host {
    /// Makes the agent's directories; those that are there are left as they are.
    pub(super) fn prepare(
        &self,
        agent: &AgentId,
        account: &Account,
        services: &[String],
    ) -> Result<(), Failure> {
        check_services(services.iter())?;
        let owner = (account.uid, account.gid);
        let state = self.state.as_fd();
        let own = PathBuf::from("agents").join(agent.as_str());
        let shared = PathBuf::from(WORKSPACES).join(account.uid.to_string());
        let mut wanted: Vec<(PathBuf, u32, (u32, u32))> = vec![
            (own.clone(), 0o711, (0, 0)),
            (own.join("git"), 0o700, owner),
            (own.join("home"), 0o700, owner),
            (own.join("state"), 0o700, owner),
            (own.join("log"), 0o750, (0, self.config.daemon_gid)),
            (shared.clone(), 0o700, owner),
            (shared.join(agent.as_str()), 0o700, owner),
        ];
        let service = |name| (own.join("state").join(name), 0o700, owner);
        wanted.extend(services.iter().map(service));
        for (path, mode, owner) in wanted {
            let what = || format!("make {}", self.state_path.join(&path).display());
            files::make_dirs(state, &path, mode, owner).what(what)?;
        }
        self.prepare_logs(&own.join("log"), services)
    }

    /// Makes the logs, so that no start has to: a file that is new on the disk takes its time.
    fn prepare_logs(&self, dir: &Path, services: &[String]) -> Result<(), Failure> {
        let what = || format!("make the logs in {}", self.state_path.join(dir).display());
        let dir = files::open_below(self.state.as_fd(), dir, OFlag::O_PATH).what(what)?;
        let setup = SETUP_LOG.to_owned();
        let logs = services.iter().chain([&setup]).map(|log| log_file(log));
        let recordings = (0..RECORDINGS).map(recording_file);
        for name in logs.chain([SHIM_LOG.to_owned()]).chain(recordings) {
            let group = self.config.daemon_gid;
            files::log(dir.as_fd(), &name, OFlag::O_WRONLY, group).what(what)?;
        }
        Ok(())
    }

    /// Removes the agent's directories, whatever is in them.
    pub(super) fn erase(&self, agent: &AgentId, account: &Account) -> Result<(), Failure> {
        self.let_pointer_go(agent, account)?;
        let shared = PathBuf::from(WORKSPACES).join(account.uid.to_string());
        for parent in [shared, PathBuf::from("agents")] {
            let what = || format!("remove {}/{agent}", self.state_path.join(&parent).display());
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            let dir = match files::open_below(self.state.as_fd(), &parent, flags) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                result => result.what(what)?,
            };
            remove_tree(dir.as_fd(), OsStr::new(agent.as_str())).what(what)?;
        }
        Ok(())
    }
}

/// Removes what `name` is below `dir`: a symlink is removed, never followed, and a mount is not
/// entered. Gone is fine.
fn remove_tree(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let mut removal = Removal::default();
    loop {
        removal.moved = 0;
        match removal.remove(dir, name, DEPTH_MAX) {
            // Something deeper than was looked at stands at the top now.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && removal.moved > 0 => {
            }
            result => return result,
        }
    }
}

/// The removal of one tree.
#[derive(Debug, Default)]
struct Removal {
    /// The tree's own directory, to which is moved what lies too deep.
    top: Option<OwnedFd>,
    /// How much was moved since the last look at the top.
    moved: u32,
}

impl Removal {
    fn remove(&mut self, dir: BorrowedFd<'_>, name: &OsStr, depth: usize) -> io::Result<()> {
        match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => return Ok(()),
            Err(nix::Error::EISDIR | nix::Error::EPERM) => {}
            Err(errno) => return Err(errno.into()),
        }
        if let (0, Some(top)) = (depth, &self.top) {
            self.moved += 1;
            let place = format!("wsm-{:016x}", files::random()?);
            return Ok(renameat(dir, name, top, place.as_str())?);
        }
        let inner = open_inner(dir, name)?;
        if self.top.is_none() {
            self.top = Some(inner.try_clone()?);
        }
        for (entry, kind) in entries(&inner)? {
            let entry = OsStr::from_bytes(&entry);
            match kind {
                Some(Type::File | Type::Symlink) => {
                    match unlinkat(inner.as_fd(), entry, UnlinkatFlags::NoRemoveDir) {
                        Ok(()) | Err(nix::Error::ENOENT) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
                _ => self.remove(inner.as_fd(), entry, depth - 1)?,
            }
        }
        match unlinkat(dir, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Opens a directory to be emptied.
fn open_inner(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let open = || files::open_same_mount(dir, Path::new(name), flags);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Root without CAP_DAC_OVERRIDE on this file system: the modes count.
            let follow = nix::sys::stat::FchmodatFlags::NoFollowSymlink;
            fchmodat(dir, name, Mode::S_IRWXU, follow)?;
            open()
        }
        result => result,
    }
}

fn entries(dir: &OwnedFd) -> io::Result<Vec<(Vec<u8>, Option<Type>)>> {
    let mut dir = Dir::from_fd(dir.try_clone()?)?;
    let mut entries = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            entries.push((name.to_vec(), entry.file_type()));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_removed_and_what_it_links_to_stays() {
        let top = tempfile::tempdir().unwrap();
        let outside = top.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        let tree = top.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::write(tree.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).unwrap();
        std::os::unix::fs::symlink("/nowhere", tree.join("dangling")).unwrap();
        let dir = files::open_plain(
            files::root().unwrap().as_fd(),
            &top.path().canonicalize().unwrap(),
            OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        )
        .unwrap();
        remove_tree(dir.as_fd(), OsStr::new("tree")).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
        remove_tree(dir.as_fd(), OsStr::new("tree")).unwrap();
    }

    #[test]
    fn a_tree_of_any_depth_is_removed() {
        let top = tempfile::tempdir().unwrap();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let dir = nix::fcntl::open(top.path(), flags, Mode::empty()).unwrap();
        let mut at = dir.try_clone().unwrap();
        for name in std::iter::once("tree").chain(std::iter::repeat_n("d", 3 * DEPTH_MAX)) {
            nix::sys::stat::mkdirat(&at, name, Mode::S_IRWXU).unwrap();
            at = nix::fcntl::openat(&at, name, flags, Mode::empty()).unwrap();
        }
        remove_tree(dir.as_fd(), OsStr::new("tree")).unwrap();
        assert!(!top.path().join("tree").exists());
    }

    #[test]
    fn a_service_is_named_by_plain_words() {
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert!(check_services(names(&["db", "web-2"]).iter()).is_ok());
        for bad in ["", "..", "a/b", "Db", "a b"] {
            assert!(check_services(names(&[bad]).iter()).is_err(), "{bad}");
        }
    }
}

//! Watching a branch of a repository. The daemon can't look there; what it gets is told names and
//! moments of changes in one directory of refs, and nothing else.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::{Gid, Uid, fchdir, setgroups, setresgid, setresuid};

use super::grants;
use super::setup::Host;
use crate::fail::{Context, failure};
use crate::files;
use crate::protocol::{Failure, FailureKind, Purpose, Reply};
use crate::spec::AgentId;

/// Makes the watch. The worker becomes the account, whose number of watches it counts to, and ends.
pub(super) fn watch(
    host: &Host,
    agent: &AgentId,
    branch: &str,
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let what = || format!("watch the branch {branch:?} of {agent}");
    let path = Path::new("refs/heads").join(branch);
    let mut parts = Path::new(branch).components();
    let plain = !branch.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
    let (true, Some(above)) = (plain, path.parent()) else {
        let why = "it is no name of a branch";
        return Err(failure(FailureKind::Invalid, what(), why, ""));
    };
    let record = host.record(agent)?;
    let grant = host.grant(&record.repository, Purpose::Repository)?;
    let Some(git_dir) = &grant.git_dir else {
        return Err(failure(
            FailureKind::Invalid,
            what(),
            "it has no repository",
            "",
        ));
    };
    let git_dir = grants::reopen(git_dir)?;
    let (uid, gid) = (record.account.uid, record.account.gid);
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[]).what(what)?;
    setresgid(gid, gid, gid).what(what)?;
    setresuid(uid, uid, uid).what(what)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = files::open_below(git_dir.as_fd(), above, flags).what(what)?;
    // inotify takes paths only; this one can't be led elsewhere.
    fchdir(&directory).what(what)?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).what(what)?;
    // git writes a lock and renames it.
    let events = AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    inotify.add_watch(".", events).what(what)?;
    Ok((Reply::Watched, vec![inotify.into()]))
}

//! Freeze, kill, wait, remove, list: the end of an agent, safe to repeat at any point.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use super::files::{
    children, io_error, open_dir, open_readable, pids, pids_below, read_file, remove_dir,
    remove_tree, write_file,
};
use super::mounts::Version;
use super::{CgroupError, Hierarchy, PAYLOAD, Tree};
use crate::spec::AgentId;
use crate::sys;

/// How long the kernel may take to freeze or thaw a payload: a task in the middle of a disk
/// operation freezes when that ends.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two looks where the kernel offers no event.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Rounds of reading and killing on hosts without `cgroup.kill`; each halves what forks at most.
const KILL_ROUNDS_MAX: u32 = 50;
/// How long an empty group may stay busy: the kernel releases tasks a moment after they are reaped.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(2);

impl Tree {
    /// Freezes or thaws the payload, and waits until it is.
    pub fn freeze(&self, id: &AgentId, frozen: bool) -> Result<(), CgroupError> {
        let (hierarchy, dir) = self.agent_where(id, |hierarchy| hierarchy.freezes)?;
        let payload = open_dir(dir.as_fd(), "payload").map_err(io_error(|| {
            format!("open {}/payload", hierarchy.agent_path(id))
        }))?;
        let what = || {
            let verb = if frozen { "freeze" } else { "thaw" };
            format!("{verb} {}/payload", hierarchy.agent_path(id))
        };
        set_frozen(hierarchy.version, payload.as_fd(), frozen).map_err(io_error(what))
    }

    /// Kills every process of payload and shim, frozen ones too. Does not wait for the end of
    /// them ([`Tree::wait_empty`]). Success for an agent that is gone.
    pub fn kill(&self, id: &AgentId) -> Result<(), CgroupError> {
        self.let_die(id);
        for hierarchy in &self.hierarchies {
            let Some(dir) = hierarchy.agent(id)? else {
                continue;
            };
            let what = || format!("kill {}", hierarchy.agent_path(id));
            if hierarchy.version == Version::V2
                && write_file(dir.as_fd(), "cgroup.kill", "1").is_ok()
            {
                return Ok(());
            }
            if hierarchy.freezes {
                return kill_one_by_one(hierarchy.version, dir.as_fd()).map_err(io_error(what));
            }
        }
        Ok(())
    }

    /// Waits until no process of the agent is left. Success for an agent that is gone.
    pub fn wait_empty(&self, id: &AgentId, deadline: Instant) -> Result<(), CgroupError> {
        let Some(hierarchy) = self.hierarchies.first() else {
            return Ok(());
        };
        let Some(dir) = hierarchy.agent(id)? else {
            return Ok(());
        };
        let dir = dir.as_fd();
        let empty = || match hierarchy.version {
            Version::V2 => Ok(has_line(dir, "populated 0")?),
            Version::V1 => Ok(pids_below(dir)?.is_empty()),
        };
        let what = || format!("wait for the end of {}", hierarchy.agent_path(id));
        if wait_until(events_of(hierarchy.version, dir), deadline, empty).map_err(io_error(what))? {
            return Ok(());
        }
        let alive = pids_below(dir).map_err(io_error(what))?.len();
        Err(CgroupError::Stuck {
            agent: id.clone(),
            alive,
        })
    }

    /// Has the kernel kill every process; gives the end of the last one, to be waited for elsewhere.
    /// `None` for an agent that is gone, and where the kernel can't kill a group or tell its end.
    pub fn kill_at_once(&self, id: &AgentId) -> Result<Option<End>, CgroupError> {
        let unified = |hierarchy: &&Hierarchy| hierarchy.version == Version::V2;
        let Some(hierarchy) = self.hierarchies.first().filter(unified) else {
            return Ok(None);
        };
        let Some(dir) = hierarchy.agent(id)? else {
            return Ok(None);
        };
        let Ok(events) = open_readable(dir.as_fd(), "cgroup.events") else {
            return Ok(None);
        };
        self.let_die(id);
        let killed = write_file(dir.as_fd(), "cgroup.kill", "1").is_ok();
        Ok(killed.then_some(End { events }))
    }

    /// Dying takes CPU too: thousands of processes with a fraction of a core take seconds.
    fn let_die(&self, id: &AgentId) {
        self.lift_cpu_limit(id).unwrap_or(());
    }

    /// Removes the agent's directories if nothing hinders it now; whether it did.
    pub fn try_remove(&self, id: &AgentId) -> bool {
        let name = format!("agent-{id}");
        let mut trees = self.hierarchies.iter();
        trees.all(|hierarchy| hierarchy.remove_agent(&name).is_ok())
    }

    /// Removes the agent's directories. Success for an agent that is gone; an error while
    /// processes live.
    pub fn remove(&self, id: &AgentId) -> Result<(), CgroupError> {
        let deadline = Instant::now() + REMOVE_TIMEOUT;
        let name = format!("agent-{id}");
        for hierarchy in &self.hierarchies {
            loop {
                match hierarchy.remove_agent(&name) {
                    Ok(()) => break,
                    Err(error)
                        if error.kind() == io::ErrorKind::ResourceBusy
                            && Instant::now() < deadline =>
                    {
                        std::thread::sleep(LOOK_INTERVAL);
                    }
                    Err(error) => {
                        let what = || format!("remove {}", hierarchy.agent_path(id));
                        return Err(io_error(what)(error));
                    }
                }
            }
        }
        Ok(())
    }

    /// Every agent that has a control group in any hierarchy, with the pids in its `shim` group.
    pub fn list(&self) -> Result<Vec<(AgentId, Vec<i32>)>, CgroupError> {
        let with_pids = |id| Ok((AgentId::clone(&id), self.group_pids(&id, "shim", pids)?));
        self.agents()?.into_iter().map(with_pids).collect()
    }

    /// Whether the agent has a control group in any hierarchy.
    pub fn has(&self, id: &AgentId) -> Result<bool, CgroupError> {
        for hierarchy in &self.hierarchies {
            if hierarchy.agent(id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many agents may have processes: all that do have a group in the first hierarchy.
    pub fn count(&self) -> Result<usize, CgroupError> {
        let Some(hierarchy) = self.hierarchies.first() else {
            return Ok(0);
        };
        let what = || format!("list {}", hierarchy.path);
        let groups = children(hierarchy.dir.as_fd()).map_err(io_error(what))?;
        let agents = groups.iter().filter(|name| name.starts_with("agent-"));
        Ok(agents.count())
    }

    /// Every agent that has a control group in any hierarchy.
    pub fn agents(&self) -> Result<Vec<AgentId>, CgroupError> {
        let mut agents: Vec<AgentId> = Vec::new();
        for hierarchy in &self.hierarchies {
            let what = || format!("list {}", hierarchy.path);
            for name in children(hierarchy.dir.as_fd()).map_err(io_error(what))? {
                let id = name
                    .strip_prefix("agent-")
                    .map(|id| AgentId::try_from(id.to_owned()));
                agents.extend(id.and_then(Result::ok));
            }
        }
        agents.sort();
        agents.dedup();
        Ok(agents)
    }

    /// Pids in the payload, all leaves. None for an agent that is gone.
    #[cfg(test)]
    pub fn payload_pids(&self, id: &AgentId) -> Result<Vec<i32>, CgroupError> {
        self.group_pids(id, "payload", pids_below)
    }

    /// Removes `wsm-INSTANCE` itself where no agent is left. Success where one is.
    pub fn close(self) -> Result<(), CgroupError> {
        for hierarchy in &self.hierarchies {
            match remove_dir(hierarchy.parent.as_fd(), &hierarchy.name) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) => {
                    return Err(io_error(|| format!("remove {}", hierarchy.path))(error));
                }
            }
        }
        Ok(())
    }

    fn group_pids(
        &self,
        id: &AgentId,
        group: &str,
        read: impl Fn(BorrowedFd<'_>) -> io::Result<Vec<i32>>,
    ) -> Result<Vec<i32>, CgroupError> {
        let Some(hierarchy) = self.hierarchies.first() else {
            return Ok(Vec::new());
        };
        let Some(dir) = hierarchy.agent(id)? else {
            return Ok(Vec::new());
        };
        let what = || format!("read the processes of {}/{group}", hierarchy.agent_path(id));
        // It may be removed by a worker at any point of this.
        match open_dir(dir.as_fd(), group).and_then(|dir| read(dir.as_fd())) {
            Err(error) if is_gone(&error) => Ok(Vec::new()),
            other => other.map_err(io_error(what)),
        }
    }

    fn agent_where(
        &self,
        id: &AgentId,
        wanted: impl Fn(&Hierarchy) -> bool,
    ) -> Result<(&Hierarchy, OwnedFd), CgroupError> {
        for hierarchy in self
            .hierarchies
            .iter()
            .filter(|hierarchy| wanted(hierarchy))
        {
            if let Some(dir) = hierarchy.agent(id)? {
                return Ok((hierarchy, dir));
            }
        }
        Err(CgroupError::NoSuchAgent(id.clone()))
    }
}

impl Hierarchy {
    fn remove_agent(&self, name: &str) -> io::Result<()> {
        let usual: &[&str] = match (self.is_flat(), self.agent_leaf()) {
            (true, _) => &[],
            (false, PAYLOAD) => &[PAYLOAD, "shim"],
            (false, leaf) => &[leaf, PAYLOAD, "shim"],
        };
        remove_tree(self.dir.as_fd(), name, usual)
    }
}

/// The event that tells the end of an agent's last process.
#[derive(Debug)]
pub struct End {
    events: File,
}

impl End {
    /// Whether it came.
    pub fn came(&self) -> io::Result<bool> {
        let mut text = [0; 256];
        let length = self.events.read_at(&mut text, 0)?;
        let lines = text[..length].split(|byte| *byte == b'\n');
        Ok(lines.into_iter().any(|line| line == b"populated 0"))
    }
}

impl AsFd for End {
    /// Ready for `POLLPRI` when it may have come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// A removed group's directory has no files, and those that were open have no device.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

fn set_frozen(version: Version, dir: BorrowedFd<'_>, frozen: bool) -> io::Result<()> {
    let (file, value) = match (version, frozen) {
        (Version::V2, true) => ("cgroup.freeze", "1"),
        (Version::V2, false) => ("cgroup.freeze", "0"),
        (Version::V1, true) => ("freezer.state", "FROZEN"),
        (Version::V1, false) => ("freezer.state", "THAWED"),
    };
    write_file(dir, file, value)?;
    let done = || match version {
        Version::V2 => has_line(dir, if frozen { "frozen 1" } else { "frozen 0" }),
        Version::V1 => Ok(read_file(dir, "freezer.state")? == value),
    };
    let deadline = Instant::now() + FREEZE_TIMEOUT;
    if wait_until(events_of(version, dir), deadline, done)? {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the kernel did not finish in time",
        ))
    }
}

/// Without `cgroup.kill`: a frozen group can't fork away, so freeze, kill all, thaw, look again.
/// A v1 task dies only when it is thawed, and the payload may have been frozen by itself before.
pub(super) fn kill_one_by_one(version: Version, dir: BorrowedFd<'_>) -> io::Result<()> {
    for _ in 0..KILL_ROUNDS_MAX {
        // A group that does not freeze in time is killed as it is; the next round looks again.
        drop(set_frozen(version, dir, true));
        let alive = pids_below(dir)?;
        for pid in &alive {
            sys::kill(Pid::from_raw(*pid), libc::SIGKILL)?;
        }
        set_frozen(version, dir, false)?;
        for name in children(dir)? {
            set_frozen(version, open_dir(dir, &name)?.as_fd(), false)?;
        }
        if alive.is_empty() {
            return Ok(());
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

fn has_line(dir: BorrowedFd<'_>, line: &str) -> io::Result<bool> {
    Ok(read_file(dir, "cgroup.events")?
        .lines()
        .any(|candidate| candidate == line))
}

/// The file whose change the kernel tells, where there is one.
fn events_of(version: Version, dir: BorrowedFd<'_>) -> Option<File> {
    match version {
        Version::V2 => open_readable(dir, "cgroup.events").ok(),
        Version::V1 => None,
    }
}

/// Looks again at every event (or interval) until it is so, or the deadline passes.
fn wait_until(
    events: Option<File>,
    deadline: Instant,
    so: impl Fn() -> io::Result<bool>,
) -> io::Result<bool> {
    loop {
        // A poll tells changes since this descriptor was last read; one never read is always ready.
        if let Some(events) = &events {
            drop(events.read_at(&mut [0; 64], 0));
        }
        if so()? {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let Some(events) = &events else {
            std::thread::sleep(LOOK_INTERVAL.min(left));
            continue;
        };
        let timeout =
            PollTimeout::try_from(left.min(LOOK_INTERVAL * 4)).unwrap_or(PollTimeout::ZERO);
        match poll(
            &mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)],
            timeout,
        ) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

//! What a payload has run into of its limits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::files::{children, open_dir, read_file};
use super::limits::{self, Controller};
use super::mounts::Version;
use super::{CgroupError, Tree, io_error};
use crate::protocol::Strain;
use crate::spec::AgentId;

impl Tree {
    /// Looks at the payload. A controller that the host lacks limits nothing.
    pub fn strain(&self, id: &AgentId) -> Result<Strain, CgroupError> {
        let full = self.tasks(id)?.is_some_and(super::Tasks::is_full);
        let agent = self.open_agent(id)?;
        let Some(place) = self.place(&agent, Controller::Memory, "payload") else {
            return Ok(Strain {
                full,
                ..Strain::default()
            });
        };
        let what = || format!("read the memory events of {id}");
        let oom_kills = oom_kills(place.version, place.dir.as_fd()).map_err(io_error(what))?;
        let memory_bytes = limits::read(Controller::Memory, &place).map_err(io_error(what))?;
        Ok(Strain {
            full,
            oom_kills,
            memory_bytes,
        })
    }
}

/// A v2 group counts what is below it too, a v1 group does not.
pub(super) fn oom_kills(version: Version, dir: BorrowedFd<'_>) -> io::Result<u64> {
    let file = match version {
        Version::V2 => "memory.events",
        Version::V1 => "memory.oom_control",
    };
    let text = read_file(dir, file)?;
    let word = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    let mut sum = word.and_then(|number| number.parse().ok()).unwrap_or(0);
    if version == Version::V1 {
        for name in children(dir)? {
            sum += oom_kills(version, open_dir(dir, &name)?.as_fd())?;
        }
    }
    Ok(sum)
}

//! How many tasks a payload has, and how much CPU it may take: what holding a runaway needs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::files::{children, open_dir, read_file};
use super::limits::{self, Controller};
use super::{CgroupError, Tree, io_error};
use crate::spec::AgentId;

/// Tasks of a payload beside its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tasks {
    /// Processes and threads now.
    pub current: u64,
    /// The limit.
    pub max: u64,
    /// Forks that failed at it so far; `None` for a payload that is far from it, which costs less to
    /// ask.
    pub refused: Option<u64>,
}

impl Tasks {
    /// Whether hardly any more may be made.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.current >= self.max - self.max / 16
    }
}

impl Tree {
    /// Tasks of the payload and their limit; `None` where the host counts none or none is set.
    pub fn tasks(&self, id: &AgentId) -> Result<Option<Tasks>, CgroupError> {
        let agent = self.open_agent(id)?;
        let Some(place) = self.place(&agent, Controller::Pids, "payload") else {
            return Ok(None);
        };
        let number = |file: &str| {
            let text = read_file(place.dir.as_fd(), file);
            text.map(|text| text.parse().ok())
                .map_err(io_error(|| format!("read {file} of {id}")))
        };
        let (Some(current), Some(max)) = (number("pids.current")?, number("pids.max")?) else {
            return Ok(None);
        };
        let refused = if current < max / 4 {
            None
        } else {
            let counted = refused(place.dir.as_fd());
            Some(counted.map_err(io_error(|| format!("read pids.events of {id}")))?)
        };
        Ok(Some(Tasks {
            current,
            max,
            refused,
        }))
    }

    /// The CPU limit of the payload in thousandths of a core.
    pub fn cpu_milli(&self, id: &AgentId) -> Result<Option<u64>, CgroupError> {
        let agent = self.open_agent(id)?;
        let Some(place) = self.place(&agent, Controller::Cpu, "payload") else {
            return Ok(None);
        };
        limits::read(Controller::Cpu, &place)
            .map_err(io_error(|| format!("read the CPU limit of {id}")))
    }

    /// Lifts that limit where there is one: to write it takes as long as a tenth of a deletion.
    pub(super) fn lift_cpu_limit(&self, id: &AgentId) -> Result<(), CgroupError> {
        let agent = self.open_agent(id)?;
        let Some(place) = self.place(&agent, Controller::Cpu, "payload") else {
            return Ok(());
        };
        if let Ok(None) = limits::read(Controller::Cpu, &place) {
            return Ok(());
        }
        limits::write_cpu(&place, None).map_err(io_error(|| format!("lift the CPU limit of {id}")))
    }

    /// Sets that limit, or lifts it. Success where the host has none to set.
    pub fn set_cpu_milli(&self, id: &AgentId, milli: Option<u64>) -> Result<(), CgroupError> {
        let agent = self.open_agent(id)?;
        let Some(place) = self.place(&agent, Controller::Cpu, "payload") else {
            return Ok(());
        };
        limits::write_cpu(&place, milli)
            .map_err(io_error(|| format!("write the CPU limit of {id}")))
    }
}

/// Failed forks of a group and of all below it. Kernels before 6.11 count one where the forking
/// process is, later ones where the limit is too: what matters is that the sum rises.
fn refused(dir: BorrowedFd<'_>) -> io::Result<u64> {
    let text = read_file(dir, "pids.events")?;
    let word = text.lines().find_map(|line| line.strip_prefix("max "));
    let mut sum = word.and_then(|number| number.parse().ok()).unwrap_or(0);
    for name in children(dir)? {
        sum += refused(open_dir(dir, &name)?.as_fd())?;
    }
    Ok(sum)
}

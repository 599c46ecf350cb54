//! The records of agents and of their sandboxes, among what the broker remembers.

use std::os::fd::AsFd;
use std::path::Path;

use nix::dir::{Dir, Entry};
use nix::fcntl::OFlag;

use super::record::{
    AgentRecord, Made, agent_file, made_file, overwrite, read, reserve, write_passing,
};
use super::setup::Host;
use crate::fail::{Context, failure};
use crate::files;
use crate::protocol::{Failure, FailureKind};
use crate::spec::AgentId;

impl Host {
    /// Every agent that there is a record of, as far as that can be read.
    pub(super) fn recorded(&self) -> Vec<AgentId> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let dir = files::open_below(self.agents.as_fd(), Path::new(""), flags);
        let Some(mut dir) = dir.ok().and_then(|dir| Dir::from_fd(dir).ok()) else {
            return Vec::new();
        };
        let agent = |entry: nix::Result<Entry>| {
            let name = entry.ok()?.file_name().to_str().ok()?.to_owned();
            // Other documents of an agent have another dot, which no id has.
            AgentId::try_from(name.strip_suffix(".json")?.to_owned()).ok()
        };
        dir.iter().filter_map(agent).collect()
    }

    /// What is known of the sandbox that was made last, if it is.
    pub(super) fn made(&self, agent: &AgentId) -> Option<Made> {
        read(self.agents.as_fd(), &made_file(agent)).ok().flatten()
    }

    pub(super) fn reserve_made(&self, agent: &AgentId) -> Result<(), Failure> {
        let name = made_file(agent);
        reserve(self.agents.as_fd(), &name).what(|| format!("make {name}"))
    }

    pub(super) fn write_made(&self, agent: &AgentId, made: &Made) -> Result<(), Failure> {
        let name = made_file(agent);
        overwrite(self.agents.as_fd(), &name, made).what(|| format!("write {name}"))
    }

    pub(super) fn record(&self, agent: &AgentId) -> Result<AgentRecord, Failure> {
        let name = agent_file(agent);
        let found = read(self.agents.as_fd(), &name).what(|| format!("read {name}"))?;
        found.ok_or_else(|| {
            let what = format!("find agent {agent}");
            failure(
                FailureKind::NotFound,
                what,
                "it was never prepared",
                "prepare it first",
            )
        })
    }

    pub(super) fn write_record(
        &self,
        agent: &AgentId,
        document: &AgentRecord,
    ) -> Result<(), Failure> {
        let name = agent_file(agent);
        write_passing(self.agents.as_fd(), &name, document).what(|| format!("write {name}"))
    }
}

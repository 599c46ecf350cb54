//! What agents use: read by the dozen and often, so every file is opened once and nothing is listed.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use super::files::{open_dir, read_file};
use super::limits::{self, Controller};
use super::mounts::Version;
use super::strain::oom_kills;
use super::{AgentCgroup, CgroupError, PAYLOAD, Tree};
use crate::protocol::{AgentUsage, GroupUsage, Pressure};
use crate::spec::AgentId;

/// Services of one agent that are looked at.
const SERVICES_MAX: usize = 64;

impl Tree {
    /// What an agent uses now, as a whole and by service. What this host does not count is absent.
    pub fn usage(&self, id: &AgentId) -> Result<AgentUsage, CgroupError> {
        let agent = self.open_agent(id)?;
        let limit = |controller| {
            let place = self.place(&agent, controller, PAYLOAD)?;
            limits::read(controller, &place).ok().flatten()
        };
        let mut services = BTreeMap::new();
        for name in self.services(&agent).into_iter().take(SERVICES_MAX) {
            let used = self.group(&agent, &format!("payload/services/{name}"));
            services.insert(name, used);
        }
        Ok(AgentUsage {
            agent: id.clone(),
            whole: self.group(&agent, PAYLOAD),
            services,
            cpu_limit_milli: limit(Controller::Cpu),
            memory_limit_bytes: limit(Controller::Memory),
        })
    }

    /// The groups of services: those of the tree that has one for each.
    fn services(&self, agent: &AgentCgroup) -> Vec<String> {
        let dir = agent.dirs.iter().flatten().find(|dir| !dir.flat);
        let dir = dir.and_then(|dir| open_dir(dir.dir.as_fd(), "payload/services").ok());
        dir.and_then(|dir| super::files::children(dir.as_fd()).ok())
            .unwrap_or_default()
    }

    fn group(&self, agent: &AgentCgroup, group: &str) -> GroupUsage {
        let memory = self.place(agent, Controller::Memory, group);
        let memory_bytes = memory.as_ref().and_then(|place| {
            let file = match place.version {
                Version::V2 => "memory.current",
                Version::V1 => "memory.usage_in_bytes",
            };
            number(place.dir.as_fd(), file)
        });
        let kills = |place: &limits::Place| oom_kills(place.version, place.dir.as_fd()).ok();
        // A v2 group counts its time and its waits whatever its controllers are.
        let v2 = agent.dirs.iter().flatten();
        let v2 = v2
            .filter(|dir| dir.version == Version::V2)
            .find_map(|dir| open_dir(dir.dir.as_fd(), dir.inner(group)).ok());
        let v2 = v2.as_ref().map(AsFd::as_fd);
        GroupUsage {
            cpu_us: v2.and_then(cpu),
            memory_bytes,
            oom_kills: memory.as_ref().and_then(kills),
            pressure: v2.and_then(pressure),
        }
    }
}

fn number(dir: BorrowedFd<'_>, file: &str) -> Option<u64> {
    read_file(dir, file).ok()?.parse().ok()
}

fn cpu(dir: BorrowedFd<'_>) -> Option<u64> {
    let text = read_file(dir, "cpu.stat").ok()?;
    let word = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    word?.parse().ok()
}

fn pressure(dir: BorrowedFd<'_>) -> Option<Pressure> {
    let of = |file| read_file(dir, file).ok().and_then(|text| waited(&text));
    Some(Pressure {
        cpu: of("cpu.pressure")?,
        memory: of("memory.pressure")?,
        io: of("io.pressure")?,
    })
}

/// Of `some avg10=1.25 …`: 125.
fn waited(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let word = line
        .split(' ')
        .find_map(|word| word.strip_prefix("avg10="))?;
    let (whole, part) = word.split_once('.')?;
    Some(whole.parse::<u32>().ok()?.checked_mul(100)? + part.parse::<u32>().ok()?.min(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_in_hundredths() {
        let text = "some avg10=12.34 avg60=0.00 avg300=0.00 total=5\nfull avg10=1.00 avg60=0.00";
        assert_eq!(waited(text), Some(1234));
        assert_eq!(waited("some avg10=0.00 avg60=0.00"), Some(0));
        for odd in [
            "",
            "full avg10=1.00",
            "some avg60=1.00",
            "some avg10=x.1",
            "some avg10=1",
        ] {
            assert_eq!(waited(odd), None, "{odd}");
        }
    }
}

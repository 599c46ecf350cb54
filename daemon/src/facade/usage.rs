//! What an agent uses of its host.

use wsm_api::policy::HostTraffic;
use wsm_api::problem::Problem;
use wsm_api::usage::{Disk, Pressure, Usage, UsageSample, Used};

use super::Daemon;
use crate::actor::Actor;
use crate::role::Verb;
use crate::store::rfc3339;
use crate::usage;

impl Daemon {
    /// `usage`: what was used after `since_ms`, at most a day.
    ///
    /// # Errors
    /// There is no such agent.
    pub async fn usage(&self, actor: &Actor, agent: &str, since_ms: u64) -> Result<Usage, Problem> {
        let published = self.find(actor, agent, Verb::Usage)?.now();
        let id = &published.record.id;
        let (samples, (cpu_limit_milli, memory_limit_bytes)) =
            self.engine.usages.of(id.as_str(), since_ms);
        // Egress may be being started again: what was used is told all the same.
        let hosts = self.engine.egress.traffic(id).await.unwrap_or_default();
        let hosts = hosts.into_iter().map(|(target, of)| HostTraffic {
            target,
            allowed: of.allowed,
            denied: of.denied,
            sent: of.sent,
            received: of.received,
        });
        let disk = self.engine.usages.disk(id).map(|(at_ms, of)| Disk {
            at: rfc3339(at_ms),
            workspace_bytes: of.workspace,
            home_bytes: of.home,
            state_bytes: of.state,
            exact: of.exact,
        });
        Ok(Usage {
            disk,
            agent: id.to_string(),
            cpu_limit_milli,
            memory_limit_bytes,
            samples: samples.into_iter().map(shown).collect(),
            hosts: hosts.collect(),
        })
    }
}

fn shown(sample: usage::Sample) -> UsageSample {
    let services = sample.services.iter();
    UsageSample {
        at: rfc3339(sample.at_ms),
        seconds: u32::try_from(sample.ms.div_ceil(1000)).unwrap_or(u32::MAX),
        whole: used(&sample.whole, sample.ms),
        disk_bytes: sample.disk,
        services: services
            .map(|(name, of)| (name.clone(), used(of, sample.ms)))
            .collect(),
    }
}

fn used(of: &usage::Used, ms: u64) -> Used {
    // Microseconds in milliseconds are thousandths.
    let cpu = of.cpu_us.map(|us| us / ms.max(1));
    Used {
        cpu_milli: cpu.map(|milli| u32::try_from(milli).unwrap_or(u32::MAX)),
        memory_bytes: of.memory,
        oom_kills: of.oom,
        pressure: of
            .waits
            .map(|(cpu, memory, io)| Pressure { cpu, memory, io }),
    }
}

//! Runaways: an agent that forks against its process limit is held to a fraction of a core until it
//! has shrunk again.
//!
//! A fork bomb spends its time in the kernel, copying and freeing address spaces, where nothing
//! preempts it on most kernels: its neighbours wait although their share of the CPU is fair. Below
//! its limit an agent forks as fast as it likes; at the limit its forks fail anyway, so that little
//! honest work is lost by slowing it. The kernel keeps what was set, also over a broker's death.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::setup::Host;
use crate::cgroup::{CgroupError, Tasks};
use crate::spec::{AgentId, LayerReport};

/// What a runaway may use, in thousandths of a core: its neighbours no longer notice it (measured:
/// within 10 % of their latency on two cores, against 40 to 200 % without), and it can still end.
const HELD_MILLI: u64 = 100;
/// Pause between two looks at all agents.
const LOOK: Duration = Duration::from_millis(500);
/// How long no fork must have failed before an agent that is below half its limit is let go.
const CALM: Duration = Duration::from_secs(3);

/// The agents that are held.
#[derive(Debug)]
pub(super) struct Runaways {
    held: BTreeMap<AgentId, Held>,
    /// Forks that failed, as last seen, of agents that had many tasks once.
    refused: BTreeMap<AgentId, u64>,
    next: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    /// The limit it has otherwise.
    own: Option<u64>,
    /// When it was last seen to fork in vain.
    seen: Instant,
}

/// What to do with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Hold,
    Keep,
    LetGo,
}

/// Not how many there are counts, but that more are tried: a server with many threads is no runaway,
/// and a bomb's processes end and are replaced all the time, so that there may be few for a moment.
fn verdict(tasks: Tasks, refused_before: u64, calm: Option<Duration>) -> Verdict {
    if tasks
        .refused
        .is_some_and(|refused| refused > refused_before)
    {
        Verdict::Hold
    } else if tasks.current < tasks.max.div_ceil(2) && calm.is_some_and(|calm| calm >= CALM) {
        Verdict::LetGo
    } else {
        Verdict::Keep
    }
}

impl Runaways {
    /// Finds those that an earlier broker held.
    pub(super) fn find(host: &Host) -> Runaways {
        let now = Instant::now();
        let held = host.tree.agents().unwrap_or_default().into_iter();
        let held = held.filter_map(|agent| {
            let own = own_limit(host, &agent)?;
            let set = host.tree.cpu_milli(&agent).ok()?;
            (set == Some(HELD_MILLI) && set != own).then_some((agent, Held { own, seen: now }))
        });
        Runaways {
            held: held.collect(),
            refused: BTreeMap::new(),
            next: now,
        }
    }

    /// A new sandbox of an agent begins with nothing against it.
    pub(super) fn forget(&mut self, agent: &AgentId) {
        self.held.remove(agent);
        self.refused.remove(agent);
    }

    /// Looks at every agent that `busy` does not name, if it is time.
    pub(super) fn look(&mut self, host: &Host, busy: impl Fn(&AgentId) -> bool) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + LOOK;
        let agents = host.tree.agents().unwrap_or_default();
        self.held.retain(|agent, _| agents.contains(agent));
        self.refused.retain(|agent, _| agents.contains(agent));
        for agent in agents.iter().filter(|agent| !busy(agent)) {
            // It may be gone, or half made: the next look sees it again if it is not.
            self.judge(host, agent, now).unwrap_or(());
        }
    }

    fn judge(&mut self, host: &Host, agent: &AgentId, now: Instant) -> Result<(), CgroupError> {
        let Some(tasks) = host.tree.tasks(agent)? else {
            return Ok(());
        };
        let before = self.refused.get(agent).copied().unwrap_or(0);
        if let Some(refused) = tasks.refused {
            self.refused.insert(agent.clone(), refused);
        }
        let held = self.held.get_mut(agent);
        let calm = held.as_ref().map(|held| now - held.seen);
        match (verdict(tasks, before, calm), held) {
            (Verdict::Hold, Some(held)) => held.seen = now,
            (Verdict::Hold, None) => {
                let Some(own) = own_limit(host, agent) else {
                    return Ok(()); // what to give back is not known
                };
                if own.is_none_or(|own| own > HELD_MILLI) {
                    host.tree.set_cpu_milli(agent, Some(HELD_MILLI))?;
                    self.held.insert(agent.clone(), Held { own, seen: now });
                }
            }
            (Verdict::LetGo, Some(held)) => {
                host.tree.set_cpu_milli(agent, held.own)?;
                self.held.remove(agent);
            }
            (Verdict::Keep | Verdict::LetGo, _) => {}
        }
        Ok(())
    }

    /// Whether it is held: it can hardly make processes, nor use its CPU.
    pub(super) fn holds(&self, agent: &AgentId) -> bool {
        self.held.contains_key(agent)
    }

    /// Says of a held agent why it has less CPU than it was given.
    pub(super) fn explain(&self, agent: &AgentId, layers: &mut [LayerReport]) {
        if !self.held.contains_key(agent) {
            return;
        }
        for layer in layers.iter_mut().filter(|layer| layer.layer == "cpu limit") {
            let why = ", held there as long as it is at its process limit";
            layer.detail.push_str(why);
        }
    }
}

/// The CPU limit that an agent was made with; the outer `None` where nobody knows.
fn own_limit(host: &Host, agent: &AgentId) -> Option<Option<u64>> {
    let asked = host.made(agent)?.asked?;
    Some(asked.cpu_milli.map(u64::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_when_it_forks_in_vain_and_let_go_when_it_is_small() {
        let of = |current, refused, calm| {
            let calm = Option::map(calm, Duration::from_secs);
            let tasks = Tasks {
                current,
                max: 64,
                refused,
            };
            verdict(tasks, 7, calm)
        };
        assert_eq!(of(64, Some(7), None), Verdict::Keep, "it forks no more");
        assert_eq!(of(64, Some(8), None), Verdict::Hold);
        assert_eq!(of(20, Some(9), Some(9)), Verdict::Hold);
        assert_eq!(of(32, Some(7), Some(9)), Verdict::Keep);
        assert_eq!(of(31, Some(7), Some(2)), Verdict::Keep);
        assert_eq!(of(31, Some(7), Some(3)), Verdict::LetGo);
        assert_eq!(of(1, None, Some(3)), Verdict::LetGo);
        assert_eq!(of(1, None, None), Verdict::Keep);
    }
}

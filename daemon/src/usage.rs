//! What agents use, over the last day: pure. The kernel's counters come in, samples go out.
//!
//! Each ten seconds of the last quarter of an hour are kept here; each five minutes are handed out
//! when they are over, to be kept for a day.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use wsm_sandbox::protocol::{AgentUsage, GroupUsage, Pressure};

/// How often is looked.
pub const LOOK_MS: u64 = 10_000;

/// How many looks are kept.
const LOOKS_MAX: usize = 90;

/// Length of the samples that are kept for a day.
pub const LONG_MS: u64 = 300_000;

/// What one group of processes used in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// CPU time in microseconds.
    pub cpu_us: Option<u64>,
    /// Memory at most.
    pub memory: Option<u64>,
    /// Processes that were killed for want of it.
    pub oom: u32,
    /// Waits at most: CPU, memory, disk, in hundredths of a percent.
    pub waits: Option<(u32, u32, u32)>,
}

/// What an agent used in some time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it ended, milliseconds since the epoch.
    pub at_ms: u64,
    /// How long it was.
    pub ms: u64,
    /// All of it.
    pub whole: Used,
    /// Bytes of its files, as they were counted last.
    #[serde(default)]
    pub disk: Option<u64>,
    /// Its services.
    pub services: BTreeMap<String, Used>,
}

/// One agent.
#[derive(Debug, Default)]
pub struct Track {
    last: Option<(u64, AgentUsage)>,
    looks: VecDeque<Sample>,
    long: Option<Sample>,
    disk: Option<u64>,
}

impl Track {
    /// Takes what the kernel counts at a time; gives five minutes when they are over.
    pub fn push(&mut self, at_ms: u64, now: AgentUsage) -> Option<Sample> {
        let before = self.last.replace((at_ms, now));
        let (Some((before_ms, before)), Some((_, now))) = (before, &self.last) else {
            return None;
        };
        let ms = at_ms.checked_sub(before_ms).filter(|ms| *ms > 0)?;
        let services = now.services.iter().map(|(name, group)| {
            let before = before.services.get(name).copied().unwrap_or_default();
            (name.clone(), used(&before, group))
        });
        let sample = Sample {
            at_ms,
            ms,
            whole: used(&before.whole, &now.whole),
            disk: self.disk,
            services: services.collect(),
        };
        if self.looks.len() >= LOOKS_MAX {
            self.looks.pop_front();
        }
        self.looks.push_back(sample.clone());
        let long = match self.long.take() {
            Some(long) => long.and(&sample),
            None => sample,
        };
        if long.ms >= LONG_MS {
            return Some(long);
        }
        self.long = Some(long);
        None
    }

    /// Its files take so many bytes, as they were counted last.
    pub fn counted(&mut self, bytes: Option<u64>) {
        self.disk = bytes;
    }

    /// Its limits: CPU in thousandths of a core, memory.
    #[must_use]
    pub fn limits(&self) -> (Option<u64>, Option<u64>) {
        let last = self.last.as_ref().map(|(_, usage)| usage);
        last.map_or((None, None), |usage| {
            (usage.cpu_limit_milli, usage.memory_limit_bytes)
        })
    }

    /// When it was looked at last.
    #[must_use]
    pub fn seen_ms(&self) -> u64 {
        self.last.as_ref().map_or(0, |(at_ms, _)| *at_ms)
    }

    /// The last looks, oldest first.
    pub fn looks(&self) -> impl Iterator<Item = &Sample> {
        self.looks.iter()
    }
}

impl Sample {
    /// This time and the one after it as one.
    #[must_use]
    fn and(mut self, next: &Sample) -> Sample {
        self.at_ms = next.at_ms;
        self.ms += next.ms;
        self.whole = both(&self.whole, &next.whole);
        self.disk = next.disk.or(self.disk);
        for (name, used) in &next.services {
            let before = self.services.entry(name.clone()).or_default();
            *before = both(before, used);
        }
        self
    }
}

/// From counters to what was used between them. A counter that is lower began anew: what it had
/// before is not known.
fn used(before: &GroupUsage, now: &GroupUsage) -> Used {
    let since = |now: u64, before: Option<u64>| now.checked_sub(before.unwrap_or(0)).unwrap_or(now);
    let waits = |waits: Pressure| (waits.cpu, waits.memory, waits.io);
    let oom = now
        .oom_kills
        .map_or(0, |kills| since(kills, before.oom_kills));
    Used {
        cpu_us: now.cpu_us.map(|cpu| since(cpu, before.cpu_us)),
        memory: now.memory_bytes,
        oom: u32::try_from(oom).unwrap_or(u32::MAX),
        waits: now.pressure.map(waits),
    }
}

fn both(a: &Used, b: &Used) -> Used {
    let waits = match (a.waits, b.waits) {
        (Some(a), Some(b)) => Some((a.0.max(b.0), a.1.max(b.1), a.2.max(b.2))),
        (one, other) => one.or(other),
    };
    Used {
        cpu_us: match (a.cpu_us, b.cpu_us) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (one, other) => one.or(other),
        },
        memory: a.memory.max(b.memory),
        oom: a.oom.saturating_add(b.oom),
        waits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(cpu_us: u64, memory: u64, kills: u64) -> GroupUsage {
        GroupUsage {
            cpu_us: Some(cpu_us),
            memory_bytes: Some(memory),
            oom_kills: Some(kills),
            pressure: Some(Pressure {
                cpu: u32::try_from(memory).unwrap(),
                ..Pressure::default()
            }),
        }
    }

    fn usage(whole: GroupUsage, web: Option<GroupUsage>) -> AgentUsage {
        AgentUsage {
            agent: "abcdefgh1234".to_owned().try_into().unwrap(),
            whole,
            services: web.map(|web| ("web".to_owned(), web)).into_iter().collect(),
            cpu_limit_milli: Some(2000),
            memory_limit_bytes: None,
        }
    }

    #[test]
    fn counters_become_what_was_used_between_them() {
        let mut track = Track::default();
        assert_eq!(track.push(0, usage(group(500, 10, 3), None)), None);
        assert_eq!(track.looks().count(), 0, "one look tells nothing");
        track.push(10_000, usage(group(700, 30, 4), Some(group(50, 5, 0))));
        // A sandbox that was built anew counts from nothing.
        track.push(20_000, usage(group(40, 20, 0), Some(group(60, 6, 0))));
        let looks: Vec<_> = track.looks().collect();
        assert_eq!(looks[0].whole.cpu_us, Some(200));
        assert_eq!(looks[0].whole.oom, 1);
        assert_eq!(looks[0].services["web"].cpu_us, Some(50));
        assert_eq!(looks[1].whole.cpu_us, Some(40));
        assert_eq!(looks[1].services["web"].cpu_us, Some(10));
        assert_eq!(track.limits(), (Some(2000), None));
    }

    #[test]
    fn five_minutes_are_handed_out_and_looks_are_bounded() {
        let mut track = Track::default();
        let mut long = Vec::new();
        for n in 0..=90 {
            long.extend(track.push(n * LOOK_MS, usage(group(n * 100, n, n / 60), None)));
        }
        assert_eq!(track.looks().count(), LOOKS_MAX);
        assert_eq!(long.len(), 3);
        assert_eq!((long[0].ms, long[0].at_ms), (LONG_MS, LONG_MS));
        assert_eq!(long[0].whole.cpu_us, Some(3000));
        assert_eq!(long[1].whole.memory, Some(60), "the most of it");
        assert_eq!(long[1].whole.oom, 1);
        assert_eq!(long[2].whole.waits, Some((90, 0, 0)));
    }

    #[test]
    fn disk_space_is_told_with_every_look_after_it_was_counted() {
        let mut track = Track::default();
        track.push(0, usage(group(0, 1, 0), None));
        track.push(10_000, usage(group(1, 1, 0), None));
        track.counted(Some(7));
        track.push(20_000, usage(group(2, 1, 0), None));
        let told: Vec<_> = track.looks().map(|look| look.disk).collect();
        assert_eq!(told, [None, Some(7)]);
        let long = (3..=30).find_map(|n| track.push(n * 10_000, usage(group(n, 1, 0), None)));
        assert_eq!(long.unwrap().disk, Some(7));
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_tells_nothing() {
        let mut track = Track::default();
        track.push(10, usage(group(1, 1, 0), None));
        track.push(10, usage(group(2, 1, 0), None));
        track.push(5, usage(group(3, 1, 0), None));
        assert_eq!(track.looks().count(), 0);
    }
}

//! Looks at what agents use, every ten seconds: one question to the broker for all of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wsm_api::agent::State;
use wsm_api::problem::Problem;
use wsm_sandbox::protocol::{AgentUsage, Disk, Reply, Request};
use wsm_sandbox::spec::AgentId;

use super::Engine;
use crate::store::{UsageStore, now_ms};
use crate::usage::{LOOK_MS, Sample, Track};

/// How long is kept.
const KEEP_MS: u64 = 24 * 60 * 60 * 1000;

/// An agent that was not seen for so long has no looks to show any more.
const FORGET_MS: u64 = 15 * 60 * 1000;

/// Answers that are taken for one look: more agents than any host has.
const PAGES_MAX: usize = 100;

/// How often the files of one that runs are counted, and of one that rests.
const COUNT_MS: (u64, u64) = (5 * 60 * 1000, 60 * 60 * 1000);

/// Counting takes at most one part in so many of the time.
const COUNT_SHARE: u32 = 20;

/// How soon it is tried again where that failed.
const RETRY_MS: u64 = 30_000;

/// An agent's files.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// When they are counted next.
    due_ms: u64,
    /// When they were counted last, and what they take.
    last: Option<(u64, Disk)>,
}

/// What is known of every agent.
#[derive(Debug)]
pub struct Usages {
    tracks: Mutex<HashMap<String, Track>>,
    disks: Mutex<HashMap<AgentId, Counted>>,
    /// None where its file can't be made: then there are the last minutes alone.
    store: Option<UsageStore>,
}

impl Usages {
    /// With the last day that an earlier daemon left.
    pub(super) fn open(path: &Path) -> Usages {
        let store = UsageStore::open(path);
        let said = |error: &_| tracing::warn!(%error, "no day of usage is kept");
        Usages {
            tracks: Mutex::default(),
            disks: Mutex::default(),
            store: store.inspect_err(said).ok(),
        }
    }

    /// What an agent used since then, oldest first, and its limits of CPU and memory.
    #[must_use]
    pub fn of(&self, agent: &str, since_ms: u64) -> (Vec<Sample>, (Option<u64>, Option<u64>)) {
        let stored = self.store.as_ref().map(|store| store.of(agent, since_ms));
        let mut samples = stored.and_then(Result::ok).unwrap_or_default();
        let tracks = self.tracks();
        let Some(track) = tracks.get(agent) else {
            return (samples, (None, None));
        };
        let looks = track.looks().filter(|look| look.at_ms > since_ms);
        let looks: Vec<Sample> = looks.cloned().collect();
        // What is told by the ten seconds is not told by five minutes again.
        if let Some(first) = looks.first() {
            let begins = first.at_ms.saturating_sub(first.ms);
            samples.retain(|sample| sample.at_ms <= begins);
        }
        samples.extend(looks);
        (samples, track.limits())
    }

    fn take(&self, at_ms: u64, all: Vec<AgentUsage>) {
        let mut over = Vec::new();
        let mut tracks = self.tracks();
        for usage in all {
            let agent = usage.agent.to_string();
            let track = tracks.entry(agent.clone()).or_default();
            track.counted(self.disk(&usage.agent).map(|(_, disk)| disk.bytes()));
            over.extend(track.push(at_ms, usage).map(|sample| (agent, sample)));
        }
        tracks.retain(|_, track| track.seen_ms() + FORGET_MS > at_ms);
        drop(tracks);
        if let Some(store) = self.store.as_ref().filter(|_| !over.is_empty())
            && let Err(error) = store.add(&over, at_ms.saturating_sub(KEEP_MS))
        {
            tracing::warn!(%error, "what agents used is not kept");
        }
    }

    /// When an agent's files were counted last, and what they take.
    #[must_use]
    pub fn disk(&self, agent: &AgentId) -> Option<(u64, Disk)> {
        self.disks().get(agent)?.last
    }

    /// Whose files are counted next, of these agents; others are forgotten.
    fn uncounted(&self, agents: &[(AgentId, bool)], now_ms: u64) -> Option<(AgentId, bool)> {
        let mut disks = self.disks();
        disks.retain(|known, _| agents.iter().any(|(agent, _)| agent == known));
        let due = |agent: &AgentId| disks.get(agent).map_or(0, |counted| counted.due_ms);
        let next = agents.iter().min_by_key(|(agent, _)| due(agent))?;
        (due(&next.0) <= now_ms).then(|| next.clone())
    }

    /// An agent that runs, or rests, was counted, or could not be.
    fn counted(&self, (agent, runs): (AgentId, bool), disk: Option<Disk>, now_ms: u64) {
        let mut disks = self.disks();
        let last = disks.get(&agent).and_then(|counted| counted.last);
        let pause = match disk {
            None => RETRY_MS,
            Some(_) if runs => COUNT_MS.0,
            Some(_) => COUNT_MS.1,
        };
        let counted = Counted {
            due_ms: now_ms + pause,
            last: disk.map(|disk| (now_ms, disk)).or(last),
        };
        disks.insert(agent, counted);
    }

    fn disks(&self) -> MutexGuard<'_, HashMap<AgentId, Counted>> {
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tracks(&self) -> MutexGuard<'_, HashMap<String, Track>> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Looks for as long as the daemon runs.
    pub(crate) fn watch_usage(self: &Arc<Engine>) {
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(LOOK_MS));
            // After a pause of the machine one look is enough.
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                match engine.ask_usage().await {
                    Ok(all) => engine.usages.take(now_ms(), all),
                    Err(problem) => tracing::debug!(%problem, "what agents use is not known"),
                }
            }
        });
    }

    /// Counts the disk space of one agent after the other for as long as the daemon runs.
    pub(crate) fn watch_disks(self: &Arc<Engine>) {
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let shortest = Duration::from_secs(1);
            let mut pause = shortest;
            loop {
                tokio::time::sleep(pause).await;
                let begun = Instant::now();
                engine.count_disk().await;
                pause = shortest.max(begun.elapsed() * COUNT_SHARE);
            }
        });
    }

    async fn count_disk(&self) {
        let agents = self.handles().into_iter().filter_map(|handle| {
            let now = handle.now();
            // Of one that is being made only a part is there.
            let made = !matches!(now.record.state, State::Creating | State::SettingUp);
            made.then(|| (now.record.id.clone(), now.shim.is_some()))
        });
        let agents: Vec<_> = agents.collect();
        let Some(next) = self.usages.uncounted(&agents, now_ms()) else {
            return;
        };
        let agent = next.0.clone();
        let disk = match self.broker.ask(Request::Disk { agent }).await {
            Ok(Reply::Disk(disk)) => Some(disk),
            Ok(_) | Err(_) => {
                tracing::debug!(agent = %next.0, "its disk space is not known");
                None
            }
        };
        self.usages.counted(next, disk, now_ms());
    }

    async fn ask_usage(&self) -> Result<Vec<AgentUsage>, Problem> {
        let mut all: Vec<AgentUsage> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = all.last().map(|usage| usage.agent.clone());
            match self.broker.ask(Request::Usage { after }).await {
                Ok(Reply::Usage { agents, more }) => {
                    let more = more && !agents.is_empty();
                    all.extend(agents);
                    if !more {
                        break;
                    }
                }
                Ok(other) => return Err(crate::broker::odd_reply(&other)),
                Err(error) => return Err(crate::broker::problem(&error)),
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_never_counted_come_first_and_those_at_rest_seldom() {
        let dir = tempfile::tempdir().unwrap();
        let usages = Usages::open(&dir.path().join("usage.db"));
        let id = |text: &str| AgentId::try_from(text.to_owned()).unwrap();
        let (runs, rests) = ((id("aaaaaaaa1111"), true), (id("bbbbbbbb2222"), false));
        let agents = [runs.clone(), rests.clone()];
        let (next, disk) = (|now| usages.uncounted(&agents, now), Disk::default());
        usages.counted(runs.clone(), Some(disk), 1_000);
        assert_eq!(next(1_000), Some(rests.clone()));
        usages.counted(rests.clone(), Some(disk), 1_000);
        assert_eq!(next(COUNT_MS.0 + 999), None);
        assert_eq!(next(COUNT_MS.0 + 1_000), Some(runs.clone()));
        // What is known stays where it can't be counted, and is soon tried again.
        usages.counted(runs.clone(), None, COUNT_MS.0 + 1_000);
        assert_eq!(usages.disk(&runs.0), Some((1_000, disk)));
        assert_eq!(next(COUNT_MS.0 + 1_000 + RETRY_MS), Some(runs.clone()));
        usages.counted(runs.clone(), Some(disk), 2 * COUNT_MS.1);
        assert_eq!(next(2 * COUNT_MS.1), Some(rests.clone()));
        assert_eq!(usages.uncounted(&agents[..1], 2 * COUNT_MS.1), None);
        assert_eq!(usages.disk(&rests.0), None, "who is gone is forgotten");
    }
}

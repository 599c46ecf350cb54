//! Looks at what agents use, every ten seconds: one question to the broker for all of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wsm_api::problem::Problem;
use wsm_sandbox::protocol::{AgentUsage, Reply, Request};

use super::Engine;
use crate::store::{UsageStore, now_ms};
use crate::usage::{LOOK_MS, Sample, Track};

/// How long is kept.
const KEEP_MS: u64 = 24 * 60 * 60 * 1000;

/// An agent that was not seen for so long has no looks to show any more.
const FORGET_MS: u64 = 15 * 60 * 1000;

/// Answers that are taken for one look: more agents than any host has.
const PAGES_MAX: usize = 100;

/// What is known of every agent.
#[derive(Debug)]
pub struct Usages {
    tracks: Mutex<HashMap<String, Track>>,
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

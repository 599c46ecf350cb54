//! What went through and what did not, and how often to speak of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::protocol::Traffic;

/// Targets that are told apart; the rest is one.
const TARGETS_MAX: usize = 1024;
/// What the rest is called.
const OTHERS: &str = "others";
/// A target that is refused again and again is an event this often.
const SAME_TARGET: Duration = Duration::from_secs(60);
/// Events of one agent in that time.
const EVENTS_MAX: u32 = 30;

/// The numbers of one agent.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    targets: BTreeMap<String, Entry>,
    began: Option<Instant>,
    told: u32,
}

#[derive(Debug, Default)]
struct Entry {
    traffic: Traffic,
    told: Option<Instant>,
    silent: u64,
    /// What the log tells already.
    written: Traffic,
    /// Why it was refused last.
    why: String,
}

/// What became of a target since the log was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) target: String,
    pub(super) since: Traffic,
    pub(super) why: String,
}

impl Ledger {
    fn entry(&mut self, target: &str) -> &mut Entry {
        let full = self.targets.len() >= TARGETS_MAX && !self.targets.contains_key(target);
        let key = if full { OTHERS } else { target };
        self.targets.entry(key.to_owned()).or_default()
    }

    pub(super) fn allowed(&mut self, target: &str) {
        self.entry(target).traffic.allowed += 1;
    }

    pub(super) fn passed(&mut self, target: &str, sent: u64, received: u64) {
        let traffic = &mut self.entry(target).traffic;
        traffic.sent += sent;
        traffic.received += received;
    }

    /// Counts a refusal; says how many an event now would stand for, if it is time for one.
    pub(super) fn denied(&mut self, target: &str, why: &str) -> Option<u64> {
        why.clone_into(&mut self.entry(target).why);
        self.denied_at(target, Instant::now())
    }

    /// What is to be written into the log.
    pub(super) fn news(&mut self) -> Vec<News> {
        let changed = self
            .targets
            .iter_mut()
            .filter(|(_, entry)| entry.traffic != entry.written);
        let news = changed.map(|(target, entry)| {
            let (now, before) = (entry.traffic, entry.written);
            entry.written = now;
            News {
                target: target.clone(),
                since: Traffic {
                    allowed: now.allowed - before.allowed,
                    denied: now.denied - before.denied,
                    sent: now.sent - before.sent,
                    received: now.received - before.received,
                },
                why: entry.why.clone(),
            }
        });
        news.collect()
    }

    fn denied_at(&mut self, target: &str, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now - began >= SAME_TARGET) {
            self.began = Some(now);
            self.told = 0;
        }
        let quiet = self.told >= EVENTS_MAX;
        let entry = self.entry(target);
        entry.traffic.denied += 1;
        entry.silent += 1;
        if quiet || entry.told.is_some_and(|told| now - told < SAME_TARGET) {
            return None;
        }
        entry.told = Some(now);
        let count = std::mem::take(&mut entry.silent);
        self.told += 1;
        Some(count)
    }

    pub(super) fn traffic(&self) -> BTreeMap<String, Traffic> {
        let all = self.targets.iter();
        all.map(|(target, entry)| (target.clone(), entry.traffic))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_few_events_and_all_are_counted() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        assert_eq!(ledger.denied_at("a", now), Some(1));
        for _ in 0..9 {
            assert_eq!(ledger.denied_at("a", now), None);
        }
        let events = (0..5000).filter(|n| ledger.denied_at(&n.to_string(), now).is_some());
        assert_eq!(events.count(), 29);
        assert_eq!(ledger.traffic().len(), TARGETS_MAX + 1);
        assert_eq!(ledger.denied_at("a", now + SAME_TARGET), Some(10));
        ledger.passed("b", 1, 2);
        assert_eq!(ledger.news().len(), TARGETS_MAX + 1);
        ledger.passed("b", 3, 4);
        let news = ledger.news();
        assert_eq!(
            (news.len(), news[0].since.sent, news[0].since.received),
            (1, 3, 4)
        );
        assert!(ledger.news().is_empty());
        let denied: u64 = ledger.traffic().values().map(|t| t.denied).sum();
        assert_eq!(denied, 5011);
    }
}

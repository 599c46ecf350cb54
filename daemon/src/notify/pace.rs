//! How often a person is rung up, whatever the agents do: pure.
//!
//! A few messages ring one by one. Of more, those that wait for the person still come each for itself,
//! since each is answered for itself, but without a sound; the others come together, in one.

use std::collections::{HashMap, VecDeque};

use super::event::Kind;
use super::rules::Rules;

/// Messages that ring within [`window_ms`]: so many that wait for the person, and so many others.
pub const RINGS_MAX: usize = 3;

/// Longest that what waits for a person makes no sound because of others that did.
const ASKS_WINDOW_MS_MAX: u64 = 60_000;

/// What is due at the same moment for one person comes in one message if it is more than this.
const APART_MAX: usize = 2;

/// When people were rung up: by what waits for them, and by others. At most [`RINGS_MAX`] of each. A
/// daemon that starts anew has forgotten it, and rings a little more.
#[derive(Debug, Default)]
pub struct Rings(HashMap<(String, bool), VecDeque<u64>>);

/// What becomes of messages that are due for one person and wait for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Each for itself.
    Apart,
    /// All in one.
    Together,
    /// They are looked at again then, with what has come meanwhile.
    Later(u64),
}

/// In which time it rings [`RINGS_MAX`] times at most: by the cooldown that the person chose.
#[must_use]
pub fn window_ms(rules: &Rules, kind: Kind) -> u64 {
    let window = rules.cooldown_ms.saturating_mul(2);
    match gathers(kind) {
        true => window,
        false => window.min(ASKS_WINDOW_MS_MAX),
    }
}

impl Rings {
    /// How often it may still ring, and when once more.
    fn left(&self, user: &str, asks: bool, window_ms: u64, now_ms: u64) -> (usize, u64) {
        let rang = self.0.get(&(user.to_owned(), asks));
        let rang = rang.into_iter().flatten();
        // A clock that was set back holds nothing up.
        let lately = rang.filter(|at| **at <= now_ms && now_ms - **at < window_ms);
        let first = lately.clone().min().copied().unwrap_or(now_ms);
        (RINGS_MAX.saturating_sub(lately.count()), first + window_ms)
    }

    /// It rings now.
    pub fn rang(&mut self, user: &str, asks: bool, now_ms: u64) {
        let rang = self.0.entry((user.to_owned(), asks)).or_default();
        rang.push_back(now_ms);
        if rang.len() > RINGS_MAX {
            rang.pop_front();
        }
    }

    /// Whether what waits for this person rings.
    #[must_use]
    pub fn rings(&self, user: &str, window_ms: u64, now_ms: u64) -> bool {
        self.left(user, true, window_ms, now_ms).0 > 0
    }

    /// What becomes of as many messages.
    #[must_use]
    pub fn plan(&self, user: &str, count: usize, window_ms: u64, now_ms: u64) -> Plan {
        match self.left(user, false, window_ms, now_ms) {
            (0, next) => Plan::Later(next),
            (left, _) if count <= left.min(APART_MAX) => Plan::Apart,
            _ => Plan::Together,
        }
    }
}

/// Whether messages of this kind may come in one with others: nobody answers them, and none of them
/// is one to hold back.
#[must_use]
pub fn gathers(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Finished | Kind::Failed | Kind::ServiceDown | Kind::Limit
    )
}

#[cfg(test)]
mod tests {
    use wsm_api::notify::Rules as Written;

    use super::*;
    use crate::notify::rules::resolve;

    const WINDOW: u64 = 60_000;

    #[test]
    fn twenty_in_a_minute_ring_a_few_times() {
        let mut rings = Rings::default();
        let (mut rang, mut waiting) = (0, 0);
        for second in 0..=150 {
            let now = 1_000_000 + second * 1000;
            // One every three seconds.
            if second <= 57 && second % 3 == 0 {
                waiting += 1;
            }
            if waiting == 0 {
                continue;
            }
            let count = match rings.plan("ada", waiting, WINDOW, now) {
                Plan::Later(at) => {
                    assert!(at > now && at <= now + WINDOW);
                    continue;
                }
                Plan::Apart => waiting,
                Plan::Together => 1,
            };
            for _ in 0..count {
                rings.rang("ada", false, now);
            }
            (rang, waiting) = (rang + count, 0);
        }
        assert_eq!((rang, waiting), (RINGS_MAX + 1, 0));
    }

    #[test]
    fn what_comes_at_once_is_one_message() {
        let mut rings = Rings::default();
        let plan = |rings: &Rings, user, count, now| rings.plan(user, count, WINDOW, now);
        assert_eq!(plan(&rings, "ada", 1, 5), Plan::Apart);
        assert_eq!(plan(&rings, "ada", 20, 5), Plan::Together);
        for _ in 0..RINGS_MAX {
            rings.rang("ada", false, 5);
        }
        assert_eq!(plan(&rings, "ada", 1, 6), Plan::Later(5 + WINDOW));
        assert_eq!(plan(&rings, "ben", 1, 6), Plan::Apart, "another person");
        assert_eq!(plan(&rings, "ada", 1, 5 + WINDOW), Plan::Apart);
        assert_eq!(rings.plan("ada", 1, 0, 6), Plan::Apart, "no cooldown");
        assert_eq!(plan(&rings, "ada", 1, 2), Plan::Apart, "a clock set back");
    }

    #[test]
    fn what_waits_for_a_person_has_rings_of_its_own() {
        let mut rings = Rings::default();
        for _ in 0..RINGS_MAX {
            rings.rang("ada", false, 5);
        }
        let mut rang = 0;
        for now in 6..20 {
            if rings.rings("ada", WINDOW, now) {
                rings.rang("ada", true, now);
                rang += 1;
            }
        }
        assert_eq!(rang, RINGS_MAX);
        assert!(rings.rings("ada", WINDOW, 6 + WINDOW));
    }

    #[test]
    fn who_wants_few_messages_hears_questions_all_the_same() {
        let window = |cooldown_s, kind| {
            let written = Written {
                cooldown_s: Some(cooldown_s),
                ..Written::default()
            };
            window_ms(&resolve(&[&written], &[]).unwrap(), kind)
        };
        assert_eq!(window(3_600, Kind::Finished), 7_200_000);
        assert_eq!(window(3_600, Kind::Blocked), ASKS_WINDOW_MS_MAX);
        assert_eq!(window(0, Kind::Blocked), 0);
    }
}

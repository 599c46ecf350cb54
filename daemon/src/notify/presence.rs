//! Who looks at which agent: a page that says it is visible, for 30 s. A socket is no presence.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long a page's word is good.
pub const GOOD_MS: u64 = 30_000;

/// When it shall say it again.
pub const AGAIN_S: u64 = 20;

/// Pages that are remembered; of more the oldest are forgotten, and their users told.
const PAGES_MAX: usize = 10_000;

/// A page: of this person, from there, on this agent.
type Page = (String, String, String);

/// Pages that are looked at.
#[derive(Debug, Default)]
pub struct Presence(Mutex<HashMap<Page, u64>>);

impl Presence {
    /// A page of `user`, who came in by `via`, shows this agent, or does no longer.
    pub fn seen(&self, user: &str, via: &str, agent: &str, visible: bool, now_ms: u64) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let page = (user.to_owned(), via.to_owned(), agent.to_owned());
        if !visible {
            pages.remove(&page);
            return;
        }
        if pages.len() >= PAGES_MAX {
            pages.retain(|_, until| *until > now_ms);
        }
        if pages.len() < PAGES_MAX {
            pages.insert(page, now_ms + GOOD_MS);
        }
    }

    /// Until when a page of `user` shows this agent, as far as is known.
    #[must_use]
    pub fn visible_until(&self, user: &str, agent: &str, now_ms: u64) -> Option<u64> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |page: &Page| page.0 == user && page.2 == agent;
        let until = pages.iter().filter(|(page, _)| of(page));
        until
            .map(|(_, until)| *until)
            .filter(|until| *until > now_ms)
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_while_it_says_so() {
        let presence = Presence::default();
        presence.seen("ada", "device:1", "a", true, 1_000);
        presence.seen("ada", "device:2", "a", true, 5_000);
        let until = |user, agent, now| presence.visible_until(user, agent, now);
        assert_eq!(until("ada", "a", 6_000), Some(35_000));
        assert_eq!(until("ada", "b", 6_000), None);
        assert_eq!(until("bob", "a", 6_000), None);
        presence.seen("ada", "device:2", "a", false, 7_000);
        assert_eq!(until("ada", "a", 7_000), Some(31_000));
        assert_eq!(until("ada", "a", 31_000), None);
    }

    #[test]
    fn pages_are_bounded_and_old_ones_make_room() {
        let presence = Presence::default();
        for page in 0..PAGES_MAX + 5 {
            presence.seen("eve", &page.to_string(), "a", true, 0);
        }
        presence.seen("ada", "device:1", "a", true, 0);
        assert_eq!(presence.visible_until("ada", "a", 0), None);
        presence.seen("ada", "device:1", "a", true, GOOD_MS);
        assert!(presence.visible_until("ada", "a", GOOD_MS).is_some());
    }
}

//! Questions that authenticators are asked: good once, for five minutes, not too many.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::net::bounds::key;
use crate::passkey::text;

/// How long a person may take.
const LASTS: Duration = Duration::from_secs(300);

/// Questions at once, and of one address: its oldest goes then.
const CHALLENGES_MAX: usize = 10_000;
const OF_ADDRESS_MAX: usize = 16;

/// What a question is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum For {
    /// To make a passkey of this user's.
    Register(String),
    /// To come in.
    Login,
}

#[derive(Debug)]
struct Challenge {
    value: String,
    purpose: For,
    from: IpAddr,
    at: Instant,
}

/// Those that wait for an answer, oldest first.
#[derive(Debug)]
pub(crate) struct Challenges {
    all: Mutex<VecDeque<Challenge>>,
    salt: [u8; 32],
}

impl Default for Challenges {
    fn default() -> Challenges {
        Challenges {
            all: Mutex::default(),
            salt: random(),
        }
    }
}

fn random() -> [u8; 32] {
    let drawn = ring::rand::generate(&ring::rand::SystemRandom::new());
    drawn.expect("the kernel has random numbers").expose()
}

impl Challenges {
    /// A new one.
    pub(crate) fn ask(&self, purpose: For, from: IpAddr, now: Instant) -> String {
        let value = text(&random());
        self.add(value.clone(), purpose, from, now);
        value
    }

    /// The id of a passkey that is nobody's, always the same for a name.
    pub(crate) fn decoy(&self, user: &str) -> String {
        let hash = Sha256::new().chain_update(self.salt).chain_update(user);
        text(&hash.finalize())
    }

    fn add(&self, value: String, purpose: For, from: IpAddr, now: Instant) {
        let from = key(from);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| now.duration_since(one.at) < LASTS);
        let mut own = all.iter().enumerate().filter(|(_, one)| one.from == from);
        let oldest = own.next().map(|(at, _)| at);
        let more = own.count();
        if let Some(at) = oldest.filter(|_| more + 1 >= OF_ADDRESS_MAX) {
            all.remove(at);
        }
        if all.len() >= CHALLENGES_MAX {
            all.pop_front();
        }
        all.push_back(Challenge {
            value,
            purpose,
            from,
            at: now,
        });
    }

    /// Whether it was asked for this just now; it is not any more.
    pub(crate) fn take(&self, value: &str, purpose: &For, now: Instant) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().position(|one| one.value == value);
        let one = found.and_then(|at| all.remove(at));
        one.is_some_and(|one| one.purpose == *purpose && now.duration_since(one.at) < LASTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_good_once_briefly_and_for_one_thing() {
        let all = Challenges::default();
        let now = Instant::now();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        let add = |value: &str, purpose| all.add(value.into(), purpose, from, now);
        let ann = For::Register("ann".into());
        add("a", For::Login);
        assert!(all.take("a", &For::Login, now));
        assert!(!all.take("a", &For::Login, now));
        add("b", ann.clone());
        assert!(!all.take("b", &For::Register("bob".into()), now));
        assert!(!all.take("b", &ann, now), "a wrong try uses it up");
        add("c", ann.clone());
        assert!(!all.take("c", &ann, now + LASTS));
    }

    #[test]
    fn one_address_does_not_push_others_out() {
        let all = Challenges::default();
        let now = Instant::now();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let many: IpAddr = "192.0.2.1".parse().unwrap();
        all.add("first".into(), For::Login, other, now);
        for n in 0..1000 {
            all.add(n.to_string(), For::Login, many, now);
        }
        assert_eq!(all.all.lock().unwrap().len(), 1 + OF_ADDRESS_MAX);
        assert!(all.take("first", &For::Login, now));
        assert!(all.take("999", &For::Login, now));
    }
}

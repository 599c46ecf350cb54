//! How much of us one address may hold, and how often it may guess.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::Notify;

/// Connections of one address at once: an office behind one address, each with some terminals.
pub(crate) const CONNECTIONS_PER_ADDRESS_MAX: usize = 128;

/// Connections of the whole network at once. When they are that many, the stranger who came first
/// leaves for the next one; those who said who they are stay.
pub(crate) const CONNECTIONS_MAX: usize = 2_048;

/// Those who were asked to leave may be on their way out.
const LEAVING_MAX: usize = 256;

/// Failures of an address before it must wait, and seconds until one is forgiven.
const FAILURES_MAX: f64 = 20.0;
const FORGIVEN_EVERY: f64 = 3.0;

/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 10_000;

/// What counts as one address: an IPv6 host has a whole /64.
pub(crate) fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// Who is there.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    /// In the order in which they came; some are known by now, or gone.
    came: VecDeque<Weak<Face>>,
}

/// Whether a connection has said who it is.
#[derive(Debug, Default)]
pub(crate) struct Face {
    known: AtomicBool,
    leaves: Notify,
}

impl Face {
    /// It has.
    pub(crate) fn know(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Completes when its place is needed.
    pub(crate) async fn asked_to_leave(&self) {
        self.leaves.notified().await;
    }
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    key: IpAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Crowd {
    /// A seat; none when there are too many. A proxy speaks for many.
    pub(crate) fn admit(&self, address: IpAddr, proxy: bool) -> Option<(Seat, Arc<Face>)> {
        let key = key(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.by_address.get(&key).copied().unwrap_or_default();
        if !proxy && held >= CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        if counts.all >= CONNECTIONS_MAX {
            if counts.all >= CONNECTIONS_MAX + LEAVING_MAX {
                return None;
            }
            counts.first_stranger()?.leaves.notify_one();
        }
        counts.all += 1;
        counts.by_address.insert(key, held + 1);
        let face = Arc::new(Face::default());
        if counts.came.len() > 2 * (CONNECTIONS_MAX + LEAVING_MAX) {
            counts.came.retain(|face| face.strong_count() > 0);
        }
        counts.came.push_back(Arc::downgrade(&face));
        let seat = Seat {
            key,
            counts: Arc::clone(&self.0),
        };
        Some((seat, face))
    }
}

impl Counts {
    fn first_stranger(&mut self) -> Option<Arc<Face>> {
        while let Some(face) = self.came.pop_front() {
            match face.upgrade() {
                Some(face) if !face.known.load(Ordering::Relaxed) => return Some(face),
                _ => {}
            }
        }
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(held) = counts.by_address.get_mut(&self.key) {
            *held -= 1;
            if *held == 0 {
                counts.by_address.remove(&self.key);
            }
        }
    }
}

/// Who failed to say who they are, and how often.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<IpAddr, (f64, Instant)>>);

impl Failures {
    /// Whether this address has failed too often just now.
    pub(crate) fn too_many(&self, address: IpAddr, now: Instant) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.get(&key(address));
        found.is_some_and(|(count, since)| left(*count, *since, now) >= FAILURES_MAX)
    }

    /// One more.
    pub(crate) fn note(&self, address: IpAddr, now: Instant) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= ADDRESSES_MAX {
            held.retain(|_, (count, since)| left(*count, *since, now) >= 1.0);
        }
        // Whoever has that many addresses is not stopped by what is remembered of each.
        if held.len() >= ADDRESSES_MAX {
            held.clear();
        }
        let entry = held.entry(key(address)).or_insert((0.0, now));
        *entry = (left(entry.0, entry.1, now) + 1.0, now);
    }
}

/// Failures that are not forgiven yet.
fn left(count: f64, since: Instant, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(since).as_secs_f64();
    (count - passed / FORGIVEN_EVERY).max(0.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_can_not_take_the_others_seats() {
        let crowd = Crowd::default();
        let mut held: Vec<_> = (0..CONNECTIONS_PER_ADDRESS_MAX)
            .map(|n| crowd.admit(ip(&format!("2001:db8::{n:x}")), false).unwrap())
            .collect();
        assert!(crowd.admit(ip("2001:db8::ffff"), false).is_none());
        assert!(crowd.admit(ip("2001:db8:0:1::"), false).is_some());
        assert!(crowd.admit(ip("2001:db8::1"), true).is_some());
        held.pop();
        assert!(crowd.admit(ip("2001:db8::1"), false).is_some());
        held.clear();
        assert_eq!(crowd.0.lock().unwrap().all, 0);
        assert!(crowd.0.lock().unwrap().by_address.is_empty());
    }

    #[tokio::test]
    async fn strangers_make_room_for_others_and_those_who_are_known_stay() {
        let crowd = Crowd::default();
        let from = |n: usize| IpAddr::from(u32::try_from(n / 100).unwrap().to_be_bytes());
        let mut held: Vec<_> = (0..CONNECTIONS_MAX)
            .map(|n| crowd.admit(from(n), false).unwrap())
            .collect();
        held[0].1.know();
        let new = crowd.admit(ip("192.0.2.1"), false).unwrap();
        new.1.know();
        held[1].1.asked_to_leave().await;
        held.remove(1);
        // Nobody leaves, however many ask.
        for n in 0..LEAVING_MAX {
            held.extend(crowd.admit(ip(&format!("198.51.{}.1", n % 100)), false));
        }
        assert!(crowd.admit(ip("192.0.2.2"), false).is_none());
        held.iter().for_each(|(_, face)| face.know());
        held.truncate(CONNECTIONS_MAX);
        assert!(
            crowd.admit(ip("192.0.2.2"), false).is_none(),
            "all are known"
        );
    }

    #[test]
    fn guessing_is_slow_and_forgiven() {
        let failures = Failures::default();
        let now = Instant::now();
        let (bad, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for _ in 0..20 {
            assert!(!failures.too_many(bad, now));
            failures.note(bad, now);
        }
        assert!(failures.too_many(bad, now));
        assert!(
            failures.too_many(ip("::ffff:192.0.2.1"), now),
            "the same one"
        );
        assert!(!failures.too_many(other, now));
        assert!(!failures.too_many(bad, now + Duration::from_secs(4)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let failures = Failures::default();
        let now = Instant::now();
        for n in 0..30_000_u32 {
            failures.note(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(failures.0.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}

//! Room for local users who bring secrets: some for all, and few for each, so that nobody takes all
//! of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections at once.
const ALL_MAX: usize = 64;
/// … of one user.
const EACH_MAX: usize = 4;

/// Who is there.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<BTreeMap<u32, usize>>);

/// Room for one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    strangers: Arc<Strangers>,
    uid: u32,
}

impl Strangers {
    /// Room for one more of this user, if there is any.
    pub(super) fn place(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = there.values().sum();
        let own = there.get(&uid).copied().unwrap_or(0);
        if all >= ALL_MAX || own >= EACH_MAX {
            return None;
        }
        there.insert(uid, own + 1);
        let strangers = Arc::clone(self);
        Some(Place { strangers, uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let there = &self.strangers.0;
        let mut there = there.lock().unwrap_or_else(PoisonError::into_inner);
        let left = there.get(&self.uid).map_or(0, |own| own - 1);
        if left == 0 {
            there.remove(&self.uid);
        } else {
            there.insert(self.uid, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_the_room() {
        let strangers = Arc::new(Strangers::default());
        let mut places: Vec<_> = (0..EACH_MAX).map(|_| strangers.place(1000)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(strangers.place(1000).is_none());
        assert!(strangers.place(1001).is_some());
        places.pop();
        assert!(strangers.place(1000).is_some());
        let many: Vec<_> = (0..1000).filter_map(|uid| strangers.place(uid)).collect();
        assert_eq!(many.len() + places.len(), ALL_MAX);
        drop((many, places));
        assert!(strangers.0.lock().unwrap().is_empty());
    }
}

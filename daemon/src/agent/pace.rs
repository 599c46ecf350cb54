//! How many rows of the journal an agent may cause by what it says of itself, or a link by being
//! opened: pure.

use std::time::{Duration, Instant};

/// Rows at once.
const BURST: u32 = 60;
/// Time for one more: some 14,000 a day, of the 200,000 that are kept for all.
const EVERY: Duration = Duration::from_secs(6);

/// A purse of rows. It may be overdrawn once; then it has to fill first.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    every: Duration,
    /// When it is, or was, full.
    full: Option<Instant>,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        Pace::slow(EVERY)
    }

    /// One that takes so long for one more.
    pub(crate) fn slow(every: Duration) -> Pace {
        Pace { every, full: None }
    }

    /// From when on there is a row left; `None`: now.
    pub(crate) fn open_at(&self, now: Instant) -> Option<Instant> {
        let full = self.full?;
        let spare = self.every * (BURST - 1);
        let open = full.checked_sub(spare).unwrap_or(full);
        (open > now).then_some(open)
    }

    /// These were written.
    pub(crate) fn spend(&mut self, rows: usize, now: Instant) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).min(BURST);
        let from = self.full.map_or(now, |full| full.max(now));
        self.full = Some(from + self.every * rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_a_flood_is_slow() {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        for _ in 0..BURST {
            assert_eq!(pace.open_at(now), None);
            pace.spend(1, now);
        }
        assert_eq!(pace.open_at(now), Some(now + EVERY));
        now += EVERY;
        assert_eq!(pace.open_at(now), None);
        // Overdrawn once, it has to fill first.
        pace.spend(33, now);
        assert_eq!(pace.open_at(now), Some(now + EVERY * 33));
        now += EVERY * (33 + BURST);
        assert_eq!(pace.open_at(now), None);
    }
}

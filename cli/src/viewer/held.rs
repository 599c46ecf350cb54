//! What is typed while nothing answers. It was typed at what stood on the screen, so it is kept for a
//! moment and for the same shim: later, or where another one answers, it would answer something else.

use std::time::{Duration, Instant};

/// A restart of the daemon is over sooner than this.
const AWAY_MAX: Duration = Duration::from_secs(5);

/// What a terminal takes at once. Half of what was pasted is not sent.
const BYTES_MAX: usize = 64 * 1024;

/// Keys that wait for a picture.
#[derive(Debug, Default)]
pub(super) struct Held {
    keys: Vec<u8>,
    /// Since when there is no connection, and the incarnation that the last one had.
    away: Option<(Instant, u64)>,
    dropped: bool,
}

/// What became of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    Keys(Vec<u8>),
    /// They are not to be sent, and whoever typed them is to know.
    Dropped,
}

impl Held {
    /// The connection is gone; one that showed nothing does not count.
    pub(super) fn lost(&mut self, incarnation: u64, now: Instant) {
        self.away.get_or_insert((now, incarnation));
    }

    pub(super) fn keep(&mut self, bytes: &[u8], now: Instant) {
        if self.is_late(now) || self.keys.len() + bytes.len() > BYTES_MAX {
            self.dropped = true;
        }
        self.keys.extend_from_slice(bytes);
        if self.dropped {
            self.keys = Vec::new();
        }
    }

    /// There is a picture, of this incarnation.
    pub(super) fn release(&mut self, incarnation: u64, now: Instant) -> Kept {
        let other = self.away.is_some_and(|(_, before)| before != incarnation);
        let stale = other || self.is_late(now);
        let held = std::mem::take(self);
        match held.keys.is_empty() {
            _ if held.dropped => Kept::Dropped,
            true => Kept::Nothing,
            false if stale => Kept::Dropped,
            false => Kept::Keys(held.keys),
        }
    }

    /// Whether what is typed now is not going to be sent.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.away.is_some_and(|(since, _)| now - since > AWAY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Typed after so long, released after so long by this incarnation.
    fn typed(after: Duration, released: Duration, incarnation: u64) -> Kept {
        let (mut held, begun) = (Held::default(), Instant::now());
        held.lost(7, begun);
        // A connection that showed nothing changes nothing.
        held.lost(8, begun + released);
        held.keep(b"y\r", begun + after);
        let kept = held.release(incarnation, begun + released);
        assert_eq!(held.release(incarnation, begun + released), Kept::Nothing);
        kept
    }

    #[test]
    fn a_short_absence_loses_nothing() {
        let second = Duration::from_secs(1);
        let keys = || Kept::Keys(b"y\r".to_vec());
        assert_eq!(typed(second / 2, second, 7), keys());
        // Typed ahead of the first picture of all.
        let mut held = Held::default();
        held.keep(b"y\r", Instant::now());
        assert_eq!(held.release(7, Instant::now() + AWAY_MAX * 2), keys());
    }

    #[test]
    fn what_was_typed_blind_answers_nothing_else() {
        let second = Duration::from_secs(1);
        assert_eq!(typed(second / 2, second, 8), Kept::Dropped);
        assert_eq!(typed(second, AWAY_MAX + second, 7), Kept::Dropped);
        assert_eq!(
            typed(AWAY_MAX + second, AWAY_MAX + 2 * second, 7),
            Kept::Dropped
        );
        let mut held = Held::default();
        held.lost(7, Instant::now());
        assert_eq!(held.release(8, Instant::now()), Kept::Nothing);
    }

    #[test]
    fn half_of_a_paste_is_not_sent() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.lost(7, now);
        held.keep(&vec![b'x'; BYTES_MAX], now);
        held.keep(b"more", now);
        held.keep(b"end", now);
        assert_eq!(held.release(7, now), Kept::Dropped);
        held.lost(7, now);
        held.keep(b"again", now);
        assert_eq!(held.release(7, now), Kept::Keys(b"again".to_vec()));
    }
}

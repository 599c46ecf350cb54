//! The last output by number: what a viewer that comes back has missed.

use std::collections::VecDeque;

/// Bytes kept per terminal.
pub const RING_BYTES_MAX: usize = 1024 * 1024;
/// Cuts are remembered no closer than this.
const CUT_BYTES: u64 = 2048;

/// Output bytes numbered from 0, and places where they may be cut.
#[derive(Debug, Default)]
pub struct Ring {
    bytes: VecDeque<u8>,
    end: u64,
    cuts: VecDeque<u64>,
}

impl Ring {
    /// Number of the next byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Number of the oldest byte kept.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Adds output that may be cut at its end.
    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let kept = &bytes[bytes.len().saturating_sub(RING_BYTES_MAX)..];
        let over = (self.bytes.len() + kept.len()).saturating_sub(RING_BYTES_MAX);
        self.bytes.drain(..over);
        self.bytes.extend(kept);
        self.end += bytes.len() as u64;
        let start = self.start();
        while self.cuts.front().is_some_and(|&cut| cut < start) {
            self.cuts.pop_front();
        }
        if self
            .cuts
            .back()
            .is_none_or(|&cut| self.end - cut >= CUT_BYTES)
        {
            self.cuts.push_back(self.end);
        }
    }

    /// All output from `from` on, in two parts. `None`: it is no longer there (or was never).
    #[must_use]
    pub fn parts(&self, from: u64) -> Option<(&[u8], &[u8])> {
        if from < self.start() || from > self.end {
            return None;
        }
        let offset = usize::try_from(from - self.start()).expect("the ring fits memory");
        let (old, new) = self.bytes.as_slices();
        Some(match old.get(offset..) {
            None | Some([]) => (&new[offset - old.len()..], &[]),
            Some(old) => (old, new),
        })
    }

    /// Output from `from` on, about `bytes_max` of it but ending at a cut. `None`: it is no longer
    /// there (or was never).
    #[must_use]
    pub fn read(&self, from: u64, bytes_max: usize) -> Option<Vec<u8>> {
        if from < self.start() || from > self.end {
            return None;
        }
        let limit = from.saturating_add(bytes_max as u64);
        let to = if limit >= self.end {
            self.end
        } else {
            let at = self.cuts.partition_point(|&cut| cut <= limit);
            let before = at.checked_sub(1).map(|at| self.cuts[at]);
            let after = self.cuts.get(at).copied().unwrap_or(self.end);
            before.filter(|&cut| cut > from).unwrap_or(after)
        };
        let offset = |seq: u64| usize::try_from(seq - self.start()).expect("the ring fits memory");
        let (from, to) = (offset(from), offset(to));
        let (old, new) = self.bytes.as_slices();
        let mut bytes = Vec::with_capacity(to - from);
        bytes.extend_from_slice(&old[from.min(old.len())..to.min(old.len())]);
        let (from, to) = (from.saturating_sub(old.len()), to.saturating_sub(old.len()));
        bytes.extend_from_slice(&new[from..to]);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_end_at_cuts_and_old_bytes_expire() {
        let mut ring = Ring::default();
        for byte in (0..=255).cycle().take(600) {
            ring.push(&[byte; 3000]);
        }
        assert_eq!(ring.end(), 1_800_000);
        assert_eq!(ring.start(), 1_800_000 - RING_BYTES_MAX as u64);
        assert_eq!(ring.read(0, 10), None);
        assert_eq!(ring.read(1_800_001, 10), None);
        assert_eq!(ring.read(1_800_000, 10), Some(Vec::new()));
        let piece = ring.read(1_500_000, 10_000).unwrap();
        assert_eq!(piece.len(), 9000);
        // A piece longer than asked for is better than half a sequence.
        assert_eq!(ring.read(1_500_000, 10).unwrap().len(), 3000);
        assert!(ring.bytes.len() <= RING_BYTES_MAX);
        for from in (ring.start()..ring.end()).step_by(777) {
            let offset = usize::try_from(from - ring.start()).unwrap();
            let piece = ring.read(from, 5000).unwrap();
            let (one, other) = ring.parts(from).unwrap();
            assert!(one.iter().chain(other).eq(ring.bytes.range(offset..)));
            assert!(other.is_empty() || !one.is_empty());
            assert!(
                ring.bytes
                    .range(offset..offset + piece.len())
                    .eq(piece.iter())
            );
        }
        assert!(ring.cuts.len() <= RING_BYTES_MAX / 2048 + 1);
        assert_eq!(ring.parts(ring.end()), Some((&[][..], &[][..])));
        assert_eq!(ring.parts(ring.start() - 1), None);
        assert_eq!(ring.parts(ring.end() + 1), None);
    }
}

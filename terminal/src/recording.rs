//! Recordings as bytes: written by a shim, read by whoever plays them. Sans I/O.
//!
//! A file is a row of segments of [`SEGMENT_BYTES`], used in turn; the newest overwrites the oldest,
//! so a recording never grows beyond its bound. Each segment begins with a head, and its first event
//! is the whole screen: any segment can be played without those before it.
//!
//! ```text
//! segment: "wsmrec1\n" | number u64 | begun u64 (µs since 1970) | checksum u64 | block …
//! block:   length u32 | checksum u64 | events         (checksums are seeded with the number)
//! event:   kind u8 | µs since the one before, varint | length varint | bytes
//! ```
//! Whatever was torn by a crash, or is left of the segment's former use, has a checksum that does
//! not fit, and ends the segment.

pub mod cast;
mod events;

use serde::{Deserialize, Serialize};

pub use self::events::{Event, Kind, Recording, typed};

/// Bytes of a segment: more than the largest screen and what is written between two looks at it.
pub const SEGMENT_BYTES: usize = 2 * 1024 * 1024;
/// Fewest segments: one that is written, and one to play.
pub const SEGMENTS_MIN: u64 = 2;
/// Most of them: whoever reads a recording has it in memory.
pub const SEGMENTS_MAX: u64 = 16;
/// Bytes of a segment's head.
pub const HEAD_BYTES: usize = 32;
/// Bytes before a block's events.
pub const BLOCK_HEAD_BYTES: usize = 12;

const MAGIC: &[u8; 8] = b"wsmrec1\n";

/// What a recording says about itself, at the begin of each segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Terminal.
    pub terminal: String,
    /// When the recording began, milliseconds since 1970: with the terminal, its name.
    pub begun_ms: u64,
    /// Columns at the begin of the segment.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// A segment as it lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Counts up over the life of the file.
    pub number: u64,
    /// When it was begun, microseconds since 1970.
    pub begun_us: u64,
    bytes: &'a [u8],
}

/// The head of a segment.
#[must_use]
pub fn head(number: u64, begun_us: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(MAGIC);
    head[8..16].copy_from_slice(&number.to_le_bytes());
    head[16..24].copy_from_slice(&begun_us.to_le_bytes());
    let sum = checksum(number, &head[..24]);
    head[24..].copy_from_slice(&sum.to_le_bytes());
    head
}

/// Number and begin of the segment that has this head, if it is one.
#[must_use]
pub fn read_head(head: &[u8]) -> Option<(u64, u64)> {
    let head = head.get(..HEAD_BYTES)?;
    let word = |at: usize| Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?));
    let number = word(8)?;
    let sound = &head[..8] == MAGIC && word(24)? == checksum(number, &head[..24]);
    (sound && number > 0).then_some((number, word(16)?))
}

/// Appends a block to `out`.
pub fn block(out: &mut Vec<u8>, number: u64, events: &[u8]) {
    let length = u32::try_from(events.len()).expect("a block is shorter than a segment");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(number, events).to_le_bytes());
    out.extend_from_slice(events);
}

/// Appends an event to a block.
pub fn event(out: &mut Vec<u8>, kind: Kind, after_us: u64, bytes: &[u8]) {
    out.push(kind.code());
    varint(out, after_us);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The segments of a file, oldest first. What is older than a gap is left out.
#[must_use]
pub fn segments(file: &[u8]) -> Vec<Segment<'_>> {
    let mut found: Vec<Segment<'_>> = file
        .chunks(SEGMENT_BYTES)
        .filter_map(|bytes| {
            let (number, begun_us) = read_head(bytes)?;
            let bytes = &bytes[HEAD_BYTES..];
            Some(Segment {
                number,
                begun_us,
                bytes,
            })
        })
        .collect();
    found.sort_unstable_by_key(|segment| segment.number);
    let gap = |pair: &[Segment<'_>]| pair[1].number != pair[0].number + 1;
    let kept = found.windows(2).rposition(gap).map_or(0, |at| at + 1);
    found.drain(..kept);
    found
}

impl<'a> Segment<'a> {
    /// Its sound blocks.
    fn blocks(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
            let sum = u64::from_le_bytes(rest.get(4..BLOCK_HEAD_BYTES)?.try_into().ok()?);
            let end = BLOCK_HEAD_BYTES.checked_add(length)?;
            let events = rest.get(BLOCK_HEAD_BYTES..end)?;
            if length == 0 || checksum(self.number, events) != sum {
                return None;
            }
            rest = &rest[end..];
            Some(events)
        })
    }
}

/// Tells torn and old bytes from whole ones; no protection against somebody who means it.
fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(MIX).rotate_left(29);
    let mut sum = step(seed ^ MIX, bytes.len() as u64);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = word.try_into().expect("eight bytes each");
        sum = step(sum, u64::from_le_bytes(word));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    step(step(sum, u64::from_le_bytes(last)), seed)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests;

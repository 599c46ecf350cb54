//! What happened, in order.

use std::time::Duration;

use super::{Meta, Segment, segments};

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Meta`] as JSON; first in each segment.
    Meta,
    /// Draws the whole screen on a freshly reset terminal.
    Screen,
    /// Filtered output.
    Output,
    /// Columns and rows, `u16` each.
    Resize,
    /// The process ended: what an `Exit` is as JSON.
    Exit,
    /// Somebody typed: their name, a newline, and what. See [`typed`].
    Input,
}

impl Kind {
    pub(super) fn code(self) -> u8 {
        match self {
            Kind::Meta => b'h',
            Kind::Screen => b's',
            Kind::Output => b'o',
            Kind::Resize => b'r',
            Kind::Exit => b'x',
            Kind::Input => b'i',
        }
    }

    fn of(code: u8) -> Option<Kind> {
        let all = [
            Kind::Meta,
            Kind::Screen,
            Kind::Output,
            Kind::Resize,
            Kind::Exit,
            Kind::Input,
        ];
        all.into_iter().find(|kind| kind.code() == code)
    }
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Since the recording's first segment that is still there.
    pub at: Duration,
    /// What.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The segments of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording<'a> {
    /// What its first segment says.
    pub meta: Meta,
    segments: Vec<Segment<'a>>,
}

impl<'a> Recording<'a> {
    /// The recordings in a file, oldest first.
    #[must_use]
    pub fn all(file: &'a [u8]) -> Vec<Recording<'a>> {
        let mut found: Vec<Recording<'a>> = Vec::new();
        for segment in segments(file) {
            let Some(meta) = meta(segment) else {
                continue;
            };
            let same = |known: &Recording<'_>| {
                (&known.meta.terminal, known.meta.begun_ms) == (&meta.terminal, meta.begun_ms)
            };
            match found.last_mut() {
                Some(last) if same(last) => last.segments.push(segment),
                _ => found.push(Recording {
                    meta,
                    segments: vec![segment],
                }),
            }
        }
        found
    }

    /// When what is still there begins, microseconds since 1970.
    #[must_use]
    pub fn begun_us(&self) -> u64 {
        self.segments.first().map_or(0, |first| first.begun_us)
    }

    /// What lies in files of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let used = |segment: &Segment<'a>| segment.blocks().map(<[u8]>::len).sum::<usize>();
        self.segments.iter().map(used).sum()
    }

    /// From the first event to the last.
    #[must_use]
    pub fn length(&self) -> Duration {
        let last = self.segments.last();
        let last = last.and_then(|last| self.of(*last).last());
        last.map_or(Duration::ZERO, |event| event.at)
    }

    /// Its segments as a file again, for somebody else to play.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            file.resize(at * super::SEGMENT_BYTES, 0);
            file.extend_from_slice(&super::head(segment.number, segment.begun_us));
            for events in segment.blocks() {
                super::block(&mut file, segment.number, events);
            }
        }
        file
    }

    /// Everything, in order.
    pub fn events(&self) -> impl Iterator<Item = Event<'a>> {
        self.segments.iter().flat_map(|segment| self.of(*segment))
    }

    /// What draws the state at `from`, and goes on: from the last whole screen before it.
    pub fn events_from(&self, from: Duration) -> impl Iterator<Item = Event<'a>> {
        let since = |segment: &Segment<'a>| self.since(segment.begun_us) <= from;
        let first = self.segments.iter().rposition(since).unwrap_or(0);
        let segments = &self.segments[first.min(self.segments.len())..];
        segments.iter().flat_map(|segment| self.of(*segment))
    }

    fn since(&self, us: u64) -> Duration {
        Duration::from_micros(us.saturating_sub(self.begun_us()))
    }

    fn of(&self, segment: Segment<'a>) -> impl Iterator<Item = Event<'a>> {
        let mut at = self.since(segment.begun_us);
        segment.blocks().flat_map(move |block| {
            let mut rest = block;
            let mut events = Vec::new();
            while let Some((kind, after, bytes)) = next(&mut rest) {
                at = at.saturating_add(Duration::from_micros(after));
                // A kind of a later version is skipped.
                events.extend(Kind::of(kind).map(|kind| Event { at, kind, bytes }));
            }
            events
        })
    }
}

/// Who typed in a [`Kind::Input`], and what.
#[must_use]
pub fn typed(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let user = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((user, &bytes[end + 1..]))
}

fn meta(segment: Segment<'_>) -> Option<Meta> {
    let mut first = segment.blocks().next()?;
    let (kind, _, bytes) = next(&mut first)?;
    let meta = (Kind::of(kind)? == Kind::Meta).then_some(bytes)?;
    serde_json::from_slice(meta).ok()
}

/// Takes an event off. `None`: nothing whole is left.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u8, u64, &'a [u8])> {
    let (&kind, mut tail) = rest.split_first()?;
    let after = varint(&mut tail)?;
    let length = usize::try_from(varint(&mut tail)?).ok()?;
    let (bytes, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some((kind, after, bytes))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

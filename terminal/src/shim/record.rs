//! Writes what a terminal shows into its recording.
//!
//! What it costs is bounded: nothing is written more often than every [`FLUSH`] or [`BLOCK_BYTES`],
//! and output beyond what a person could follow is left out for the screen as it is then.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::fstatvfs;
use wsm_sandbox::launch::Exit;

use super::process::now_ms;
use crate::protocol::Record;
use crate::recording::{
    HEAD_BYTES, Kind, Meta, SEGMENT_BYTES, SEGMENTS_MAX, SEGMENTS_MIN, block, event, head,
    read_head,
};
use crate::screen::Screen;
use crate::snapshot::snapshot;

/// Events wait this long …
const FLUSH: Duration = Duration::from_secs(1);
/// … or until they are so many.
const BLOCK_BYTES: usize = 16 * 1024;
/// Output of one [`WINDOW`]; what is more is recorded as the screen at its end.
const WINDOW_BYTES: usize = 32 * 1024;
const WINDOW: Duration = Duration::from_millis(250);
/// Longest event of what is typed: a paste is several.
const INPUT_BYTES: usize = 4 * 1024;
/// A segment with less room is full.
const ROOM_BYTES: usize = 128 * 1024;
/// Room for events that is kept.
const KEPT_BYTES: usize = 4 * 1024;
/// A file does not grow where less would be left of its disk: bytes, and one part of so many.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
const FREE_PART: u64 = 50;

/// The files that recordings go to: each has one terminal at a time.
pub(super) struct Slots(Vec<Slot>);

struct Slot {
    file: Rc<File>,
    /// The higher, the later it was given away.
    given: u64,
}

impl Slots {
    pub(super) fn new(files: impl Iterator<Item = File>) -> Slots {
        let slot = |file| Slot {
            file: Rc::new(file),
            given: 0,
        };
        Slots(files.map(slot).collect())
    }

    /// A recording of this terminal. `None`: all are in use, or the file can't be used.
    pub(super) fn begin(&mut self, terminal: &str, record: &Record) -> Option<Recorder> {
        let newest = self.0.iter().map(|slot| slot.given).max()?;
        // The first is the agent's own terminal's.
        let mine = |at: usize| (at == 0) == (terminal == "main");
        let slots = self.0.iter_mut().enumerate();
        let free = slots.filter(|(at, slot)| mine(*at) && Rc::strong_count(&slot.file) == 1);
        let (_, slot) = free.min_by_key(|(_, slot)| slot.given)?;
        slot.given = newest + 1;
        match Recorder::begin(Rc::clone(&slot.file), terminal, record) {
            Ok(recorder) => Some(recorder),
            Err(error) => {
                eprintln!("wsm-shim: record {terminal}: {error}");
                None
            }
        }
    }
}

pub(super) struct Recorder {
    file: Rc<File>,
    terminal: String,
    begun_ms: u64,
    /// How many segments the file may have.
    segments: u64,
    age_us: u64,
    /// Number, begin and place of those that it has, oldest first.
    known: Vec<(u64, u64, u64)>,
    /// The instant of `begun_ms`.
    origin: Instant,
    /// Number of the segment that is written; 0 before the first.
    number: u64,
    /// How much of it is.
    used: usize,
    events: Vec<u8>,
    /// When the last event happened, in microseconds since 1970.
    last_us: u64,
    flush_at: Option<Instant>,
    window: Instant,
    window_left: usize,
    /// The screen must be written when the window is over.
    stale: bool,
    /// Why nothing is written any more.
    trouble: Option<String>,
    told: bool,
}

impl Recorder {
    fn begin(file: Rc<File>, terminal: &str, record: &Record) -> io::Result<Recorder> {
        let size = SEGMENT_BYTES as u64;
        let segments = (record.bytes_max / size).clamp(SEGMENTS_MIN, SEGMENTS_MAX);
        let stat = file.metadata()?;
        if stat.len() > segments * size {
            file.set_len(segments * size)?;
        }
        let mut known = Vec::new();
        for at in 0..segments {
            let mut bytes = [0; HEAD_BYTES];
            if file.read_exact_at(&mut bytes, at * size).is_err() {
                break;
            }
            let found = read_head(&bytes);
            known.extend(found.map(|(number, begun)| (number, begun, at * size)));
        }
        known.sort_unstable();
        let begun_ms = now_ms();
        let mut recorder = Recorder {
            file,
            terminal: terminal.to_owned(),
            begun_ms,
            segments,
            age_us: record.age_ms.saturating_mul(1000),
            number: 0,
            known,
            origin: Instant::now(),
            used: 0,
            events: Vec::new(),
            last_us: 0,
            flush_at: None,
            window: Instant::now(),
            window_left: WINDOW_BYTES,
            stale: false,
            trouble: None,
            told: false,
        };
        let written = u64::try_from(stat.mtime()).unwrap_or(0);
        recorder.expire(written.saturating_mul(1_000_000))?;
        Ok(recorder)
    }

    /// Gives back what is too old. `end_us`: when the last segment was written last.
    fn expire(&mut self, end_us: u64) -> io::Result<()> {
        let oldest = self.now_us(Instant::now()).saturating_sub(self.age_us);
        while let Some(&(_, _, place)) = self.known.first() {
            let end = self.known.get(1).map_or(end_us, |(_, begun, _)| *begun);
            if end >= oldest {
                break;
            }
            let at = i64::try_from(place).unwrap_or(i64::MAX);
            let length = i64::try_from(SEGMENT_BYTES).unwrap_or(i64::MAX);
            let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            fallocate(&self.file, flags, at, length)?;
            self.known.remove(0);
        }
        Ok(())
    }

    /// Where a segment begins; numbers begin with 1.
    fn place(&self, number: u64) -> u64 {
        number.saturating_sub(1) % self.segments * SEGMENT_BYTES as u64
    }

    fn now_us(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin).as_micros();
        self.begun_ms * 1000 + u64::try_from(since).unwrap_or(0)
    }

    /// What was shown, and is on the screen already.
    pub(super) fn output(&mut self, bytes: &[u8], screen: &mut Screen, now: Instant) {
        if bytes.is_empty() || self.trouble.is_some() {
            return;
        }
        if self.number == 0 {
            return self.rotate(screen, now);
        }
        if now.saturating_duration_since(self.window) >= WINDOW && !self.stale {
            self.window = now;
            self.window_left = WINDOW_BYTES;
        }
        if self.stale || bytes.len() > self.window_left {
            self.stale = true;
            return;
        }
        self.window_left -= bytes.len();
        self.add(Kind::Output, bytes, now);
        if self.events.len() >= BLOCK_BYTES {
            self.flush(screen, now);
        }
    }

    /// What somebody typed.
    pub(super) fn input(&mut self, user: &str, bytes: &[u8], screen: &mut Screen, now: Instant) {
        if self.number == 0 || self.trouble.is_some() {
            return;
        }
        for part in bytes.chunks(INPUT_BYTES) {
            self.add(Kind::Input, &[user.as_bytes(), b"\n", part].concat(), now);
            if self.events.len() >= BLOCK_BYTES {
                self.flush(screen, now);
            }
        }
    }

    /// The terminal has another size.
    pub(super) fn resized(&mut self, (cols, rows): (u16, u16), now: Instant) {
        if self.number > 0 && self.trouble.is_none() {
            let size = [cols.to_le_bytes(), rows.to_le_bytes()].concat();
            self.add(Kind::Resize, &size, now);
            self.stale = true;
        }
    }

    /// Its process has ended.
    pub(super) fn ended(&mut self, exit: Exit, screen: &mut Screen, now: Instant) {
        if self.number == 0 || self.trouble.is_some() {
            return;
        }
        if self.stale {
            self.picture(screen, now);
        }
        let exit = serde_json::to_vec(&exit).expect("our own types serialize");
        self.add(Kind::Exit, &exit, now);
        self.flush(screen, now);
    }

    /// When [`Recorder::tick`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        let window = self.stale.then(|| self.window + WINDOW);
        window.into_iter().chain(self.flush_at).min()
    }

    /// Does what time brings. Returns why it stopped, once.
    pub(super) fn tick(&mut self, screen: &mut Screen, now: Instant) -> Option<String> {
        if self.stale && self.window + WINDOW <= now {
            self.window = now;
            self.window_left = WINDOW_BYTES;
            self.picture(screen, now);
        }
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush(screen, now);
        }
        let trouble = self.trouble.as_ref().filter(|_| !self.told)?;
        self.told = true;
        Some(trouble.clone())
    }

    fn add(&mut self, kind: Kind, bytes: &[u8], now: Instant) {
        let us = self.now_us(now).max(self.last_us);
        event(&mut self.events, kind, us - self.last_us, bytes);
        self.last_us = us;
        self.flush_at = self.flush_at.or(Some(now + FLUSH));
    }

    /// The screen as it is.
    fn picture(&mut self, screen: &mut Screen, now: Instant) {
        self.stale = false;
        let bytes = snapshot(screen, 0);
        if self.used + self.events.len() + bytes.len() + ROOM_BYTES > SEGMENT_BYTES {
            self.write();
            return self.rotate(screen, now);
        }
        self.add(Kind::Screen, &bytes, now);
        self.flush(screen, now);
    }

    fn flush(&mut self, screen: &mut Screen, now: Instant) {
        self.write();
        if self.used + ROOM_BYTES > SEGMENT_BYTES && !self.stale {
            self.rotate(screen, now);
        }
    }

    /// Writes the events that wait.
    fn write(&mut self) {
        self.flush_at = None;
        if self.events.is_empty() || self.number == 0 {
            return;
        }
        let mut bytes = Vec::with_capacity(self.events.len() + HEAD_BYTES);
        block(&mut bytes, self.number, &self.events);
        self.events.clear();
        self.events.shrink_to(KEPT_BYTES);
        if self.used + bytes.len() <= SEGMENT_BYTES {
            self.put(&bytes);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let begin = self.place(self.number);
        match self.file.write_all_at(bytes, begin + self.used as u64) {
            Ok(()) => self.used += bytes.len(),
            Err(error) => self.stop(&error.to_string()),
        }
    }

    fn stop(&mut self, why: &str) {
        eprintln!("wsm-shim: the recording of {} stops: {why}", self.terminal);
        self.trouble = Some(format!("the recording stops: {why}"));
        self.events = Vec::new();
        (self.flush_at, self.stale) = (None, false);
    }

    /// Goes on in the next segment, which begins with the screen as it is.
    fn rotate(&mut self, screen: &mut Screen, now: Instant) {
        let next = self
            .known
            .last()
            .map_or(1, |(number, ..)| number.saturating_add(1));
        if let Err(error) = self.expire(u64::MAX).and_then(|()| self.may_grow(next)) {
            return self.stop(&error.to_string());
        }
        let begun = self.now_us(now).max(self.last_us);
        let place = self.place(next);
        self.known.retain(|(_, _, taken)| *taken != place);
        self.known.push((next, begun, place));
        (self.number, self.used, self.last_us) = (next, 0, begun);
        self.events.clear();
        self.stale = false;
        let (cols, rows) = screen.size();
        let meta = Meta {
            terminal: self.terminal.clone(),
            begun_ms: self.begun_ms,
            cols,
            rows,
        };
        let meta = serde_json::to_vec(&meta).expect("our own types serialize");
        let mut events = Vec::new();
        event(&mut events, Kind::Meta, 0, &meta);
        event(&mut events, Kind::Screen, 0, &snapshot(screen, 0));
        let mut bytes = head(next, begun).to_vec();
        block(&mut bytes, next, &events);
        self.put(&bytes);
    }

    /// A segment that was there before takes no more of the disk.
    fn may_grow(&self, number: u64) -> io::Result<()> {
        let end = self.place(number) + SEGMENT_BYTES as u64;
        if self.file.metadata()?.len() >= end {
            return Ok(());
        }
        let disk = fstatvfs(&self.file)?;
        let (free, all) = (disk.blocks_available(), disk.blocks());
        if free.saturating_mul(disk.fragment_size()) < FREE_BYTES_MIN || free < all / FREE_PART {
            return Err(io::Error::other("the disk is nearly full"));
        }
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests;

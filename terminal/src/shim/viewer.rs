//! One viewer's place in the output. Nothing is queued for a viewer that does not keep up: it falls
//! behind in the ring, and when it is back it gets what it lacks, or the newest screen.

use std::time::{Duration, Instant};

use super::process::now_ms;
use crate::letterbox::Letterbox;
use crate::plain;
use crate::protocol::Attach;

/// Output sent but not acknowledged, in bytes, at which a viewer is left alone …
pub(super) const UNACKED_HIGH: u64 = 128 * 1024;
/// … until it acknowledged all but this.
const UNACKED_LOW: u64 = 32 * 1024;
/// A viewer that lacks more than this gets the screen instead: drawing it is faster than all that.
const BEHIND_MAX: u64 = 256 * 1024;
/// The same for who typed while output waited: the echo comes behind all of it.
const BEHIND_TYPING: u64 = 16 * 1024;
/// How long that holds.
const TYPING: Duration = Duration::from_millis(100);
/// While it holds, pictures of a flood come this often.
const SOON: Duration = Duration::from_micros(200);
/// A notice is one line of a terminal.
const NOTICE_COLUMNS: usize = 1000;
/// How long a notice stands.
const NOTICE: Duration = Duration::from_secs(5);
/// Bytes in a connection's buffer above which nothing is added to it.
pub(super) const OUT_HIGH: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) terminal: String,
    pub(super) read_only: bool,
    pub(super) size: (u16, u16),
    /// Lines of history that it wants.
    pub(super) history_lines: u32,
    /// It lacks lines that went by, or has none yet.
    owed: bool,
    /// Number of the next byte to send.
    pub(super) sent: u64,
    /// Everything before this was parsed by the viewer.
    pub(super) acked: u64,
    /// What it has is not what the output goes on from.
    pub(super) stale: bool,
    /// It must be told the size.
    pub(super) announce: bool,
    /// Its terminal has the size that it has.
    pub(super) fit: bool,
    /// What it shows while that is another.
    pub(super) letterbox: Option<Box<Letterbox>>,
    /// What its last picture included; it has drawn that when it says so.
    pub(super) painted: u64,
    /// When its next picture may come.
    pub(super) next_picture: Option<Instant>,
    /// What it is told over its last line, and until when.
    notice: Option<(String, Instant)>,
    /// On a screen, as far as it says.
    pub(super) visible: bool,
    pub(super) since_ms: u64,
    /// The size that it was told last, if the shim draws for it.
    pub(super) told: Option<(u16, u16)>,
    /// Number of its last input where no lease tells resends apart.
    pub(super) number: u64,
    /// Until when the newest screen comes before output that waits.
    hurried: Option<Instant>,
    paused: bool,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Bytes,
    /// The screen alone.
    Snapshot,
    /// With the history that it is owed.
    Whole,
}

impl Viewer {
    pub(super) fn new(attach: &Attach, resume: Option<u64>, end: u64) -> Viewer {
        let from = resume.unwrap_or(end);
        Viewer {
            terminal: attach.terminal.clone(),
            read_only: attach.read_only,
            size: (attach.cols, attach.rows),
            history_lines: attach.history_lines,
            owed: resume.is_none() && attach.history_lines > 0,
            sent: from,
            acked: from,
            stale: resume.is_none(),
            announce: resume.is_some(),
            fit: attach.fit,
            letterbox: None,
            painted: 0,
            next_picture: None,
            notice: None,
            visible: true,
            since_ms: now_ms(),
            told: None,
            number: 0,
            hurried: None,
            paused: false,
        }
    }

    pub(super) fn ack(&mut self, seq: u64) {
        self.acked = self.acked.max(seq.min(self.sent));
    }

    /// It typed. `busy`: there is a flood, or its terminal takes no more; `end`: of the ring.
    pub(super) fn typed(&mut self, busy: bool, end: u64, now: Instant) {
        let unacked = self.sent - self.acked;
        if busy || unacked > UNACKED_LOW || end.saturating_sub(self.sent) > BEHIND_TYPING {
            self.hurried = Some(now + TYPING);
        }
        self.next_picture = self.next_picture.map(|at| at.min(now + SOON));
    }

    /// It typed a moment ago, and waits for the answer.
    pub(super) fn is_hurried(&self) -> bool {
        self.hurried.is_some()
    }

    /// It has a picture of a flood, begun now; `next`: when others get the next one.
    pub(super) fn pictured(&mut self, now: Instant, next: Instant) {
        self.next_picture = Some(match self.hurried {
            Some(_) => now + SOON,
            None => next,
        });
    }

    /// Nothing more will come: there is time for all that it lacks.
    pub(super) fn calm(&mut self) {
        self.hurried = None;
    }

    /// It lacks lines of history.
    pub(super) fn is_owed(&self) -> bool {
        self.owed
    }

    /// The lines that a whole screen brings along.
    pub(super) fn history(&mut self) -> usize {
        match std::mem::take(&mut self.owed) {
            true => self.history_lines as usize,
            false => 0,
        }
    }

    /// Tells it something, where it has a place for that.
    pub(super) fn notify(&mut self, text: &str, now: Instant) {
        if self.fit {
            let text = plain::line(text, NOTICE_COLUMNS);
            // Each key that is refused says the same.
            self.stale |= self.notice() != Some(text.as_str());
            self.notice = Some((text, now + NOTICE));
        }
    }

    /// What it is told now.
    pub(super) fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|(text, _)| text.as_str())
    }

    /// Its own size changed, or it wants all drawn anew, having drawn over it.
    pub(super) fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.letterbox = None;
        self.stale |= self.fit;
    }

    /// When [`Viewer::tick`], or its next picture, is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let notice = self.notice.as_ref().map(|(_, until)| *until);
        let owed = self.hurried.filter(|_| self.owed);
        [notice, self.next_picture, owed]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time brings.
    pub(super) fn tick(&mut self, now: Instant) {
        self.next_picture = self.next_picture.filter(|at| now < *at);
        self.hurried = self.hurried.filter(|at| now < *at);
        if self.notice.take_if(|(_, until)| *until <= now).is_some() {
            self.stale = true;
        }
    }

    /// So many bytes more are on its terminal.
    pub(super) fn drawn(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.acked = self.sent;
    }

    /// `out`: bytes waiting in its connection; `start`, `end`: of the ring; `flood`: it gets pictures.
    pub(super) fn next(&mut self, out: usize, (start, end): (u64, u64), flood: bool) -> Next {
        if out > OUT_HIGH {
            return Next::Nothing;
        }
        let unacked = self.sent - self.acked;
        if unacked >= UNACKED_HIGH {
            self.paused = true;
        } else if unacked <= UNACKED_LOW {
            self.paused = false;
        }
        let behind_max = match self.hurried {
            Some(_) => BEHIND_TYPING,
            None => BEHIND_MAX,
        };
        let skips = self.sent < start || end - self.sent > behind_max || flood && self.sent < end;
        // What draws on somebody's terminal can't take back what scrolled away there: it is owed the
        // history it began with, at once. Others get theirs when they keep up again.
        let calm = !flood && self.hurried.is_none() && !skips;
        let pays = self.owed && (self.fit || calm);
        if self.paused || flood && self.next_picture.is_some() {
            Next::Nothing
        } else if self.stale && pays || pays && !self.fit && self.sent == end {
            Next::Whole
        } else if self.stale || skips {
            self.owed |= skips && !self.fit && self.history_lines > 0;
            Next::Snapshot
        } else if self.sent < end {
            Next::Bytes
        } else {
            Next::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach() -> Attach {
        Attach {
            terminal: "main".into(),
            resume: None,
            cols: 80,
            rows: 24,
            read_only: false,
            history_lines: 0,
            tty: false,
            fit: false,
        }
    }

    #[test]
    fn a_slow_viewer_is_left_alone_and_then_skips_to_the_newest() {
        let mut viewer = Viewer::new(&attach(), None, 100);
        assert_eq!(viewer.next(0, (0, 100), false), Next::Snapshot);
        viewer.stale = false;
        assert_eq!(viewer.next(0, (0, 100), false), Next::Nothing);
        assert_eq!(viewer.next(0, (0, 101), false), Next::Bytes);
        assert_eq!(viewer.next(OUT_HIGH + 1, (0, 101), false), Next::Nothing);
        viewer.sent = 100 + UNACKED_HIGH;
        assert_eq!(viewer.next(0, (0, viewer.sent + 10), false), Next::Nothing);
        viewer.ack(100 + UNACKED_HIGH - UNACKED_LOW - 1);
        assert_eq!(viewer.next(0, (0, viewer.sent + 10), false), Next::Nothing);
        viewer.ack(u64::MAX);
        assert_eq!(viewer.acked, viewer.sent);
        assert_eq!(viewer.next(0, (0, viewer.sent + 10), false), Next::Bytes);
        assert_eq!(
            viewer.next(0, (0, viewer.sent + BEHIND_MAX + 1), false),
            Next::Snapshot
        );
        assert_eq!(
            viewer.next(0, (viewer.sent + 1, viewer.sent + 2), false),
            Next::Snapshot
        );
    }

    #[test]
    fn who_types_into_a_flood_is_shown_its_end() {
        let mut viewer = Viewer::new(&attach(), Some(0), 0);
        let (now, end) = (Instant::now(), BEHIND_TYPING + 1);
        // Its own echo, and the first output of a command, are no flood.
        viewer.typed(false, BEHIND_TYPING, now);
        assert_eq!(viewer.next(0, (0, end), false), Next::Bytes);
        viewer.typed(true, 1, now);
        assert_eq!(viewer.next(0, (0, end), false), Next::Snapshot);
        assert_eq!(viewer.next(0, (0, end - 1), false), Next::Bytes);
        viewer.tick(now + TYPING);
        assert_eq!(viewer.next(0, (0, end), false), Next::Bytes);
        viewer.typed(false, end, now);
        assert_eq!(viewer.next(0, (0, end), false), Next::Snapshot);
    }

    fn wishing(fit: bool) -> Attach {
        Attach {
            history_lines: 1000,
            fit,
            ..attach()
        }
    }

    #[test]
    fn in_a_flood_it_gets_pictures_and_then_what_went_by() {
        let mut viewer = Viewer::new(&wishing(false), Some(0), 0);
        let now = Instant::now();
        assert_eq!(viewer.next(0, (0, 10), true), Next::Snapshot);
        (viewer.sent, viewer.next_picture) = (10, Some(now + 6 * SOON));
        assert_eq!(viewer.next(0, (0, 20), true), Next::Nothing);
        // A key has its answer soon.
        viewer.typed(false, 20, now);
        assert_eq!(viewer.due(), Some(now + SOON));
        viewer.tick(now + SOON);
        viewer.pictured(now, now + 6 * SOON);
        assert_eq!(viewer.due(), Some(now + 6 * SOON));
        viewer.typed(true, 20, now);
        viewer.tick(now + SOON);
        viewer.pictured(now + SOON, now + 6 * SOON);
        assert_eq!(viewer.due(), Some(now + 2 * SOON));
        viewer.tick(now + 2 * SOON);
        assert_eq!(viewer.next(0, (0, 10), true), Next::Nothing);
        assert_eq!(viewer.next(0, (0, 20), true), Next::Snapshot);
        viewer.sent = 20;
        // Who waits for an answer waits for no history; it comes when that is over.
        assert_eq!(viewer.next(0, (0, 20), false), Next::Nothing);
        assert_eq!(viewer.due(), Some(now + TYPING));
        viewer.tick(now + TYPING);
        assert_eq!(viewer.next(0, (0, 20), false), Next::Whole);
        assert_eq!((viewer.history(), viewer.history()), (1000, 0));
        assert_eq!(viewer.next(0, (0, 20), false), Next::Nothing);
    }

    #[test]
    fn what_a_slow_viewer_skipped_comes_when_it_keeps_up() {
        let mut viewer = Viewer::new(&wishing(false), Some(0), 0);
        let end = 1 + BEHIND_MAX;
        assert_eq!(viewer.next(0, (0, end), false), Next::Snapshot);
        viewer.sent = end;
        assert_eq!(viewer.next(0, (0, end), false), Next::Nothing, "not drawn");
        viewer.ack(end);
        assert_eq!(viewer.next(0, (0, end + 1), false), Next::Bytes);
        assert_eq!(viewer.next(0, (0, end), false), Next::Whole);
        assert_eq!(viewer.history(), 1000);
        // A screen that only changed its size has lost nothing.
        viewer.stale = true;
        assert_eq!(viewer.next(0, (0, end), false), Next::Snapshot);
        // At the end of everything there is time.
        viewer.stale = false;
        viewer.typed(true, end, Instant::now());
        assert_eq!(viewer.next(0, (0, 2 * end), false), Next::Snapshot);
        viewer.sent = 2 * end;
        viewer.ack(2 * end);
        assert_eq!(viewer.next(0, (0, 2 * end), false), Next::Nothing);
        assert!(viewer.is_owed());
        viewer.calm();
        assert_eq!(viewer.next(0, (0, 2 * end), false), Next::Whole);
    }

    #[test]
    fn what_draws_on_a_terminal_is_given_history_once() {
        let mut viewer = Viewer::new(&wishing(true), None, 0);
        assert_eq!(viewer.next(0, (0, 10), true), Next::Whole);
        assert_eq!((viewer.history(), viewer.history()), (1000, 0));
        viewer.stale = false;
        viewer.sent = 10;
        let end = 11 + BEHIND_MAX;
        assert_eq!(viewer.next(0, (0, end), false), Next::Snapshot);
        assert!(!viewer.is_owed());
    }
}

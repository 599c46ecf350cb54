//! What is drawn and what is typed, whichever way the frames come.

use std::io;
use std::time::Instant;

use wsm_terminal::protocol::{Attach, Frame};

use super::held::{Held, Kept};
use super::{End, Turn, Wish};
use crate::keys::Watch;
use crate::render::clean;
use crate::screen::{self, Screen};

/// Output drawn before it is acknowledged: a quarter of the 128 KiB that the shim sends unasked.
const ACK_BYTES: u64 = 32 * 1024;

/// The user's terminal as an attachment has it. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Picture {
    wish: Wish,
    screen: Screen,
    watch: Watch,
    /// The size that this connection was told last.
    size: (u16, u16),
    /// Incarnation of the shim, and the number after the last byte that was drawn.
    drawn: Option<(u64, u64)>,
    incarnation: u64,
    acked: u64,
    /// Of the lease, while this viewer has it.
    epoch: u64,
    /// Number of the last input.
    input: u64,
    held: Held,
    /// The connection has shown nothing yet: what is typed is typed at what was there before.
    waits: bool,
    refused: Option<String>,
    /// Whether the connection has shown anything.
    shown: bool,
    /// A notice was drawn over what the shim knows of.
    spoiled: bool,
}

/// What typed bytes mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typed {
    /// To send.
    pub(super) frames: Vec<Frame>,
    /// The user leaves.
    pub(super) leaves: bool,
}

impl Picture {
    pub(super) fn enter(wish: &Wish) -> io::Result<Picture> {
        let title = format!("{} · detach: {}", wish.agent, wish.detach);
        Ok(Picture {
            wish: wish.clone(),
            screen: Screen::enter(&title)?,
            watch: Watch::new(wish.detach),
            size: screen::size(),
            drawn: None,
            incarnation: 0,
            acked: 0,
            epoch: 0,
            input: 0,
            held: Held::default(),
            waits: true,
            refused: None,
            shown: false,
            spoiled: false,
        })
    }

    /// Whether keys are sent.
    pub(super) fn drives(&self) -> bool {
        !self.wish.read_only
    }

    /// How a connection begins; with `tty`, the terminal goes along.
    pub(super) fn begin(&mut self, tty: bool) -> Vec<Frame> {
        self.size = screen::size();
        let (cols, rows) = self.size;
        // A connection that ended has let go.
        self.epoch = 0;
        self.waits = true;
        let attach = Frame::Attach(Attach {
            terminal: self.wish.terminal.clone(),
            resume: self.drawn,
            cols,
            rows,
            read_only: self.wish.read_only,
            history_lines: self.wish.history_lines,
            tty,
            fit: true,
        });
        // What is missing comes first, for the scrollback; whose size is told is drawn anew then.
        let anew = std::mem::take(&mut self.spoiled);
        let anew = anew.then_some(Frame::Resize { cols, rows });
        [Some(attach), anew].into_iter().flatten().collect()
    }

    /// What is due if the terminal has another size than was told.
    pub(super) fn resized(&mut self) -> Option<Frame> {
        let (cols, rows) = screen::size();
        let before = std::mem::replace(&mut self.size, (cols, rows));
        (before != self.size).then_some(Frame::Resize { cols, rows })
    }

    /// Bytes from the keyboard; none: it is gone. Who changes the size and then types finds it
    /// changed: the signal may come later than the keys.
    pub(super) fn typed(&mut self, bytes: &[u8]) -> Typed {
        let end = self.watch.find(bytes);
        let keys = &bytes[..end.unwrap_or(bytes.len())];
        let (cols, rows) = screen::size();
        // What was said over the picture was read now.
        let anew = self.spoiled && !self.waits && !keys.is_empty();
        let anew = anew.then_some(Frame::Resize { cols, rows });
        self.spoiled &= anew.is_none();
        let resized = self.resized().or(anew).filter(|_| !keys.is_empty());
        let input = match self.waits {
            true => {
                self.keep(keys);
                None
            }
            false => self.input(keys),
        };
        Typed {
            frames: resized.into_iter().chain(input).collect(),
            leaves: end.is_some() || bytes.is_empty(),
        }
    }

    /// Bytes from the keyboard while there is no connection. Returns whether the user leaves.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() || self.watch.find(bytes).is_some() {
            return true;
        }
        self.keep(bytes);
        false
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.drives() {
            self.held.keep(bytes, Instant::now());
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        self.held.lost(self.incarnation, Instant::now());
    }

    fn input(&mut self, bytes: &[u8]) -> Option<Frame> {
        if bytes.is_empty() || self.wish.read_only {
            return None;
        }
        self.input += 1;
        Some(Frame::Input {
            epoch: self.epoch,
            number: self.input,
            bytes: bytes.to_vec(),
        })
    }

    /// What is due after output was drawn.
    pub(super) fn due(&mut self) -> io::Result<Vec<Frame>> {
        let ack = self.ack();
        let keys = match self.waits {
            true => Kept::Nothing,
            false => self.held.release(self.incarnation, Instant::now()),
        };
        let input = match keys {
            Kept::Nothing => None,
            Kept::Keys(keys) => self.input(&keys),
            Kept::Dropped => {
                let why = "typed while nothing answered: that was not sent";
                self.refused = Some(why.to_owned());
                self.over(&format!("wsm: {why}"))?;
                None
            }
        };
        Ok(ack.into_iter().chain(input).collect())
    }

    fn ack(&mut self) -> Option<Frame> {
        let (_, seq) = self.drawn?;
        if seq.wrapping_sub(self.acked) < ACK_BYTES {
            return None;
        }
        self.acked = seq;
        Some(Frame::Ack { seq })
    }

    /// Handles one frame; output is appended to `out`, for [`Picture::draw`].
    pub(super) fn take(&mut self, frame: Frame, out: &mut Vec<u8>) -> io::Result<Option<Turn>> {
        match frame {
            Frame::Hello(hello) => {
                self.incarnation = hello.incarnation;
                // The number of an earlier incarnation says nothing in this one.
                self.drawn = self.drawn.filter(|(old, _)| *old == hello.incarnation);
            }
            Frame::Snapshot { seq, bytes, .. } => {
                out.clear();
                self.screen.draw(&bytes)?;
                self.seen(seq);
                // A snapshot opens the whole credit again.
                self.acked = seq.wrapping_sub(ACK_BYTES);
            }
            Frame::Output { seq, bytes } => {
                // A resume may repeat what was drawn.
                let done = self.drawn.map_or(0, |(_, drawn)| drawn.saturating_sub(seq));
                let skip = usize::try_from(done).unwrap_or(usize::MAX).min(bytes.len());
                out.extend_from_slice(&bytes[skip..]);
                self.seen(seq + bytes.len() as u64);
            }
            Frame::Refused { reason } => {
                // Where the shim draws, it rings as well: it knows where that cuts nothing.
                if self.drawn.is_some() {
                    out.push(0x07);
                }
                self.refused = Some(reason);
            }
            Frame::Picture { seq, bytes } => {
                out.extend_from_slice(&bytes);
                self.seen(seq);
                // The next one waits for this to be drawn.
                self.acked = seq.wrapping_sub(ACK_BYTES);
            }
            Frame::Lease(lease) => self.epoch = if lease.yours { lease.epoch } else { 0 },
            Frame::Exited(exit) => return Ok(Some(Turn::Ended(End::Exited(exit)))),
            // The shim's size is drawn by what it sends, or it drew the screen itself.
            Frame::Resized { .. } => self.shows(),
            // The rest is not for viewers.
            _ => {}
        }
        Ok(None)
    }

    fn seen(&mut self, seq: u64) {
        let seq = self.drawn.map_or(seq, |(_, drawn)| drawn.max(seq));
        self.drawn = Some((self.incarnation, seq));
        self.shows();
    }

    fn shows(&mut self) {
        self.shown = true;
        self.waits = false;
    }

    /// Puts output on the screen.
    pub(super) fn draw(&mut self, out: &[u8]) -> io::Result<()> {
        self.screen.write(out)
    }

    /// Says over the picture why nothing moves; the next connection draws it anew.
    pub(super) fn notice(&mut self, why: &str) -> io::Result<()> {
        let late = match self.drives() && self.held.is_late(Instant::now()) {
            true => "; keys are not sent",
            false => "",
        };
        let end = format!("{late}; trying again ({} leaves)", self.wish.detach);
        // One line, and how to leave is on it.
        let room = usize::from(screen::size().0).saturating_sub(end.len() + 8);
        let why: String = clean(why).chars().take(room).collect();
        self.over(&format!("wsm: {why}{end}"))
    }

    fn over(&mut self, text: &str) -> io::Result<()> {
        self.spoiled = true;
        let room = usize::from(screen::size().0).saturating_sub(2);
        let text: String = text.chars().take(room).collect();
        self.screen.notice(&text)
    }

    /// Whether anything was drawn since the last call.
    pub(super) fn has_shown(&mut self) -> bool {
        std::mem::take(&mut self.shown)
    }

    /// The user left.
    pub(super) fn detached(&self) -> End {
        End::Detached {
            refused: self.refused.clone(),
        }
    }
}

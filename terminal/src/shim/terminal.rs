//! One terminal: PTY, screen, ring, and when its output goes out.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{read, write};
use wsm_sandbox::launch::Exit;

use super::echo::Echo;
use super::flood::Flood;
use super::record::Recorder;
use crate::lease::Lease;
use crate::protocol::{Event, QUIET_MS};
use crate::pty;
use crate::ring::Ring;
use crate::screen::{Fed, PIECE_BYTES, Screen};
use crate::tokenizer::Signal;

/// A read that brings less took all there was; the loop finds out if not.
const SHORT_BYTES: usize = 512;
/// Output is gathered this long …
const GATHER: Duration = Duration::from_millis(5);
/// … unless so much is there …
const GATHER_BYTES: u64 = 16 * 1024;
/// … or somebody typed a moment ago: that is the echo.
const ECHO: Duration = Duration::from_millis(50);
/// Output taken in one turn after that.
const TYPING_BYTES: usize = 8 * 1024;
/// Input that may wait for a program to read it.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// The PTY's last bytes come through a kernel worker: after an exit, silence this long is the end …
const DRAIN_QUIET: Duration = Duration::from_millis(15);
/// … and this long is enough, if children keep writing.
const DRAIN_MAX: Duration = Duration::from_millis(200);
/// How long a program may take to draw itself anew for another size.
const REDRAWS: Duration = Duration::from_secs(2);
/// Silence after which the terminal counts as quiet.
const QUIET: Duration = Duration::from_millis(QUIET_MS);
/// Room for signals that is kept.
const KEPT_SIGNALS: usize = 16;
/// Signals (bells, notices …) a terminal may send at once, and per second.
const SIGNALS_BURST: u32 = 20;

/// Brings a terminal that a dead program left behind to where a new one expects it.
const RESET: &[u8] = b"\x1b[?1049l\x1b[!p\x1b7\x1b[r\x1b8\x1b[?1000l\x1b[?1002l\x1b[?1003l\
\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?2004l\x1b[?2026l\x1b[<99u\x1b[>4;0m\x1b[ q\x1b]8;;\x1b\\";

pub(super) struct Terminal {
    pub(super) name: Rc<str>,
    pub(super) screen: Screen,
    pub(super) ring: Ring,
    pub(super) master: Option<OwnedFd>,
    /// The process that has it, or had it last.
    pub(super) process: String,
    /// How that ended, once its output is complete.
    pub(super) ended: Option<Exit>,
    /// What it was before a process took it over that has not started yet.
    before: Option<(String, Exit)>,
    drain: Option<Drain>,
    input: Vec<u8>,
    /// The viewer whose size it has.
    pub(super) driver: Option<u64>,
    /// Where the last picture of a flood stood in for output.
    pub(super) skipped: u64,
    /// Where the size changed last.
    pub(super) resized: u64,
    /// What it shows is kept there.
    pub(super) recorder: Option<Box<Recorder>>,
    /// Who may type.
    pub(super) lease: Lease,
    shown: u64,
    shown_at: Option<Instant>,
    show_at: Option<Instant>,
    typed_at: Option<Instant>,
    pub(super) wrote_at: Option<Instant>,
    pub(super) echo: Echo,
    pub(super) flood: Flood,
    /// When it wrote what was not drawn anew for another size.
    acted_at: Option<Instant>,
    resized_at: Option<Instant>,
    active: bool,
    signals_left: u32,
    /// What the program would copy, if it was not told yet.
    pub(super) copy: Option<String>,
    signals_at: Instant,
    title_due: bool,
    /// Viewers get the output that is there, in this turn.
    pub(super) shows: bool,
    /// What came of the last output, for its buffers.
    fed: Fed,
}

struct Drain {
    exit: Exit,
    quiet: Instant,
    limit: Instant,
}

impl Terminal {
    pub(super) fn new(name: &str, process: String, cols: u16, rows: u16, now: Instant) -> Terminal {
        Terminal {
            name: name.into(),
            screen: Screen::new(cols, rows),
            ring: Ring::default(),
            master: None,
            process,
            ended: None,
            before: None,
            drain: None,
            input: Vec::new(),
            driver: None,
            skipped: 0,
            resized: 0,
            recorder: None,
            lease: Lease::default(),
            shown: 0,
            shown_at: None,
            show_at: None,
            typed_at: None,
            wrote_at: None,
            echo: Echo::default(),
            flood: Flood::new(now),
            acted_at: None,
            resized_at: None,
            active: false,
            signals_left: SIGNALS_BURST,
            copy: None,
            signals_at: now,
            title_due: false,
            shows: false,
            fed: Fed::default(),
        }
    }

    /// Another process takes it over; screen and numbers go on.
    pub(super) fn renew(&mut self, process: String) {
        let before = std::mem::replace(&mut self.process, process);
        self.before = self.ended.take().map(|exit| (before, exit));
        self.drain = None;
        self.master = None;
        self.input.clear();
        let mut fed = Fed::default();
        self.screen.feed(RESET, &mut fed);
        if self.screen.cursor().0 > 0 {
            self.screen.feed(b"\r\n", &mut fed);
        }
        self.ring.push(&fed.forward);
        if let Some(recorder) = &mut self.recorder {
            recorder.output(&fed.forward, &mut self.screen, Instant::now());
        }
    }

    /// The process that took it over could not be started. `false`: it never had another.
    pub(super) fn restore(&mut self) -> bool {
        let Some((process, exit)) = self.before.take() else {
            return false;
        };
        self.process = process;
        self.ended = Some(exit);
        true
    }

    /// The process runs.
    pub(super) fn started(&mut self, master: OwnedFd) -> std::io::Result<()> {
        self.before = None;
        pty::set_nonblocking(master.as_fd())?;
        let (cols, rows) = self.screen.size();
        pty::set_size(master.as_fd(), cols, rows)?;
        self.master = Some(master);
        Ok(())
    }

    pub(super) fn exited(&mut self, exit: Exit, now: Instant) {
        self.drain = Some(Drain {
            exit,
            quiet: now + DRAIN_QUIET,
            limit: now + DRAIN_MAX,
        });
    }

    /// Takes what the program wrote, at most what `scratch` holds or a little more. Returns the
    /// number of bytes.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
        events: &mut Vec<Event>,
    ) -> u64 {
        let mut total = 0;
        while total < scratch.len() {
            let Some(master) = &self.master else {
                break;
            };
            match read(master, &mut *scratch) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                // EIO: nobody has it open any more.
                Ok(0) | Err(_) => {
                    self.master = None;
                    self.input.clear();
                }
                // What is read is taken at once: the kernel moves up what comes next meanwhile.
                Ok(length) => {
                    total += length;
                    self.take(&scratch[..length], now, events);
                    if length < SHORT_BYTES {
                        break;
                    }
                }
            }
        }
        total as u64
    }

    /// What is taken in one turn: little while somebody types, since keys are looked for between two
    /// turns, and the echo is shown.
    pub(super) fn turn_bytes(&self, now: Instant) -> usize {
        match self.is_typed_into(now) {
            true => TYPING_BYTES,
            false => super::TURN_BYTES,
        }
    }

    fn is_typed_into(&self, now: Instant) -> bool {
        self.typed_at.is_some_and(|at| now - at < ECHO)
    }

    fn take(&mut self, bytes: &[u8], now: Instant, events: &mut Vec<Event>) {
        let mut fed = std::mem::take(&mut self.fed);
        for piece in bytes.chunks(PIECE_BYTES) {
            fed.forward.clear();
            self.screen.feed(piece, &mut fed);
            self.ring.push(&fed.forward);
            if let Some(recorder) = &mut self.recorder {
                recorder.output(&fed.forward, &mut self.screen, now);
            }
        }
        self.answer(&fed.answers);
        for signal in fed.signals.drain(..) {
            self.signal(signal, now, events);
        }
        fed.answers.clear();
        fed.forward.clear();
        // One that repeats and notifies a lot shall not keep more than others.
        fed.forward.shrink_to(PIECE_BYTES);
        fed.signals.shrink_to(KEPT_SIGNALS);
        self.fed = fed;
        self.wrote_at = Some(now);
        self.flood.look(self.ring.end(), now);
        self.acts(now, events);
        if let Some(drain) = &mut self.drain {
            drain.quiet = now + DRAIN_QUIET;
        }
        let recent = |at: Option<Instant>, span| at.is_some_and(|at| now - at < span);
        let urgent = self.is_typed_into(now)
            || !recent(self.shown_at, GATHER)
            || self.ring.end() - self.shown >= GATHER_BYTES;
        if urgent {
            self.show_at = Some(now);
        } else if self.show_at.is_none() {
            self.show_at = Some(self.shown_at.map_or(now, |at| at + GATHER));
        }
    }

    fn signal(&mut self, signal: Signal, now: Instant, events: &mut Vec<Event>) {
        let terminal = self.name.to_string();
        let event = match signal {
            Signal::Bell => Event::Bell { terminal },
            Signal::Notice(text) => Event::Notice { terminal, text },
            Signal::Mark(mark) => Event::Mark { terminal, mark },
            Signal::Copy(text) => {
                if self.may_signal(now) {
                    self.copy = Some(text);
                }
                return;
            }
            Signal::Title(_) => {
                // Told when its turn comes: the last one always is.
                self.title_due = true;
                return;
            }
            Signal::Answer(_) | Signal::Sync(_) | Signal::ModifyOtherKeys(_) | Signal::Reset => {
                return;
            }
        };
        if self.may_signal(now) {
            events.push(event);
        }
    }

    fn may_signal(&mut self, now: Instant) -> bool {
        if now - self.signals_at >= Duration::from_secs(1) {
            self.signals_at = now;
            self.signals_left = SIGNALS_BURST;
        }
        let may = self.signals_left > 0;
        self.signals_left = self.signals_left.saturating_sub(1);
        may
    }

    /// Types `bytes`. `false`: too much waits already.
    fn input(&mut self, bytes: &[u8], now: Instant) -> bool {
        if self.input.len() + bytes.len() > INPUT_BYTES_MAX {
            return false;
        }
        self.input.extend_from_slice(bytes);
        self.typed_at = Some(now);
        self.write();
        true
    }

    /// Types for a person, who is named if that is recorded. What nobody was to see is left out.
    pub(super) fn typed(&mut self, (user, kept): (&str, bool), bytes: &[u8], now: Instant) -> bool {
        let hidden = |master: &OwnedFd| pty::hides_input(master.as_fd());
        let kept = kept && !self.master.as_ref().is_none_or(hidden);
        let taken = self.input(bytes, now);
        if let Some(recorder) = self.recorder.as_mut().filter(|_| kept && taken) {
            recorder.input(user, bytes, &mut self.screen, now);
        }
        taken
    }

    /// What the program asked its terminal. A program that asks and does not read gets no answers.
    fn answer(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.input.len() + bytes.len() <= INPUT_BYTES_MAX {
            self.input.extend_from_slice(bytes);
            self.write();
        }
    }

    pub(super) fn input_waits(&self) -> bool {
        !self.input.is_empty()
    }

    pub(super) fn write(&mut self) {
        while let Some(master) = self.master.as_ref().filter(|_| !self.input.is_empty()) {
            match write(master, &self.input) {
                Ok(length) => drop(self.input.drain(..length)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.input.clear(),
            }
        }
    }

    /// Takes output for a sign of life, but what a program draws anew because somebody looks at it
    /// in a window of another size.
    fn acts(&mut self, now: Instant, events: &mut Vec<Event>) {
        if self.resized_at.is_some_and(|at| now - at < REDRAWS) {
            return;
        }
        self.acted_at = Some(now);
        if !self.active {
            self.active = true;
            events.push(Event::Activity {
                terminal: self.name.to_string(),
                active: true,
            });
        }
    }

    /// Gives it this size. Viewers draw the reflowed screen anew.
    pub(super) fn resize(&mut self, (cols, rows): (u16, u16)) -> bool {
        if !self.screen.resize(cols, rows) {
            return false;
        }
        let (cols, rows) = self.screen.size();
        if let Some(master) = &self.master {
            // A terminal that is just being closed has no size any more.
            pty::set_size(master.as_fd(), cols, rows).unwrap_or_default();
        }
        self.resized = self.ring.end();
        self.resized_at = Some(Instant::now());
        if let Some(recorder) = &mut self.recorder {
            recorder.resized((cols, rows), Instant::now());
        }
        true
    }

    /// When [`Terminal::tick`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        let quiet = self.acted_at.filter(|_| self.active).map(|at| at + QUIET);
        let title = self.title_due.then(|| {
            if self.signals_left > 0 {
                self.signals_at
            } else {
                self.signals_at + Duration::from_secs(1)
            }
        });
        let drain = self
            .drain
            .as_ref()
            .map(|drain| drain.quiet.min(drain.limit));
        let recording = self.recorder.as_ref().and_then(|recorder| recorder.due());
        [
            quiet,
            title,
            drain,
            self.show_at,
            recording,
            self.flood.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what time brings. Returns how the process ended once its output is complete.
    pub(super) fn tick(&mut self, now: Instant, events: &mut Vec<Event>) -> Option<Exit> {
        let exit = self.tell(now, events);
        if let Some(recorder) = &mut self.recorder {
            if let Some(exit) = exit {
                recorder.ended(exit, &mut self.screen, now);
            }
            let terminal = self.name.to_string();
            let stopped = recorder.tick(&mut self.screen, now);
            events.extend(stopped.map(|text| Event::Notice { terminal, text }));
        }
        let flooded = self.flood.due().is_some_and(|at| at <= now);
        if flooded && !self.flood.look(self.ring.end(), now) {
            // Viewers lack the end of it, and what went by.
            self.show_at = Some(now);
        }
        self.show(now);
        exit
    }

    fn tell(&mut self, now: Instant, events: &mut Vec<Event>) -> Option<Exit> {
        if self.title_due && self.may_signal(now) {
            self.title_due = false;
            events.push(Event::Title {
                terminal: self.name.to_string(),
                title: self.screen.title().to_owned(),
            });
        }
        if self.active && self.acted_at.is_none_or(|at| now - at >= QUIET) {
            self.active = false;
            events.push(Event::Activity {
                terminal: self.name.to_string(),
                active: false,
            });
        }
        let over = |drain: &Drain| now >= drain.quiet || now >= drain.limit;
        let gone = self.master.is_none();
        let drain = self.drain.take_if(|drain| gone || over(drain))?;
        self.ended = Some(drain.exit);
        self.show_at = Some(now);
        Some(drain.exit)
    }

    /// Finds out whether viewers should get the output that is there.
    fn show(&mut self, now: Instant) {
        self.shows = self.show_at.is_some_and(|at| at <= now);
        if self.shows {
            self.show_at = None;
            self.shown_at = Some(now);
            self.shown = self.ring.end();
        }
    }

    /// Whether a viewer that has all before `sent` lacks output that is already due.
    pub(super) fn behind(&self, sent: u64) -> bool {
        sent < self.shown || self.ended.is_some()
    }
}

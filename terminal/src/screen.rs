//! What a terminal shows: the screen's cells by `alacritty_terminal`, the history by ourselves.
//!
//! The engine would keep 10,000 rows of `columns × 24` bytes each; here it keeps none. Every row
//! that is about to scroll off is written as styled text into a bounded [`History`] first.

mod defaults;
pub mod history;
mod model;
mod pen;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod state;

use std::panic::AssertUnwindSafe;

use alacritty_terminal::vte::ansi::Processor;

pub use self::history::History;
use self::model::Model;
use crate::tokenizer::{Signal, Sink, Tokenizer};

pub(crate) use self::defaults::key_bits;
pub(crate) use self::model::Keys;
pub(crate) use self::pen::{Pen, write_row};

/// Bytes that are taken in at once. A snapshot or a cut can only fall between two such pieces, and
/// what one piece turns into (a REP may become a whole line) stays small.
pub const PIECE_BYTES: usize = 4096;

/// Smallest and largest sizes of a terminal.
pub const COLS: std::ops::RangeInclusive<u16> = 2..=1000;
/// See [`COLS`].
pub const ROWS: std::ops::RangeInclusive<u16> = 1..=500;

/// What came of some output.
#[derive(Debug, Default)]
pub struct Fed {
    /// The filtered bytes, for viewers.
    pub forward: Vec<u8>,
    /// What the program asked its terminal, answered: to be written to its input.
    pub answers: Vec<u8>,
    /// What was noticed.
    pub signals: Vec<Signal>,
}

/// A screen with its tokenizer and history.
pub struct Screen {
    tokenizer: Tokenizer,
    parser: Processor,
    model: Model,
    sync: bool,
    modify_other_keys: u8,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen")
            .field("size", &self.size())
            .field("history_lines", &self.history().lines())
            .finish_non_exhaustive()
    }
}

/// The size that a terminal gets when this one is asked for.
#[must_use]
pub fn clamp_size(cols: u16, rows: u16) -> (u16, u16) {
    (
        cols.clamp(*COLS.start(), *COLS.end()),
        rows.clamp(*ROWS.start(), *ROWS.end()),
    )
}

impl Screen {
    /// An empty screen; the size is clamped.
    #[must_use]
    pub fn new(cols: u16, rows: u16) -> Screen {
        let (cols, rows) = clamp_size(cols, rows);
        Screen {
            tokenizer: Tokenizer::new(cols, rows),
            parser: Processor::new(),
            model: Model::new(cols, rows, History::default()),
            sync: false,
            modify_other_keys: 0,
        }
    }

    /// Takes output in; at most [`PIECE_BYTES`] per call keeps memory small. `fed` is added to.
    pub fn feed(&mut self, bytes: &[u8], fed: &mut Fed) {
        let mut collector = Collector {
            parser: &mut self.parser,
            model: &mut self.model,
            taken: fed.forward.len(),
            fed,
            broken: false,
        };
        let signals = collector.fed.signals.len();
        self.tokenizer.feed(bytes, &mut collector);
        collector.catch_up();
        let broken = collector.broken;
        fed.answers.append(&mut self.model.take_answers());
        for signal in &fed.signals[signals..] {
            match signal {
                Signal::Sync(on) => self.sync = *on,
                Signal::ModifyOtherKeys(level) => self.modify_other_keys = *level,
                Signal::Reset => {
                    self.sync = false;
                    self.modify_other_keys = 0;
                }
                _ => {}
            }
        }
        if broken {
            self.rebuild(fed);
        }
    }

    /// The engine panicked: a blank screen is better than an agent that is lost.
    fn rebuild(&mut self, fed: &mut Fed) {
        let (cols, rows) = self.size();
        let history = std::mem::take(self.model.history_mut());
        self.tokenizer = Tokenizer::new(cols, rows);
        self.parser = Processor::new();
        self.model = Model::new(cols, rows, history);
        fed.forward.extend_from_slice(b"\x18\x1bc");
        fed.signals.push(Signal::Reset);
    }

    /// Changes the size (clamped); text reflows on the primary screen. `false`: it is the same.
    pub fn resize(&mut self, cols: u16, rows: u16) -> bool {
        let (cols, rows) = clamp_size(cols, rows);
        if (cols, rows) == self.size() {
            return false;
        }
        let model = &mut self.model;
        let resized = std::panic::catch_unwind(AssertUnwindSafe(|| model.resize(cols, rows)));
        if resized.is_err() {
            let history = std::mem::take(self.model.history_mut());
            self.parser = Processor::new();
            self.model = Model::new(cols, rows, history);
            self.tokenizer = Tokenizer::new(cols, rows);
        }
        self.tokenizer.resize(cols, rows);
        true
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        self.model.size()
    }

    /// Column and row of the cursor, from 0.
    #[must_use]
    pub fn cursor(&self) -> (u16, u16) {
        self.model.cursor()
    }

    /// The window title.
    #[must_use]
    pub fn title(&self) -> &str {
        self.tokenizer.title()
    }

    /// What scrolled off.
    #[must_use]
    pub fn history(&self) -> &History {
        self.model.history()
    }

    /// The text of history and screen for people and scripts: lines end in `\n`, empty lines at the
    /// end are left out.
    #[must_use]
    pub fn capture(&self, history_lines: usize, styled: bool) -> String {
        let mut text = Vec::new();
        for line in self.history().last(history_lines) {
            text.extend_from_slice(line.bytes);
            text.push(b'\n');
        }
        let rows = self.model.rows();
        let used = rows.iter().rposition(|row| pen::visible(row) > 0);
        for row in &rows[..used.map_or(0, |last| last + 1)] {
            let mut pen = Pen::default();
            write_row(&mut text, row, pen::visible(row), &mut pen);
            pen.close(&mut text);
            text.push(b'\n');
        }
        if !styled {
            text = pen::without_style(&text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    pub(crate) fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    pub(crate) fn sync(&self) -> bool {
        self.sync
    }

    pub(crate) fn modify_other_keys(&self) -> u8 {
        self.modify_other_keys
    }
}

/// Sorts the tokenizer's output; the engine gets it late, in few large pieces.
struct Collector<'a> {
    parser: &'a mut Processor,
    model: &'a mut Model,
    fed: &'a mut Fed,
    /// How much of `fed.forward` the engine has had.
    taken: usize,
    broken: bool,
}

impl Collector<'_> {
    fn catch_up(&mut self) {
        let (parser, model) = (&mut *self.parser, &mut *self.model);
        let bytes = &self.fed.forward[self.taken..];
        if !bytes.is_empty() && !self.broken {
            let ran = AssertUnwindSafe(|| parser.advance(model, bytes));
            self.broken = std::panic::catch_unwind(ran).is_err();
        }
        self.taken = self.fed.forward.len();
    }
}

impl Sink for Collector<'_> {
    fn both(&mut self, bytes: &[u8]) {
        self.fed.forward.extend_from_slice(bytes);
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.catch_up();
        self.fed.forward.extend_from_slice(bytes);
        self.taken = self.fed.forward.len();
        if !self.broken {
            let ran = AssertUnwindSafe(|| self.model.plain(bytes));
            self.broken = std::panic::catch_unwind(ran).is_err();
        }
    }

    fn attribute(&mut self, code: u16, bytes: &[u8]) {
        self.catch_up();
        self.fed.forward.extend_from_slice(bytes);
        if self.model.attribute(code) {
            self.taken = self.fed.forward.len();
        }
    }

    fn screen(&mut self, bytes: &[u8]) {
        self.catch_up();
        if !self.broken {
            let (parser, model) = (&mut *self.parser, &mut *self.model);
            let ran = AssertUnwindSafe(|| parser.advance(model, bytes));
            self.broken = std::panic::catch_unwind(ran).is_err();
        }
    }

    fn viewers(&mut self, bytes: &[u8]) {
        self.catch_up();
        self.fed.forward.extend_from_slice(bytes);
        self.taken = self.fed.forward.len();
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            // In order with the answers that the engine gives.
            Signal::Answer(answer) => {
                self.catch_up();
                self.model.answer(&answer);
            }
            signal => self.fed.signals.push(signal),
        }
    }
}

#[cfg(test)]
mod tests;

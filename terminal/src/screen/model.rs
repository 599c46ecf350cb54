//! The engine with what it does not tell: this sees every call of the parser before the engine does.
//!
//! It writes rows into the history before they scroll off, remembers state that the engine keeps to
//! itself but a snapshot needs (scroll region, tab stops, character set, keyboard modes), answers
//! colour queries, and goes around calls with which the engine is wrong or could panic.

mod half;
mod handler;
mod plain;

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use alacritty_terminal::Term;
use alacritty_terminal::event::{Event, EventListener};
use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Config, Osc52, TermMode};
use alacritty_terminal::vte::ansi::{
    CharsetIndex, Handler, KeyboardModes, KeyboardModesApplyBehavior,
};

use super::defaults::key_bits;
use super::history::{HISTORY_LINES_MAX, History};
use super::pen::{Pen, visible, write_row};

/// Answers that may wait, in bytes: a program that only asks and never reads gets no more.
const ANSWER_BYTES_MAX: usize = 4096;
const TAB_COLS: usize = 8;

/// Keyboard modes pushed on one of the screens.
pub(crate) type Keys = Vec<KeyboardModes>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Answers(Rc<RefCell<Vec<u8>>>);

impl Answers {
    fn push(&self, bytes: &[u8]) {
        let mut answers = self.0.borrow_mut();
        if answers.len() + bytes.len() <= ANSWER_BYTES_MAX {
            answers.extend_from_slice(bytes);
        }
    }
}

impl EventListener for Answers {
    fn send_event(&self, event: Event) {
        if let Event::PtyWrite(text) = event {
            self.push(text.as_bytes());
        }
    }
}

pub(crate) struct Model {
    term: Term<Answers>,
    answers: Answers,
    history: History,
    region: Range<i32>,
    tabs: Vec<bool>,
    charset: CharsetIndex,
    keys: Keys,
    other_keys: Keys,
}

struct Size {
    cols: usize,
    rows: usize,
}

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.rows
    }
    fn screen_lines(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.cols
    }
}

fn config(history: usize) -> Config {
    Config {
        scrolling_history: history,
        kitty_keyboard: true,
        osc52: Osc52::Disabled,
        ..Config::default()
    }
}

fn row_number(rows: usize) -> i32 {
    i32::try_from(rows).expect("counts are clamped to the screen")
}

fn narrow(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

impl Model {
    pub(super) fn new(cols: u16, rows: u16, history: History) -> Model {
        let (cols, rows) = (usize::from(cols), usize::from(rows));
        let answers = Answers::default();
        Model {
            term: Term::new(config(0), &Size { cols, rows }, answers.clone()),
            answers,
            history,
            region: 0..row_number(rows),
            tabs: (0..cols).map(|col| col % TAB_COLS == 0).collect(),
            charset: CharsetIndex::G0,
            keys: Keys::new(),
            other_keys: Keys::new(),
        }
    }

    pub(super) fn size(&self) -> (u16, u16) {
        (
            narrow(self.term.columns()),
            narrow(self.term.screen_lines()),
        )
    }

    pub(super) fn cursor(&self) -> (u16, u16) {
        let point = self.term.grid().cursor.point;
        (
            narrow(point.column.0),
            u16::try_from(point.line.0).unwrap_or(0),
        )
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    pub(super) fn take_answers(&mut self) -> Vec<u8> {
        self.answers.0.take()
    }

    pub(super) fn answer(&mut self, answer: &[u8]) {
        self.answers.push(answer);
    }

    /// The rows now shown.
    pub(super) fn rows(&self) -> Vec<&[Cell]> {
        let grid = self.term.grid();
        (0..row_number(grid.screen_lines()))
            .map(|row| &grid[Line(row)][..])
            .collect()
    }

    pub(crate) fn term(&self) -> &Term<Answers> {
        &self.term
    }

    pub(crate) fn region(&self) -> &Range<i32> {
        &self.region
    }

    /// Tab stops, if they are not every eighth column.
    pub(crate) fn tabs(&self) -> Option<&[bool]> {
        let usual = |(col, stop): (usize, &bool)| *stop == (col % TAB_COLS == 0);
        (!self.tabs.iter().enumerate().all(usual)).then_some(self.tabs.as_slice())
    }

    pub(crate) fn charset(&self) -> CharsetIndex {
        self.charset
    }

    /// Keyboard modes of the screen shown and of the other one.
    pub(crate) fn keys(&self) -> (&Keys, &Keys) {
        (&self.keys, &self.other_keys)
    }

    pub(crate) fn alternate(&self) -> bool {
        self.term.mode().contains(TermMode::ALT_SCREEN)
    }

    /// Shows the primary screen to `see`. The engine gives it out only by swapping, and a swap back
    /// wipes the alternate screen, which is therefore put aside.
    pub(crate) fn with_primary<R>(&mut self, see: impl FnOnce(&mut Term<Answers>) -> R) -> R {
        if !self.alternate() {
            return see(&mut self.term);
        }
        let blank = Grid::new(self.term.screen_lines(), self.term.columns(), 0);
        let aside = std::mem::replace(self.term.grid_mut(), blank);
        let modes = *self.term.mode();
        self.term.swap_alt();
        let seen = see(&mut self.term);
        self.term.swap_alt();
        *self.term.grid_mut() = aside;
        let keys = KeyboardModes::from_bits_truncate(key_bits(modes));
        self.term
            .set_keyboard_mode(keys, KeyboardModesApplyBehavior::Replace);
        seen
    }

    pub(super) fn resize(&mut self, cols: u16, rows: u16) {
        let (cols, rows) = (usize::from(cols), usize::from(rows));
        // Rows that no longer fit go to the engine's history, and from there to ours.
        self.term.set_options(config(HISTORY_LINES_MAX));
        self.term.resize(Size { cols, rows });
        let mut history = std::mem::take(&mut self.history);
        self.with_primary(|term| {
            let grid = term.grid_mut();
            for back in (1..=row_number(grid.history_size())).rev() {
                push_row(&mut history, &grid[Line(-back)][..]);
            }
            grid.update_history(0);
            grid.truncate();
            settle(term);
        });
        settle(&mut self.term);
        self.history = history;
        self.term.set_options(config(0));
        self.region = 0..row_number(rows);
        let known = self.tabs.len();
        self.tabs.truncate(cols);
        self.tabs
            .extend((known..cols).map(|col| col % TAB_COLS == 0));
    }

    /// The top `count` rows of the scroll region are about to go.
    fn keep(&mut self, count: i32) {
        if self.region.start != 0 || self.alternate() {
            return;
        }
        for row in 0..count.min(self.region.end) {
            push_row(&mut self.history, &self.term.grid()[Line(row)][..]);
        }
    }

    fn above(&self, count: usize) -> i32 {
        let line = self.term.grid().cursor.point.line.0;
        let inside = line >= self.region.start;
        let top = if inside { self.region.start } else { 0 };
        (line - row_number(count)).max(top)
    }

    fn below(&self, count: usize) -> i32 {
        let line = self.term.grid().cursor.point.line.0;
        let inside = line < self.region.end;
        let rows = row_number(self.term.screen_lines());
        let end = if inside { self.region.end } else { rows };
        (line + row_number(count)).min(end - 1)
    }

    fn put(&mut self, line: i32, col: Option<usize>) {
        let last = self.term.last_column();
        let cursor = &mut self.term.grid_mut().cursor;
        cursor.point.line = Line(line);
        cursor.point.column = col.map_or(cursor.point.column, |col| last.min(Column(col)));
        cursor.input_needs_wrap = false;
    }

    /// To the first column, within the region that scrolls.
    fn go_to_margin(&mut self) {
        if self.region.contains(&self.term.grid().cursor.point.line.0) {
            self.term.carriage_return();
        }
    }

    fn at_bottom(&self) -> bool {
        self.term.grid().cursor.point.line.0 + 1 == self.region.end
    }
}

/// After a resize the engine may take a cursor for waiting at the last column that is elsewhere.
fn settle(term: &mut Term<Answers>) {
    let last = term.last_column();
    let grid = term.grid_mut();
    grid.cursor.input_needs_wrap &= grid.cursor.point.column == last;
    grid.saved_cursor.input_needs_wrap &= grid.saved_cursor.point.column == last;
}

fn push_row(history: &mut History, row: &[Cell]) {
    let wrapped = row
        .last()
        .is_some_and(|cell| cell.flags.contains(Flags::WRAPLINE));
    let upto = visible(row);
    history.push(wrapped, |out| {
        let mut pen = Pen::default();
        write_row(out, row, upto, &mut pen);
        pen.close(out);
        narrow(upto)
    });
}

//! The engine with what it does not tell: this sees every call of the parser before the engine does.
//!
//! It writes rows into the history before they scroll off, remembers state that the engine keeps to
//! itself but a snapshot needs (scroll region, tab stops, character set, keyboard modes), answers
//! colour queries, and goes around calls with which the engine is wrong or could panic.

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
    Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
    KeyboardModesApplyBehavior, LineClearMode, Mode, NamedPrivateMode, PrivateMode, Rgb,
    StandardCharset, TabulationClearMode,
};
use unicode_width::UnicodeWidthChar;

use super::defaults::{default_colour, key_bits};
use super::history::{HISTORY_LINES_MAX, History};
use super::pen::{Pen, visible, write_row};

/// Keyboard modes a program may push; the engine's own bound of 4096 panics when it is reached.
const KEYS_MAX: usize = 16;
/// Marks on one cell; the engine has no bound.
const MARKS_MAX: usize = 16;
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

/// Calls that only need to reach the engine.
macro_rules! pass {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            #[inline]
            fn $name(&mut self, $($arg: $type),*) {
                self.term.$name($($arg),*);
            }
        )*
    };
}

impl Handler for Model {
    #[inline]
    fn input(&mut self, c: char) {
        let grid = self.term.grid();
        let cursor = &grid.cursor;
        let col = cursor.point.column.0;
        if cursor.input_needs_wrap || col + 1 >= grid.columns() {
            let wide = c.width() == Some(2);
            let marks = c.width() == Some(0);
            let wraps = !marks && (cursor.input_needs_wrap || wide);
            if wraps && self.at_bottom() && self.term.mode().contains(TermMode::LINE_WRAP) {
                self.keep(1);
            }
        }
        if !c.is_ascii() && c.width() == Some(0) {
            let back = usize::from(!self.term.grid().cursor.input_needs_wrap);
            let row = &self.term.grid()[self.term.grid().cursor.point.line][..];
            let mut at = col.saturating_sub(back);
            if row[at].flags.contains(Flags::WIDE_CHAR_SPACER) {
                at = at.saturating_sub(1);
            }
            if row[at]
                .zerowidth()
                .is_some_and(|marks| marks.len() >= MARKS_MAX)
            {
                return;
            }
        }
        self.term.input(c);
    }

    #[inline]
    fn linefeed(&mut self) {
        if self.at_bottom() {
            self.keep(1);
        }
        self.term.linefeed();
    }

    fn newline(&mut self) {
        self.linefeed();
    }

    fn scroll_up(&mut self, lines: usize) {
        self.keep(row_number(lines.min(self.term.screen_lines())));
        self.term.scroll_up(lines);
    }

    /// The engine's own writes tabs into cells and wraps at the last column; xterm does neither.
    fn put_tab(&mut self, count: u16) {
        if !self.term.grid().cursor.input_needs_wrap {
            self.term.move_forward_tabs(count);
        }
    }

    // The engine moves by `goto`, which in origin mode adds the region's top once more, and does not
    // stop at the region's edges as xterm does.

    fn move_up(&mut self, count: usize) {
        self.put(self.above(count), None);
    }

    fn move_down(&mut self, count: usize) {
        self.put(self.below(count), None);
    }

    fn move_up_and_cr(&mut self, count: usize) {
        self.put(self.above(count), Some(0));
    }

    fn move_down_and_cr(&mut self, count: usize) {
        self.put(self.below(count), Some(0));
    }

    fn goto_col(&mut self, col: usize) {
        self.put(self.term.grid().cursor.point.line.0, Some(col));
    }

    /// The engine forgets that the cursor left the last column.
    fn move_backward_tabs(&mut self, count: u16) {
        self.term.move_backward_tabs(count);
        self.term.grid_mut().cursor.input_needs_wrap = false;
    }

    /// The engine clears cells left of the cursor when more are deleted than are there.
    fn delete_chars(&mut self, count: usize) {
        let grid = self.term.grid();
        let left = grid.columns() - grid.cursor.point.column.0;
        self.term.delete_chars(count.min(left));
    }

    fn clear_screen(&mut self, mode: ClearMode) {
        match mode {
            // The engine scrolls the screen into its history instead of clearing it.
            ClearMode::All => self.term.grid_mut().reset_region(..),
            ClearMode::Saved => self.history.clear(),
            ClearMode::Above => {
                // The engine leaves row 0 when the cursor is in row 1.
                if self.term.grid().cursor.point.line == 1 {
                    self.term.grid_mut().reset_region(..Line(1));
                }
                self.term.clear_screen(mode);
            }
            ClearMode::Below => self.term.clear_screen(mode),
        }
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let rows = self.term.screen_lines();
        let bottom = bottom.unwrap_or(rows).min(rows);
        if top < bottom {
            self.region = row_number(top) - 1..row_number(bottom);
            self.term.set_scrolling_region(top, Some(bottom));
        }
    }

    fn set_horizontal_tabstop(&mut self) {
        self.tabs[self.term.grid().cursor.point.column.0] = true;
        self.term.set_horizontal_tabstop();
    }

    fn clear_tabs(&mut self, mode: TabulationClearMode) {
        match mode {
            TabulationClearMode::Current => {
                self.tabs[self.term.grid().cursor.point.column.0] = false;
            }
            TabulationClearMode::All => self.tabs.fill(false),
        }
        self.term.clear_tabs(mode);
    }

    fn reset_state(&mut self) {
        let (cols, rows) = self.size();
        self.term.reset_state();
        for index in 0..alacritty_terminal::term::color::COUNT {
            self.term.reset_color(index);
        }
        let history = std::mem::take(&mut self.history);
        let answers = self.answers.0.take();
        *self = Model::new(cols, rows, history);
        self.answers.push(&answers);
    }

    fn set_private_mode(&mut self, mode: PrivateMode) {
        self.swap_keys(mode, false);
        self.term.set_private_mode(mode);
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        if mode == PrivateMode::Named(NamedPrivateMode::SwapScreenAndSetRestoreCursor)
            && self.alternate()
        {
            // A program that left its alternate screen does not mean to find its keys there again;
            // a snapshot could not tell a viewer about keys of a screen that is not shown.
            self.pop_keyboard_modes(u16::MAX);
        }
        self.swap_keys(mode, true);
        self.term.unset_private_mode(mode);
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.charset = index;
        self.term.set_active_charset(index);
    }

    fn dynamic_color_sequence(&mut self, prefix: String, index: usize, terminator: &str) {
        let Rgb { r, g, b } = self.term.colors()[index].unwrap_or(default_colour(index));
        self.answers.push(
            format!("\x1b]{prefix};rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}{terminator}")
                .as_bytes(),
        );
    }

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        if self.keys.len() < KEYS_MAX {
            self.keys.push(mode);
            self.term.push_keyboard_mode(mode);
        }
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        let left = self.keys.len().saturating_sub(usize::from(count));
        self.keys.truncate(left);
        self.term.pop_keyboard_modes(count);
    }

    pass! {
        set_cursor_style(style: Option<CursorStyle>);
        set_cursor_shape(shape: CursorShape);
        goto(line: i32, col: usize);
        goto_line(line: i32);
        insert_blank(count: usize);
        identify_terminal(intermediate: Option<char>);
        device_status(status: usize);
        move_forward(count: usize);
        move_backward(count: usize);
        backspace();
        carriage_return();
        scroll_down(count: usize);
        insert_blank_lines(count: usize);
        delete_lines(count: usize);
        erase_chars(count: usize);
        move_forward_tabs(count: u16);
        save_cursor_position();
        restore_cursor_position();
        clear_line(mode: LineClearMode);
        reverse_index();
        terminal_attribute(attribute: Attr);
        set_mode(mode: Mode);
        unset_mode(mode: Mode);
        report_mode(mode: Mode);
        report_private_mode(mode: PrivateMode);
        set_keypad_application_mode();
        unset_keypad_application_mode();
        configure_charset(index: CharsetIndex, charset: StandardCharset);
        set_color(index: usize, colour: Rgb);
        reset_color(index: usize);
        decaln();
        text_area_size_chars();
        set_hyperlink(link: Option<Hyperlink>);
        report_keyboard_mode();
        set_keyboard_mode(mode: KeyboardModes, how: KeyboardModesApplyBehavior);
    }
}

impl Model {
    /// Each screen has keyboard modes of its own.
    fn swap_keys(&mut self, mode: PrivateMode, alternate: bool) {
        let swap = PrivateMode::Named(NamedPrivateMode::SwapScreenAndSetRestoreCursor);
        if mode == swap && self.alternate() == alternate {
            std::mem::swap(&mut self.keys, &mut self.other_keys);
        }
    }
}

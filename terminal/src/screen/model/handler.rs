//! Every call of the parser, on its way to the engine.

use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::Line;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::vte::ansi::{
    Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
    KeyboardModesApplyBehavior, LineClearMode, Mode, NamedPrivateMode, PrivateMode, Rgb,
    StandardCharset, TabulationClearMode,
};
use unicode_width::UnicodeWidthChar;

use super::{Model, row_number};
use crate::screen::defaults::default_colour;

/// Keyboard modes a program may push; the engine's own bound of 4096 panics when it is reached.
const KEYS_MAX: usize = 16;
/// Marks on one cell; the engine has no bound.
const MARKS_MAX: usize = 16;

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
            // The second half of a character that insert mode cut has nothing to mark.
            let half = row[at].flags.contains(Flags::WIDE_CHAR_SPACER);
            if half
                || row[at]
                    .zerowidth()
                    .is_some_and(|marks| marks.len() >= MARKS_MAX)
            {
                return;
            }
        }
        let halves = self.cut_halves(c);
        self.term.input(c);
        self.blank(halves);
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

    // Where lines are put in or taken out, xterm, VTE, kitty and xterm.js go to the first column.

    fn insert_blank_lines(&mut self, count: usize) {
        self.term.insert_blank_lines(count);
        self.go_to_margin();
    }

    fn delete_lines(&mut self, count: usize) {
        self.term.delete_lines(count);
        self.go_to_margin();
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

//! The other half of a wide character that is written over. The engine leaves it as a blank with the
//! look of the character; xterm and xterm.js give it that of what is written.

use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use unicode_width::UnicodeWidthChar;

use super::Model;

/// Line and column of a half to the left, and of one to the right.
pub(super) type Halves = [Option<(Line, Column)>; 2];

impl Model {
    /// What a character that is written now leaves half of.
    pub(super) fn cut_halves(&self, c: char) -> Halves {
        let grid = self.term.grid();
        let (mode, cursor) = (self.term.mode(), &grid.cursor);
        let width = c.width().unwrap_or_default();
        if width == 0 || mode.contains(TermMode::INSERT) {
            return Halves::default();
        }
        let (mut line, mut from) = (cursor.point.line, cursor.point.column.0);
        let wraps = cursor.input_needs_wrap || from + width > grid.columns();
        if wraps && mode.contains(TermMode::LINE_WRAP) {
            if self.at_bottom() || line.0 + 1 >= super::row_number(grid.screen_lines()) {
                return Halves::default(); // what comes is blank
            }
            (line, from) = (line + 1i32, 0);
        }
        let row = &grid[line];
        let begins = |at: usize| row[Column(at)].flags.contains(Flags::WIDE_CHAR);
        let ends = |at: usize| row[Column(at)].flags.contains(Flags::WIDE_CHAR_SPACER);
        let after = from + width;
        let left = from > 0 && ends(from) && begins(from - 1);
        let right = after < grid.columns() && ends(after) && begins(after - 1);
        [
            left.then(|| (line, Column(from - 1))),
            right.then_some((line, Column(after))),
        ]
    }

    /// Blanks them as the pen is.
    pub(super) fn blank(&mut self, halves: Halves) {
        let grid = self.term.grid_mut();
        for (line, column) in halves.into_iter().flatten() {
            let pen = grid.cursor.template.clone();
            grid[line][column] = Cell { c: ' ', ..pen };
        }
    }
}

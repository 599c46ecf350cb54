//! Nearly everything that programs print: printable ASCII, the simplest controls and colours.
//!
//! The engine takes characters one by one and looks at everything for each; a row of them is put
//! into its cells at once here, where nothing but the characters and the pen matters.

use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::Column;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{Color, Handler, NamedColor, StandardCharset};

use super::Model;
use crate::tokenizer::{is_printable, run};

/// The dark ones and the bright ones.
const COLOURS: [NamedColor; 16] = [
    NamedColor::Black,
    NamedColor::Red,
    NamedColor::Green,
    NamedColor::Yellow,
    NamedColor::Blue,
    NamedColor::Magenta,
    NamedColor::Cyan,
    NamedColor::White,
    NamedColor::BrightBlack,
    NamedColor::BrightRed,
    NamedColor::BrightGreen,
    NamedColor::BrightYellow,
    NamedColor::BrightBlue,
    NamedColor::BrightMagenta,
    NamedColor::BrightCyan,
    NamedColor::BrightWhite,
];

impl Model {
    /// Takes printable ASCII, BS, HT, LF and CR, while no sequence is under way.
    pub(in crate::screen) fn plain(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let printable = run::<_, 32>(rest, is_printable);
            self.print(&rest[..printable]);
            rest = &rest[printable.max(1)..];
            match byte {
                _ if printable > 0 => {}
                b'\n' => self.linefeed(),
                b'\r' => self.carriage_return(),
                0x08 => self.backspace(),
                b'\t' => self.put_tab(1),
                _ => {}
            }
        }
    }

    /// Changes the pen by the plainest parameters of SGR. `false`: the parser must see it.
    pub(in crate::screen) fn attribute(&mut self, code: u16) -> bool {
        let pen = &mut self.term.grid_mut().cursor.template;
        match code {
            0 => {
                pen.fg = Color::Named(NamedColor::Foreground);
                pen.bg = Color::Named(NamedColor::Background);
                pen.flags = Flags::empty();
                pen.set_underline_color(None);
            }
            1 => pen.flags.insert(Flags::BOLD),
            2 => pen.flags.insert(Flags::DIM),
            3 => pen.flags.insert(Flags::ITALIC),
            7 => pen.flags.insert(Flags::INVERSE),
            22 => pen.flags.remove(Flags::BOLD | Flags::DIM),
            23 => pen.flags.remove(Flags::ITALIC),
            27 => pen.flags.remove(Flags::INVERSE),
            30..=37 => pen.fg = Color::Named(COLOURS[usize::from(code - 30)]),
            39 => pen.fg = Color::Named(NamedColor::Foreground),
            40..=47 => pen.bg = Color::Named(COLOURS[usize::from(code - 40)]),
            49 => pen.bg = Color::Named(NamedColor::Background),
            90..=97 => pen.fg = Color::Named(COLOURS[usize::from(code - 82)]),
            _ => return false,
        }
        true
    }

    fn print(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(&first) = rest.first() {
            let put = self.put_row(rest);
            if put == 0 {
                self.input(char::from(first));
            }
            rest = &rest[put.max(1)..];
        }
    }

    /// Puts as many characters as come before the last column, where a row may be over. Returns how
    /// many; 0: the engine must look at the first.
    fn put_row(&mut self, text: &[u8]) -> usize {
        let charset = self.charset;
        let inserts = self.term.mode().contains(TermMode::INSERT);
        let grid = self.term.grid_mut();
        let last = grid.last_column();
        let cursor = &grid.cursor;
        if inserts || cursor.input_needs_wrap || cursor.charsets[charset] != StandardCharset::Ascii
        {
            return 0;
        }
        let from = cursor.point.column;
        let to = last.min(Column(from.0 + text.len()));
        let (line, pen) = (cursor.point.line, cursor.template.clone());
        let cells = &mut grid[line][from..to];
        let halves = Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER;
        let simple = |cell: &Cell| !cell.flags.intersects(halves) & cell.extra.is_none();
        if pen.extra.is_some() || run::<_, 8>(cells, simple) < cells.len() {
            return 0;
        }
        for (cell, &byte) in cells.iter_mut().zip(text) {
            cell.c = char::from(byte);
            cell.fg = pen.fg;
            cell.bg = pen.bg;
            cell.flags = pen.flags;
        }
        grid.cursor.point.column = to;
        to.0 - from.0
    }
}

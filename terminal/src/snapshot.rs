//! Writes a whole screen as bytes that draw it on a freshly reset xterm, and on our own screen so
//! that both go on alike: what is fed after it must have the same effect on the copy.

use std::io::Write;

use alacritty_terminal::grid::{Cursor, Dimensions};
use alacritty_terminal::index::Line;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Term, TermMode};
use alacritty_terminal::vte::ansi::{CharsetIndex, CursorShape, CursorStyle, StandardCharset};

use crate::plain;
use crate::protocol::FRAME_BYTES_MAX;
use crate::screen::{Keys, Pen, Screen, key_bits, write_row};

/// Longest snapshot: its frame has a head too.
pub const SNAPSHOT_BYTES_MAX: usize = FRAME_BYTES_MAX - 64;
/// Bytes of history that a snapshot may carry.
const HISTORY_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;

/// Draws the screen, after up to `history_lines` lines of history.
///
/// A screen of the largest size with another style in each cell would not fit a frame: then the
/// styles are left out, and if need be everything but ASCII.
#[must_use]
pub fn snapshot(screen: &mut Screen, history_lines: usize) -> Vec<u8> {
    snapshot_with(screen, history_lines, None)
}

/// The same with a notice over its last line, until it is drawn again without.
#[must_use]
pub fn snapshot_with(screen: &mut Screen, history_lines: usize, notice: Option<&str>) -> Vec<u8> {
    let screens = Detail::LADDER.map(|detail| (0, detail));
    for (lines, detail) in [(history_lines, Detail::Full)].into_iter().chain(screens) {
        let bytes = Writer::new(detail).screen(screen, lines, notice);
        if bytes.len() <= SNAPSHOT_BYTES_MAX {
            return bytes;
        }
    }
    Vec::new()
}

/// How much of each cell is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Full,
    Plain,
    Ascii,
}

impl Detail {
    /// What does not fit one of them may fit the next.
    pub(crate) const LADDER: [Detail; 3] = [Detail::Full, Detail::Plain, Detail::Ascii];

    /// Writes a row's first cells.
    pub(crate) fn write(self, out: &mut Vec<u8>, row: &[Cell], upto: usize, pen: &mut Pen) {
        if self == Detail::Full {
            return write_row(out, row, upto, pen);
        }
        let wide = self == Detail::Plain;
        let mut buffer = [0; 4];
        for cell in &row[..upto] {
            let spacer = cell.flags.contains(Flags::WIDE_CHAR_SPACER);
            let shown = cell.c.is_ascii_graphic()
                || (wide && !cell.c.is_control() && !cell.flags.contains(Flags::WIDE_CHAR));
            let c = if shown && !spacer { cell.c } else { ' ' };
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
    }
}

struct Writer {
    out: Vec<u8>,
    pen: Pen,
    detail: Detail,
}

macro_rules! say {
    ($writer:expr, $($format:tt)*) => {
        write!($writer.out, $($format)*).expect("a Vec takes all")
    };
}

impl Writer {
    fn new(detail: Detail) -> Writer {
        Writer {
            out: Vec::new(),
            pen: Pen::default(),
            detail,
        }
    }

    fn screen(mut self, screen: &mut Screen, lines: usize, notice: Option<&str>) -> Vec<u8> {
        if screen.sync() {
            self.out.extend_from_slice(b"\x1b[?2026h");
        }
        self.history(screen, lines);
        self.colours(screen);
        let title = screen.title().to_owned();
        if !title.is_empty() {
            say!(self, "\x1b]2;{title}\x1b\\");
        }
        let level = screen.modify_other_keys();
        if level > 0 {
            say!(self, "\x1b[>4;{level}m");
        }
        let model = screen.model();
        let alternate = model.alternate();
        model.with_primary(|term| self.grid(term));
        if alternate {
            self.keys(model.keys().1);
            model.with_primary(|term| self.cursor(&term.grid().cursor, term));
            self.out.extend_from_slice(b"\x1b[?1049h");
            // The pen and the sets came along from the primary screen.
            self.pen_of(&Cell::default());
            self.out.extend_from_slice(b"\x1b(B\x1b)B\x1b[2J");
            self.grid(model.term());
        }
        if let Some(notice) = notice {
            self.notice(model.term(), notice);
        }
        self.keys(model.keys().0);
        let modes = *model.term().mode();
        let flags = key_bits(modes);
        if flags != model.keys().0.last().map_or(0, |keys| keys.bits()) {
            say!(self, "\x1b[={flags};1u");
        }
        self.saved(model.term());
        self.tabs(model.tabs());
        let (region, rows) = (model.region().clone(), model.term().screen_lines());
        if usize::try_from(region.end).is_ok_and(|end| end < rows) || region.start > 0 {
            say!(self, "\x1b[{};{}r", region.start + 1, region.end);
        }
        let cursor = &model.term().grid().cursor;
        if modes.contains(TermMode::ORIGIN) {
            self.out.extend_from_slice(b"\x1b[?6h");
            let mut cursor = cursor.clone();
            cursor.point.line -= usize::try_from(region.start).unwrap_or(0);
            self.cursor_at(&cursor, model.term(), region.start);
        } else {
            self.cursor(cursor, model.term());
        }
        self.modes(modes, model.term().cursor_style());
        if model.charset() == CharsetIndex::G1 {
            self.out.push(0x0e);
        }
        self.out
    }

    /// Where and with what style writing goes on is said after this.
    fn notice<T>(&mut self, term: &Term<T>, text: &str) {
        let text = plain::line(text, term.columns().saturating_sub(2));
        say!(
            self,
            "\x1b(B\x1b[{};1H\x1b[m\x1b[2K\x1b[7m {text} \x1b[m",
            term.screen_lines()
        );
        self.pen = Pen::default();
    }

    /// History first, scrolled off the top by line feeds so that it ends up in the viewer's own.
    fn history(&mut self, screen: &Screen, lines: usize) {
        let (cols, rows) = screen.size();
        let (cols, rows) = (usize::from(cols), usize::from(rows));
        let history = screen.history();
        let mut lines = lines.min(history.lines());
        let mut bytes: usize = history.last(lines).map(|line| line.bytes.len() + 2).sum();
        for line in history.last(lines) {
            if bytes <= HISTORY_BYTES_MAX {
                break;
            }
            bytes -= line.bytes.len() + 2;
            lines -= 1;
        }
        if lines == 0 {
            return;
        }
        let (mut used, mut width) = (0, 0);
        for line in history.last(lines) {
            self.out.extend_from_slice(line.bytes);
            width += usize::from(line.cols);
            if !line.wrapped {
                self.out.extend_from_slice(b"\r\n");
                used += width.div_ceil(cols).max(1);
                width = 0;
            }
        }
        used += width.div_ceil(cols);
        say!(self, "\x1b[{rows};1H");
        self.out
            .extend(std::iter::repeat_n(b'\n', used.min(rows - 1)));
        self.out.extend_from_slice(b"\x1b[H\x1b[2J");
    }

    /// Colours that the program changed.
    fn colours(&mut self, screen: &mut Screen) {
        let colours = screen.model().term().colors();
        for index in 0..=258 {
            let Some(rgb) = colours[index] else {
                continue;
            };
            let which = match index {
                0..256 => format!("4;{index}"),
                256 => "10".to_owned(),
                257 => "11".to_owned(),
                _ => "12".to_owned(),
            };
            say!(
                self,
                "\x1b]{which};rgb:{:02x}/{:02x}/{:02x}\x1b\\",
                rgb.r,
                rgb.g,
                rgb.b
            );
        }
    }

    fn pen_of(&mut self, cell: &Cell) {
        if self.detail == Detail::Full {
            self.pen.take(&mut self.out, cell);
        }
    }

    /// All rows, from the top left. A row that wrapped is written to its end without a line break,
    /// so that the viewer wraps it as well.
    fn grid<T>(&mut self, term: &Term<T>) {
        self.out.extend_from_slice(b"\x1b[H");
        let grid = term.grid();
        let last = term.bottommost_line().0;
        let mut wrapped = false;
        for line in 0..=last {
            let row = &grid[Line(line)][..];
            let wraps = line < last
                && row
                    .last()
                    .is_some_and(|c| c.flags.contains(Flags::WRAPLINE));
            let upto = if wraps {
                // The viewer leaves the last column free by itself when a wide one follows.
                let follows = begins_wide(&grid[Line(line + 1)][..]);
                row.len() - usize::from(leads(row) && follows)
            } else {
                used(row).max(usize::from(wrapped))
            };
            self.row(row, upto);
            if !wraps && line < last {
                self.out.extend_from_slice(b"\r\n");
            }
            wrapped = wraps;
        }
        self.pen_of(&Cell::default());
    }

    fn row(&mut self, row: &[Cell], upto: usize) {
        self.detail.write(&mut self.out, row, upto, &mut self.pen);
    }

    fn cursor<T>(&mut self, cursor: &Cursor<Cell>, term: &Term<T>) {
        self.cursor_at(cursor, term, 0);
    }

    /// Puts the cursor, its style and its sets; `above` rows are not counted by the viewer.
    fn cursor_at<T>(&mut self, cursor: &Cursor<Cell>, term: &Term<T>, above: i32) {
        let (line, col) = (cursor.point.line.0.max(0), cursor.point.column.0);
        let row = &term.grid()[Line((line + above).min(term.bottommost_line().0))][..];
        let waits = cursor.input_needs_wrap && col + 1 == row.len();
        if waits {
            // Only writing the last cell again makes the next character wrap.
            let wide = row[col].flags.contains(Flags::WIDE_CHAR_SPACER)
                && row[col - 1].flags.contains(Flags::WIDE_CHAR);
            let from = col - usize::from(wide);
            say!(self, "\x1b(B\x1b[{};{}H", line + 1, from + 1);
            let mut text = std::mem::take(&mut self.out);
            let mut pen = std::mem::take(&mut self.pen);
            if self.detail == Detail::Full {
                write_row(&mut text, &row[from..], row.len() - from, &mut pen);
            } else {
                text.extend_from_slice(if wide { b"  " } else { b" " });
            }
            (self.out, self.pen) = (text, pen);
        } else {
            say!(self, "\x1b[{};{}H", line + 1, col + 1);
        }
        self.pen_of(&cursor.template);
        for (slot, index) in [('(', CharsetIndex::G0), (')', CharsetIndex::G1)] {
            if cursor.charsets[index] == StandardCharset::SpecialCharacterAndLineDrawing {
                say!(self, "\x1b{slot}0");
            } else {
                say!(self, "\x1b{slot}B");
            }
        }
    }

    fn saved<T>(&mut self, term: &Term<T>) {
        let saved = &term.grid().saved_cursor;
        self.cursor(saved, term);
        self.out.extend_from_slice(b"\x1b7");
    }

    fn keys(&mut self, keys: &Keys) {
        for modes in keys {
            say!(self, "\x1b[>{}u", modes.bits());
        }
    }

    fn tabs(&mut self, tabs: Option<&[bool]>) {
        let Some(tabs) = tabs else {
            return;
        };
        self.out.extend_from_slice(b"\x1b[3g");
        for (col, _) in tabs.iter().enumerate().filter(|(_, stop)| **stop) {
            say!(self, "\x1b[1;{}H\x1bH", col + 1);
        }
    }

    fn modes(&mut self, modes: TermMode, style: CursorStyle) {
        for (mode, on) in [
            (TermMode::APP_CURSOR, "\x1b[?1h"),
            (TermMode::APP_KEYPAD, "\x1b="),
            (TermMode::BRACKETED_PASTE, "\x1b[?2004h"),
            (TermMode::MOUSE_REPORT_CLICK, "\x1b[?1000h"),
            (TermMode::MOUSE_DRAG, "\x1b[?1002h"),
            (TermMode::MOUSE_MOTION, "\x1b[?1003h"),
            (TermMode::UTF8_MOUSE, "\x1b[?1005h"),
            (TermMode::SGR_MOUSE, "\x1b[?1006h"),
            (TermMode::FOCUS_IN_OUT, "\x1b[?1004h"),
            (TermMode::INSERT, "\x1b[4h"),
        ] {
            if modes.contains(mode) {
                self.out.extend_from_slice(on.as_bytes());
            }
        }
        for (mode, off) in [
            (TermMode::LINE_WRAP, "\x1b[?7l"),
            (TermMode::ALTERNATE_SCROLL, "\x1b[?1007l"),
            (TermMode::SHOW_CURSOR, "\x1b[?25l"),
        ] {
            if !modes.contains(mode) {
                self.out.extend_from_slice(off.as_bytes());
            }
        }
        if style != CursorStyle::default() {
            let shape = match style.shape {
                CursorShape::Underline => 3,
                CursorShape::Beam => 5,
                _ => 1,
            };
            say!(self, "\x1b[{} q", shape + u8::from(!style.blinking));
        }
    }
}

/// The last cell was left free because a wide character did not fit.
fn leads(row: &[Cell]) -> bool {
    row.last()
        .is_some_and(|cell| cell.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER))
}

fn begins_wide(row: &[Cell]) -> bool {
    row[0].flags.contains(Flags::WIDE_CHAR) && row[1].flags.contains(Flags::WIDE_CHAR_SPACER)
}

/// Cells up to the last one that is not as a fresh screen has it.
fn used(row: &[Cell]) -> usize {
    let fresh = Cell::default();
    row.iter()
        .rposition(|cell| *cell != fresh)
        .map_or(0, |last| last + 1)
}

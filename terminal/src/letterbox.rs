//! The screen as a terminal of another size can show it: from the top left, bordered where there is
//! room left, clipped and followed by the cursor where there is not.
//!
//! It is drawn row by row, and only rows that changed since: what was drawn last is remembered as
//! one number per row.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;

use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::Line;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};

use crate::plain;
use crate::protocol::RESET;
use crate::screen::{COLS, Pen, ROWS, Screen};
use crate::snapshot::{Detail, SNAPSHOT_BYTES_MAX};

/// What one viewer's terminal shows.
#[derive(Debug, Clone)]
pub struct Letterbox {
    cols: usize,
    rows: usize,
    /// The size of what was drawn last.
    of: (u16, u16),
    /// What is on each row; 0 for not known.
    drawn: Vec<u64>,
    title: String,
}

impl Letterbox {
    /// For a terminal of this size, on which anything may stand.
    #[must_use]
    pub fn new((cols, rows): (u16, u16)) -> Letterbox {
        Letterbox {
            cols: usize::from(cols.clamp(1, *COLS.end())),
            rows: usize::from(rows.clamp(1, *ROWS.end())),
            of: (0, 0),
            drawn: Vec::new(),
            title: String::new(),
        }
    }

    /// Whether it is for a terminal of this size.
    #[must_use]
    pub fn fits(&self, size: (u16, u16)) -> bool {
        let other = Letterbox::new(size);
        (self.cols, self.rows) == (other.cols, other.rows)
    }

    /// Bytes that bring the viewer's terminal from what was drawn last to this. `notice` stands on
    /// the last line, if there is one. As with snapshots, what would not fit a frame is drawn with
    /// less detail.
    #[must_use]
    pub fn paint(&mut self, screen: &mut Screen, notice: Option<&str>) -> Vec<u8> {
        for detail in Detail::LADDER {
            let mut next = self.clone();
            let bytes = next.painted(screen, notice, detail);
            if bytes.len() <= SNAPSHOT_BYTES_MAX {
                *self = next;
                return bytes;
            }
        }
        Vec::new()
    }

    /// More than fits a frame is not drawn to its end.
    fn painted(&mut self, screen: &mut Screen, notice: Option<&str>, detail: Detail) -> Vec<u8> {
        let size = screen.size();
        let (cols, rows) = (usize::from(size.0), usize::from(size.1));
        let mut out = Vec::new();
        if self.of != size {
            self.of = size;
            self.drawn = vec![0; self.rows];
            self.title.clear();
            out.extend_from_slice(RESET.as_bytes());
        }
        out.extend_from_slice(b"\x1b[?2026h\x1b[?25l\x1b[?7l");
        if self.title != screen.title() {
            screen.title().clone_into(&mut self.title);
            write!(out, "\x1b]2;{}\x1b\\", self.title).expect("a Vec takes all");
        }
        let clipped = cols > self.cols || rows > self.rows;
        let hint = match notice {
            Some(notice) => Some(notice.to_owned()),
            None if clipped => Some(format!("{cols}x{rows}, more than fits here")),
            None => None,
        };
        let room = self.rows - usize::from(hint.is_some() && self.rows > 1);
        let (col, row) = screen.cursor();
        let (col, row) = (usize::from(col), usize::from(row));
        let shown = room.min(rows);
        let top = (row + 1).saturating_sub(shown);
        for at in 0..room {
            if out.len() > SNAPSHOT_BYTES_MAX {
                return out;
            }
            let line = match at.cmp(&shown) {
                std::cmp::Ordering::Less => self.line(screen, (top + at, cols), detail),
                std::cmp::Ordering::Equal => self.bottom(cols),
                std::cmp::Ordering::Greater => Vec::new(),
            };
            self.put(&mut out, at, &line);
        }
        if let (Some(hint), true) = (hint, room < self.rows) {
            let text = plain::line(&hint, self.cols.saturating_sub(2));
            self.put(&mut out, room, format!("\x1b[7m {text} \x1b[m").as_bytes());
        }
        let mode = *screen.model().term().mode();
        if mode.contains(TermMode::SHOW_CURSOR) && col < self.cols && row >= top {
            let (row, col) = (row - top + 1, col + 1);
            write!(out, "\x1b[{row};{col}H\x1b[?25h").expect("a Vec takes all");
        }
        out.extend_from_slice(b"\x1b[?7h\x1b[?2026l");
        out
    }

    /// One row of the screen, and the border at its right.
    fn line(&self, screen: &mut Screen, (row, cols): (usize, usize), detail: Detail) -> Vec<u8> {
        let term = screen.model().term();
        let mut line = Vec::new();
        let Some(row) = i32::try_from(row)
            .ok()
            .filter(|row| *row <= term.bottommost_line().0)
        else {
            return line;
        };
        let cells: &[Cell] = &term.grid()[Line(row)][..];
        let mut upto = cells.len().min(self.cols);
        // Half of a wide character is none.
        if upto < cells.len() && cells[upto - 1].flags.contains(Flags::WIDE_CHAR) {
            upto -= 1;
        }
        let mut pen = Pen::default();
        detail.write(&mut line, cells, upto, &mut pen);
        pen.close(&mut line);
        if cols < self.cols {
            line.extend_from_slice("\x1b[2m│\x1b[m".as_bytes());
        }
        line
    }

    fn bottom(&self, cols: usize) -> Vec<u8> {
        let wide = cols.min(self.cols);
        let corner = if cols < self.cols { "┘" } else { "" };
        format!("\x1b[2m{}{corner}\x1b[m", "─".repeat(wide)).into_bytes()
    }

    fn put(&mut self, out: &mut Vec<u8>, row: usize, line: &[u8]) {
        let mut hasher = DefaultHasher::new();
        hasher.write(line);
        let now = hasher.finish().max(1);
        if std::mem::replace(&mut self.drawn[row], now) != now {
            write!(out, "\x1b[{};1H\x1b[m\x1b[2K", row + 1).expect("a Vec takes all");
            out.extend_from_slice(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Fed;

    fn screen(cols: u16, rows: u16, text: &str) -> Screen {
        let mut screen = Screen::new(cols, rows);
        screen.feed(text.as_bytes(), &mut Fed::default());
        screen
    }

    fn show(on: &mut Screen, bytes: &[u8]) -> Vec<String> {
        on.feed(bytes, &mut Fed::default());
        on.capture(0, false).lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_larger_terminal_has_a_border_and_gets_only_what_changed() {
        let mut small = screen(10, 3, "one\r\ntwo\r\nthree");
        let mut large = screen(20, 6, "what was there before\r\nand more");
        let mut letterbox = Letterbox::new((20, 6));
        let first = letterbox.paint(&mut small, None);
        let rows = show(&mut large, &first);
        assert_eq!(rows[0], "one       │");
        assert_eq!(rows[2], "three     │");
        assert_eq!(rows[3], "──────────┘");
        assert_eq!(rows.len(), 4);
        assert_eq!(large.cursor(), (5, 2));
        small.feed(b"\x1b[1;1Hnew", &mut Fed::default());
        let next = letterbox.paint(&mut small, None);
        assert!(next.len() < first.len() / 2, "{}", next.len());
        assert_eq!(show(&mut large, &next)[0], "new       │");
        assert_eq!(large.cursor(), (3, 0));
        let same = letterbox.paint(&mut small, None);
        assert!(same.len() < 60);
    }

    #[test]
    fn a_smaller_terminal_sees_where_the_cursor_is() {
        let text: Vec<String> = (0..24).map(|row| format!("row {row} 世界")).collect();
        let mut large = screen(80, 24, &text.join("\r\n"));
        let mut small = screen(9, 5, "");
        let mut letterbox = Letterbox::new((9, 5));
        let bytes = letterbox.paint(&mut large, None);
        let rows = show(&mut small, &bytes);
        assert_eq!(rows[3], "row 23 世");
        assert!(rows[4].contains("80x24"), "{rows:?}");
        let bytes = letterbox.paint(&mut large, Some("ada asks"));
        assert_eq!(show(&mut small, &bytes)[4], " ada ask ");
    }

    #[test]
    fn a_picture_of_whatever_screen_fits_a_frame() {
        let mut full = Screen::new(80, 24);
        let links = |number: usize, text: &str| {
            format!("\x1b]8;;https://{number:02000}\x1b\\{text}\x1b]8;;\x1b\\")
        };
        for number in 0..80 * 24 {
            full.feed(links(number, "x").as_bytes(), &mut Fed::default());
        }
        let mut letterbox = Letterbox::new((100, 30));
        let first = letterbox.paint(&mut full, None);
        assert!(first.len() <= SNAPSHOT_BYTES_MAX, "{}", first.len());
        let mut shown = screen(100, 30, "");
        assert!(show(&mut shown, &first)[10].starts_with("xxxx"));
        // What was drawn plainly stays so until it changes, or fits as it is.
        assert!(letterbox.paint(&mut full, None).len() < 100);
        full.feed(b"\x1b[1;1H\x1b[31mnew", &mut Fed::default());
        let next = letterbox.paint(&mut full, None);
        assert!(next.len() <= SNAPSHOT_BYTES_MAX, "{}", next.len());
        assert!(show(&mut shown, &next)[0].starts_with("newx"));
    }

    #[test]
    fn a_notice_is_text_and_stays_on_its_line() {
        let evil = "\x1b]52;c;QQ==\x07a\u{9b}2Jb\u{202e}c\nd";
        let mut small = screen(10, 3, "one");
        let painted = Letterbox::new((40, 6)).paint(&mut small, Some(evil));
        let drawn = crate::snapshot::snapshot_with(&mut small, 0, Some(evil));
        for bytes in [painted, drawn] {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("\x1b]52"), "{text:?}");
            assert!(!text.contains(['\u{7}', '\u{9b}', '\u{202e}']), "{text:?}");
        }
        // Wide characters scroll nothing away.
        let wide = "漢".repeat(500);
        let mut of = screen(20, 3, "top\r\nmid");
        let bytes = crate::snapshot::snapshot_with(&mut of, 0, Some(&wide));
        let mut shown = screen(20, 3, "");
        assert_eq!(show(&mut shown, &bytes)[0], "top");
    }

    #[test]
    fn any_size_of_either_is_drawn() {
        for (cols, rows) in [(1, 1), (2, 1), (1, 9), (300, 100), (80, 24)] {
            let mut letterbox = Letterbox::new((cols, rows));
            for size in [(2, 1), (80, 24), (1000, 500)] {
                let mut of = screen(size.0, size.1, "\x1b[?6h世界\x1b[500;1000Hx");
                assert!(!letterbox.paint(&mut of, Some("note")).is_empty());
            }
        }
    }
}

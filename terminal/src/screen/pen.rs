//! Writes cells as text with SGR and links.

use std::io::Write;

use alacritty_terminal::term::cell::{Cell, Flags, Hyperlink};
use alacritty_terminal::vte::ansi::{Color, NamedColor};

use crate::tokenizer::run;

/// Flags that are a style; the others say how cells belong together.
const STYLE: Flags = Flags::INVERSE
    .union(Flags::BOLD_ITALIC)
    .union(Flags::DIM)
    .union(Flags::HIDDEN)
    .union(Flags::STRIKEOUT)
    .union(Flags::ALL_UNDERLINES);

/// The style that the next character written would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pen {
    fg: Color,
    bg: Color,
    flags: Flags,
    underline: Option<Color>,
    link: Option<Hyperlink>,
}

impl Default for Pen {
    fn default() -> Pen {
        Pen {
            fg: Color::Named(NamedColor::Foreground),
            bg: Color::Named(NamedColor::Background),
            flags: Flags::empty(),
            underline: None,
            link: None,
        }
    }
}

impl Pen {
    /// How many cells at the start have this style and are nothing but an ASCII character. Cheap,
    /// and may end where [`Pen::fits`] says yes.
    #[inline]
    fn run(&self, cells: &[Cell]) -> usize {
        if self.underline.is_some() || self.link.is_some() {
            return 0;
        }
        let simple = |cell: &Cell| {
            cell.extra.is_none() & (cell.flags == self.flags) & matches!(cell.c, ' '..='~')
        };
        // What a colour is compared with makes the difference: nearly all are named.
        let is = |colour: Color, name| matches!(colour, Color::Named(named) if named == name);
        match (self.fg, self.bg) {
            (Color::Named(fg), Color::Named(bg)) => run::<_, 4>(cells, |cell| {
                simple(cell) & is(cell.fg, fg) & is(cell.bg, bg)
            }),
            (fg, bg) => run::<_, 4>(cells, |cell| simple(cell) && cell.fg == fg && cell.bg == bg),
        }
    }

    fn fits(&self, cell: &Cell) -> bool {
        cell.fg == self.fg
            && cell.bg == self.bg
            && cell.flags & STYLE == self.flags
            && match &cell.extra {
                None => self.underline.is_none() && self.link.is_none(),
                Some(_) => {
                    cell.underline_color() == self.underline && cell.hyperlink() == self.link
                }
            }
    }

    /// Takes the style of a cell (or of a cursor's template).
    #[inline]
    pub(crate) fn take(&mut self, out: &mut Vec<u8>, cell: &Cell) {
        if !self.fits(cell) {
            self.change(out, cell);
        }
    }

    fn change(&mut self, out: &mut Vec<u8>, cell: &Cell) {
        let link = cell.hyperlink();
        if link != self.link {
            match &link {
                Some(link) => say(
                    out,
                    format_args!("\x1b]8;id={};{}\x1b\\", link.id(), link.uri()),
                ),
                None => out.extend_from_slice(b"\x1b]8;;\x1b\\"),
            }
        }
        let next = Pen {
            fg: cell.fg,
            bg: cell.bg,
            flags: cell.flags & STYLE,
            underline: cell.underline_color(),
            link,
        };
        if (self.fg, self.bg, self.flags, self.underline)
            != (next.fg, next.bg, next.flags, next.underline)
        {
            next.write(out);
        }
        *self = next;
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\x1b[0");
        for (flag, code) in [
            (Flags::BOLD, "1"),
            (Flags::DIM, "2"),
            (Flags::ITALIC, "3"),
            (Flags::UNDERLINE, "4"),
            (Flags::DOUBLE_UNDERLINE, "4:2"),
            (Flags::UNDERCURL, "4:3"),
            (Flags::DOTTED_UNDERLINE, "4:4"),
            (Flags::DASHED_UNDERLINE, "4:5"),
            (Flags::INVERSE, "7"),
            (Flags::HIDDEN, "8"),
            (Flags::STRIKEOUT, "9"),
        ] {
            if self.flags.contains(flag) {
                say(out, format_args!(";{code}"));
            }
        }
        colour(out, 30, self.fg);
        colour(out, 40, self.bg);
        if let Some(underline) = self.underline {
            colour(out, 50, underline);
        }
        out.push(b'm');
    }

    /// Back to the default style.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        self.take(out, &Cell::default());
    }
}

fn say(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes all");
}

/// `base`: 30 for the foreground, 40 for the background, 50 for the underline.
fn colour(out: &mut Vec<u8>, base: usize, colour: Color) {
    match colour {
        Color::Named(name) => match name as usize {
            dark @ 0..8 => say(out, format_args!(";{}", base + dark)),
            bright @ 8..16 => say(out, format_args!(";{}", base + 60 + bright - 8)),
            _ => {}
        },
        Color::Indexed(index) => say(out, format_args!(";{};5;{index}", base + 8)),
        Color::Spec(rgb) => {
            say(
                out,
                format_args!(";{};2;{};{};{}", base + 8, rgb.r, rgb.g, rgb.b),
            );
        }
    }
}

/// How many cells of the row a person can see something in.
pub(super) fn visible(row: &[Cell]) -> usize {
    let blank = |cell: &Cell| {
        let fresh = cell.c == ' ' && cell.flags.is_empty() && cell.extra.is_none();
        if fresh && cell.bg == Color::Named(NamedColor::Background) {
            return true;
        }
        matches!(cell.c, ' ' | '\t')
            && cell.bg == Color::Named(NamedColor::Background)
            && !cell
                .flags
                .intersects(Flags::INVERSE | Flags::ALL_UNDERLINES | Flags::STRIKEOUT)
            && cell.zerowidth().is_none_or(<[char]>::is_empty)
    };
    row.iter()
        .rposition(|cell| !blank(cell))
        .map_or(0, |last| last + 1)
}

/// Writes the first `upto` cells of a row. Halves of wide characters that lost their other half
/// become blanks.
pub(crate) fn write_row(out: &mut Vec<u8>, row: &[Cell], upto: usize, pen: &mut Pen) {
    let mut at = 0;
    out.reserve(upto);
    while at < upto {
        // Nearly every cell there is: the same style as before, ASCII, nothing special.
        let rest = &row[at..upto];
        let run = pen.run(rest);
        out.extend(rest[..run].iter().map(|cell| cell.c as u8));
        at += run;
        let Some(cell) = rest.get(run) else {
            break;
        };
        at += 1;
        if cell.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER) {
            pen.close(out);
        } else {
            pen.take(out, cell);
        }
        let wide = cell.flags.contains(Flags::WIDE_CHAR);
        let after_wide = wide
            && row
                .get(at)
                .is_some_and(|next| next.flags.contains(Flags::WIDE_CHAR_SPACER));
        // The other half is written with it.
        at += usize::from(after_wide);
        let whole = wide == after_wide
            && !cell
                .flags
                .intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER);
        if whole && cell.c.is_ascii_graphic() && cell.extra.is_none() {
            out.push(cell.c as u8);
        } else if whole && !cell.c.is_control() {
            let mut buffer = [0; 4];
            out.extend_from_slice(cell.c.encode_utf8(&mut buffer).as_bytes());
            for mark in cell.zerowidth().into_iter().flatten() {
                out.extend_from_slice(mark.encode_utf8(&mut buffer).as_bytes());
            }
        } else {
            out.push(b' ');
        }
    }
}

/// Takes out what [`Pen`] wrote.
pub(super) fn without_style(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == 0x1b) {
        plain.extend_from_slice(&rest[..at]);
        let link = rest.get(at + 1) == Some(&b']');
        // A style ends in `m`, a link in ESC \.
        let end = if link { b'\\' } else { b'm' };
        let from = at + 1;
        let length = if link {
            rest[from..]
                .windows(2)
                .position(|pair| pair == [0x1b, end])
                .map(|at| at + 2)
        } else {
            rest[from..]
                .iter()
                .position(|&byte| byte == end)
                .map(|at| at + 1)
        };
        rest = &rest[from + length.unwrap_or(rest.len() - from)..];
    }
    plain.extend_from_slice(rest);
    plain
}

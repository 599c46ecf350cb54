//! All that a screen is, as text: for tests and fuzzing, which compare a screen with its copy.

use std::fmt::Write;

use alacritty_terminal::grid::{Cursor, Dimensions, Grid};
use alacritty_terminal::index::Line;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::CharsetIndex;

use super::Screen;

/// Everything a person could see or a program could find out, cell by cell.
pub(crate) fn state(screen: &mut Screen) -> String {
    let mut text = String::new();
    let title = screen.title().to_owned();
    let (sync, other) = (screen.sync(), screen.modify_other_keys());
    let model = screen.model();
    // A cursor that waits at the end of a row is put back by writing the cell again.
    let waits = model.with_primary(|term| term.grid().cursor.input_needs_wrap)
        || model.term().grid().cursor.input_needs_wrap
        || model.term().grid().saved_cursor.input_needs_wrap;
    text += &model.with_primary(|term| cells(term.grid(), waits) + &cursor(&term.grid().cursor));
    text += &cells(model.term().grid(), waits);
    text += &cursor(&model.term().grid().cursor);
    text += &cursor(&model.term().grid().saved_cursor);
    let mode = *model.term().mode() & !TermMode::URGENCY_HINTS;
    writeln!(text, "{mode:?} {:?} {:?}", model.region(), model.keys()).expect("a String takes all");
    writeln!(text, "{:?} {:?}", model.tabs(), model.charset()).expect("a String takes all");
    writeln!(
        text,
        "{:?} {title:?} {sync} {other}",
        model.term().cursor_style()
    )
    .expect("a String takes all");
    text
}

/// Cells that do not look like a fresh screen's.
fn cells(grid: &Grid<Cell>, waits: bool) -> String {
    let mut text = String::new();
    for line in 0..i32::try_from(grid.screen_lines()).expect("screens are small") {
        let row = &grid[Line(line)][..];
        for (at, cell) in row.iter().enumerate() {
            let mut cell = cell.clone();
            let whole = at > 0
                && cell.flags.contains(Flags::WIDE_CHAR_SPACER)
                && row[at - 1].flags.contains(Flags::WIDE_CHAR);
            // A character looks as its first half does, whatever the second was cut from.
            if whole {
                let first = &row[at - 1];
                cell = Cell {
                    c: cell.c,
                    flags: first.flags & !Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER,
                    ..first.clone()
                };
            }
            let spaced = row
                .get(at + 1)
                .is_some_and(|next| next.flags.contains(Flags::WIDE_CHAR_SPACER));
            let after = at > 0 && row[at - 1].flags.contains(Flags::WIDE_CHAR);
            let wide = cell.flags.contains(Flags::WIDE_CHAR);
            let half =
                (wide && !spaced) || (cell.flags.contains(Flags::WIDE_CHAR_SPACER) && !after);
            // Halves and places left free are shown as blanks.
            let lead = cell.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER);
            if half || lead {
                cell.c = ' ';
                cell.flags.remove(
                    Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER,
                );
            }
            // A place left free at a wrap has the style of what was left over; nobody cares.
            if lead || (waits && cell.c == ' ' && at + 1 == row.len()) {
                cell = Cell {
                    flags: cell.flags & Flags::WRAPLINE,
                    ..Cell::default()
                };
            }
            // Only at the end of a row that goes on in the next does it say anything.
            if line + 1 == i32::try_from(grid.screen_lines()).expect("screens are small")
                || at + 1 < row.len()
                || waits
            {
                cell.flags.remove(Flags::WRAPLINE);
            }
            let marks = if half {
                &[]
            } else {
                cell.zerowidth().unwrap_or(&[])
            };
            let look = |cell: &Cell, marks: &[char]| {
                format!(
                    "{:?} {marks:?} {:?} {:?} {:?} {:?} {:?}",
                    cell.c,
                    cell.fg,
                    cell.bg,
                    cell.flags,
                    cell.underline_color(),
                    cell.hyperlink()
                )
            };
            let looks = look(&cell, marks);
            if looks != look(&Cell::default(), &[]) {
                writeln!(text, "{line},{at} {looks}").expect("a String takes all");
            }
        }
    }
    text
}

fn cursor(cursor: &Cursor<Cell>) -> String {
    let template = &cursor.template;
    format!(
        "{:?} {} {:?} {:?} {:?} {:?} {:?} {:?}\n",
        cursor.point,
        cursor.input_needs_wrap,
        cursor.charsets[CharsetIndex::G0],
        cursor.charsets[CharsetIndex::G1],
        template.fg,
        template.bg,
        template.flags,
        template.hyperlink(),
    )
}

/// The state as far as it can be the same: the engine numbers links that have no id as it likes.
pub(crate) fn named(screen: &mut Screen) -> String {
    const NUMBERED: &str = "_alacritty\"";
    let mut state = state(screen);
    while let Some(end) = state.find(NUMBERED) {
        let start = state[..end].rfind('"').unwrap_or(end);
        state.replace_range(start..end + NUMBERED.len(), "none");
    }
    state
}

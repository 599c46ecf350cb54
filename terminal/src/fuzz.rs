//! What a program's output reaches, for fuzzing: whatever it is, who comes late sees what those see
//! who were there, and nothing panics.

use alacritty_terminal::term::TermMode;

use crate::letterbox::Letterbox;
use crate::protocol::{REDRAW, RESET};
use crate::screen::state::named;
use crate::screen::{Fed, PIECE_BYTES, Screen};
use crate::snapshot::{SNAPSHOT_BYTES_MAX, snapshot};

/// Output beyond this teaches nothing new, and takes longer.
const STREAM_BYTES_MAX: usize = 4096;

/// The first four bytes are the size of the terminal, the size of another viewer's, and where
/// somebody comes; the rest is output.
///
/// # Panics
/// The copy differs from what it is of.
pub fn screen(data: &[u8]) {
    let Some((&[cols, rows, other, cut], stream)) = data.split_first_chunk() else {
        return;
    };
    let stream = &stream[..stream.len().min(STREAM_BYTES_MAX)];
    let (before, after) = stream.split_at(usize::from(cut) * stream.len() / 256);
    let size = (u16::from(cols % 40) + 2, u16::from(rows % 12) + 1);
    let mut original = Screen::new(size.0, size.1);
    let begun = forwarded(&mut original, before);
    let mut late = copy(&mut original, size);
    if in_words(&mut original) {
        same(&mut late, &mut original, "drawn");
    }
    let mut letterbox = Letterbox::new((u16::from(other % 60) + 1, u16::from(other / 4) + 1));
    let painted = letterbox.paint(&mut original, None).len();
    assert!(painted <= SNAPSHOT_BYTES_MAX);
    let goes_on = forwarded(&mut original, after);
    drop(letterbox.paint(&mut original, Some("somebody asks")));
    // Whoever was there from the beginning: what comes out says all there is to say.
    let mut early = Screen::new(size.0, size.1);
    forwarded(&mut early, &begun);
    forwarded(&mut early, &goes_on);
    same(&mut early, &mut original, "forwarded");
    resized(&mut original, other);
}

/// A screen whose size changes is drawn as well as one that always had it.
fn resized(original: &mut Screen, to: u8) {
    let size = (u16::from(to % 40) + 2, u16::from(to / 16) + 1);
    original.resize(size.0, size.1);
    let mut late = copy(original, size);
    if in_words(original) {
        same(&mut late, original, "drawn after a change of size");
    }
}

fn copy(original: &mut Screen, (cols, rows): (u16, u16)) -> Screen {
    let picture = snapshot(original, 100);
    assert!(!picture.is_empty() && picture.len() <= SNAPSHOT_BYTES_MAX);
    let (begin, end) = REDRAW;
    let mut copy = Screen::new(cols, rows);
    let drawn = [RESET.as_bytes(), begin.as_bytes(), &picture].concat();
    forwarded(&mut copy, &drawn);
    if !original.sync() {
        forwarded(&mut copy, end.as_bytes());
    }
    copy
}

/// Feeds it, and looks at what comes out.
fn forwarded(screen: &mut Screen, bytes: &[u8]) -> Vec<u8> {
    let mut fed = Fed::default();
    for piece in bytes.chunks(PIECE_BYTES) {
        screen.feed(piece, &mut fed);
    }
    let text = std::str::from_utf8(&fed.forward).expect("what comes out is UTF-8");
    let c1 = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    assert!(!text.contains(c1), "{text:?}");
    // What one piece asked is answered within a bound.
    assert!(fed.answers.len() <= bytes.len().div_ceil(PIECE_BYTES) * 2 * PIECE_BYTES);
    fed.forward
}

/// Whether a snapshot can say it. No sequence puts a cursor outside the region in origin mode; only restoring one does.
fn in_words(screen: &mut Screen) -> bool {
    let model = screen.model();
    let region = model.region().clone();
    let term = model.term();
    !term.mode().contains(TermMode::ORIGIN) || region.contains(&term.grid().cursor.point.line.0)
}

fn same(copy: &mut Screen, original: &mut Screen, how: &str) {
    let (copy, original) = (named(copy), named(original));
    let mut lines = copy.lines().zip(original.lines());
    let other = lines.find(|(copied, was)| copied != was);
    assert!(copy == original, "{how}: copy, original: {other:#?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const VIM: &[u8] = include_bytes!("../tests/recordings/vim.vt");
    const TEXT: &[u8] = include_bytes!("../tests/recordings/text.vt");
    const FRAMES: &[u8] = include_bytes!("../tests/recordings/frames.vt");
    const CODEX: &[u8] = include_bytes!("../tests/recordings/codex-task.vt");

    /// Pieces of what real programs print, cut anywhere and put together anyhow, and noise.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let all = prop::sample::select(vec![VIM, TEXT, FRAMES, CODEX]);
        let part = (all, any::<prop::sample::Index>(), 1..80_usize);
        prop_oneof![
            8 => part.prop_map(|(all, from, length)| {
                let from = from.index(all.len());
                all[from..all.len().min(from + length)].to_vec()
            }),
            1 => prop::collection::vec(any::<u8>(), 1..20),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
        /// A little of it in every run.
        #[test]
        fn no_output_is_too_odd(
            head in any::<[u8; 4]>(),
            pieces in prop::collection::vec(piece(), 0..20),
        ) {
            super::screen(&[&head[..], &pieces.concat()].concat());
        }
    }
}

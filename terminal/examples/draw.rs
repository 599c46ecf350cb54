//! What a viewer gets who comes in the middle of a recording, for `tools/xterm`.
//!
//! `draw CUTS FILE...` prints a line per place: name, place, and in hexadecimal what was forwarded
//! before it, what is drawn for who comes then, and what is forwarded after it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use wsm_terminal::protocol::{REDRAW, RESET};
use wsm_terminal::screen::{Fed, PIECE_BYTES, Screen};
use wsm_terminal::snapshot::snapshot;

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let cuts = args.next().and_then(|cuts| cuts.parse().ok()).unwrap_or(20);
    let mut out = std::io::stdout().lock();
    for file in args {
        let stream = std::fs::read(&file)?;
        let name = Path::new(&file).file_stem().unwrap_or_default();
        for cut in 1..=cuts {
            let at = stream.len() * cut / cuts;
            // Not between a letter and its marks: xterm.js joins them only where nothing comes between.
            let at = at
                + stream[at..]
                    .iter()
                    .take_while(|byte| !byte.is_ascii())
                    .count();
            let mut screen = Screen::new(80, 24);
            let before = forwarded(&mut screen, &stream[..at]);
            let picture = snapshot(&mut screen, 0);
            let (begin, end) = REDRAW;
            let drawn = [RESET.as_bytes(), begin.as_bytes(), &picture, end.as_bytes()].concat();
            let after = forwarded(&mut screen, &stream[at..]);
            let [before, drawn, after] = [before, drawn, after].map(|bytes| hex(&bytes));
            writeln!(out, "{} {at} {before} {drawn} {after}", name.display())?;
        }
    }
    Ok(())
}

fn forwarded(screen: &mut Screen, bytes: &[u8]) -> Vec<u8> {
    let mut fed = Fed::default();
    for piece in bytes.chunks(PIECE_BYTES) {
        screen.feed(piece, &mut fed);
    }
    fed.forward
}

/// Never nothing, so that a line has always the same words.
fn hex(bytes: &[u8]) -> String {
    let mut text = "0".to_owned();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes all");
    }
    text
}

//! Parts of recordings, and what is drawn for somebody who comes at any byte of them.

use unicode_width::UnicodeWidthChar;
use wsm_terminal::protocol::{REDRAW, RESET};
use wsm_terminal::screen::{Fed, PIECE_BYTES, Screen};
use wsm_terminal::snapshot::snapshot;

/// Bytes of a window; those who began in it are looked at again when so many more have come.
const BYTES: usize = 32;
const LATER: usize = 2000;

pub(crate) const COLS: u16 = 80;
pub(crate) const ROWS: u16 = 24;

macro_rules! recordings {
    ($($name:literal)*) => {
        [$(($name, include_bytes!(concat!("../recordings/", $name, ".vt")))),*]
    };
}

/// Raw output of real programs.
const RECORDINGS: [(&str, &[u8]); 12] = recordings![
    "bash" "claude" "claude-task" "codex" "codex-task" "frames" "git" "htop" "less" "text" "top" "vim"
];

/// Somebody comes after byte `at` of the raw output.
pub(crate) struct Cut {
    pub(crate) at: usize,
    /// What is drawn then.
    pub(crate) drawn: Vec<u8>,
    /// What is forwarded after it, up to the window's `later`.
    pub(crate) after: Vec<u8>,
}

pub(crate) struct Window {
    pub(crate) name: &'static str,
    pub(crate) stream: &'static [u8],
    pub(crate) cuts: Vec<Cut>,
    pub(crate) later: usize,
}

/// `count` windows of each recording, and the seed that finds them again.
pub(crate) fn windows(count: usize) -> (u64, Vec<Window>) {
    let seed = number("WSM_SEED").unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().expect("it is later");
        u64::try_from(now.as_nanos() & 0xffff_ffff).expect("it was cut")
    });
    let count = number("WSM_WINDOWS").map_or(count, |count| usize::try_from(count).unwrap());
    let mut state = seed | 1;
    let mut all = Vec::new();
    for (name, stream) in RECORDINGS {
        for _ in 0..count {
            // Xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let from = usize::try_from(state).unwrap() % stream.len();
            all.push(Window::new(name, stream, from));
        }
    }
    (seed, all)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

impl Window {
    fn new(name: &'static str, stream: &'static [u8], from: usize) -> Window {
        let to = stream.len().min(from + BYTES);
        let later = stream.len().min(to + LATER);
        let mut screen = Screen::new(COLS, ROWS);
        forwarded(&mut screen, &stream[..from]);
        let mut cuts: Vec<Cut> = Vec::new();
        for at in from..=to {
            if at > from {
                let more = forwarded(&mut screen, &stream[at - 1..at]);
                cuts.iter_mut().for_each(|cut| cut.after.extend(&more));
            }
            if !before_a_mark(stream, at) {
                let (begin, end) = REDRAW;
                let picture = snapshot(&mut screen, 0);
                cuts.push(Cut {
                    at,
                    drawn: [RESET.as_bytes(), begin.as_bytes(), &picture, end.as_bytes()].concat(),
                    after: Vec::new(),
                });
            }
        }
        let more = forwarded(&mut screen, &stream[to..later]);
        cuts.iter_mut().for_each(|cut| cut.after.extend(&more));
        Window {
            name,
            stream,
            cuts,
            later,
        }
    }
}

fn forwarded(screen: &mut Screen, bytes: &[u8]) -> Vec<u8> {
    let mut fed = Fed::default();
    for piece in bytes.chunks(PIECE_BYTES) {
        screen.feed(piece, &mut fed);
    }
    fed.forward
}

/// Terminals join a mark to its letter only where nothing comes between, not even a cursor that is
/// put where it was.
fn before_a_mark(stream: &[u8], at: usize) -> bool {
    let continues = |byte: &u8| byte & 0xc0 == 0x80;
    let back = stream[..(at + 1).min(stream.len())].iter().rev();
    let start = at - back.take_while(|byte| continues(byte)).count().min(at);
    let text = String::from_utf8_lossy(&stream[start..stream.len().min(start + 4)]).into_owned();
    let first = text.chars().next();
    first.is_some_and(|c| c.width() == Some(0))
}

//! Stands in front of the screen and of every viewer: takes a program's raw output apart, drops
//! what nobody may see, and says the rest again in one canonical form.
//!
//! ```text
//! Ground ──ESC──▶ Escape ──[──▶ Csi ──final──▶ Ground
//!                   ├──]──▶ Osc ──BEL, ESC──▶ Ground, Escape
//!                   └─PX^_─▶ Drop ──ESC──▶ Escape      CAN and SUB end everything
//! ```
//!
//! What comes out is always valid UTF-8 without C1 controls, and a sequence or character comes out
//! whole or not at all: the end of each call of [`Tokenizer::feed`] is a place where the stream may
//! be cut. Queries go to our own screen only, so that a program gets one answer and not one from
//! each viewer.

mod csi;
mod osc;

use unicode_width::UnicodeWidthChar;

use crate::protocol::Mark;

/// Longest OSC kept, in bytes; the rest of a longer one is dropped with it. A copy of 48 KiB fits,
/// links and titles are far shorter.
pub const OSC_BYTES_MAX: usize = 64 * 1024;
/// Longest CSI between its introducer and its final byte. xterm's 32 parameters fit.
pub const CSI_BYTES_MAX: usize = 256;
/// Zero-width characters in a row that are let through: emoji sequences need 10, zalgo more.
pub const ZERO_WIDTH_MAX: u8 = 16;
/// Titles a program may push.
const TITLES_MAX: usize = 8;
/// Longest title in bytes.
pub const TITLE_BYTES_MAX: usize = 256;

/// Where the tokenizer puts what it found.
pub trait Sink {
    /// For the screen and for viewers.
    fn both(&mut self, bytes: &[u8]);
    /// The same, and it is nothing but printable ASCII and BS, HT, LF, CR.
    fn plain(&mut self, bytes: &[u8]) {
        self.both(bytes);
    }
    /// The same, and it is the SGR sequence with this one parameter.
    fn attribute(&mut self, _code: u16, bytes: &[u8]) {
        self.both(bytes);
    }
    /// For the screen only: a query that it answers.
    fn screen(&mut self, bytes: &[u8]);
    /// For viewers only.
    fn viewers(&mut self, bytes: &[u8]);
    /// Something to know.
    fn signal(&mut self, signal: Signal);
}

/// What the tokenizer noticed in passing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The bell.
    Bell,
    /// A new window title.
    Title(String),
    /// A wish for a notification.
    Notice(String),
    /// A wish to put this on somebody's clipboard.
    Copy(String),
    /// Where the program stands.
    Mark(Mark),
    /// An answer the program expects and that needs no screen.
    Answer(Vec<u8>),
    /// The program began (or ended) an update that shall be shown at once.
    Sync(bool),
    /// xterm's modifyOtherKeys, which the screen does not model.
    ModifyOtherKeys(u8),
    /// Everything was reset.
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    Csi,
    Osc,
    Drop,
}

/// See the module's text.
#[derive(Debug)]
pub struct Tokenizer {
    state: State,
    /// Bytes of the sequence under way: intermediates of an escape, the inside of a CSI or OSC.
    sequence: Vec<u8>,
    overflow: bool,
    partial: Vec<u8>,
    zero_width_run: u8,
    /// The character just printed, if nothing came after it.
    printed: Option<char>,
    /// The same as of the escape that began the sequence under way: what REP repeats.
    repeatable: Option<char>,
    alternate: bool,
    origin: bool,
    title: String,
    titles: Vec<String>,
    cols: u16,
    rows: u16,
    scratch: Vec<u8>,
}

impl Tokenizer {
    /// At rest.
    #[must_use]
    pub fn new(cols: u16, rows: u16) -> Tokenizer {
        Tokenizer {
            state: State::Ground,
            sequence: Vec::new(),
            overflow: false,
            partial: Vec::new(),
            zero_width_run: 0,
            printed: None,
            repeatable: None,
            alternate: false,
            origin: false,
            title: String::new(),
            titles: Vec::new(),
            cols,
            rows,
            scratch: Vec::new(),
        }
    }

    /// The screen's size changed; counts are clamped to it.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.cols = cols;
        self.rows = rows;
    }

    /// The title as of now.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Takes more of the program's output.
    pub fn feed(&mut self, input: &[u8], sink: &mut impl Sink) {
        let mut at = 0;
        while at < input.len() {
            at += match self.state {
                State::Ground => self.ground(&input[at..], sink),
                State::Escape => self.escape(input[at], sink),
                State::Csi => self.csi_byte(input[at], sink),
                State::Osc => self.osc_bytes(&input[at..], sink),
                State::Drop => self.drop_bytes(&input[at..]),
            };
        }
    }

    /// All of these return how many bytes they took.
    fn ground(&mut self, input: &[u8], sink: &mut impl Sink) -> usize {
        if !self.partial.is_empty() {
            return self.continue_partial(input[0], sink);
        }
        let plain = run::<_, 32>(input, is_plain);
        if plain > 0 {
            sink.plain(&input[..plain]);
            let last = input[plain - 1];
            self.printed = (last >= b' ').then_some(char::from(last));
            self.zero_width_run = 0;
            return plain;
        }
        match input[0] {
            0x1b => {
                self.begin_escape();
                1
            }
            byte if byte < 0x80 => {
                self.control(byte, sink);
                1
            }
            _ => self.text(input, sink),
        }
    }

    fn control(&mut self, byte: u8, sink: &mut impl Sink) {
        match byte {
            0x07 => {
                sink.both(&[byte]);
                sink.signal(Signal::Bell);
            }
            0x08..=0x0f => sink.both(&[byte]),
            _ => return,
        }
        self.printed = None;
    }

    /// Text beyond ASCII: valid characters pass, the rest becomes U+FFFD.
    fn text(&mut self, input: &[u8], sink: &mut impl Sink) -> usize {
        let run = input
            .iter()
            .position(|&byte| byte < 0x80)
            .unwrap_or(input.len());
        let error = match std::str::from_utf8(&input[..run]) {
            Ok(text) => {
                self.characters(text, sink);
                return run;
            }
            Err(error) => error,
        };
        let valid = error.valid_up_to();
        if let Ok(text) = std::str::from_utf8(&input[..valid]) {
            self.characters(text, sink);
        }
        match error.error_len() {
            Some(length) => {
                self.characters("\u{fffd}", sink);
                valid + length
            }
            None if run == input.len() => {
                self.partial.extend_from_slice(&input[valid..]);
                run
            }
            None => {
                self.characters("\u{fffd}", sink);
                run
            }
        }
    }

    /// A character was cut by the end of the last call.
    fn continue_partial(&mut self, byte: u8, sink: &mut impl Sink) -> usize {
        self.partial.push(byte);
        let partial = std::mem::take(&mut self.partial);
        match std::str::from_utf8(&partial) {
            Ok(text) => {
                self.characters(text, sink);
                1
            }
            Err(error) if error.error_len().is_none() => {
                self.partial = partial;
                1
            }
            Err(_) => {
                self.characters("\u{fffd}", sink);
                0
            }
        }
    }

    /// Drops C1 controls (viewers would obey them) and runs of marks that would grow one cell.
    fn characters(&mut self, text: &str, sink: &mut impl Sink) {
        let mut start = 0;
        for (at, character) in text.char_indices() {
            let keep = match character.width() {
                None => false,
                Some(0) => {
                    self.zero_width_run = self.zero_width_run.saturating_add(1);
                    self.zero_width_run <= ZERO_WIDTH_MAX
                }
                Some(_) => {
                    self.zero_width_run = 0;
                    self.printed = Some(character);
                    true
                }
            };
            if !keep {
                if start < at {
                    sink.both(&text.as_bytes()[start..at]);
                }
                start = at + character.len_utf8();
            } else if self.zero_width_run > 0 {
                self.printed = None;
            }
        }
        if start < text.len() {
            sink.both(&text.as_bytes()[start..]);
        }
    }

    fn begin_escape(&mut self) {
        self.state = State::Escape;
        self.sequence.clear();
        self.overflow = false;
        self.repeatable = self.printed.take();
    }

    fn escape(&mut self, byte: u8, sink: &mut impl Sink) -> usize {
        match byte {
            0x18 | 0x1a => self.state = State::Ground,
            0x1b => self.begin_escape(),
            0x00..=0x1f => self.control(byte, sink),
            b' '..=b'/' if self.sequence.len() < 2 => self.sequence.push(byte),
            b' '..=b'/' => self.overflow = true,
            b'[' if self.sequence.is_empty() => self.state = State::Csi,
            b']' if self.sequence.is_empty() => self.state = State::Osc,
            b'P' | b'X' | b'^' | b'_' if self.sequence.is_empty() => self.state = State::Drop,
            b'0'..=b'~' => {
                self.state = State::Ground;
                if !self.overflow {
                    self.escape_final(byte, sink);
                }
            }
            0x7f => {}
            _ => {
                self.state = State::Ground;
                return 0;
            }
        }
        1
    }

    /// Only what both our screen and xterm know; character sets but ASCII and line drawing would
    /// not survive a snapshot.
    fn escape_final(&mut self, byte: u8, sink: &mut impl Sink) {
        match (self.sequence.as_slice(), byte) {
            ([], b'c') => {
                self.alternate = false;
                self.origin = false;
                self.titles.clear();
                sink.both(b"\x1bc");
                sink.signal(Signal::Reset);
            }
            ([], b'Z') => sink.screen(b"\x1b[c"),
            ([], b'7' | b'8' | b'=' | b'>' | b'D' | b'E' | b'H' | b'M') => sink.both(&[0x1b, byte]),
            ([b'#'], b'8') => sink.both(b"\x1b#8"),
            ([slot @ (b'(' | b')')], b'0' | b'B') => sink.both(&[0x1b, *slot, byte]),
            ([slot @ (b'(' | b')')], _) => sink.both(&[0x1b, *slot, b'B']),
            _ => {}
        }
    }

    fn csi_byte(&mut self, byte: u8, sink: &mut impl Sink) -> usize {
        match byte {
            0x18 | 0x1a => self.state = State::Ground,
            0x1b => self.begin_escape(),
            0x00..=0x1f => self.control(byte, sink),
            b' '..=b'?' if self.sequence.len() < CSI_BYTES_MAX => self.sequence.push(byte),
            b' '..=b'?' => self.overflow = true,
            b'@'..=b'~' => {
                self.state = State::Ground;
                if !self.overflow {
                    self.csi_final(byte, sink);
                }
            }
            0x7f => {}
            _ => {
                self.state = State::Ground;
                return 0;
            }
        }
        1
    }

    fn osc_bytes(&mut self, input: &[u8], sink: &mut impl Sink) -> usize {
        let run = input
            .iter()
            .position(|&byte| byte < b' ')
            .unwrap_or(input.len());
        if self.sequence.len() + run <= OSC_BYTES_MAX {
            self.sequence.extend_from_slice(&input[..run]);
        } else {
            self.overflow = true;
        }
        let Some(&end) = input.get(run) else {
            return run;
        };
        match end {
            0x18 | 0x1a => self.state = State::Ground,
            0x07 | 0x1b => {
                if !self.overflow {
                    self.osc_final(sink);
                }
                if end == 0x1b {
                    self.begin_escape();
                } else {
                    self.state = State::Ground;
                }
            }
            _ => return run + 1,
        }
        // A long one shall not keep its buffer for ever.
        self.sequence = Vec::new();
        run + 1
    }

    fn drop_bytes(&mut self, input: &[u8]) -> usize {
        let Some(at) = input
            .iter()
            .position(|byte| matches!(byte, 0x18 | 0x1a | 0x1b))
        else {
            return input.len();
        };
        if input[at] == 0x1b {
            self.begin_escape();
        } else {
            self.state = State::Ground;
        }
        at + 1
    }
}

/// Bytes that pass as they are: printable ASCII, backspace, tab, line feed, carriage return.
fn is_plain(byte: &u8) -> bool {
    is_printable(byte) | (byte.wrapping_sub(0x08) <= 2) | (*byte == b'\r')
}

/// Printable ASCII.
pub(crate) fn is_printable(byte: &u8) -> bool {
    byte.wrapping_sub(b' ') < 0x7f - b' '
}

/// How many at the start are all such. `STEP` are looked at without a branch between them.
#[inline]
pub(crate) fn run<T, const STEP: usize>(all: &[T], such: impl Fn(&T) -> bool) -> usize {
    if !all.first().is_some_and(&such) {
        return 0;
    }
    let whole = |part: &&[T]| part.iter().fold(true, |whole, one| whole & such(one));
    let steps = all.chunks_exact(STEP).take_while(whole).count() * STEP;
    let rest = all[steps..].iter().take_while(|one| such(one));
    steps + rest.count()
}

/// One line without controls, at most `bytes_max` bytes: fit to be shown to a person.
#[must_use]
pub fn sanitize(text: &[u8], bytes_max: usize) -> String {
    let mut clean = String::new();
    for character in String::from_utf8_lossy(text).chars() {
        if character.is_control() || turns(character) {
            continue;
        }
        if clean.len() + character.len_utf8() > bytes_max {
            break;
        }
        clean.push(character);
    }
    clean
}

/// Bidirectional controls: they could make the rest of a person's screen lie.
fn turns(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;

//! Which control sequences pass, and in which words.

use std::io::Write;

use super::{Signal, Sink, TITLE_BYTES_MAX, TITLES_MAX, Tokenizer};

/// Most parameters of one sequence, like xterm and the screen's parser.
const PARAMS_MAX: usize = 32;

impl Tokenizer {
    pub(super) fn csi_final(&mut self, action: u8, sink: &mut impl Sink) {
        let sequence = std::mem::take(&mut self.sequence);
        if let Some(csi) = Csi::parse(&sequence) {
            self.csi(&csi, action, sink);
        }
        self.sequence = sequence;
    }

    fn csi(&mut self, csi: &Csi<'_>, action: u8, sink: &mut impl Sink) {
        match (csi.prefix, csi.intermediates, action) {
            (0, b"", b'm') => self.style(csi, sink),
            (0, b"", _) => self.plain(csi, action, sink),
            (b'?', b"", b'h' | b'l') => {
                for &mode in &csi.values[..csi.count] {
                    self.private_mode(mode, action, sink);
                }
            }
            (b'?', b"", b'u') => sink.screen(b"\x1b[?u"),
            (b'?', b"$", b'p') => self.say(sink.to_screen(), b"?", csi.value(0, 0), b"$p"),
            (0, b"$", b'p') => self.say(sink.to_screen(), b"", csi.value(0, 0), b"$p"),
            (b'>', b"", b'c') if csi.value(0, 0) == 0 => sink.screen(b"\x1b[>c"),
            (b'>', b"", b'q') if csi.value(0, 0) == 0 => {
                let name = concat!("\x1bP>|wsm ", env!("CARGO_PKG_VERSION"), "\x1b\\");
                sink.signal(Signal::Answer(name.as_bytes().to_vec()));
            }
            (b'>', b"", b'u') => self.say(sink.to_both(), b">", csi.value(0, 0) & 31, b"u"),
            (b'<', b"", b'u') => self.say(sink.to_both(), b"<", csi.value(0, 1).min(99), b"u"),
            (b'=', b"", b'u') => {
                let (flags, how) = (csi.value(0, 0) & 31, csi.value(1, 1).clamp(1, 3));
                self.say(sink.to_both(), b"=", flags, format!(";{how}u").as_bytes());
            }
            (b'>', b"", b'm') if csi.value(0, 0) == 4 || csi.count == 0 => {
                let level = u8::try_from(csi.value(1, 0).min(2)).unwrap_or(0);
                self.say(sink.to_viewers(), b">4;", level.into(), b"m");
                sink.signal(Signal::ModifyOtherKeys(level));
            }
            (0, b" ", b'q') if csi.value(0, 0) <= 6 => {
                self.say(sink.to_both(), b"", csi.value(0, 0), b" q");
            }
            (0, b"!", b'p') => self.soft_reset(sink),
            _ => {}
        }
    }

    fn plain(&mut self, csi: &Csi<'_>, action: u8, sink: &mut impl Sink) {
        if csi.subparameters {
            return;
        }
        let (cols, rows) = (self.cols, self.rows);
        let first = csi.value(0, 0);
        match action {
            b'@' | b'P' | b'X' | b'C' | b'D' | b'G' | b'I' | b'Z' => {
                self.say(sink.to_both(), b"", first.min(cols), &[action]);
            }
            b'a' => self.say(sink.to_both(), b"", first.min(cols), b"C"),
            b'`' => self.say(sink.to_both(), b"", first.min(cols), b"G"),
            b'e' => self.say(sink.to_both(), b"", first.min(rows), b"B"),
            b'A' | b'B' | b'E' | b'F' | b'L' | b'M' | b'S' | b'd' => {
                self.say(sink.to_both(), b"", first.min(rows), &[action]);
            }
            b'T' if csi.count <= 1 => self.say(sink.to_both(), b"", first.min(rows), b"T"),
            b'H' | b'f' => {
                let (row, col) = (first.clamp(1, rows), csi.value(1, 1).clamp(1, cols));
                self.say(sink.to_both(), b"", row, format!(";{col}H").as_bytes());
            }
            b'J' if first <= 3 => self.say(sink.to_both(), b"", first, b"J"),
            b'K' if first <= 2 => self.say(sink.to_both(), b"", first, b"K"),
            b'b' => self.repeat(first.clamp(1, cols), sink),
            b'c' if first == 0 => sink.screen(b"\x1b[c"),
            b'g' if first == 0 || first == 3 => self.say(sink.to_both(), b"", first, b"g"),
            b'h' | b'l' if first == 4 && csi.count == 1 => sink.both(&[0x1b, b'[', b'4', action]),
            b'n' if first == 5 || first == 6 => self.say(sink.to_screen(), b"", first, b"n"),
            b'r' => {
                let top = first.max(1);
                let bottom = match csi.value(1, 0) {
                    0 => rows,
                    bottom => bottom.min(rows),
                };
                if top < bottom {
                    self.say(sink.to_both(), b"", top, format!(";{bottom}r").as_bytes());
                }
            }
            b's' if csi.count <= 1 && first == 0 => sink.both(b"\x1b7"),
            b'u' if csi.count <= 1 && first == 0 => sink.both(b"\x1b8"),
            b't' => self.window(first, sink),
            _ => {}
        }
    }

    /// `ESC [ prefix value rest`; a zero is left out, which every one of these means by nothing.
    fn say<S: Sink + ?Sized>(
        &mut self,
        (sink, put): (&mut S, fn(&mut S, &[u8])),
        prefix: &[u8],
        value: u16,
        rest: &[u8],
    ) {
        self.scratch.clear();
        self.scratch.extend_from_slice(b"\x1b[");
        self.scratch.extend_from_slice(prefix);
        if value != 0 {
            write!(self.scratch, "{value}").expect("a Vec takes all");
        }
        self.scratch.extend_from_slice(rest);
        put(sink, &self.scratch);
    }

    /// Says a repetition in full: a viewer whose snapshot fell between the character and its REP
    /// would have nothing to repeat.
    fn repeat(&mut self, count: u16, sink: &mut impl Sink) {
        let Some(character) = self.repeatable else {
            return;
        };
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).as_bytes();
        sink.both(&bytes.repeat(usize::from(count)));
    }

    fn private_mode(&mut self, mode: u16, action: u8, sink: &mut impl Sink) {
        let on = action == b'h';
        match mode {
            1 | 7 | 12 | 25 | 1000 | 1002..=1007 | 2004 => {
                self.say(sink.to_both(), b"?", mode, &[action]);
            }
            6 => {
                self.origin = on;
                // xterm goes home when it leaves origin mode too; our screen needs to be told.
                sink.both(if on { b"\x1b[?6h" } else { b"\x1b[?6l\x1b[H" });
            }
            47 | 1047 | 1049 if on != self.alternate => {
                self.alternate = on;
                self.say(sink.to_both(), b"?", 1049, &[action]);
            }
            1048 => sink.both(if on { b"\x1b7" } else { b"\x1b8" }),
            2026 => {
                self.say(sink.to_viewers(), b"?", mode, &[action]);
                sink.signal(Signal::Sync(on));
            }
            _ => {}
        }
    }

    /// Colours and attributes pass as they are but for 21, which our screen reads as "not bold" and
    /// xterm as "underlined twice".
    fn style(&mut self, csi: &Csi<'_>, sink: &mut impl Sink) {
        self.scratch.clear();
        self.scratch.extend_from_slice(b"\x1b[");
        let mut colour = 0;
        for (at, part) in csi.params.split(|&byte| byte == b';').enumerate() {
            if at > 0 {
                self.scratch.push(b';');
            }
            // Parameters of 38, 48 and 58 are not attributes.
            let attribute = colour == 0;
            colour = match (colour, part) {
                (0, b"38" | b"48" | b"58") => 9,
                (0, _) => 0,
                (9, b"5") => 1,
                (9, b"2") => 3,
                (9, _) => 0,
                (left, _) => left - 1,
            };
            let part: &[u8] = if attribute && part == b"21" {
                b"4:2"
            } else {
                part
            };
            self.scratch.extend_from_slice(part);
        }
        self.scratch.push(b'm');
        match csi.values[0] {
            code if csi.count <= 1 && code != 21 => sink.attribute(code, &self.scratch),
            _ => sink.both(&self.scratch),
        }
    }

    fn window(&mut self, operation: u16, sink: &mut impl Sink) {
        match operation {
            18 => sink.screen(b"\x1b[18t"),
            22 if self.titles.len() < TITLES_MAX => self.titles.push(self.title.clone()),
            23 => {
                if let Some(title) = self.titles.pop() {
                    self.set_title(title.as_bytes(), sink);
                }
            }
            _ => {}
        }
    }

    pub(super) fn set_title(&mut self, title: &[u8], sink: &mut impl Sink) {
        let title = super::sanitize(title, TITLE_BYTES_MAX);
        sink.viewers(format!("\x1b]2;{title}\x1b\\").as_bytes());
        self.title.clone_from(&title);
        sink.signal(Signal::Title(title));
    }

    /// DECSTR, which our screen does not know, in words that it does.
    fn soft_reset(&mut self, sink: &mut impl Sink) {
        if self.origin {
            self.private_mode(6, b'l', sink);
        }
        sink.both(b"\x1b[?25h\x1b[4l\x1b[?1l\x1b[?7h\x1b>\x1b[m\x1b(B\x1b)B\x0f");
    }
}

/// Gives [`Tokenizer::say`] a sink together with where in it to put.
trait Towards: Sink {
    fn to_both(&mut self) -> (&mut Self, fn(&mut Self, &[u8])) {
        (self, Self::both)
    }
    fn to_screen(&mut self) -> (&mut Self, fn(&mut Self, &[u8])) {
        (self, Self::screen)
    }
    fn to_viewers(&mut self) -> (&mut Self, fn(&mut Self, &[u8])) {
        (self, Self::viewers)
    }
}

impl<S: Sink> Towards for S {}

/// The inside of a control sequence.
struct Csi<'a> {
    prefix: u8,
    params: &'a [u8],
    intermediates: &'a [u8],
    values: [u16; PARAMS_MAX],
    count: usize,
    subparameters: bool,
}

impl<'a> Csi<'a> {
    /// `None`: not of the form that terminals agree on.
    fn parse(sequence: &'a [u8]) -> Option<Csi<'a>> {
        let (prefix, rest) = match sequence.split_first() {
            Some((&prefix @ b'<'..=b'?', rest)) => (prefix, rest),
            _ => (0, sequence),
        };
        let split = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b';'))
            .unwrap_or(rest.len());
        let (params, intermediates) = rest.split_at(split);
        if intermediates.iter().any(|byte| *byte > b'/') {
            return None;
        }
        let mut csi = Csi {
            prefix,
            params,
            intermediates,
            values: [0; PARAMS_MAX],
            count: usize::from(!params.is_empty()),
            subparameters: false,
        };
        for &byte in params {
            match byte {
                b';' | b':' => {
                    csi.subparameters |= byte == b':';
                    csi.count += 1;
                    if csi.count > PARAMS_MAX {
                        return None;
                    }
                }
                digit => {
                    let value = &mut csi.values[csi.count - 1];
                    *value = value
                        .saturating_mul(10)
                        .saturating_add(u16::from(digit - b'0'));
                }
            }
        }
        Some(csi)
    }

    /// The parameter, or `default` where it is missing or 0.
    fn value(&self, at: usize, default: u16) -> u16 {
        match self.values.get(at) {
            Some(&value) if value != 0 && at < self.count => value,
            _ => default,
        }
    }
}

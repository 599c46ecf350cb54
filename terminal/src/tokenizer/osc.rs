//! Which operating system commands pass, and what is learnt from them.

use super::{Signal, Sink, Tokenizer, sanitize, turns};
use crate::protocol::Mark;

/// Longest link in bytes; browsers stop near there too.
const LINK_BYTES_MAX: usize = 2083;
/// Longest notification text in bytes.
const NOTICE_BYTES_MAX: usize = 1024;

impl Tokenizer {
    pub(super) fn osc_final(&mut self, sink: &mut impl Sink) {
        let sequence = std::mem::take(&mut self.sequence);
        let mut parts = sequence.splitn(2, |&byte| byte == b';');
        let number = parts.next().unwrap_or_default();
        let rest = parts.next();
        match (number, rest) {
            (b"0" | b"2", Some(title)) => self.set_title(title, sink),
            (b"4", Some(pairs)) => palette(pairs, sink),
            (b"10", Some(colours)) => dynamic(0, colours, sink),
            (b"11", Some(colours)) => dynamic(1, colours, sink),
            (b"12", Some(colours)) => dynamic(2, colours, sink),
            (b"104", rest) => reset_palette(rest.unwrap_or_default(), sink),
            (b"110" | b"111" | b"112", _) => {
                let number = String::from_utf8_lossy(number);
                sink.both(format!("\x1b]{number}\x1b\\").as_bytes());
            }
            (b"8", Some(link)) => hyperlink(link, sink),
            (b"9", Some(text)) => notice_9(text, sink),
            (b"52", Some(rest)) => copy(rest, sink),
            (b"777", Some(text)) => {
                if let Some(text) = text.strip_prefix(b"notify;") {
                    notice(&text.replace_byte(b';', b": "), sink);
                }
            }
            (b"99", Some(text)) => notice_99(text, sink),
            (b"133", Some(text)) => mark(text, sink),
            _ => {}
        }
    }
}

trait ReplaceByte {
    fn replace_byte(&self, from: u8, to: &[u8]) -> Vec<u8>;
}

impl ReplaceByte for [u8] {
    fn replace_byte(&self, from: u8, to: &[u8]) -> Vec<u8> {
        self.split(|&byte| byte == from)
            .collect::<Vec<_>>()
            .join(to)
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A colour as X writes it: nothing but these may reach a viewer.
fn colour(text: &[u8]) -> Option<&str> {
    let fits =
        |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'r' | b'g' | b':' | b'/' | b'#');
    let known = text.starts_with(b"#") || text.starts_with(b"rgb:");
    (known && text.len() <= 24 && text.iter().all(fits))
        .then(|| std::str::from_utf8(text).ok())
        .flatten()
}

fn palette(pairs: &[u8], sink: &mut impl Sink) {
    let mut parts = pairs.split(|&byte| byte == b';');
    while let (Some(index), Some(value)) = (parts.next(), parts.next()) {
        let Some(index) = number(index).filter(|&index| index < 256) else {
            continue;
        };
        if value == b"?" {
            sink.screen(format!("\x1b]4;{index};?\x1b\\").as_bytes());
        } else if let Some(colour) = colour(value) {
            sink.both(format!("\x1b]4;{index};{colour}\x1b\\").as_bytes());
        }
    }
}

fn reset_palette(indexes: &[u8], sink: &mut impl Sink) {
    if indexes.is_empty() {
        sink.both(b"\x1b]104\x1b\\");
        return;
    }
    for index in indexes.split(|&byte| byte == b';') {
        if let Some(index) = number(index).filter(|&index| index < 256) {
            sink.both(format!("\x1b]104;{index}\x1b\\").as_bytes());
        }
    }
}

/// Foreground, background and cursor: a list goes on with the next of them.
fn dynamic(first: usize, colours: &[u8], sink: &mut impl Sink) {
    let numbers = ["10", "11", "12"];
    for (number, value) in numbers[first..]
        .iter()
        .zip(colours.split(|&byte| byte == b';'))
    {
        if value == b"?" {
            sink.screen(format!("\x1b]{number};?\x1b\\").as_bytes());
        } else if let Some(colour) = colour(value) {
            sink.both(format!("\x1b]{number};{colour}\x1b\\").as_bytes());
        }
    }
}

/// Only links that a person may follow without harm; any other one becomes plain text.
fn hyperlink(rest: &[u8], sink: &mut impl Sink) {
    const END: &[u8] = b"\x1b]8;;\x1b\\";
    let Some(split) = rest.iter().position(|&byte| byte == b';') else {
        return;
    };
    let (params, uri) = (&rest[..split], &rest[split + 1..]);
    let known = [&b"http://"[..], b"https://", b"mailto:"]
        .iter()
        .any(|scheme| uri.starts_with(scheme));
    let printable = uri.iter().all(u8::is_ascii_graphic);
    let Some(uri) = std::str::from_utf8(uri)
        .ok()
        .filter(|_| known && printable && uri.len() <= LINK_BYTES_MAX)
    else {
        sink.both(END);
        return;
    };
    let id = params
        .split(|&byte| byte == b':')
        .find_map(|param| param.strip_prefix(b"id="))
        .filter(|id| id.len() <= 128 && !id.is_empty() && id.iter().all(u8::is_ascii_graphic))
        .map(String::from_utf8_lossy);
    match id {
        Some(id) => sink.both(format!("\x1b]8;id={id};{uri}\x1b\\").as_bytes()),
        None => sink.both(format!("\x1b]8;;{uri}\x1b\\").as_bytes()),
    }
}

fn notice(text: &[u8], sink: &mut impl Sink) {
    let text = sanitize(text, NOTICE_BYTES_MAX);
    if !text.is_empty() {
        sink.signal(Signal::Notice(text));
    }
}

/// iTerm's notification, unless it is one of ConEmu's numbered commands.
fn notice_9(text: &[u8], sink: &mut impl Sink) {
    let mut parts = text.split(|&byte| byte == b';');
    match parts.next().and_then(number) {
        Some(4) => {
            let state = parts.next().and_then(number).unwrap_or(0);
            let percent = parts.next().and_then(number).unwrap_or(0);
            if let Ok(state @ 0..=4) = u8::try_from(state) {
                let percent = u8::try_from(percent.min(100)).unwrap_or(100);
                sink.signal(Signal::Mark(Mark::Progress { state, percent }));
            }
        }
        Some(1..=12) => {}
        _ => notice(text, sink),
    }
}

/// kitty's: `metadata ; text`. Requests to report back or to close one are ignored.
fn notice_99(rest: &[u8], sink: &mut impl Sink) {
    let Some(split) = rest.iter().position(|&byte| byte == b';') else {
        return;
    };
    let (metadata, text) = (&rest[..split], &rest[split + 1..]);
    let value = |key: &[u8]| {
        metadata
            .split(|&byte| byte == b':')
            .find_map(|pair| pair.strip_prefix(key))
    };
    let shown = matches!(value(b"p="), None | Some(b"title" | b"body"));
    if !shown {
        return;
    }
    if value(b"e=") == Some(b"1") {
        notice(&base64(text), sink);
    } else {
        notice(text, sink);
    }
}

/// `selection ; base64`, whatever the selection. A query (`?`) would read a person's clipboard: it is
/// no base64, and nothing. What has no glyph is left out: whoever is asked shall see what it is.
fn copy(rest: &[u8], sink: &mut impl Sink) {
    let Some(split) = rest.iter().position(|&byte| byte == b';') else {
        return;
    };
    let text = base64(&rest[split + 1..]);
    let shown = |c: &char| matches!(c, '\n' | '\t') || !(c.is_control() || turns(*c));
    let text: String = String::from_utf8_lossy(&text)
        .chars()
        .filter(shown)
        .collect();
    if !text.is_empty() {
        sink.signal(Signal::Copy(text));
    }
}

/// Decodes what it can; a bad character ends it.
fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(((bits >> held) & 0xff).try_into().unwrap_or(0));
        }
    }
    out
}

fn mark(text: &[u8], sink: &mut impl Sink) {
    let mut parts = text.split(|&byte| byte == b';');
    let mark = match parts.next() {
        Some(b"A") => Mark::Prompt,
        Some(b"B") => Mark::Input,
        Some(b"C") => Mark::Running,
        Some(b"D") => Mark::Finished {
            code: parts
                .next()
                .and_then(number)
                .and_then(|code| i32::try_from(code).ok()),
        },
        _ => return,
    };
    sink.signal(Signal::Mark(mark));
}

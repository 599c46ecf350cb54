//! ALiS v1, asciinema's protocol for live streams: what its player understands, and no more.
//!
//! A WebSocket of subprotocol `v1.alis`. First the magic, then binary messages: `0x01` the whole
//! screen, `o` output, `r` a size, `x` the process ended, `0x04` the end. Numbers are LEB128, times
//! are microseconds since the last message, text is UTF-8. Sans I/O: this file only encodes.

use std::time::Duration;

/// Name of the subprotocol.
pub(crate) const SUBPROTOCOL: &str = "v1.alis";

/// The first message.
pub(crate) const MAGIC: &[u8] = b"ALiS\x01";

const INIT: u8 = 0x01;
const END: u8 = 0x04;

/// One stream.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// Number of the last event.
    id: u64,
    /// When that was.
    at: Duration,
    /// The beginning of a character whose rest is to come.
    partial: Vec<u8>,
}

impl Encoder {
    /// The whole screen; may come at any time.
    pub(crate) fn screen(
        &mut self,
        at: Duration,
        (cols, rows): (u16, u16),
        dump: &[u8],
    ) -> Vec<u8> {
        self.partial.clear();
        self.at = at;
        let mut message = vec![INIT];
        number(&mut message, self.id);
        number(&mut message, micros(at));
        number(&mut message, cols.into());
        number(&mut message, rows.into());
        message.push(0); // no colours of its own
        text(&mut message, &String::from_utf8_lossy(dump));
        message
    }

    /// Output; `None`: not one whole character yet.
    pub(crate) fn output(&mut self, at: Duration, bytes: &[u8]) -> Option<Vec<u8>> {
        self.partial.extend_from_slice(bytes);
        let whole = self.partial.len() - unfinished(&self.partial);
        if whole == 0 {
            return None;
        }
        let rest = self.partial.split_off(whole);
        let bytes = std::mem::replace(&mut self.partial, rest);
        let mut message = self.event(b'o', at);
        text(&mut message, &String::from_utf8_lossy(&bytes));
        Some(message)
    }

    /// Another size.
    pub(crate) fn resized(&mut self, at: Duration, (cols, rows): (u16, u16)) -> Vec<u8> {
        let mut message = self.event(b'r', at);
        number(&mut message, cols.into());
        number(&mut message, rows.into());
        message
    }

    /// The process ended with this code, as a shell has it.
    pub(crate) fn exited(&mut self, at: Duration, code: u8) -> Vec<u8> {
        let mut message = self.event(b'x', at);
        number(&mut message, code.into());
        message
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self, at: Duration) -> Vec<u8> {
        self.event(END, at)
    }

    fn event(&mut self, kind: u8, at: Duration) -> Vec<u8> {
        self.id += 1;
        let since = at.saturating_sub(self.at);
        self.at = self.at.max(at);
        let mut message = vec![kind];
        number(&mut message, self.id);
        number(&mut message, micros(since));
        message
    }
}

/// Bytes at the end that begin a character and don't finish it.
fn unfinished(bytes: &[u8]) -> usize {
    let Some(last) = bytes.utf8_chunks().last() else {
        return 0;
    };
    let rest = last.invalid();
    let cut = std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
    if cut { rest.len() } else { 0 }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// LEB128.
fn number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn messages_are_as_the_protocol_has_them() {
        let mut stream = Encoder::default();
        let init = stream.screen(at(300), (80, 24), b"hi");
        assert_eq!(init, [1, 0, 0xac, 2, 80, 24, 0, 2, b'h', b'i']);
        assert_eq!(stream.output(at(301), b"x").unwrap(), [b'o', 1, 1, 1, b'x']);
        assert_eq!(
            stream.resized(at(429), (200, 9)),
            [b'r', 2, 0x80, 1, 0xc8, 1, 9]
        );
        assert_eq!(stream.exited(at(429), 130), [b'x', 3, 0, 0x82, 1]);
        assert_eq!(stream.end(at(400)), [4, 4, 0], "time does not go back");
    }

    #[test]
    fn characters_are_whole_wherever_the_output_is_cut() {
        let output = "aé漢🎉z".as_bytes();
        for cut in 0..=output.len() {
            let mut stream = Encoder::default();
            let mut seen = Vec::new();
            for part in [&output[..cut], &output[cut..]] {
                // Kind, id, time and length are one byte each.
                let message = stream.output(at(0), part);
                seen.extend(message.into_iter().flat_map(|it| it[4..].to_vec()));
            }
            assert_eq!(seen, output, "{cut}");
        }
        // What is no text is marked, and held up by nothing.
        let mut stream = Encoder::default();
        let message = stream.output(at(0), b"\xff\xfea").unwrap();
        assert_eq!(&message[4..], "\u{fffd}\u{fffd}a".as_bytes());
        assert_eq!(stream.output(at(0), b"\xf0\x9f"), None);
        let dropped = stream.screen(at(0), (1, 1), b"");
        assert_eq!(dropped.len(), 7);
        assert_eq!(&stream.output(at(0), b"b").unwrap()[4..], b"b");
    }
}

//! A recording as asciicast v3: lines of JSON, as asciinema plays them.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;

use super::{Event, Kind, Recording, typed};
use crate::protocol::{REDRAW, RESET};

/// Writes it line by line.
#[derive(Debug, Default)]
pub struct Cast {
    /// When the last line happened, in the whole.
    told: Duration,
    /// The begin of a character whose rest is to come.
    rest: Vec<u8>,
    /// Who typed last.
    typist: String,
}

impl Cast {
    /// The first line. `title`: what it is of.
    #[must_use]
    pub fn header(recording: &Recording<'_>, title: &str) -> String {
        let meta = &recording.meta;
        let header = json!({
            "version": 3,
            "term": { "cols": meta.cols, "rows": meta.rows, "type": "xterm-256color" },
            "timestamp": recording.begun_us() / 1_000_000,
            "title": title,
        });
        format!("{header}\n")
    }

    /// The lines of an event, appended to `out`.
    pub fn event(&mut self, event: &Event<'_>, out: &mut String) {
        match event.kind {
            Kind::Meta => {}
            Kind::Screen => {
                self.rest.clear();
                let (begin, end) = REDRAW;
                let screen = String::from_utf8_lossy(event.bytes);
                let text = format!("{RESET}{begin}{screen}{end}");
                self.line(event.at, "o", &text, out);
            }
            Kind::Output => {
                let text = self.whole(event.bytes);
                if !text.is_empty() {
                    self.line(event.at, "o", &text, out);
                }
            }
            Kind::Resize => {
                if let Some((cols, rows)) = size(event.bytes) {
                    self.line(event.at, "r", &format!("{cols}x{rows}"), out);
                }
            }
            Kind::Exit => {
                let text = String::from_utf8_lossy(event.bytes);
                let code = text.trim_matches(|c: char| !c.is_ascii_digit());
                self.line(event.at, "x", code, out);
            }
            Kind::Input => {
                if let Some((user, text)) = typed(event.bytes) {
                    self.input(event.at, (user, text), out);
                }
            }
        }
    }

    /// asciicast knows no names: a marker says whose the keys are from there on.
    fn input(&mut self, at: Duration, (user, text): (&str, &[u8]), out: &mut String) {
        if self.typist != user {
            user.clone_into(&mut self.typist);
            self.line(at, "m", &format!("{user} types"), out);
        }
        self.line(at, "i", &String::from_utf8_lossy(text), out);
    }

    /// The text of what came, without a character that is cut.
    fn whole(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let cut = match std::str::from_utf8(&self.rest) {
            Ok(_) => 0,
            // Not the end of the input is what is broken: that is shown as such.
            Err(error) if error.error_len().is_some() => incomplete(&self.rest),
            Err(error) => self.rest.len() - error.valid_up_to(),
        };
        let rest = self.rest.split_off(self.rest.len() - cut);
        let whole = std::mem::replace(&mut self.rest, rest);
        String::from_utf8_lossy(&whole).into_owned()
    }

    fn line(&mut self, at: Duration, code: &str, data: &str, out: &mut String) {
        // Rounded as a whole, so that errors do not add up.
        let millis = at.as_millis().saturating_sub(self.told.as_millis());
        self.told = self.told.max(at);
        let (seconds, rest) = (millis / 1000, millis % 1000);
        let data = serde_json::Value::from(data);
        writeln!(out, "[{seconds}.{rest:03}, \"{code}\", {data}]").expect("a String takes all");
    }
}

/// Bytes at the end that may be the begin of a character.
fn incomplete(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let begins = |at: &usize| {
        std::str::from_utf8(&bytes[*at..])
            .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
    };
    (tail..bytes.len())
        .find(begins)
        .map_or(0, |at| bytes.len() - at)
}

/// Columns and rows of a [`Kind::Resize`].
#[must_use]
pub fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let word = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    Some((word(0)?, word(2)?))
}

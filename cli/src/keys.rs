//! The detach key: how it is written, and how it is found in what a terminal sends.

use std::str::FromStr;

/// A control key that ends an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DetachKey {
    /// Ctrl with this key: a lower-case letter or one of `\ ] ^ _`.
    Ctrl(u8),
    /// There is none.
    Never,
}

impl FromStr for DetachKey {
    type Err = String;

    fn from_str(text: &str) -> Result<DetachKey, String> {
        if text == "none" {
            return Ok(DetachKey::Never);
        }
        let key = text.strip_prefix("ctrl-").map(str::as_bytes);
        match key {
            // What a shell needs to live is not taken away: ctrl-c, -d, -i (Tab), -j and -m (Enter).
            Some([b'c' | b'd' | b'i' | b'j' | b'm']) | None | Some([]) => {}
            Some([key]) if key.is_ascii_lowercase() || b"\\]^_".contains(key) => {
                return Ok(DetachKey::Ctrl(*key));
            }
            Some(_) => {}
        }
        Err(format!(
            "{text:?} is not a detach key: ctrl-] or ctrl-a and the like, or none"
        ))
    }
}

impl std::fmt::Display for DetachKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DetachKey::Ctrl(key) => write!(f, "ctrl-{}", char::from(*key)),
            DetachKey::Never => f.write_str("none"),
        }
    }
}

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// Finds the detach key in typed bytes. A key inside a bracketed paste is text.
#[derive(Debug)]
pub(crate) struct Watch {
    /// How terminals send the key: the control character, and as the kitty keyboard protocol and
    /// xterm's `modifyOtherKeys` have it, which programs may have switched on.
    forms: Vec<Vec<u8>>,
    pasting: bool,
}

impl Watch {
    pub(crate) fn new(key: DetachKey) -> Watch {
        let forms = match key {
            DetachKey::Ctrl(key) => vec![
                vec![key & 0x1f],
                format!("\x1b[{key};5u").into_bytes(),
                format!("\x1b[{key};5:1u").into_bytes(),
                format!("\x1b[27;5;{key}~").into_bytes(),
            ],
            DetachKey::Never => Vec::new(),
        };
        Watch {
            forms,
            pasting: false,
        }
    }

    /// How many of `bytes` come before the key, if it is there.
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if rest.starts_with(PASTE_BEGIN) {
                self.pasting = true;
            } else if rest.starts_with(PASTE_END) {
                self.pasting = false;
            } else if !self.pasting && self.forms.iter().any(|form| rest.starts_with(form)) {
                return Some(at);
            }
            at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in ["ctrl-]", "ctrl-a", "ctrl-\\", "none"] {
            assert_eq!(text.parse::<DetachKey>().unwrap().to_string(), text);
        }
        for text in [
            "", "ctrl-", "ctrl-c", "ctrl-m", "ctrl-A", "ctrl-1", "x", "ctrl-ab",
        ] {
            assert!(text.parse::<DetachKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_key_is_found_in_every_form() {
        let mut watch = Watch::new(DetachKey::Ctrl(b']'));
        assert_eq!(watch.find(b"ab\x1d"), Some(2));
        assert_eq!(watch.find(b"\x1b[93;5u"), Some(0));
        assert_eq!(watch.find(b"x\x1b[27;5;93~"), Some(1));
        assert_eq!(watch.find(b"]\x1b[93;6u"), None);
        assert_eq!(Watch::new(DetachKey::Never).find(b"\x1d"), None);
    }

    #[test]
    fn a_pasted_key_is_text() {
        let mut watch = Watch::new(DetachKey::Ctrl(b']'));
        assert_eq!(watch.find(b"\x1b[200~a\x1db"), None);
        assert_eq!(watch.find(b"\x1dc\x1b[201~"), None);
        assert_eq!(watch.find(b"\x1d"), Some(0));
    }
}

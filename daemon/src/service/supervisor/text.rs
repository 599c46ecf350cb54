//! What a service prints, as far as the supervisor looks at it: a text to find, and the last line.

/// Text kept of a line that has not ended: longer ones are looked at in overlapping pieces.
const LINE_BYTES_MAX: usize = 4096;

/// Text of a last line that goes into a reason.
const QUOTE_CHARS_MAX: usize = 200;

/// Follows a log.
#[derive(Debug, Default)]
pub(super) struct LogText {
    partial: String,
    last: String,
}

impl LogText {
    /// Takes more text; says whether a line in it contains `wanted`.
    pub(super) fn push(&mut self, text: &str, wanted: Option<&str>) -> bool {
        let mut found = false;
        for piece in text.split_inclusive('\n') {
            self.partial.push_str(piece);
            found |= wanted.is_some_and(|wanted| self.partial.contains(wanted));
            if piece.ends_with('\n') {
                if !self.partial.trim().is_empty() {
                    self.last = quotable(&self.partial);
                }
                self.partial.clear();
            } else if self.partial.len() > LINE_BYTES_MAX {
                let cut = self.partial.len() - LINE_BYTES_MAX / 2;
                let cut = self.partial.ceil_char_boundary(cut);
                self.partial.drain(..cut);
            }
        }
        found
    }

    /// `": the last line"`, or nothing.
    pub(super) fn quote(&self) -> String {
        let line = if self.partial.trim().is_empty() {
            self.last.clone()
        } else {
            quotable(&self.partial)
        };
        if line.is_empty() {
            line
        } else {
            format!(": {line}")
        }
    }
}

/// One bounded line without control characters: it is the agent's text and goes to people.
fn quotable(line: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = line
        .trim()
        .chars()
        .take(QUOTE_CHARS_MAX)
        .map(plain)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_text_across_pieces_but_not_across_lines() {
        let mut log = LogText::default();
        assert!(!log.push("database system is rea", Some("ready to")));
        assert!(log.push("dy to accept", Some("ready to")));
        let mut log = LogText::default();
        assert!(!log.push("ready\nto", Some("ready to")));
    }

    #[test]
    fn endless_lines_are_bounded_and_still_searched() {
        let mut log = LogText::default();
        for _ in 0..100 {
            assert!(!log.push(&"ä".repeat(1000), Some("needle")));
            assert!(log.partial.len() <= LINE_BYTES_MAX + 2000);
        }
        assert!(!log.push("nee", Some("needle")));
        assert!(log.push("dle", Some("needle")));
    }

    #[test]
    fn quotes_the_last_line_that_says_something() {
        let mut log = LogText::default();
        assert_eq!(log.quote(), "");
        log.push("one\n\x1b[31mtwo\x07\n\n  \n", None);
        assert_eq!(log.quote(), ": [31mtwo");
        log.push(&"x".repeat(999), None);
        assert_eq!(log.quote().len(), 2 + QUOTE_CHARS_MAX);
    }
}

//! What root keeps of the journal: the file of checkpoints, and its lines.
//!
//! A line is the time in milliseconds since the epoch, by root's clock, and where the two chains
//! are: number and hash of a row of people's, then of wsm's. A word after the time says of what it
//! tells; versions that don't know the word take the line for none.
//!
//! ```text
//! 1700000000000 812 HASH 4099 HASH            the newest rows: a checkpoint
//! 1700000000000 begins 0 HASH 4012 HASH       the newest that were gone when this was first kept
//! 1700000000000 rotated 640 HASH 3911 HASH    the newest that are taken out from now on
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The file of checkpoints in the state directory.
pub const CHECKPOINTS: &str = "checkpoints";

/// Where the file goes when it is full; then there are two, and what was older is gone.
pub const CHECKPOINTS_OLD: &str = "checkpoints.old";

/// A full file: three months of a line each minute.
pub const CHECKPOINTS_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// Shortest time between two lines.
pub const CHECKPOINT_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// A row of a chain of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEnd {
    /// Number of the row.
    pub seq: u64,
    /// Its hash: 64 hexadecimal digits in lower case.
    pub chain: String,
}

impl JournalEnd {
    /// Whether the hash is written as one.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        self.chain.len() == 64 && self.chain.bytes().all(digit)
    }

    /// Whether it may be said after `before`: no chain grows shorter, or has another row there.
    #[must_use]
    pub fn follows(&self, before: &JournalEnd) -> bool {
        self.seq > before.seq || self == before
    }
}

/// Of what a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The newest rows.
    Checkpoint,
    /// The newest rows that were gone when it was first kept what is taken out.
    Begins,
    /// The newest rows that are taken out.
    Rotated,
}

impl Kept {
    /// Whether it tells of what is gone from the old end.
    #[must_use]
    pub fn is_cut(self) -> bool {
        self != Kept::Checkpoint
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    /// When it was written.
    pub at_ms: u64,
    /// Of what it tells.
    pub kept: Kept,
    /// Of people's chain.
    pub person: JournalEnd,
    /// Of wsm's.
    pub wsm: JournalEnd,
}

/// It is no line: a crash cut it off, or somebody damaged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoLine;

impl FromStr for JournalLine {
    type Err = NoLine;

    fn from_str(text: &str) -> Result<JournalLine, NoLine> {
        let mut words = text.split(' ').peekable();
        let mut number = || words.next()?.parse().ok();
        let at_ms = number().ok_or(NoLine)?;
        let kept = match words.peek() {
            Some(&"begins") => Kept::Begins,
            Some(&"rotated") => Kept::Rotated,
            _ => Kept::Checkpoint,
        };
        if kept.is_cut() {
            words.next();
        }
        let mut end = || {
            let end = JournalEnd {
                seq: words.next()?.parse().ok()?,
                chain: words.next()?.to_owned(),
            };
            end.is_well_formed().then_some(end)
        };
        let (person, wsm) = (end().ok_or(NoLine)?, end().ok_or(NoLine)?);
        let line = JournalLine {
            at_ms,
            kept,
            person,
            wsm,
        };
        words.next().is_none().then_some(line).ok_or(NoLine)
    }
}

impl fmt::Display for JournalLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (person, wsm) = (&self.person, &self.wsm);
        write!(f, "{}", self.at_ms)?;
        match self.kept {
            Kept::Checkpoint => {}
            Kept::Begins => f.write_str(" begins")?,
            Kept::Rotated => f.write_str(" rotated")?,
        }
        write!(
            f,
            " {} {} {} {}",
            person.seq, person.chain, wsm.seq, wsm.chain
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_torn_ones_are_none() {
        for (word, kept) in [
            ("", Kept::Checkpoint),
            ("begins ", Kept::Begins),
            ("rotated ", Kept::Rotated),
        ] {
            let text = format!("5 {word}7 {} 8 {}", "a".repeat(64), "0".repeat(64));
            let line: JournalLine = text.parse().expect("a line");
            assert_eq!((line.at_ms, line.kept), (5, kept));
            assert_eq!((line.person.seq, line.wsm.seq), (7, 8));
            assert_eq!(line.to_string(), text);
            for torn in 0..text.len() {
                assert_eq!(text[..torn].parse::<JournalLine>(), Err(NoLine), "{torn}");
            }
            assert!(format!("{text} 1").parse::<JournalLine>().is_err());
        }
        let other = format!("5 else 7 {} 8 {}", "a".repeat(64), "0".repeat(64));
        assert!(other.parse::<JournalLine>().is_err());
    }

    #[test]
    fn no_chain_grows_shorter_or_has_another_row_there() {
        let end = |seq, digit: &str| JournalEnd {
            seq,
            chain: digit.repeat(64),
        };
        assert!(end(2, "b").follows(&end(1, "a")));
        assert!(end(1, "a").follows(&end(1, "a")));
        assert!(!end(1, "b").follows(&end(1, "a")));
        assert!(!end(0, "0").follows(&end(1, "a")));
    }
}

//! What root's file knows of the journal: checkpoints, and what was taken out of its old end.
//!
//! The base of a chain, behind which nothing is left, stands in the database like all else: it is
//! believed no further than the file goes along. People's rows are taken out by `audit export
//! --rotate` alone, which is told to the broker before; wsm's own go by themselves too, but never
//! below [`WSM_ROWS_MAX`].

use wsm_sandbox::protocol::{JournalEnd, JournalLine, Kept};

use super::{Class, Link, unhex};
use crate::store::rfc3339;

/// Rows of what wsm did by itself that are kept: some 60 MB. What people did is kept until an
/// administrator exports and rotates it, so that agents can't push it out.
pub(crate) const WSM_ROWS_MAX: u64 = 200_000;

/// The verb of the row that tells of an export that took rows out.
pub(crate) const ROTATED: &str = "journal.rotated";

/// What root wrote down of the journal at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// When, milliseconds since the epoch.
    pub at_ms: u64,
    /// A row of people's chain, the newest then or the newest that was taken out.
    pub person: Link,
    /// Of wsm's.
    pub wsm: Link,
}

impl Checkpoint {
    pub(super) fn of(&self, class: Class) -> Link {
        match class {
            Class::Person => self.person,
            Class::Wsm => self.wsm,
        }
    }
}

/// All that the file knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Rows, oldest line first; those that were taken out among them.
    pub rows: Vec<Checkpoint>,
    /// What was taken out last.
    cut: Option<(Kept, Checkpoint)>,
    /// Lines that can't be read.
    unread: u64,
}

impl Known {
    /// Reads a file on. What it ends with may be being written, or was cut off by a crash: that is
    /// no line yet.
    pub fn read(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            let whole = line.ends_with('\n');
            match line.trim_end_matches('\n').parse() {
                Ok(line) => self.add(&line),
                Err(_) => self.unread += u64::from(whole),
            }
        }
    }

    fn add(&mut self, line: &JournalLine) {
        let link = |end: &JournalEnd| {
            unhex(&end.chain).map(|chain| Link {
                seq: end.seq,
                chain,
            })
        };
        let (Some(person), Some(wsm)) = (link(&line.person), link(&line.wsm)) else {
            self.unread += 1;
            return;
        };
        let checkpoint = Checkpoint {
            at_ms: line.at_ms,
            person,
            wsm,
        };
        self.rows.push(checkpoint);
        if line.kept.is_cut() {
            self.cut = Some((line.kept, checkpoint));
        }
    }

    /// Why a chain can't begin behind this row, with so many rows left.
    pub(super) fn forbids(&self, class: Class, base: Link, left: u64) -> Option<String> {
        // A file of an older version does not know: see `notes`.
        let (_, cut) = self.cut.as_ref()?;
        let known = cut.of(class).seq;
        if base.seq <= known {
            return None;
        }
        let seq = base.seq;
        match class {
            Class::Person => Some(format!(
                "people's rows up to {seq} are gone: root's file knows of none taken out after {known}"
            )),
            Class::Wsm if left < WSM_ROWS_MAX => Some(format!(
                "wsm's rows up to {seq} are gone and {left} are left: root's file knows of none \
                 taken out after {known}, and wsm keeps {WSM_ROWS_MAX}"
            )),
            Class::Wsm => None,
        }
    }

    /// What nobody can find anything wrong with, and should be known.
    pub(super) fn notes(&self, person: Link) -> Vec<String> {
        let mut notes = Vec::new();
        if self.unread > 0 {
            notes.push(format!(
                "lines of root's file of checkpoints that can't be read: {}",
                self.unread
            ));
        }
        let seq = person.seq;
        match &self.cut {
            _ if seq == 0 => {}
            Some((Kept::Rotated, cut)) => notes.push(format!(
                "what people did up to row {seq} was exported and taken out; the last time at {}",
                rfc3339(cut.at_ms)
            )),
            Some((_, cut)) => notes.push(format!(
                "what people did up to row {seq} was taken out before {}, when root's file did not \
                 tell of that yet: only the export can show what it was",
                rfc3339(cut.at_ms)
            )),
            None => notes.push(format!(
                "what people did up to row {seq} was taken out, and root's file does not tell of \
                 that yet: only the export can show what it was"
            )),
        }
        notes
    }
}

//! The chain of the journal: what makes a row that was changed, removed, put in or moved show.
//!
//! There are two chains: of what people did, and of what wsm did by itself, so that the second may
//! be shortened from its old end without a gap in the first. Each row holds the number of the row
//! before it in its chain, and SHA-256 of that row's hash and its own content:
//!
//! ```text
//! chain = SHA-256(chain of the row before ‖ JSON [seq, at_ms, actor, via, address, verb, subject,
//!                                                 message, before, after, prev])
//! ```
//!
//! The first row of all follows 32 zero bytes; a chain whose old rows are gone follows its base.
//! Whoever can write the database can make a chain anew: that is what the broker's checkpoints are
//! for (see [`Checkpoint`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::WSM;

mod known;
#[cfg(test)]
mod tests;

pub use known::{Checkpoint, Known};
pub(crate) use known::{ROTATED, WSM_ROWS_MAX};

/// SHA-256 of a row and all before it.
pub type Hash = [u8; 32];

/// Findings that are told; after so many it is clear what happened.
const FINDINGS_MAX: usize = 100;

/// Which of the two chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What people did; never shortened but by export.
    Person,
    /// What wsm did by itself.
    Wsm,
}

impl Class {
    /// Both.
    pub const ALL: [Class; 2] = [Class::Person, Class::Wsm];

    /// Of a row of this actor.
    #[must_use]
    pub fn of(actor: &str) -> Class {
        if actor == WSM {
            Class::Wsm
        } else {
            Class::Person
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Person => "person",
            Class::Wsm => "wsm",
        }
    }
}

/// A row with its place in its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Sequence number.
    pub seq: u64,
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// Who.
    pub actor: String,
    /// How that one came in.
    pub via: String,
    /// From where.
    pub address: String,
    /// What.
    pub verb: String,
    /// On what.
    pub subject: String,
    /// In words.
    pub message: String,
    /// What it was before.
    pub before: String,
    /// What it is now.
    pub after: String,
    /// Number of the row before it in its chain.
    pub prev: u64,
    /// Its hash.
    pub chain: Hash,
}

/// Where a chain is: the newest row, or the newest that is gone from its old end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Number of the row; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub chain: Hash,
}

/// The hash of a row that follows `before`.
#[must_use]
pub fn link(before: &Hash, entry: &Entry) -> Hash {
    let content = serde_json::to_vec(&(
        entry.seq,
        entry.at_ms,
        &entry.actor,
        &entry.via,
        &entry.address,
        &entry.verb,
        &entry.subject,
        &entry.message,
        &entry.before,
        &entry.after,
        entry.prev,
    ));
    let content = content.expect("texts and numbers serialize");
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(&content);
    hash.finalize().into()
}

/// 64 hexadecimal digits.
#[must_use]
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From 64 hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Hash> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(hash)
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// Its content, or the hash of the row before it.
    Changed,
    /// It is gone.
    Removed,
    /// No row was ever written after it: it was put in.
    Inserted,
    /// It stands in another's place.
    Moved,
    /// It and all before it were written anew: a checkpoint knows another hash.
    Rewritten,
    /// It and all up to the checkpoint are gone from the new end.
    CutOff,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Number of the row.
    pub seq: u64,
    /// What.
    pub wrong: Wrong,
    /// In words.
    pub told: String,
}

/// What going through the journal told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Rows looked at.
    pub rows: u64,
    /// Where both chains end: people's, wsm's.
    pub ends: [Link; 2],
    /// What is wrong, by number.
    pub findings: Vec<Finding>,
    /// What is not wrong, and should be known.
    pub notes: Vec<String>,
}

/// Goes through the rows in their order.
#[derive(Debug)]
pub struct Verifier<'a> {
    known: &'a Known,
    chains: [Chain; 2],
    /// Whether a row tells that rows were taken out.
    rotated: bool,
    /// With the row that told of it, and the one before that.
    findings: Vec<([u64; 2], Finding)>,
    /// Rows that do not fit, and the hash that they should follow.
    odd: Vec<(Entry, Hash)>,
}

#[derive(Debug)]
struct Chain {
    at: Link,
    /// The row before that.
    last: Link,
    base: Link,
    /// Rows looked at.
    rows: u64,
    checkpoints: BTreeMap<u64, (u64, Hash)>,
}

impl<'a> Verifier<'a> {
    /// Both chains begin at their bases: people's, wsm's.
    #[must_use]
    pub fn new(bases: [Link; 2], known: &'a Known) -> Verifier<'a> {
        let chain = |at: Link| Chain {
            at,
            last: at,
            base: at,
            rows: 0,
            checkpoints: BTreeMap::new(),
        };
        let mut verifier = Verifier {
            known,
            chains: bases.map(chain),
            rotated: false,
            findings: Vec::new(),
            odd: Vec::new(),
        };
        for class in Class::ALL {
            for row in &known.rows {
                verifier.expect(class, row.at_ms, row.of(class));
            }
        }
        verifier
    }

    /// A checkpoint knows this row. Two that know different ones are not both right: the file holds
    /// what was said before a chain was made anew.
    fn expect(&mut self, class: Class, at_ms: u64, row: Link) {
        let chain = &mut self.chains[class as usize];
        let Link { seq, chain: hash } = row;
        let first = chain.checkpoints.entry(seq).or_insert((at_ms, hash));
        let (first_ms, first) = *first;
        let time = crate::store::rfc3339;
        let told = if first != hash {
            format!(
                "checkpoints know two hashes of row {seq}: {} that of {}, {} that of {}",
                hex(&first),
                time(first_ms),
                hex(&hash),
                time(at_ms)
            )
        } else if seq == chain.base.seq && hash != chain.base.chain {
            format!(
                "row {seq}, behind which the journal begins, is not the one that the checkpoint \
                 of {} knows: {}",
                time(at_ms),
                hex(&hash)
            )
        } else {
            return;
        };
        self.find(seq, [seq; 2], Wrong::Rewritten, told);
    }

    /// The next row.
    pub fn push(&mut self, entry: &Entry) {
        let class = Class::of(&entry.actor);
        self.rotated |= class == Class::Person && entry.verb == ROTATED;
        let chain = &mut self.chains[class as usize];
        chain.rows += 1;
        let before = chain.at;
        let follows = link(&before.chain, entry) == entry.chain;
        let seq = entry.seq;
        if entry.seq <= before.seq {
            let told = format!("row {seq} stands behind row {}", before.seq);
            self.find(seq, [before.seq, seq], Wrong::Moved, told);
            return;
        }
        let known = chain.checkpoints.remove(&seq);
        let last = std::mem::replace(&mut chain.last, before);
        chain.at = Link {
            seq,
            chain: entry.chain,
        };
        if entry.prev > before.seq {
            let told = match entry.prev - before.seq {
                1 => format!("row {} is gone", entry.prev),
                _ => format!(
                    "row {} is gone, perhaps others after row {}",
                    entry.prev, before.seq
                ),
            };
            self.find(entry.prev, [before.seq, seq], Wrong::Removed, told);
        } else if entry.prev < before.seq {
            let skips = entry.prev == last.seq && link(&last.chain, entry) == entry.chain;
            let (put, says) = if skips {
                (before.seq, format!("row {seq} follows row {}", last.seq))
            } else {
                (seq, format!("it says that it follows row {}", entry.prev))
            };
            let told = format!("row {put} was put in: {says}");
            self.find(put, [before.seq, seq], Wrong::Inserted, told);
        } else if !follows {
            let told = format!("row {seq} was changed, or the hash of row {}", before.seq);
            self.find(seq, [before.seq, seq], Wrong::Changed, told);
        }
        if !follows && self.odd.len() < FINDINGS_MAX {
            self.odd.push((entry.clone(), before.chain));
        }
        if let Some((at_ms, hash)) = known.filter(|(_, hash)| *hash != entry.chain) {
            let told = format!(
                "row {seq} or one before it was written anew: the checkpoint of {} knows {}",
                crate::store::rfc3339(at_ms),
                hex(&hash)
            );
            self.find(seq, [before.seq, seq], Wrong::Rewritten, told);
        }
    }

    /// All rows were seen.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        self.moved();
        for class in Class::ALL {
            self.began(class);
            let chain = &mut self.chains[class as usize];
            let (end, base) = (chain.at.seq, chain.base.seq);
            let missed: Vec<_> = std::mem::take(&mut chain.checkpoints).into_iter().collect();
            let told = |seq: u64, at_ms: u64| {
                let time = crate::store::rfc3339(at_ms);
                format!("the checkpoint of {time} knew row {seq}, which is gone")
            };
            if let Some((seq, (at_ms, _))) = missed.iter().find(|(seq, _)| *seq > end) {
                let what = format!("{}; the chain ends with row {end}", told(*seq, *at_ms));
                self.find(*seq, [end; 2], Wrong::CutOff, what);
            }
            if let Some((seq, (at_ms, _))) =
                missed.iter().find(|(seq, _)| *seq > base && *seq < end)
            {
                self.find(*seq, [*seq; 2], Wrong::Rewritten, told(*seq, *at_ms));
            }
        }
        let mut findings: Vec<Finding> = self.findings.into_iter().map(|(_, told)| told).collect();
        findings.sort_by_key(|told| (told.seq, told.wrong));
        findings.dedup_by_key(|told| (told.seq, told.wrong));
        Verdict {
            rows: self.chains.iter().map(|chain| chain.rows).sum(),
            notes: self.known.notes(self.chains[0].base),
            ends: self.chains.map(|chain| chain.at),
            findings,
        }
    }

    /// Rows before the first: who took them out.
    fn began(&mut self, class: Class) {
        let chain = &self.chains[class as usize];
        let base = chain.base;
        if let Some(told) = self.known.forbids(class, base, chain.rows) {
            self.find(base.seq, [base.seq; 2], Wrong::Removed, told);
        } else if class == Class::Person && base.seq > 0 && !self.rotated {
            let told = format!(
                "people's rows up to {} are gone, and no row tells who took them out",
                base.seq
            );
            self.find(base.seq, [base.seq; 2], Wrong::Removed, told);
        }
    }

    fn find(&mut self, seq: u64, by: [u64; 2], wrong: Wrong, told: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push((by, Finding { seq, wrong, told }));
        }
    }

    /// Rows that don't fit where they are, but would in each other's places, were moved; what
    /// follows from that is not told again.
    fn moved(&mut self) {
        let hashes: Vec<Hash> = self
            .odd
            .iter()
            .flat_map(|(entry, before)| [entry.chain, *before])
            .collect();
        let places: Vec<u64> = self.odd.iter().map(|(entry, _)| entry.seq).collect();
        let mut moved = Vec::new();
        for (entry, _) in &self.odd {
            let was = places.iter().find(|place| {
                let there = Entry {
                    seq: **place,
                    ..entry.clone()
                };
                **place != entry.seq && hashes.iter().any(|hash| link(hash, &there) == entry.chain)
            });
            if let Some(was) = was {
                moved.push((entry.seq, *was));
            }
        }
        let involved = |seq: u64| moved.iter().any(|(now, was)| *now == seq || *was == seq);
        self.findings
            .retain(|(by, told)| !involved(told.seq) && !by.iter().any(|row| involved(*row)));
        for (now, was) in moved {
            let told = format!("row {now} was row {was}: it was moved");
            self.find(now, [now; 2], Wrong::Moved, told);
        }
    }
}

//! The audit log: the journal with all that makes it one.

use serde::{Deserialize, Serialize};

/// A row of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRow {
    /// Sequence number.
    pub seq: u64,
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// Who: a wsm user, or `wsm`.
    pub actor: String,
    /// How that one came in: `uid:1000`, `device:ID`, `token:ID`; empty for wsm itself.
    pub via: String,
    /// From where: an IP address; empty on this machine.
    pub address: String,
    /// What: `agent.created`, …
    pub verb: String,
    /// On what: an agent's id, `user:NAME`, `host`.
    pub subject: String,
    /// In words.
    pub message: String,
    /// What it was before, where a word says it.
    pub before: String,
    /// What it is now.
    pub after: String,
    /// Number of the row before it in its chain (people's rows have one, wsm's own another).
    pub prev: u64,
    /// SHA-256 of that row's `chain` and this row's content, in hexadecimal digits.
    pub chain: String,
}

/// What going through the journal told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verified {
    /// Rows that were looked at.
    pub rows: u64,
    /// Where the chain of what people did ends.
    pub person: ChainEnd,
    /// Where the chain of what wsm did by itself ends.
    pub wsm: ChainEnd,
    /// Checkpoints that were compared.
    pub checkpoints: u64,
    /// When the newest of them was written (RFC 3339); empty: there is none.
    pub checkpoint: String,
    /// What is wrong; nothing: the journal is as it was written.
    pub findings: Vec<Finding>,
    /// What is not wrong, and should be known: rows that were taken out, lines of root's file that
    /// can't be read.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChainEnd {
    /// Number of the newest row.
    pub seq: u64,
    /// Its hash.
    pub chain: String,
}

/// Something that is wrong with the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Number of the row.
    pub seq: u64,
    /// `changed`, `removed`, `inserted`, `moved`, `rewritten`, `cut-off`.
    pub wrong: String,
    /// In words.
    pub told: String,
}

/// Request to take exported rows out of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The newest row that was exported.
    pub through: u64,
    /// Its `chain`: whoever has it has the rows.
    pub chain: String,
}

//! Recordings of terminals.

use serde::{Deserialize, Serialize};

/// Whether what people type into an agent's terminals is recorded, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordInput {
    /// It is, until the agent stops; lines that are not echoed are left out.
    pub on: bool,
}

/// What a terminal showed, from one start of the agent on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recording {
    /// Names it among those of its agent.
    pub id: String,
    /// Terminal.
    pub terminal: String,
    /// When what is still there of it begins (RFC 3339).
    pub begun: String,
    /// How long it is, in milliseconds.
    pub length_ms: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// Columns at its begin.
    pub cols: u16,
    /// Rows at its begin.
    pub rows: u16,
}

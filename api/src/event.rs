//! The journal as the API shows it.

use serde::{Deserialize, Serialize};

/// One journal row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Sequence number, without gaps.
    pub seq: u64,
    /// When (RFC 3339, UTC).
    pub at: String,
    /// Who: a wsm user, or `wsm` itself.
    pub actor: String,
    /// What: `agent.created`, `agent.state`, `service.state`, `port.leased` …
    pub verb: String,
    /// On what: an agent's id, or `host`.
    pub subject: String,
    /// In words.
    pub message: String,
}

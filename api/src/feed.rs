//! The live feed: what its events carry beside agents and journal rows.

use serde::{Deserialize, Serialize};

/// An agent that is not in the list any more: removed, in the trash, or no longer the caller's to
/// see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gone {
    /// Its id.
    pub id: String,
}

/// Journal rows that are not told, because the client was away for too many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Skipped {
    /// Number of the last of them; `GET /v1/events` has them all.
    pub through: u64,
}

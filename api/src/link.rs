//! Links to watch an agent by.

use serde::{Deserialize, Serialize};

/// What a link's value begins with: it is no token, and good for no more than to look.
pub const PREFIX: &str = "wsml_";

/// No link is good for longer, in seconds.
pub const SECONDS_MAX: u64 = 30 * 86_400;

/// A link, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Link {
    /// Id.
    pub id: String,
    /// Who made it.
    pub by: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// When it was used last, to the minute (RFC 3339); empty: never.
    pub used: String,
    /// From where.
    pub address: String,
}

/// Request for a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Seconds until it ends (a day; 30 days at most).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
}

/// A link that was just made: the only time that its value is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkMade {
    /// The link.
    pub link: Link,
    /// Its value: what `POST /v1/links/open` takes, and what comes in as a bearer's token.
    pub code: String,
    /// For a browser: the value stands behind `#watch=`, which no server is told.
    pub url: String,
    /// For asciinema, its player and others that speak ALiS: `main`'s terminal, live.
    pub live: String,
}

/// Request to open a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OpenLink {
    /// Its value.
    pub code: String,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkOpened {
    /// Name of the agent.
    pub agent: String,
    /// Its id.
    pub id: String,
    /// Until when (RFC 3339).
    pub expires: String,
}

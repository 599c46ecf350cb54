//! Secrets: what may be told of them. Values never pass through the daemon: it gives out a ticket,
//! and whoever has it gives the value to `wsm egress` itself.

use serde::{Deserialize, Serialize};

/// One secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Secret {
    /// Name.
    pub name: String,
    /// The user whose agents may use it; `""` if everybody's may.
    pub owner: String,
    /// Where alone it may go; empty: wherever a template of its owner's says.
    pub hosts: Vec<String>,
    /// When it was set (RFC 3339, UTC).
    pub set: String,
    /// From when it is not used any more, `""` if it does not expire.
    pub expires: String,
    /// Whether that is now.
    pub expired: bool,
    /// When it was last put into a request, `""` if never.
    pub used: String,
    /// Whether agents may have the value itself, where their template says so.
    #[serde(default)]
    pub visible: bool,
    /// Kind of the login, `""` if it is a secret.
    #[serde(default)]
    pub login: String,
    /// Until when the login's access token is good; `""` if it is a secret.
    #[serde(default)]
    pub token_until: String,
    /// Why the login is not renewed any more, `""` if it is: its user must log in again.
    #[serde(default)]
    pub refused: String,
}

/// A request to set a secret: the value does not come along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NewSecret {
    /// For every user's agents: an admin's to set.
    pub everyone: bool,
    /// It is not used any more after so many seconds.
    pub expires_s: Option<u64>,
}

/// For whoever brings the value, within a minute, to `egress.sock` in the run directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecretTicket {
    /// The ticket; good for one try.
    pub ticket: String,
}

/// Answer of `secret rm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecretRemoved {
    /// Name.
    pub name: String,
}

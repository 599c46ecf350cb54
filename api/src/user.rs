//! People: users, and the tokens they come in with.

use serde::{Deserialize, Serialize};

/// `whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Whoami {
    /// The wsm user.
    pub user: String,
    /// `admin` or `member`.
    pub role: String,
    /// How the caller came in: `uid:1000`, `device:ID`, `token:ID`.
    pub via: String,
    /// What the device is called, if the caller came in from one.
    #[serde(default)]
    pub device: String,
    /// IP address; empty on the Unix socket.
    pub address: String,
    /// What this way in is good for: `view`, `approve`, `drive`, `own`, `admin`.
    pub scope: String,
    /// The only agents (ids) that it is good for; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Name.
    pub name: String,
    /// `admin` or `member`.
    pub role: String,
    /// Uid of the Unix account that this user comes in with on this machine, and that new agents'
    /// files belong to; `null` for one who has none.
    pub uid: Option<u32>,
    /// Since when (RFC 3339); empty for a local account that nothing was written down of.
    pub since: String,
    /// Agents that this user owns, the trash included.
    pub agents: u32,
    /// Tokens that are good.
    pub tokens: u32,
    /// Devices that are good.
    pub devices: u32,
}

/// Request for a user, or for another role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Name.
    pub name: String,
    /// `admin` or `member`.
    #[serde(default = "member")]
    pub role: String,
    /// Name of a Unix account for this user's files; the one of the same name if there is one.
    #[serde(default)]
    pub account: Option<String>,
}

fn member() -> String {
    "member".to_owned()
}

/// Another role on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// `admin` or `member`.
    pub role: String,
}

/// A user that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserRemoved {
    /// Name.
    pub name: String,
}

/// A token, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Id.
    pub id: String,
    /// Whose.
    pub user: String,
    /// What it is for, in its user's words.
    pub label: String,
    /// `view`, `approve`, `drive`, `own`, `admin`: each includes those before it.
    pub scope: String,
    /// The only agents (ids) that it is good for; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// When it was used last, to the minute (RFC 3339); empty: never.
    pub used: String,
    /// From where.
    pub address: String,
    /// `good`, `expired` or `revoked`.
    pub state: String,
}

/// Request for a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose; the caller's own without it.
    #[serde(default)]
    pub user: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub label: String,
    /// `view`, `approve`, `drive`, `own` or `admin`.
    pub scope: String,
    /// The only agents (names or ids) that it is good for; none: all.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Seconds until it ends (90 days; a year at most).
    #[serde(default)]
    pub expires_s: Option<u64>,
}

/// A token that was just made: the only time that its value is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenMade {
    /// The token.
    pub token: Token,
    /// Its value.
    pub value: String,
}

/// Somebody whom an agent is shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Share {
    /// The user.
    pub user: String,
    /// `viewer`, `approver` or `driver`; `owner` for the owner.
    pub role: String,
    /// Who shared it.
    pub by: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// When it ends (RFC 3339); empty: when it is ended.
    pub expires: String,
    /// It has ended by itself.
    pub expired: bool,
}

/// Request to share an agent, or to change a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewShare {
    /// With whom.
    pub user: String,
    /// `viewer`, `approver` or `driver`.
    pub role: String,
    /// Seconds until it ends; until it is ended without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
}

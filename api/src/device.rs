//! Devices: the sessions and passkeys that a person comes in with from elsewhere.

use serde::{Deserialize, Serialize};

/// A device: a browser's session, or a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Device {
    /// Id.
    pub id: String,
    /// Whose.
    pub user: String,
    /// Its name, in its user's words.
    pub name: String,
    /// `session` or `passkey`.
    pub kind: String,
    /// `view`, `approve`, `drive`, `own`, `admin`: each includes those before it.
    pub scope: String,
    /// The only agents (ids) that it is good for; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// The token (id) that it was made with, and ends with; empty: none.
    pub token: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends (RFC 3339), if it is used until then; empty: when it is ended.
    pub expires: String,
    /// When it was used last, to the minute (RFC 3339); empty: never.
    pub used: String,
    /// From where.
    pub address: String,
    /// `good`, `expired` or `revoked`.
    pub state: String,
    /// The caller came in with it.
    pub current: bool,
}

/// Request for a session, with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The token's value. The session reaches as far as it does, and ends with it.
    pub token: String,
    /// What this device is called.
    #[serde(default)]
    pub device_name: String,
}

/// Somebody came in: the answer's cookie is the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entered {
    /// Who that is.
    pub user: String,
    /// `admin` or `member`.
    pub role: String,
    /// The session.
    pub device: Device,
}

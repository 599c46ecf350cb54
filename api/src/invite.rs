//! How people and their devices come to a host: pairings and invitations.

use serde::{Deserialize, Serialize};

/// A pairing that was just begun: the only time that its code is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PairingMade {
    /// Id.
    pub id: String,
    /// Good once, for two minutes.
    pub code: String,
    /// What the new device opens: the code is behind the `#`, which no server is sent.
    pub url: String,
    /// When it ends (RFC 3339).
    pub expires: String,
}

/// A pairing, as the trusted side sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pairing {
    /// Id.
    pub id: String,
    /// `shown`, `claimed` or `confirmed`.
    pub state: String,
    /// What the new device calls itself; empty until it came.
    pub device_name: String,
    /// From where.
    pub address: String,
    /// The number that the new device shows, if it is that one.
    pub number: String,
    /// When it ends (RFC 3339).
    pub expires: String,
}

/// A new device brings the code of a pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingClaim {
    /// The code.
    pub code: String,
    /// What the device is called.
    #[serde(default)]
    pub device_name: String,
}

/// The code was good: now it takes a confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PairingClaimed {
    /// What the device redeems.
    pub claim: String,
    /// To be shown: the other side compares it.
    pub number: String,
    /// When it ends (RFC 3339).
    pub expires: String,
}

/// The trusted side compared the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingConfirm {
    /// The number that the new device shows.
    pub number: String,
}

/// The new device asks whether it may come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingRedeem {
    /// As claimed.
    pub claim: String,
}

/// Not confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PairingWaits {
    /// `waiting`.
    pub state: String,
}

/// What an invitation shares with whoever comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitedTo {
    /// Name or id of the agent.
    pub agent: String,
    /// `viewer`, `approver` or `driver`.
    pub role: String,
}

/// Request for an invitation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Name of the user that is to come; whoever comes chooses it, without.
    #[serde(default)]
    pub user: Option<String>,
    /// `member` (without) or `admin`.
    #[serde(default)]
    pub role: Option<String>,
    /// What is shared with whoever comes.
    #[serde(default)]
    pub shares: Vec<InvitedTo>,
    /// Seconds until it ends (a week; 30 days at most).
    #[serde(default)]
    pub expires_s: Option<u64>,
}

/// An invitation, without its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invitation {
    /// Id.
    pub id: String,
    /// Name of the user that is to come; empty: its own to choose.
    pub user: String,
    /// `member` or `admin`.
    pub role: String,
    /// What is shared with whoever comes; agents by id.
    pub shares: Vec<InvitedTo>,
    /// Who invited.
    pub by: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// `good`, `claimed`, `revoked` or `expired`.
    pub state: String,
}

/// An invitation that was just made: the only time that its code is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitationMade {
    /// The invitation.
    pub invitation: Invitation,
    /// What to open: the code is behind the `#`, which no server is sent.
    pub url: String,
}

/// Somebody comes with an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitationClaim {
    /// The code.
    pub code: String,
    /// What the device is called.
    #[serde(default)]
    pub device_name: String,
    /// The name to have, where the invitation names none.
    #[serde(default)]
    pub user: Option<String>,
}

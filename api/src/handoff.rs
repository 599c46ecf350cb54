//! Handing an agent over to another user.

use serde::{Deserialize, Serialize};

use crate::agent::Credential;
use crate::user::Share;

/// An offer, with what its receiver has to know before accepting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offer {
    /// Name of the agent.
    pub agent: String,
    /// Its id.
    pub id: String,
    /// Who owns it.
    pub from: String,
    /// Who shall own it.
    pub to: String,
    /// Who offered it: the owner, or an admin.
    pub by: String,
    /// What the giver says.
    pub note: String,
    /// Since when (RFC 3339).
    pub made: String,
    /// Until when (RFC 3339).
    pub expires: String,
    /// The Unix account that its files belong to; that stays.
    pub account: String,
    /// State, changes and screen when it was offered.
    pub summary: String,
    /// Secrets that it uses and the receiver does not have.
    pub missing: Vec<String>,
    /// What of the receiver's it will use from then on.
    pub uses: Vec<Credential>,
    /// Whom it is shared with; that stays.
    pub shares: Vec<Share>,
    /// Login files in its private home, which are removed when it is accepted.
    pub logins: Vec<String>,
}

/// Request to offer an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewOffer {
    /// To whom.
    pub to: String,
    /// What to tell the receiver.
    #[serde(default)]
    pub note: String,
    /// Seconds until the offer ends (a day; 30 days at most).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
}

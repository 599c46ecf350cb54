//! Notifications: rules, the ways that they go, and what became of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a person wants to be told, and when not. What is missing is inherited: an agent's from the
/// person's, the person's from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// About what: `finished`, `blocked`, `failed`, `service-down`, `limit`, `security`, `handoff`,
    /// `lease`; missing: what the agent's template says in `notify.on`, `handoff` and `lease`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
    /// Also about agents that others share with this person (no).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// How long a state must last before it is told, in milliseconds (3000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dwell_ms: Option<u64>,
    /// Seconds between two messages about one agent (30); what waits for a person waits 5 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_s: Option<u64>,
    /// When to be quiet: `22:00-07:00`; what still is so afterwards is told then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Vec<String>>,
    /// Time zone of the quiet hours: `Europe/Berlin` (`UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether an agent that waits for a person is told in quiet hours too (no).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals_always: Option<bool>,
    /// Nothing at all (no).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<bool>,
}

/// A person's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Notifications {
    /// For every agent.
    pub rules: Rules,
    /// What is different for some, by their names.
    pub agents: BTreeMap<String, Rules>,
}

/// Change of a person's rules; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RulesChange {
    /// For every agent, instead of what was there.
    #[serde(default)]
    pub rules: Option<Rules>,
    /// For these agents, instead of what was there; `{}`: as for every agent.
    #[serde(default)]
    pub agents: BTreeMap<String, Rules>,
}

/// `POST /v1/visible`: a page is looked at, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Visible {
    /// The agent that it shows; `null`: none in particular.
    #[serde(default)]
    pub agent: Option<String>,
    /// Whether it is visible; good for 30 s.
    pub visible: bool,
}

/// Answer to [`Visible`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Seen {
    /// Say it again before so many seconds are over.
    pub again_s: u64,
}

/// The daemon's public key, for `pushManager.subscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushKey {
    /// `applicationServerKey`, base64url.
    pub key: String,
}

/// A browser's subscription, as `PushSubscription.toJSON()` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewSubscription {
    /// Where to post to.
    pub endpoint: String,
    /// Its keys.
    pub keys: SubscriptionKeys,
    /// A name for people.
    #[serde(default)]
    pub label: String,
    /// Address of the page that subscribed (`https://HOST/`): a click opens the agent there.
    #[serde(default)]
    pub page: String,
}

/// Keys of a subscription, base64url.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubscriptionKeys {
    /// The browser's public key.
    pub p256dh: String,
    /// The shared secret.
    pub auth: String,
}

impl std::fmt::Debug for SubscriptionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubscriptionKeys(…)")
    }
}

/// Another way that notifications shall go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// `ntfy`, `webhook`, `email`.
    pub kind: String,
    /// `https://SERVER/TOPIC`, `https://…`, `PERSON@HOST`.
    pub address: String,
    /// A name for people.
    #[serde(default)]
    pub label: String,
    /// The access token of an ntfy server. It is never told again.
    #[serde(default)]
    pub token: Option<String>,
}

/// A way that notifications go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Channel {
    /// Id.
    pub id: String,
    /// `push`, `ntfy`, `webhook`, `email`.
    pub kind: String,
    /// A name for people.
    pub label: String,
    /// Where it goes; of a push service its host alone.
    pub address: String,
    /// Id of the device that it ends with; empty for none.
    pub device: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// When something went there last; empty for never.
    pub last: String,
    /// What became of that.
    pub outcome: String,
}

/// A channel that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelMade {
    /// The channel.
    pub channel: Channel,
    /// What a webhook's messages are signed with (`whsec_…`): it is told here alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signing_secret: String,
}

/// Which channels to try.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// This one; missing: all of the caller's.
    #[serde(default)]
    pub channel: Option<String>,
}

/// One message to one channel, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// Number.
    pub id: u64,
    /// Id of the channel; empty where a rule kept it from every channel.
    pub channel: String,
    /// `push`, `ntfy`, `webhook`, `email`; empty as above.
    pub kind: String,
    /// Name for people of the channel.
    pub label: String,
    /// Name of the agent; empty for a test.
    pub agent: String,
    /// About what: `blocked`, `finished` …
    pub about: String,
    /// The message's title.
    pub title: String,
    /// When it was to be told (RFC 3339).
    pub at: String,
    /// `waiting`, `sent`, `failed`, `gone`, `expired`, `replaced`, `held-back`.
    pub status: String,
    /// In words.
    pub outcome: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Journal row that it tells of; 0 for a test.
    pub seq: u64,
}

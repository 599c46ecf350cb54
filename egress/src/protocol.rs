//! What the daemon and egress say to each other: one JSON document per line on a stream socket,
//! `run/egress.sock`. Egress answers each [`Order`] with one [`Word::Answer`], in order, and puts
//! [`Word::Event`]s between.

mod secret;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::credential::CredentialSpec;
use crate::login::Stand;
use crate::policy::PolicySpec;
pub use secret::{Brought, Gift, SecretAnswer, SecretOrder};

/// Name of the socket in the run directory.
pub const SOCKET_NAME: &str = "egress.sock";
/// Longest line either way: 1,024 rules of 300 bytes fit.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What the daemon wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Serve an agent by this policy from now on. Said again it changes the policy: connections that
    /// are no longer allowed are closed before the answer.
    Serve {
        /// Its id.
        agent: String,
        /// Its policy.
        policy: PolicySpec,
        /// Its credentials, whole like the policy: what is not named any more is not put in any more.
        #[serde(default)]
        credentials: Vec<CredentialSpec>,
    },
    /// Tell the certificate of the authority that an agent will have to trust: before its sandbox is
    /// built, which shows it.
    Authority {
        /// Its id.
        agent: String,
        /// Its credentials, as [`Order::Serve`] will say them.
        credentials: Vec<CredentialSpec>,
    },
    /// Forget an agent: its connections and sockets are closed. "Not known" is success.
    Drop {
        /// Its id.
        agent: String,
    },
    /// Forget every agent that is not named, for good.
    Keep {
        /// Ids.
        agents: Vec<String>,
    },
    /// What went through since the agent is served.
    Traffic {
        /// Its id.
        agent: String,
    },
    /// About the store of secrets.
    Secret(SecretOrder),
    /// A value: the one order that every local user may give, who was given a ticket.
    Give(Gift),
    /// Part of the log of what went through and what did not, of an agent that is served or was.
    Log {
        /// Its id.
        agent: String,
        /// Continue here; without, the last `lines`.
        from: Option<u64>,
        /// How many.
        lines: u32,
    },
    /// Forget an agent for good, its log too.
    Erase {
        /// Its id.
        agent: String,
    },
}

/// What egress says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Word {
    /// To an order.
    Answer(Answer),
    /// Unasked.
    Event(Event),
    /// Unasked: a placeholder was found where it does not belong.
    Security(Security),
}

/// Answer to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// Done.
    Done,
    /// To [`Order::Serve`] and [`Order::Authority`]: done.
    Serving {
        /// The certificate (PEM) of the authority that this agent must trust, if it has credentials.
        /// The same key each time, as long as the secrets' key is the same.
        authority: Option<String>,
        /// What the agent has instead of logins, by the names of its credentials.
        #[serde(default)]
        stands: BTreeMap<String, Stand>,
    },
    /// To [`Order::Traffic`]: by `HOST:PORT`.
    Traffic(BTreeMap<String, Traffic>),
    /// To [`Order::Secret`].
    Secret(SecretAnswer),
    /// To [`Order::Log`].
    Log {
        /// Whole lines.
        text: String,
        /// Where the next begins.
        next: u64,
    },
    /// Why not.
    Failed(String),
}

/// Connections to one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// That were let through.
    pub allowed: u64,
    /// That were not.
    pub denied: u64,
    /// Bytes from the agent.
    pub sent: u64,
    /// Bytes to the agent.
    pub received: u64,
}

/// Something that the journal should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Whose.
    pub agent: String,
    /// What it wanted: `HOST:PORT`, or `HOST` for a name.
    pub target: String,
    /// How it came: `dns`, `tls`, `http`, `connect`, `socks` …
    pub way: String,
    /// Why it was refused.
    pub why: String,
    /// The rule that would allow it.
    pub missing: Option<String>,
    /// How often since the last event of this kind.
    pub count: u64,
}

/// A placeholder where it does not belong. What was to be sent was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// Whose.
    pub agent: String,
    /// Which credential's.
    pub credential: String,
    /// Where to: `HOST:PORT`.
    pub target: String,
    /// What happened, one sentence without the placeholder's text.
    pub why: String,
    /// How often since the last event of this kind.
    pub count: u64,
}

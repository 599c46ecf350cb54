//! What the daemon and egress say to each other: one JSON document per line on a stream socket,
//! `run/egress.sock`. Egress answers each [`Order`] with one [`Word::Answer`], in order, and puts
//! [`Word::Event`]s between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::PolicySpec;

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
}

/// Answer to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// Done.
    Done,
    /// To [`Order::Traffic`]: by `HOST:PORT`.
    Traffic(BTreeMap<String, Traffic>),
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

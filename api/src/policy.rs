//! What an agent may reach, and what it did.

use serde::{Deserialize, Serialize};

/// `policy show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentPolicy {
    /// `none`, `allow` or `open`.
    pub egress: String,
    /// The allow list, groups replaced by their members.
    pub rules: Vec<PolicyRule>,
    /// Services of the host that it may use.
    pub exposes: Vec<Exposed>,
    /// Where the list was written: `FILE:LINE`, `""` where there is none.
    pub line: String,
    /// Connections since it was started, by target.
    pub traffic: Vec<HostTraffic>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyRule {
    /// `HOST[:PORT]` or `*.SUFFIX[:PORT]`; port 443 where none is named.
    pub rule: String,
    /// The group of the host's configuration that it came by.
    pub group: Option<String>,
}

/// One service of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exposed {
    /// Its name in the template.
    pub name: String,
    /// Where it listens on the host.
    pub host: String,
    /// Loopback port inside.
    pub at: u16,
}

/// Connections to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostTraffic {
    /// `HOST:PORT`, or `HOST` for a name that was asked for.
    pub target: String,
    /// That were let through.
    pub allowed: u64,
    /// That were not.
    pub denied: u64,
    /// Bytes from the agent.
    pub sent: u64,
    /// Bytes to the agent.
    pub received: u64,
}

/// `policy allow`, `policy deny`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PolicyChange {
    /// Rules to add: `HOST[:PORT]`, `*.SUFFIX[:PORT]`, `@GROUP`.
    pub allow: Vec<String>,
    /// Rules to take away, as they are written.
    pub deny: Vec<String>,
}

/// `policy check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyAnswer {
    /// The target in its canonical form.
    pub target: String,
    /// Whether it may be reached. Its addresses are looked at when it is.
    pub allowed: bool,
    /// By which rule, or why not.
    pub why: String,
    /// Where the rules were written: `FILE:LINE`, `""` where there are none.
    pub line: String,
    /// The rule that would allow it.
    pub missing: Option<String>,
}

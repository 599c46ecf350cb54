//! What a sandbox shall be: the daemon writes it, the broker admits it against its ceiling.
//!
//! A spec names no uid and no writable host path: accounts and directories are named by grant or
//! by agent id, and the broker knows what those are. Everything here is foreign bytes to the broker.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of this format. The broker refuses others.
pub const SPEC_VERSION: u32 = 1;

/// Name of the user inside the sandbox.
pub const INSIDE_USER: &str = "agent";
/// Uid and gid of that user inside the sandbox, whatever the account's are on disk.
pub const INSIDE_ID: u32 = 1000;
/// The private home inside the sandbox.
pub const INSIDE_HOME: &str = "/home/agent";
/// Where per-service state (`{state}`) lies inside the sandbox: one directory per service.
pub const INSIDE_STATE: &str = "/var/lib/agent";

/// Everybody whom TLS clients inside shall trust, where a sandbox has an authority of its own.
pub const INSIDE_AUTHORITIES: &str = "/etc/wsm/authorities.pem";
/// The same as a key store (JKS): Java reads no other.
pub const INSIDE_KEY_STORE: &str = "/etc/wsm/authorities.jks";
/// That authority alone, for clients that want what comes on top.
pub const INSIDE_AUTHORITY: &str = "/etc/wsm/authority.pem";

/// The socket where programs inside report what they do, in sandboxes that have one.
pub const INSIDE_REPORTS: &str = "/etc/wsm/report.sock";
/// The program that does so for them: `hook KIND` with what a hook is told on standard input.
pub const INSIDE_HOOK: &str = "/etc/wsm/hook";
/// Directories below which a spec may have texts of its own: where agents look for settings that
/// nobody inside can change.
pub const SETTINGS: [&str; 5] = [
    "/etc/claude-code",
    "/etc/codex",
    "/etc/gemini-cli",
    "/etc/opencode",
    "/etc/wsm/agent",
];

/// An agent's id: `[a-z0-9]{8,32}`, made by the daemon, unique on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId(String);

impl AgentId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for AgentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not an agent id.
#[derive(Debug, thiserror::Error)]
#[error("not an agent id (8 to 32 of a-z and 0-9)")]
pub struct BadAgentId;

impl TryFrom<String> for AgentId {
    type Error = BadAgentId;
    fn try_from(text: String) -> Result<Self, BadAgentId> {
        let fits = (8..=32).contains(&text.len());
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits && plain {
            Ok(AgentId(text))
        } else {
            Err(BadAgentId)
        }
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> String {
        id.0
    }
}

/// A grant's id, given out by the broker when a local user passed it a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(pub String);

/// Everything one sandbox is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxSpec {
    /// [`SPEC_VERSION`].
    pub version: u32,
    /// Whose sandbox it is.
    pub agent: AgentId,
    /// The granted repository: gives the account, the main repository and the workspace's paths.
    pub repository: GrantId,
    /// Host name inside.
    pub hostname: String,
    /// Paths shown read-only, besides `/usr` and friends.
    pub read: Vec<String>,
    /// Granted directories shown writable at their own paths.
    pub write: Vec<GrantId>,
    /// Services: each gets a cgroup, a state directory and a log.
    pub services: BTreeMap<String, Limits>,
    /// Limits of the whole agent.
    pub limits: Limits,
    /// Network.
    pub network: Network,
    /// Landlock: refuse a kernel without it, or take what there is.
    pub landlock: Requirement,
    /// ptrace of own children.
    pub debug: bool,
    /// What few agents ask for.
    #[serde(default)]
    pub extras: Extras,
    /// Certificate (PEM) of the authority that it trusts besides the host's: what credentials are
    /// put in under. Shown read-only together with the host's, at [`INSIDE_AUTHORITIES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// What few agents ask for; those that don't pay nothing for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extras {
    /// Names that the agent can't change.
    pub guards: Vec<Guard>,
    /// Programs of the host that exist inside, by name; `None` for all.
    pub tools: Option<Vec<String>>,
    /// Device nodes of the host.
    pub devices: Vec<String>,
    /// Programs inside can report what they do ([`INSIDE_REPORTS`], [`INSIDE_HOOK`]).
    pub reports: bool,
    /// Read-only texts below [`SETTINGS`].
    pub settings: BTreeMap<String, String>,
}

/// A name that the agent can't create, change, rename, replace or remove.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Relative to the workspace, or absolute below what the spec shows.
    pub path: String,
    /// Whether it appears empty besides.
    pub hide: bool,
    /// Whether it appears as a directory where it is absent.
    pub directory: bool,
}

/// Limits; `None` means the ceiling's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Thousandths of a core.
    pub cpu_milli: Option<u32>,
    /// Bytes, swap included.
    pub memory_bytes: Option<u64>,
    /// Tasks.
    pub pids: Option<u32>,
    /// Bytes of disk; needs a file system with project quotas.
    pub disk_bytes: Option<u64>,
}

/// What the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A namespace with a loopback interface and nothing else.
    Loopback,
    /// The same, and `wsm egress` may ask for a way out of it ([`crate::protocol::Request::Egress`]).
    Egress,
}

/// How much a layer is insisted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// Refuse to start without it.
    Required,
    /// Take what the kernel has, and report it.
    BestEffort,
}

/// One layer as the kernel really enforces it: what `wsm show` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// `user namespace`, `landlock`, `memory limit` …
    pub layer: String,
    /// Enforced, reduced, absent.
    pub status: LayerStatus,
    /// What was read back, or why it is less than asked for.
    pub detail: String,
}

/// How far a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerStatus {
    /// As asked.
    Enforced,
    /// Less than asked.
    Reduced,
    /// Not at all.
    Absent,
}

/// One thing the self-test tried from inside, before the agent's first instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Which layer it tests.
    pub layer: String,
    /// What was tried, e.g. `mount(tmpfs)`.
    pub tried: String,
    /// What was seen, e.g. `EPERM`.
    pub saw: String,
    /// Whether that is what must be seen.
    pub held: bool,
}

//! What `wsm up` and the units tell `wsm-sandbox` when they start it.

use serde::{Deserialize, Serialize};

/// Where the parts of the instance appear to the daemon. `/mnt` exists on every FHS system and
/// the daemon needs nothing else of it.
pub const VIEW: &str = "/mnt";

/// What to start, and as whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnterConfig {
    /// Directory bound at `/mnt/state`.
    pub state_dir: String,
    /// Directory bound at `/mnt/run`; the API socket is made in it.
    pub run_dir: String,
    /// Directory bound read-only at `/mnt/etc`.
    pub etc_dir: String,
    /// Name of the API socket in the run directory.
    pub socket: String,
    /// Uid to become.
    pub uid: u32,
    /// Gid to become.
    pub gid: u32,
    /// Program.
    pub program: String,
    /// Its arguments, the program's name included; `{fd}` stands for the socket's descriptor.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Whether it may lock all its pages in memory, if this root may say so.
    pub lock_memory: bool,
}

/// What the broker is told at its start (`wsm-sandbox broker --config FILE`), by root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// State directory, root's: grants, agents' files, workspaces.
    pub state_dir: String,
    /// Run directory, root's: `broker.sock`, the shims' sockets.
    pub run_dir: String,
    /// Configuration directory, root's: `ceiling.json`.
    pub etc_dir: String,
    /// Short hash that names this instance's cgroups.
    pub instance: String,
    /// Uid that may ask everything.
    pub daemon_uid: u32,
    /// Its gid: owns what the daemon may read.
    pub daemon_gid: u32,
    /// Uid of `wsm egress`, the only one that is given an agent's way out.
    pub egress_uid: u32,
    /// The `wsm` program: the git helper is `wsm git-helper`.
    pub wsm_program: String,
    /// The `wsm-shim` program.
    pub shim_program: String,
}

//! What may be asked of the broker, and what it answers.
//!
//! One `SOCK_SEQPACKET` Unix socket (`run/broker.sock`), one JSON document per packet, descriptors
//! as SCM_RIGHTS beside it. The daemon's uid may ask everything; any other local user only
//! [`Request::Grant`], for itself. Requests of one connection are answered in order.

mod journal;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use journal::{
    CHECKPOINT_PAUSE, CHECKPOINTS, CHECKPOINTS_BYTES_MAX, CHECKPOINTS_OLD, JournalEnd, JournalLine,
    Kept, NoLine,
};

use crate::spec::{AgentId, GrantId, LayerReport, ProbeReport, SandboxSpec};

/// Version of this protocol; the first field of every request.
pub const PROTOCOL_VERSION: u32 = 1;

/// A shim listens in the run directory under this prefix, the agent's id and `.sock`.
pub const SHIM_SOCKET_PREFIX: &str = "shim-";

/// Longest packet, either way, in bytes. Below the default socket buffer (212,992).
pub const PACKET_BYTES_MAX: usize = 192 * 1024;

/// A request with its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
    /// What is asked.
    pub request: Request,
}

/// The closed set of things the broker does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// A local user lets wsm use a directory. Two descriptors come along: the directory (for a
    /// repository its working tree) and, for a repository, its common git directory. Access is
    /// checked as that user. Answer: [`Reply::Granted`].
    Grant {
        /// What the directory is for.
        purpose: Purpose,
    },
    /// What a grant stands for. Answer: [`Reply::Granted`].
    LookUp {
        /// Which.
        grant: GrantId,
    },
    /// The steps that [`Request::Create`] would take, without taking them.
    /// Answer: [`Reply::Planned`].
    Plan {
        /// What would be built.
        spec: Box<SandboxSpec>,
    },
    /// Make the directories of an agent (workspace parent, private git directory, home, state,
    /// log) below the state directory, owned by the grant's account. Repeatable.
    /// Answer: [`Reply::Prepared`].
    Prepare {
        /// Whose.
        agent: AgentId,
        /// Its repository.
        repository: GrantId,
        /// Services that need a state directory and a log.
        services: Vec<String>,
    },
    /// Build the sandbox and its shim. Answer: [`Reply::Created`], after the self-test passed.
    Create {
        /// What to build.
        spec: Box<SandboxSpec>,
    },
    /// Freeze or thaw the payload.
    Freeze {
        /// Whose.
        agent: AgentId,
        /// Freeze, or thaw.
        frozen: bool,
    },
    /// Kill everything of the agent, the shim included, wait until it is gone, and remove its
    /// cgroups, socket and uid lease. "Already gone" is success. Files stay.
    Delete {
        /// Whose.
        agent: AgentId,
    },
    /// Remove the agent's directories for good. Only after `Delete`.
    Erase {
        /// Whose.
        agent: AgentId,
    },
    /// Everything that exists now. Answer: [`Reply::Listed`].
    List,
    /// What the kernel enforces now, read back. Answer: [`Reply::Inspected`].
    Inspect {
        /// Whose.
        agent: AgentId,
    },
    /// What the agent has run into of its limits. Answer: [`Reply::Strained`].
    Strain {
        /// Whose.
        agent: AgentId,
    },
    /// What agents use now, as the kernel counts it. Answer: [`Reply::Usage`].
    Usage {
        /// Those after this one, in the order of their ids; all without.
        after: Option<AgentId>,
    },
    /// Count the disk space of an agent's files, however long that takes, up to fifteen seconds.
    /// Answer: [`Reply::Disk`].
    Disk {
        /// Whose.
        agent: AgentId,
    },
    /// Be told when somebody moves the agent's branch in its repository: one descriptor, an
    /// inotify watch of the directory that the branch lies in, made with the account's rights.
    /// Answer: [`Reply::Watched`].
    WatchBranch {
        /// Whose.
        agent: AgentId,
        /// Its branch, without `refs/heads/`.
        branch: String,
    },
    /// Unconnected TCP sockets made in the agent's network namespace, as descriptors.
    /// Answer: [`Reply::Sockets`].
    Sockets {
        /// Whose.
        agent: AgentId,
        /// How many, at most [`SOCKETS_MAX`].
        count: u8,
    },
    /// Make the way out of an agent's network namespace. Only for `wsm egress`; again once the
    /// sockets of before are gone. Answer: [`Reply::Egress`].
    Egress {
        /// Whose. Its spec must have [`crate::spec::Network::Egress`].
        agent: AgentId,
        /// Loopback ports that lead out too, at most [`EXPOSED_MAX`].
        exposed: Vec<u16>,
    },
    /// Start the confined git helper with the account's uid. Answer: [`Reply::Helper`], with one
    /// descriptor: the helper's end of a stream socket (its standard input and output).
    Helper {
        /// Which repository.
        repository: GrantId,
        /// Which agent's directories it may touch, if any.
        agent: Option<AgentId>,
        /// What it may write.
        rights: HelperRights,
    },
    /// What this host can enforce. Answer: [`Reply::Host`].
    Host,
    /// Which login files lie in an agent's private home ([`LOGINS`]); removed if asked for.
    /// Answer: [`Reply::Logins`].
    Logins {
        /// Whose.
        agent: AgentId,
        /// Take them away.
        remove: bool,
    },
    /// Write down where the journal's two chains end, in a file that only root can change and that
    /// only ever grows. One in [`CHECKPOINT_PAUSE`] at most, and never less than was said before.
    Checkpoint {
        /// The newest row of what people did.
        person: JournalEnd,
        /// The newest row of what wsm did by itself.
        wsm: JournalEnd,
    },
    /// Write down, in the same file and as seldom, which rows are taken out of the journal: before
    /// they are. What stands there already is done.
    Cut {
        /// This is what was gone when it was first asked; once anything is written it is done.
        begins: bool,
        /// The newest row of what people did that is taken out.
        person: JournalEnd,
        /// The newest of what wsm did by itself.
        wsm: JournalEnd,
    },
}

/// Where programs keep what they log in with, below a home.
pub const LOGINS: [&str; 21] = [
    ".aider/oauth-keys.env",
    ".aws/credentials",
    ".azure/msal_token_cache.json",
    ".cargo/credentials.toml",
    ".claude/.credentials.json",
    ".codex/auth.json",
    ".config/gcloud/application_default_credentials.json",
    ".config/gcloud/credentials.db",
    ".config/gh/hosts.yml",
    ".config/git/credentials",
    ".config/glab-cli/config.yml",
    ".docker/config.json",
    ".gemini/oauth_creds.json",
    ".git-credentials",
    ".kube/config",
    ".local/share/opencode/auth.json",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".ssh/id_ed25519",
    ".ssh/id_rsa",
];

/// Most sockets per request: few enough for one SCM_RIGHTS message (253).
pub const SOCKETS_MAX: u8 = 32;

/// Most loopback ports of an agent that lead out.
pub const EXPOSED_MAX: usize = 16;

/// What a granted directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A git repository to make workspaces of.
    Repository,
    /// A directory that a template's `filesystem.write` names.
    Directory,
}

/// What a git helper may write. Reading is always: the repository and the agent's directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HelperRights {
    /// Nothing.
    Read,
    /// Create or remove the workspace: the tree, `worktrees/`, `refs/`, `logs/`, `objects/`, the
    /// agent's private git directory.
    Workspace,
    /// Take commits over: `objects/`, `refs/`, `logs/`, `worktrees/` (the index of its own).
    Import,
    /// Bring work back: all of the main repository and its working tree.
    Merge,
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done, nothing to say.
    Done,
    /// A grant was recorded (or stood already).
    Granted {
        /// Its id: stable for the same directory and account.
        grant: GrantId,
        /// Account that gave it.
        account: Account,
        /// Path of the directory as the kernel names it.
        path: String,
        /// For a repository: path of the common git directory.
        git_dir: Option<String>,
    },
    /// Steps, in order, for people.
    Planned {
        /// One line each.
        steps: Vec<String>,
    },
    /// Directories of an agent.
    Prepared {
        /// Their paths.
        paths: AgentPaths,
        /// The account they belong to.
        account: Account,
    },
    /// A sandbox stands.
    Created {
        /// Path of the shim's socket; connect as the daemon's uid.
        socket: String,
        /// Pid of the shim on the host.
        shim_pid: i32,
        /// What holds, the self-test as a whole among it; [`Request::Inspect`] tells its probes.
        layers: Vec<LayerReport>,
    },
    /// Sandboxes that exist (a cgroup or a live shim).
    Listed {
        /// One entry each.
        sandboxes: Vec<Listed>,
    },
    /// Layers read back from the kernel.
    Inspected {
        /// Each layer.
        layers: Vec<LayerReport>,
        /// What the self-test saw at the start.
        probes: Vec<ProbeReport>,
    },
    /// What it has run into.
    Strained(Strain),
    /// What they use.
    Usage {
        /// One entry each, in the order of their ids.
        agents: Vec<AgentUsage>,
        /// There are more than fit.
        more: bool,
    },
    /// Disk space.
    Disk(Disk),
    /// The watch comes as a descriptor.
    Watched,
    /// Sockets come as descriptors.
    Sockets,
    /// The way out is open: a listening TCP socket, then a UDP socket for DNS, come as descriptors.
    Egress,
    /// The helper runs; its socket comes as a descriptor.
    Helper,
    /// What this host can enforce.
    Host {
        /// Each check, for `wsm doctor`.
        checks: Vec<HostCheck>,
    },
    /// Login files.
    Logins {
        /// Those that are, or were, there.
        files: Vec<String>,
        /// Those that can't be removed, and why.
        stay: Vec<String>,
    },
    /// It could not be done, and nothing is left of the attempt.
    Failed(Failure),
}

/// What an agent has run into of its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strain {
    /// Hardly any more processes may be made, or it is slowed for having tried to.
    pub full: bool,
    /// Processes that the kernel killed for want of memory, since the sandbox was built.
    pub oom_kills: u64,
    /// The limit of memory, where there is one.
    pub memory_bytes: Option<u64>,
}

/// What an agent uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUsage {
    /// Whose.
    pub agent: AgentId,
    /// All of its payload.
    pub whole: GroupUsage,
    /// Each of its services.
    pub services: BTreeMap<String, GroupUsage>,
    /// Its CPU limit in thousandths of a core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_milli: Option<u64>,
    /// Its memory limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
}

/// Disk space of an agent's files, in bytes that the file system gave to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its working tree.
    pub workspace: u64,
    /// Its home.
    pub home: u64,
    /// What its services keep.
    pub state: u64,
    /// All of it was counted.
    pub exact: bool,
}

impl Disk {
    /// All of it.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.workspace
            .saturating_add(self.home)
            .saturating_add(self.state)
    }
}

/// What one control group uses; what the host does not count is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupUsage {
    /// CPU time since it was made, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Memory now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes that were killed for want of memory since it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// How much of the last ten seconds something waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
}

/// Shares of time in which something waited, in hundredths of a percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressure {
    /// For the CPU.
    pub cpu: u32,
    /// For memory.
    pub memory: u32,
    /// For the disk.
    pub io: u32,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Failure {
    /// Class.
    pub kind: FailureKind,
    /// What was being done, e.g. `mount /usr`.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What the user can do, `""` for nothing better.
    pub hint: String,
}

/// Classes of failure that a caller tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The request is malformed.
    Invalid,
    /// The ceiling, a missing grant or the caller's rights forbid it.
    Refused,
    /// This kernel or file system can't enforce a required layer.
    Unsupported,
    /// No such agent or grant.
    NotFound,
    /// Exists already.
    Exists,
    /// The host said no (disk full, a missing binary, out of memory).
    Failed,
}

/// A Unix account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Uid on the host.
    pub uid: u32,
    /// Primary gid.
    pub gid: u32,
}

/// Where an agent's files lie on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentPaths {
    /// The working tree, the same path inside.
    pub workspace: String,
    /// The private git directory, shown inside at [`AgentPaths::git_admin`].
    pub git_private: String,
    /// The worktree's administrative directory in the main repository: `GITDIR/worktrees/ID`.
    pub git_admin: String,
    /// The private home.
    pub home: String,
    /// Parent of the services' state directories.
    pub state: String,
    /// Logs: one file per service, written by the shim, readable for the daemon.
    pub log: String,
}

/// One sandbox that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Whose.
    pub agent: AgentId,
    /// Whether a shim lives; without one the agent is lost.
    pub shim_pid: Option<i32>,
    /// Path of its socket.
    pub socket: String,
}

/// One line of `wsm doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCheck {
    /// `landlock`, `cgroups`, `user namespaces` …
    pub name: String,
    /// Whether it is as wsm wants it.
    pub ok: bool,
    /// Whether agents can't start without it.
    pub fatal: bool,
    /// What was found.
    pub found: String,
    /// What to do about it, `""` if nothing.
    pub fix: String,
}

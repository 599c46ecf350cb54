//! `Resolved`: everything an agent gets, after layers were merged and every value was checked.
//!
//! Plain typed data. Placeholders (`{agent}`, `{port.web}` …) are still in the strings, but each one
//! was checked to be declared; [`crate::expand`] replaces them once ports and paths are known.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A template with nothing left to decide: the result of [`crate::resolve`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// The template's name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Values of the declared parameters, as text (a bool is `true` or `false`).
    pub params: BTreeMap<String, String>,
    /// `[workspace]`.
    pub workspace: Workspace,
    /// `[agent]`.
    pub agent: Agent,
    /// `[env]`.
    pub env: BTreeMap<String, String>,
    /// `[files]`: path below the private home (`~/…`) or the workspace, to content.
    pub files: BTreeMap<String, String>,
    /// `[services.NAME]`.
    pub services: BTreeMap<String, Service>,
    /// `[ports.NAME]`.
    pub ports: BTreeMap<String, Port>,
    /// `[filesystem]`.
    pub filesystem: Filesystem,
    /// `[network]`.
    pub network: Network,
    /// `[tools]`: names of the host's programs that exist inside; `None` for all of them.
    #[serde(default)]
    pub tools: Option<Vec<String>>,
    /// `[credentials.NAME]`.
    #[serde(default)]
    pub credentials: BTreeMap<String, Credential>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[sandbox]`.
    pub sandbox: Sandbox,
    /// `[notify] on`.
    #[serde(default = "notify_all")]
    pub notify: Vec<String>,
    /// Which layer set each value: dotted key (`services.db.command`) to origin. Defaults are absent.
    pub provenance: BTreeMap<String, Origin>,
}

/// What people can be told about an agent.
pub const NOTIFY: [&str; 6] = [
    "finished",
    "blocked",
    "failed",
    "service-down",
    "limit",
    "security",
];

/// About all of it, where nothing else is said.
pub(crate) fn notify_all() -> Vec<String> {
    NOTIFY.map(str::to_owned).to_vec()
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The layer.
    pub layer: Layer,
    /// The file as the caller named it (`builtin:frontend`, `/etc/wsm/templates/x.toml`, `--set`).
    pub file: String,
    /// 1-based line, 0 where there is none.
    pub line: u32,
}

/// The layers, lowest first. A later one wins where it is allowed to set the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Compiled in.
    Builtin,
    /// `/etc/wsm/templates`, root's.
    Host,
    /// The requesting user's own.
    User,
    /// `.wsm/*.toml` of the repository's committed base: may narrow, never widen.
    Repository,
    /// The request itself (`--set`, `--prompt` …).
    Request,
}

/// `[workspace]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Branch to create, default `wsm/{agent}`.
    pub branch: String,
    /// Revision the branch starts from, default `HEAD`.
    pub base: String,
    /// Ignored files or directories copied from the source checkout; relative, never `..`.
    pub copy: Vec<String>,
    /// Shell commands run in the sandbox before services; a failure stops the creation.
    pub setup: Vec<String>,
    /// How long each of them may take.
    #[serde(default = "default_setup_timeout")]
    pub setup_timeout: Duration,
    /// Shell commands run in the sandbox before removal.
    pub teardown: Vec<String>,
    /// How long each of them may take.
    #[serde(default = "default_teardown_timeout")]
    pub teardown_timeout: Duration,
}

/// A first installation of everything, over a slow line.
pub(crate) const fn default_setup_timeout() -> Duration {
    Duration::from_secs(30 * 60)
}

/// Somebody waits for the removal.
pub(crate) const fn default_teardown_timeout() -> Duration {
    Duration::from_secs(5 * 60)
}

/// It may load a database; more than this is a hang.
pub(crate) const fn default_init_timeout() -> Duration {
    Duration::from_secs(10 * 60)
}

/// `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What kind of program it is.
    pub kind: Kind,
    /// argv, never empty.
    pub command: Vec<String>,
    /// First prompt, `""` for none.
    pub prompt: String,
    /// Services that must be ready before the agent starts.
    pub wait_for: Vec<String>,
    /// When to start it again after it ended.
    pub restart: Restart,
    /// Go on with the conversation when it is started again.
    #[serde(default)]
    pub resume: bool,
    /// The model, as the kind names it; `""` for the kind's own choice.
    #[serde(default)]
    pub model: String,
    /// What it may do without asking; `None`: as the kind has it.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// MCP servers, by name.
    #[serde(default)]
    pub mcp: BTreeMap<String, McpServer>,
    /// Stop it when it is idle and watched by nobody for this long.
    #[serde(default)]
    pub idle_stop: Option<Duration>,
}

/// The kind's own approval mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permissions {
    /// It asks before it edits or runs anything that is not harmless.
    Ask,
    /// It edits without asking.
    Edits,
    /// It asks nothing: what holds it is the sandbox.
    All,
}

/// A server of the Model Context Protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum McpServer {
    /// A program inside, spoken with over its standard streams.
    Local {
        /// argv.
        command: Vec<String>,
        /// Variables on top of the agent's.
        env: BTreeMap<String, String>,
    },
    /// At an address, which `[network]` has to allow.
    Remote {
        /// Where.
        url: String,
    },
}

/// Agent kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// opencode.
    Opencode,
    /// aider.
    Aider,
    /// An interactive shell.
    Shell,
    /// Any other command.
    Command,
}

/// Restart policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Not.
    Never,
    /// After a non-zero exit or a signal, with backoff and a bound.
    OnFailure,
    /// After any exit, with backoff and a bound.
    Always,
}

/// `[services.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// argv, never empty.
    pub command: Vec<String>,
    /// argv run once, while `{state}` is empty; empty for none.
    pub init: Vec<String>,
    /// How long that may take.
    #[serde(default = "default_init_timeout")]
    pub init_timeout: Duration,
    /// Services that must be ready first; checked to be a DAG.
    pub depends_on: Vec<String>,
    /// When to start it again.
    pub restart: Restart,
    /// When it counts as ready; `None`: as soon as it was started.
    pub ready: Option<Probe>,
    /// How it is watched once ready.
    pub health: Option<Health>,
    /// How it is stopped.
    pub stop: Stop,
    /// Its own limits inside the agent's.
    pub limits: Limits,
    /// Environment on top of the agent's.
    pub env: BTreeMap<String, String>,
}

/// A readiness or health probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is tried.
    pub check: Check,
    /// How long readiness may take as a whole, or one health check.
    pub timeout: Duration,
}

/// What a probe tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The named port accepts a TCP connection.
    Tcp {
        /// Port name.
        port: String,
    },
    /// `GET path` on the named port answers with a status below 400.
    Http {
        /// Port name.
        port: String,
        /// Path with its leading slash.
        path: String,
    },
    /// The command exits with 0 inside the sandbox.
    Exec {
        /// argv.
        command: Vec<String>,
    },
    /// The service printed a line that contains this text.
    Log {
        /// Text looked for.
        contains: String,
    },
}

/// `health = { … }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The probe; its timeout is that of one check.
    pub probe: Probe,
    /// Time between two checks.
    pub interval: Duration,
    /// Checks that must fail in a row before the service counts as down.
    pub failures: u32,
}

/// `stop = { … }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Signal name without `SIG`: `TERM`, `INT`, `QUIT`, `HUP`, `USR1`, `USR2`, `KILL`.
    pub signal: String,
    /// Time until SIGKILL.
    pub grace: Duration,
}

/// `[ports.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Port inside the sandbox, 1024 or more.
    pub inside: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether a host port is leased for it.
    pub publish: bool,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP: has an `http://` URL.
    Http,
    /// HTTPS: has an `https://` URL.
    Https,
    /// Anything else on TCP: `tcp://`.
    Tcp,
}

/// `[filesystem]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Absolute host paths shown read-only.
    pub read: Vec<String>,
    /// Absolute host paths shown writable; must be granted to the broker.
    pub write: Vec<String>,
    /// What the agent can't create, change or replace: below the workspace, or absolute. A trailing
    /// slash says that it is a directory where it is absent.
    #[serde(default)]
    pub protect: Vec<String>,
    /// What appears empty; named as in `protect`.
    #[serde(default)]
    pub hide: Vec<String>,
}

/// `[network]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// How much may leave.
    pub egress: Egress,
    /// Hosts (`HOST[:PORT]`, `*.SUFFIX[:PORT]`) and groups of the host (`@NAME`) that may be reached.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Services of the host that may be used, by name.
    #[serde(default)]
    pub expose: BTreeMap<String, Expose>,
}

/// One service of the host: `network.expose.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expose {
    /// Where it listens, as the host sees it.
    pub host: SocketAddr,
    /// Loopback port inside that leads there.
    pub at: u16,
}

/// What may leave the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Egress {
    /// Nothing.
    None,
    /// What the allow list names.
    Allow,
    /// TCP to any public address.
    Open,
}

/// `[credentials.NAME]`: the agent has a placeholder, egress puts the secret in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Name of the secret, `""` for a login.
    pub secret: String,
    /// Kind of the login, `""` for a secret.
    #[serde(default)]
    pub login: String,
    /// Whether the agent has the value itself.
    #[serde(default)]
    pub visible: bool,
    /// Hosts that get it; of a login those that may be reached for it.
    pub hosts: Vec<String>,
    /// Header that holds it.
    pub header: Option<Header>,
    /// Whether basic authentication may hold it.
    pub basic: bool,
    /// Member of a body that holds it, `""` for none.
    pub body: String,
    /// What paths begin with; empty: every path.
    pub paths: Vec<String>,
    /// Whether a WebSocket may be opened with it.
    pub websocket: bool,
    /// Variable that holds the placeholder, `""` for none.
    pub env: String,
    /// What the placeholder begins with.
    pub prefix: String,
}

/// A header with a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Name, lower case.
    pub name: String,
    /// Value, with one `{secret}`.
    pub value: String,
}

/// `[limits]`; `None` means the host's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Cores, in thousandths of one (2.0 is 2000).
    pub cpu_milli: Option<u32>,
    /// Bytes of memory, swap included.
    pub memory_bytes: Option<u64>,
    /// Tasks.
    pub pids: Option<u32>,
    /// Bytes of disk for workspace, home and state.
    pub disk_bytes: Option<u64>,
}

impl Eq for Limits {}

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Whether a start is refused when the kernel has no Landlock.
    pub landlock: Requirement,
    /// Whether the agent may trace its own processes.
    #[serde(default)]
    pub debug: bool,
    /// Device nodes of the host.
    #[serde(default)]
    pub devices: Vec<String>,
}

/// How much a layer is insisted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// Refuse to start without it.
    Required,
    /// Take what the kernel has, and say what it was.
    BestEffort,
}

//! What the shim asks of the launcher inside the sandbox.
//!
//! A `SOCK_SEQPACKET` socket pair made by the spawner, one JSON document per packet. The launcher
//! is the parent of every process of the agent but PID 1; it holds no descriptor of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest packet in bytes: argv and environment must fit.
pub const PACKET_BYTES_MAX: usize = 160 * 1024;

/// What the spawner tells the shim: one JSON document in the memfd named by `--config-fd N`
/// (read from its start; the shim closes it).
///
/// The shim closes every descriptor that is not named here, standard error excepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShimConfig {
    /// The agent's id, for messages.
    pub agent: String,
    /// Number of this life of the agent: sequence numbers are comparable only within one. Not 0.
    pub incarnation: u64,
    /// Listening `SOCK_STREAM` Unix socket.
    pub listen_fd: i32,
    /// `SOCK_SEQPACKET` to the launcher.
    pub launcher_fd: i32,
    /// Init as the shim sees it: its child.
    pub init_pid: i32,
    /// Open, readable and writable log files by service name.
    pub logs: BTreeMap<String, i32>,
    /// Open files for recordings of terminals; the first is the agent's own terminal's.
    #[serde(default)]
    pub recordings: Vec<i32>,
    /// Only this uid and root may connect without a ticket.
    pub daemon_uid: u32,
    /// Descriptors that shall stay open as long as the shim lives: the lock of the uid range.
    #[serde(default)]
    pub keep_fds: Vec<i32>,
    /// Where programs inside report to, if they do.
    #[serde(default)]
    pub reports: Option<ReportsConfig>,
}

/// A socket inside the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportsConfig {
    /// Listening `SOCK_STREAM` Unix socket.
    pub listen_fd: i32,
    /// The agent's user, as the host numbers it: nobody else is heard.
    pub uid: u32,
}

/// Log of `setup` and `teardown`, beside those of the services.
pub const SETUP_LOG: &str = "setup";

/// File that the shim's own messages go to, beside those logs.
pub const SHIM_LOG: &str = ".shim.log";

/// Terminals of an agent that are recorded at once.
pub const RECORDINGS: u32 = 4;

/// File of a recording, beside the logs.
#[must_use]
pub fn recording_file(number: u32) -> String {
    format!(".rec-{number}")
}

/// File of a log.
#[must_use]
pub fn log_file(log: &str) -> String {
    format!("{log}.log")
}

/// Shim to launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Start a process. With [`Stdio::Attached`] three descriptors come along.
    Start {
        /// The shim's number for it; comes back in every report.
        id: u64,
        /// What to run.
        command: Command,
        /// Its standard streams.
        stdio: Stdio,
    },
    /// Signal a process that the launcher started.
    Signal {
        /// Which.
        id: u64,
        /// Signal number.
        signal: i32,
        /// The whole process group, or the process alone.
        group: bool,
    },
    /// Say [`Report::Changed`] when something below one of these directories changes. Missing
    /// directories are watched as soon as they appear; a new order replaces the old one.
    Watch {
        /// Absolute paths inside.
        directories: Vec<String>,
    },
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// argv; the program is looked up in the environment's PATH.
    pub argv: Vec<String>,
    /// The whole environment, in order.
    pub env: Vec<(String, String)>,
    /// Working directory inside.
    pub cwd: String,
    /// Which cgroup below `payload`.
    pub leaf: Leaf,
}

/// A cgroup below `payload`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaf {
    /// `payload/agent`.
    Agent,
    /// `payload/services/NAME`.
    Service(String),
}

/// Standard streams of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdio {
    /// A new terminal of this size, controlling; its master comes back with `Started`.
    Terminal {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// The three attached descriptors: standard input, output, error.
    Attached,
}

/// Launcher to shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The sandbox is closed and tested; first packet ever.
    Ready,
    /// The process runs (its exec succeeded). For a terminal its master comes along.
    Started {
        /// The order's number.
        id: u64,
        /// Its pid inside.
        pid: i32,
    },
    /// It could not be started; nothing is left of it.
    Failed {
        /// The order's number.
        id: u64,
        /// What was being done: `exec claude`, `chdir /x`.
        what: String,
        /// errno.
        errno: i32,
    },
    /// It ended. Children that it left live on.
    Exited {
        /// The order's number.
        id: u64,
        /// How.
        status: Exit,
    },
    /// Something below the watched directories changed; at most one every 50 ms.
    Changed,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The code a shell would give: 128 + signal for a signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

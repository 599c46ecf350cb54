//! Why something about control groups failed.

use crate::protocol::{Failure, FailureKind};
use crate::spec::AgentId;

/// Why something about control groups failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file or directory operation.
    #[error("{what}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// No usable control groups on this host.
    #[error("find control groups: none are mounted on this host")]
    NotMounted,
    /// A name that can't be a directory's.
    #[error("name a control group: {0:?} is not 1 to 40 of a-z, 0-9 and -")]
    BadName(String),
    /// The agent has no control group.
    #[error("find the control group of agent {0}: there is none")]
    NoSuchAgent(AgentId),
    /// Processes did not end in time.
    #[error("end agent {agent}: {alive} processes are still there")]
    Stuck {
        /// Whose.
        agent: AgentId,
        /// How many live.
        alive: usize,
    },
}

impl From<CgroupError> for Failure {
    fn from(error: CgroupError) -> Failure {
        let kind = match &error {
            CgroupError::NoSuchAgent(_) => FailureKind::NotFound,
            CgroupError::NotMounted => FailureKind::Unsupported,
            CgroupError::BadName(_) => FailureKind::Invalid,
            CgroupError::Io { .. } | CgroupError::Stuck { .. } => FailureKind::Failed,
        };
        let text = error.to_string();
        let (what, why) = match std::error::Error::source(&error) {
            Some(source) => (text, source.to_string()),
            None => match text.split_once(": ") {
                Some((what, why)) => (what.into(), why.into()),
                None => (text, String::new()),
            },
        };
        let hint = match error {
            CgroupError::NotMounted => "mount cgroup2 on /sys/fs/cgroup".into(),
            CgroupError::Stuck { .. } => "look for processes in state D (a hung disk)".into(),
            _ => String::new(),
        };
        Failure {
            kind,
            what,
            why,
            hint,
        }
    }
}

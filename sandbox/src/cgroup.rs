//! Control groups: limits, freeze, kill and membership, on unified, hybrid and legacy hosts.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use crate::launch::Leaf;
use crate::protocol::{Failure, FailureKind};
use crate::spec::{AgentId, LayerReport, Limits};

/// How this host mounts its control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// One v2 tree with the controllers.
    Unified,
    /// Controllers in v1 trees, and a v2 tree that can kill and freeze.
    Hybrid,
    /// v1 trees only.
    Legacy,
    /// Nothing mounted.
    None,
}

/// The limits of one agent, after admission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentLimits {
    /// Of the whole payload.
    pub payload: Limits,
    /// Of single services, inside the former.
    pub services: BTreeMap<String, Limits>,
}

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
    #[error("no control groups are mounted on this host")]
    NotMounted,
    /// The agent has no control group.
    #[error("agent {0} has no control group")]
    NoSuchAgent(AgentId),
    /// Processes did not end in time.
    #[error("{alive} processes of agent {agent} did not end in time")]
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
            CgroupError::Io { .. } | CgroupError::Stuck { .. } => FailureKind::Failed,
        };
        let why = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
        Failure {
            kind,
            what: error.to_string(),
            why,
            hint: String::new(),
        }
    }
}

/// The part of the host's control groups that belongs to one wsm instance.
#[derive(Debug)]
pub struct Tree {
    setup: Setup,
}

/// One agent's control groups, open.
#[derive(Debug)]
pub struct AgentCgroup {
    v2: Option<OwnedFd>,
}

impl Tree {
    /// Opens (and makes) `wsm-INSTANCE` in every hierarchy that wsm uses.
    pub fn open(_instance: &str) -> Result<Tree, CgroupError> {
        Err(CgroupError::NotMounted)
    }

    /// How this host mounts its control groups.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// Makes `agent-ID/{payload/{agent,services/NAME},shim}` everywhere and sets the limits.
    /// Directories that stand already are used again.
    pub fn create(&self, id: &AgentId, _limits: &AgentLimits) -> Result<AgentCgroup, CgroupError> {
        Err(CgroupError::NoSuchAgent(id.clone()))
    }

    /// Freezes or thaws the payload.
    pub fn freeze(&self, id: &AgentId, _frozen: bool) -> Result<(), CgroupError> {
        Err(CgroupError::NoSuchAgent(id.clone()))
    }

    /// Kills every process of payload and shim. Success for an agent that is gone.
    pub fn kill(&self, id: &AgentId) -> Result<(), CgroupError> {
        Err(CgroupError::NoSuchAgent(id.clone()))
    }

    /// Waits until no process of the agent is left.
    pub fn wait_empty(&self, id: &AgentId, _deadline: Instant) -> Result<(), CgroupError> {
        Err(CgroupError::NoSuchAgent(id.clone()))
    }

    /// Removes the agent's directories. Success for an agent that is gone.
    pub fn remove(&self, id: &AgentId) -> Result<(), CgroupError> {
        Err(CgroupError::NoSuchAgent(id.clone()))
    }

    /// Every agent that has a control group, with the pids in its `shim` group.
    pub fn list(&self) -> Result<Vec<(AgentId, Vec<i32>)>, CgroupError> {
        Err(CgroupError::NotMounted)
    }

    /// Pids in the payload, all leaves.
    pub fn payload_pids(&self, id: &AgentId) -> Result<Vec<i32>, CgroupError> {
        Err(CgroupError::NoSuchAgent(id.clone()))
    }

    /// The limits as the kernel has them now.
    pub fn inspect(&self, id: &AgentId) -> Result<Vec<LayerReport>, CgroupError> {
        Err(CgroupError::NoSuchAgent(id.clone()))
    }
}

impl AgentCgroup {
    /// `cgroup.procs` of a leaf in every hierarchy: write "0" to each to join.
    pub fn leaf_procs_fds(&self, _leaf: &Leaf) -> Result<Vec<OwnedFd>, CgroupError> {
        Err(CgroupError::NotMounted)
    }

    /// `cgroup.procs` of the shim's group in every hierarchy.
    pub fn shim_procs_fds(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        Err(CgroupError::NotMounted)
    }

    /// The v2 directory of `payload/agent`, for `CLONE_INTO_CGROUP`; `None` without a v2 tree.
    #[must_use]
    pub fn v2_dir_fd(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        self.v2.as_ref().map(AsFd::as_fd)
    }

    /// Limits that could not be set as asked, and those that were.
    #[must_use]
    pub fn reports(&self) -> &[LayerReport] {
        &[]
    }
}

//! The ceiling: what the host's administrator lets any sandbox have. Root-owned, read by the broker.

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use crate::protocol::{Failure, FailureKind};
use crate::spec::{Limits, SandboxSpec};

/// Name of the file below the configuration directory.
pub const CEILING_FILE: &str = "ceiling.json";

/// The rights no sandbox exceeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ceiling {
    /// Most that one agent may ask for; `None` is unlimited.
    pub limits_max: Limits,
    /// What an agent gets that asks for nothing.
    pub limits_default: Limits,
    /// Agents at once.
    pub agents_max: usize,
    /// Whether uid 0 may be an agent's account.
    pub allow_root_account: bool,
    /// Paths that no spec may show read-only, with all below them.
    pub read_deny: Vec<String>,
}

impl Default for Ceiling {
    fn default() -> Ceiling {
        Ceiling {
            limits_max: Limits::default(),
            limits_default: Limits::default(),
            agents_max: 1000,
            allow_root_account: false,
            read_deny: Vec::new(),
        }
    }
}

/// A spec that the ceiling lets through: checked, normalised, its limits filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    spec: SandboxSpec,
}

impl Admitted {
    /// The spec, true in every field.
    #[must_use]
    pub fn spec(&self) -> &SandboxSpec {
        &self.spec
    }
}

impl Ceiling {
    /// Reads `ceiling.json` below the configuration directory; a missing file is the default.
    pub fn load(_etc: BorrowedFd<'_>) -> Result<Ceiling, Failure> {
        Ok(Ceiling::default())
    }

    /// Checks a spec, foreign bytes until now.
    pub fn admit(&self, _spec: SandboxSpec) -> Result<Admitted, Failure> {
        Err(Failure {
            kind: FailureKind::Refused,
            what: "admit the spec".into(),
            why: "this build admits nothing yet".into(),
            hint: String::new(),
        })
    }
}

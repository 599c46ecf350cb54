//! Why a request failed, in words that a person can act on.

use serde::{Deserialize, Serialize};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Failure {
    /// Class.
    pub kind: FailureKind,
    /// What was being done.
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
    /// The directory is no repository.
    NotARepository,
    /// The repository has no working tree.
    Bare,
    /// The repository has no commit.
    NoCommits,
    /// The account may not read it.
    Unreadable,
    /// libgit2 or wsm can't do this kind of repository.
    Unsupported,
    /// No such revision, branch or workspace.
    NotFound,
    /// Exists already.
    Exists,
    /// The state of the main checkout forbids it.
    Refused,
    /// What the agent wrote is malformed or dangerous.
    Hostile,
    /// Above a bound.
    TooLarge,
    /// Somebody else holds a lock, or the files changed meanwhile: try again.
    Busy,
    /// The host said no.
    Failed,
}

impl Failure {
    /// A failure without a hint.
    #[must_use]
    pub fn new(kind: FailureKind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            why: why.into(),
            hint: String::new(),
        }
    }

    /// With what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    pub(in crate::workspace) fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => FailureKind::Unreadable,
            std::io::ErrorKind::AlreadyExists => FailureKind::Exists,
            std::io::ErrorKind::NotFound => FailureKind::NotFound,
            _ => FailureKind::Failed,
        };
        let failure = Self::new(kind, what, error.to_string());
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                failure.hint("free some space, then try again")
            }
            _ => failure,
        }
    }

    pub(in crate::workspace) fn git(what: impl Into<String>, error: &git2::Error) -> Self {
        let kind = match error.code() {
            git2::ErrorCode::NotFound => FailureKind::NotFound,
            git2::ErrorCode::Exists => FailureKind::Exists,
            git2::ErrorCode::Locked | git2::ErrorCode::Modified => FailureKind::Busy,
            git2::ErrorCode::InvalidSpec => FailureKind::Invalid,
            _ => FailureKind::Failed,
        };
        Self::new(kind, what, error.message())
    }
}

/// Puts what was being done to an error of git or of the host.
pub(in crate::workspace) trait Doing<T> {
    /// `what` fits "failed to …".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> Doing<T> for Result<T, git2::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|e| Failure::git(what(), &e))
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|e| Failure::io(what(), &e))
    }
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|e| Failure::io(what(), &e.into()))
    }
}

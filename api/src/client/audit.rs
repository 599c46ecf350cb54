//! The audit log.

use std::time::Duration;

use super::wire::{self, Target};
use super::{Client, Result};
use crate::audit::{AuditRow, Rotate, Verified};

/// What is looked for in the journal; `None`: whatever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Rows after this number.
    pub after: u64,
    /// Of this user.
    pub actor: Option<String>,
    /// On this agent (name or id), `user:NAME`, or `host`.
    pub subject: Option<String>,
    /// This verb, or with a dot at its end all that begin so.
    pub verb: Option<String>,
    /// Not before, milliseconds since the epoch.
    pub since_ms: Option<u64>,
    /// Before, milliseconds since the epoch.
    pub until_ms: Option<u64>,
    /// The newest rather than the oldest; still oldest first.
    pub newest: bool,
    /// How many at most.
    pub limit: u32,
}

impl Client {
    /// Rows of the journal that the caller may see; waits up to `wait` for the first.
    ///
    /// # Errors
    /// See [`super::ClientError`]; so for every method below.
    pub async fn audit(&self, query: &AuditQuery, wait: Duration) -> Result<Vec<AuditRow>> {
        let target = Target::new("/v1/audit")
            .query("after", &query.after)
            .query("newest", &query.newest)
            .query("limit", &query.limit)
            .query("wait_ms", &wait.as_millis());
        self.get(
            target
                .maybe("actor", query.actor.as_ref())
                .maybe("subject", query.subject.as_ref())
                .maybe("verb", query.verb.as_ref())
                .maybe("since_ms", query.since_ms.as_ref())
                .maybe("until_ms", query.until_ms.as_ref()),
        )
        .await
    }

    /// Goes through the whole journal.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn audit_verify(&self) -> Result<Verified> {
        self.get(Target::new("/v1/audit/verify")).await
    }

    /// Takes rows out of the journal that were exported.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn audit_rotate(&self, rotate: &Rotate) -> Result<()> {
        self.post(Target::new("/v1/audit/rotate"), Some(wire::encode(rotate)))
            .await
    }
}

//! The audit log: the journal, asked, verified and rotated.

use std::collections::BTreeSet;
use std::time::Duration;

use wsm_api::audit::{AuditRow, ChainEnd, Finding, Rotate, Verified};
use wsm_api::problem::{Code, Problem};

use super::{Daemon, WAIT_MAX};
use crate::actor::Actor;
use crate::audit::{Link, ROTATED, hex};
use crate::engine::{row, store_problem};
use crate::role::{Subject, Verb};
use crate::store::{Change, Query, Stored, rfc3339};

/// Rows that are looked through at once for those that the actor may see.
const PAGE_ROWS: u32 = 1_000;

impl Daemon {
    /// `audit query`, `tail` and `export`: rows that the actor may see; waits up to `wait` for the
    /// first one.
    ///
    /// # Errors
    /// The database said no.
    pub async fn audit(
        &self,
        actor: &Actor,
        mut query: Query,
        wait: Duration,
    ) -> Result<Vec<AuditRow>, Problem> {
        self.may(actor, Verb::AuditRead, &Subject::Host)?;
        if let Some(subject) = &query.subject
            && let Ok(handle) = self.find(actor, subject, Verb::See)
        {
            query.subject = Some(handle.now().record.id.to_string());
        }
        let limit = query.limit as usize;
        let mut newest = self.engine.store.newest();
        let deadline = tokio::time::Instant::now() + wait.min(WAIT_MAX);
        loop {
            // It may have waited for long.
            let (actor, _) = self.again(actor)?;
            let found = self.seen(&actor, &mut query, limit)?;
            if !found.is_empty() {
                return Ok(found.into_iter().map(shown).collect());
            }
            let after = query.after.max(*newest.borrow_and_update());
            let waited = tokio::time::timeout_at(deadline, newest.wait_for(|seq| *seq > after));
            if !matches!(waited.await, Ok(Ok(_))) {
                return Ok(Vec::new());
            }
        }
    }

    /// Rows that the query finds and the actor may see.
    fn seen(&self, actor: &Actor, query: &mut Query, limit: usize) -> Result<Vec<Stored>, Problem> {
        let agents: BTreeSet<String> = self
            .all(actor, Verb::See)?
            .iter()
            .map(|handle| handle.now().record.id.to_string())
            .collect();
        let own = format!("user:{}", actor.user);
        let whole = actor.agents.is_none();
        let may = |row: &Stored| {
            actor.is_admin()
                || agents.contains(&row.subject)
                || (whole && (row.actor == actor.user || row.subject == own))
        };
        let mut page = Query {
            limit: PAGE_ROWS,
            ..query.clone()
        };
        let mut found = Vec::new();
        loop {
            let rows = self.engine.store.query(&page);
            let rows = rows.map_err(|e| store_problem(&e))?;
            let full = rows.len() == PAGE_ROWS as usize;
            let last = rows.last().map(|row| row.seq);
            found.extend(rows.into_iter().filter(&may));
            if page.newest {
                // The newest page is all that is looked at: what is older is asked for by time.
                let first = found.len().saturating_sub(limit);
                return Ok(found.split_off(first));
            }
            if let Some(last) = last {
                page.after = last;
            }
            if found.len() >= limit || !full {
                found.truncate(limit);
                query.after = page.after;
                return Ok(found);
            }
        }
    }

    /// `audit verify`.
    ///
    /// # Errors
    /// The actor is no admin, or the database said no.
    pub async fn audit_verify(&self, actor: &Actor) -> Result<Verified, Problem> {
        self.may(actor, Verb::AuditVerify, &Subject::Host)?;
        let store = self.engine.store.clone();
        let known = self.engine.checkpoints()?;
        let (count, newest) = (
            known.rows.len(),
            known.rows.iter().map(|row| row.at_ms).max(),
        );
        let verified = tokio::task::spawn_blocking(move || store.verify(&known)).await;
        let verified = verified.map_err(|e| {
            let message = format!("wsm's own work broke off: {e}");
            Problem::new(Code::Failed, message, "see the daemon's log")
        })?;
        let verdict = verified.map_err(|e| store_problem(&e))?;
        let [person, wsm] = verdict.ends;
        if verdict.findings.is_empty()
            && let Err(problem) = self.engine.checkpoint().await
        {
            // One was written within the last second, or the broker is being started again.
            tracing::debug!(%problem, "what was verified has no checkpoint of its own");
        }
        let findings = verdict.findings.into_iter().map(|found| Finding {
            seq: found.seq,
            wrong: super::view::word(&found.wrong),
            told: found.told,
        });
        Ok(Verified {
            rows: verdict.rows,
            person: chain_end(person),
            wsm: chain_end(wsm),
            checkpoints: count as u64,
            checkpoint: newest.map(rfc3339).unwrap_or_default(),
            findings: findings.collect(),
            notes: verdict.notes,
        })
    }

    /// `audit export --rotate`: takes rows out of the journal that were exported.
    ///
    /// # Errors
    /// The actor is no admin, the row is not the one that was exported, or the broker did not write
    /// down that it is taken out.
    pub async fn audit_rotate(&self, actor: &Actor, rotate: Rotate) -> Result<(), Problem> {
        self.may(actor, Verb::AuditRotate, &Subject::Host)?;
        let store = &self.engine.store;
        let rows = store.journal(rotate.through.saturating_sub(1), 1);
        let rows = rows.map_err(|e| store_problem(&e))?;
        let same = |row: &Stored| row.seq == rotate.through && hex(&row.chain) == rotate.chain;
        if !rows.first().is_some_and(same) {
            let message = format!("row {} is not the one that was exported", rotate.through);
            let hint = "see `wsm audit verify`, and export it again";
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        self.engine.tell_of_cut(rotate.through).await?;
        let message = format!(
            "rows up to {} were exported and taken out, the last with {}",
            rotate.through, rotate.chain
        );
        let change = Change::new(row(actor, ROTATED, "host", message));
        self.write(&[actor], &change.rotated(rotate.through))
    }
}

fn chain_end(link: Link) -> ChainEnd {
    ChainEnd {
        seq: link.seq,
        chain: hex(&link.chain),
    }
}

fn shown(row: Stored) -> AuditRow {
    AuditRow {
        seq: row.seq,
        at_ms: row.at_ms,
        actor: row.actor,
        via: row.via,
        address: row.address,
        verb: row.verb,
        subject: row.subject,
        message: row.message,
        before: row.before,
        after: row.after,
        prev: row.prev,
        chain: hex(&row.chain),
    }
}

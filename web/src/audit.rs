//! The audit log: asked, verified, rotated.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::audit::{AuditRow, Rotate, Verified};
use wsm_api::problem::Problem;
use wsm_daemon::store::Query as JournalQuery;

use crate::Edge;
use crate::extract::{Body, Caller, Query};
use crate::problem::Answer;

/// Longest wait for a row, as for events.
const WAIT_MS_MAX: u64 = 60_000;

/// Most rows in one answer.
const ROWS_MAX: u32 = 1_000;

/// Query of `query`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Rows after this sequence number.
    #[serde(default)]
    #[param(required = false)]
    after: u64,
    /// Of this user.
    actor: Option<String>,
    /// On this agent (name or id), `user:NAME`, or `host`.
    subject: Option<String>,
    /// This verb, or with a dot at its end all that begin so.
    verb: Option<String>,
    /// Not before, in milliseconds since the epoch.
    since_ms: Option<u64>,
    /// Before, in milliseconds since the epoch.
    until_ms: Option<u64>,
    /// The newest rather than the oldest.
    #[serde(default)]
    #[param(required = false)]
    newest: bool,
    /// How many at most (1,000).
    limit: Option<u32>,
    /// How long to wait for the first one, in milliseconds (at most 60,000).
    #[serde(default)]
    #[param(required = false)]
    wait_ms: u64,
}

#[utoipa::path(get, path = "/v1/audit", params(AuditQuery),
    responses((status = 200, body = Vec<AuditRow>), (status = "default", body = Problem)))]
/// Rows of the journal that the caller may see, with all that is known of them.
pub(crate) async fn query(
    State(edge): State<Edge>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Answer<Vec<AuditRow>> {
    let wait = Duration::from_millis(query.wait_ms.min(WAIT_MS_MAX));
    let query = JournalQuery {
        after: query.after,
        actor: query.actor,
        subject: query.subject,
        verb: query.verb,
        since_ms: query.since_ms,
        until_ms: query.until_ms,
        newest: query.newest,
        limit: query.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX),
    };
    Ok(Json(edge.daemon.audit(&caller.actor, query, wait).await?))
}

#[utoipa::path(get, path = "/v1/audit/verify",
    responses((status = 200, body = Verified), (status = "default", body = Problem)))]
/// Goes through the whole journal: is it as it was written?
pub(crate) async fn verify(State(edge): State<Edge>, caller: Caller) -> Answer<Verified> {
    Ok(Json(edge.daemon.audit_verify(&caller.actor).await?))
}

#[utoipa::path(post, path = "/v1/audit/rotate", request_body = Rotate,
    responses((status = 200, description = "Done"), (status = "default", body = Problem)))]
/// Takes rows out of the journal that were exported.
pub(crate) async fn rotate(
    State(edge): State<Edge>,
    caller: Caller,
    Body(rotate): Body<Rotate>,
) -> Answer<()> {
    Ok(Json(edge.daemon.audit_rotate(&caller.actor, rotate).await?))
}

//! The journal, as a list that waits for its first new row.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::event::Event;
use wsm_api::problem::Problem;

use crate::Edge;
use crate::extract::{Caller, Query};
use crate::problem::Answer;

/// Longest wait for a row: long enough to be rare, short enough that a dead client is noticed.
const WAIT_MS_MAX: u64 = 60_000;

/// Most rows in one answer.
const ROWS_MAX: u32 = 1_000;

/// Query of `events`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    /// Rows after this sequence number; 0 for all.
    #[serde(default)]
    #[param(required = false)]
    after: u64,
    /// How many at most (1,000).
    limit: Option<u32>,
    /// How long to wait for the first one, in milliseconds (at most 60,000).
    #[serde(default)]
    #[param(required = false)]
    wait_ms: u64,
}

#[utoipa::path(get, path = "/v1/events", params(After),
    responses((status = 200, body = Vec<Event>), (status = "default", body = Problem)))]
/// Journal rows after a sequence number.
pub(crate) async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    Query(query): Query<After>,
) -> Answer<Vec<Event>> {
    let limit = query.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX);
    let wait = Duration::from_millis(query.wait_ms.min(WAIT_MS_MAX));
    Ok(Json(
        edge.daemon
            .events(&caller.actor, query.after, limit, wait)
            .await?,
    ))
}

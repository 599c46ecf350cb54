//! What an agent uses.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::problem::Problem;
use wsm_api::usage::Usage;

use crate::Edge;
use crate::extract::{Caller, Path, Query};
use crate::problem::Answer;

/// Query of `usage`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageQuery {
    /// What was used after this time, in milliseconds since the epoch; a day at most.
    #[serde(default)]
    #[param(required = false)]
    since_ms: u64,
}

#[utoipa::path(get, path = "/v1/agents/{agent}/usage",
    params(("agent" = String, Path, description = "Name or id"), UsageQuery),
    responses((status = 200, body = Usage), (status = "default", body = Problem)))]
/// CPU, memory, waits and kills of the last day, and what went through to which host.
pub(crate) async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<UsageQuery>,
) -> Answer<Usage> {
    let usage = edge.daemon.usage(&caller.actor, &agent, query.since_ms);
    Ok(Json(usage.await?))
}

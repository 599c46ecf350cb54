//! Bringing work back: diff, merge, apply.

use axum::Json;
use axum::extract::State;
use wsm_api::problem::Problem;
use wsm_api::review::{Diff, Merge, Merged};

use crate::Edge;
use crate::extract::{Body, Caller, Path};
use crate::problem::Answer;

#[utoipa::path(get, path = "/v1/agents/{agent}/diff",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Diff), (status = "default", body = Problem)))]
/// What the agent changed, uncommitted work included.
pub(crate) async fn diff(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Diff> {
    Ok(Json(edge.daemon.diff(&caller.actor, &agent).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/merge", request_body = Merge,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Merged), (status = "default", body = Problem)))]
/// Merges its commits into the main checkout's branch.
pub(crate) async fn merge(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(merge): Body<Merge>,
) -> Answer<Merged> {
    Ok(Json(edge.daemon.merge(&caller.actor, &agent, merge).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/apply",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Merged), (status = "default", body = Problem)))]
/// Stages its changes in the main checkout without committing.
pub(crate) async fn apply(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Merged> {
    Ok(Json(edge.daemon.apply(&caller.actor, &agent).await?))
}

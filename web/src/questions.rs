//! Answering an agent's questions.

use axum::Json;
use axum::extract::State;
use wsm_api::agent::Agent;
use wsm_api::problem::Problem;
use wsm_api::question::{Approve, Deny};

use crate::Edge;
use crate::extract::{Body, Caller, Path};
use crate::problem::Answer;

#[utoipa::path(post, path = "/v1/agents/{agent}/approve", request_body = Approve,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
/// Says yes to what it asks. The same answer twice is one.
pub(crate) async fn approve(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(answer): Body<Approve>,
) -> Answer<Agent> {
    Ok(Json(
        edge.daemon.approve(&caller.actor, &agent, answer).await?,
    ))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/deny", request_body = Deny,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
/// Says no to what it asks, and why.
pub(crate) async fn deny(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(answer): Body<Deny>,
) -> Answer<Agent> {
    Ok(Json(edge.daemon.deny(&caller.actor, &agent, answer).await?))
}

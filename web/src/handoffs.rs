//! Handing an agent over to another user.

use axum::Json;
use axum::extract::State;
use wsm_api::handoff::{NewOffer, Offer};
use wsm_api::problem::Problem;

use crate::Edge;
use crate::extract::{Body, Caller, Path};
use crate::problem::Answer;

#[utoipa::path(post, path = "/v1/agents/{agent}/handoff", request_body = NewOffer,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Offer), (status = "default", body = Problem)))]
/// Offers it to another user; nothing changes until that one accepts.
pub(crate) async fn offer(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(new): Body<NewOffer>,
) -> Answer<Offer> {
    Ok(Json(edge.daemon.offer(&caller.actor, &agent, new).await?))
}

#[utoipa::path(get, path = "/v1/handoffs",
    responses((status = 200, body = Vec<Offer>), (status = "default", body = Problem)))]
/// Offers to the caller, and those of the caller's agents.
pub(crate) async fn list(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<Offer>> {
    Ok(Json(edge.daemon.offers(&caller.actor).await?))
}

#[utoipa::path(post, path = "/v1/handoffs/{offered}/accept",
    params(("offered" = String, Path, description = "Name or id of the agent")),
    responses((status = 200, body = Offer), (status = "default", body = Problem)))]
/// Takes it: ownership and credentials move; the account that owns the files stays.
pub(crate) async fn accept(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Offer> {
    Ok(Json(edge.daemon.accept(&caller.actor, &agent).await?))
}

#[utoipa::path(post, path = "/v1/handoffs/{offered}/decline",
    params(("offered" = String, Path, description = "Name or id of the agent")),
    responses((status = 200, body = Offer), (status = "default", body = Problem)))]
/// Declines it, or takes the offer back.
pub(crate) async fn decline(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Offer> {
    Ok(Json(edge.daemon.decline(&caller.actor, &agent).await?))
}

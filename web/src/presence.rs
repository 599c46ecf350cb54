//! Who looks at an agent's terminals, and who may type.

use axum::Json;
use axum::extract::State;
use wsm_api::presence::{Lease, LeaseChange, Presence};
use wsm_api::problem::Problem;

use crate::Edge;
use crate::extract::{Body, Caller, Path};
use crate::problem::Answer;

#[utoipa::path(get, path = "/v1/agents/{agent}/who",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Presence), (status = "default", body = Problem)))]
/// Who looks at its terminals.
pub(crate) async fn who(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Presence> {
    Ok(Json(edge.daemon.who(&caller.actor, &agent).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/lease", request_body = LeaseChange,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Lease), (status = "default", body = Problem)))]
/// Changes who may type into a terminal.
pub(crate) async fn lease(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(change): Body<LeaseChange>,
) -> Answer<Lease> {
    Ok(Json(
        edge.daemon.lease(&caller.actor, &agent, change).await?,
    ))
}

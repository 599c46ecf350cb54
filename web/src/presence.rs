//! Who looks at an agent's terminals, who may type, and what was seen.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use wsm_api::presence::{Lease, LeaseChange, Presence};
use wsm_api::problem::Problem;
use wsm_api::recording::{RecordInput, Recording};
use wsm_daemon::role::Verb;

use crate::Edge;
use crate::extract::{Body, Caller, Path};
use crate::problem::{Answer, Failure};
use crate::sending::Until;

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

#[utoipa::path(get, path = "/v1/agents/{agent}/recordings",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Vec<Recording>), (status = "default", body = Problem)))]
/// Recordings of its terminals, oldest first.
pub(crate) async fn recordings(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Vec<Recording>> {
    Ok(Json(edge.daemon.recordings(&caller.actor, &agent).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/recordings/input", request_body = RecordInput,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = RecordInput), (status = "default", body = Problem)))]
/// Has what people type recorded, or no more.
pub(crate) async fn record_input(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(wish): Body<RecordInput>,
) -> Answer<RecordInput> {
    let done = edge.daemon.record_input(&caller.actor, &agent, wish);
    Ok(Json(done.await?))
}

#[utoipa::path(get, path = "/v1/agents/{agent}/recordings/{recording}",
    params(
        ("agent" = String, Path, description = "Name or id"),
        ("recording" = String, Path, description = "Its id"),
    ),
    responses(
        (status = 200, description = "The recording as the shim wrote it", body = Vec<u8>,
            content_type = "application/octet-stream"),
        (status = "default", body = Problem),
    ))]
/// One recording.
pub(crate) async fn recording(
    State(edge): State<Edge>,
    caller: Caller,
    Path((agent, recording)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let bytes = edge
        .daemon
        .recording(&caller.actor, &agent, &recording)
        .await?;
    let standing = edge
        .daemon
        .standing(&caller.actor, &agent, Verb::Recordings);
    Ok((Extension(Until(standing)), bytes).into_response())
}

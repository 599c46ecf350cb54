//! Agents: list, make, look at, wait for, and the verbs of their life.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use wsm_api::agent::{Agent, DryRun, Explanation, NewAgent, Removed, Shown, State as AgentState};
use wsm_api::problem::Problem;
use wsm_daemon::facade::{Created, Verb};

use crate::Edge;
use crate::extract::{Body, Caller, Path, Query};
use crate::problem::{Answer, Failure};

/// Longest wait of one request; the client asks again.
const WAIT_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Query of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The trash too.
    #[serde(default)]
    #[param(required = false)]
    trashed: bool,
}

#[utoipa::path(get, path = "/v1/agents", params(ListQuery),
    responses((status = 200, body = Vec<Agent>), (status = "default", body = Problem)))]
/// Agents that the caller may see.
pub(crate) async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Answer<Vec<Agent>> {
    Ok(Json(edge.daemon.list(&caller.actor, query.trashed).await?))
}

#[utoipa::path(post, path = "/v1/agents", request_body = NewAgent,
    responses(
        (status = 202, body = Agent, description = "It is being made"),
        (status = 200, body = DryRun, description = "What would be made"),
        (status = "default", body = Problem),
    ))]
/// Makes an agent, or tells what would be made.
pub(crate) async fn create(
    State(edge): State<Edge>,
    caller: Caller,
    Body(new): Body<NewAgent>,
) -> Result<Response, Failure> {
    Ok(match edge.daemon.new_agent(&caller.actor, new).await? {
        Created::Agent(agent) => (StatusCode::ACCEPTED, Json(agent)).into_response(),
        Created::DryRun(plan) => Json(plan).into_response(),
    })
}

#[utoipa::path(get, path = "/v1/agents/{agent}",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
/// One agent.
pub(crate) async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Agent> {
    Ok(Json(edge.daemon.agent(&caller.actor, &agent).await?))
}

/// Query of the removal.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveQuery {
    /// For good, unmerged work too.
    #[serde(default)]
    #[param(required = false)]
    purge: bool,
}

#[utoipa::path(delete, path = "/v1/agents/{agent}",
    params(("agent" = String, Path, description = "Name or id"), RemoveQuery),
    responses((status = 200, body = Removed), (status = "default", body = Problem)))]
/// Puts it into the trash, or removes it for good.
pub(crate) async fn remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Answer<Removed> {
    Ok(Json(
        edge.daemon
            .remove(&caller.actor, &agent, query.purge)
            .await?,
    ))
}

#[utoipa::path(get, path = "/v1/agents/{agent}/show",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Shown), (status = "default", body = Problem)))]
/// The agent and what the kernel enforces on it, layer by layer.
pub(crate) async fn show(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Shown> {
    Ok(Json(edge.daemon.show(&caller.actor, &agent).await?))
}

#[utoipa::path(get, path = "/v1/agents/{agent}/explain",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Explanation), (status = "default", body = Problem)))]
/// Why its state is what it is.
pub(crate) async fn explain(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Explanation> {
    Ok(Json(edge.daemon.explain(&caller.actor, &agent).await?))
}

/// Query of `wait`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitQuery {
    /// States, separated by commas.
    until: String,
    /// How long, in milliseconds (a day at most).
    timeout_ms: Option<u64>,
}

#[utoipa::path(get, path = "/v1/agents/{agent}/wait",
    params(("agent" = String, Path, description = "Name or id"), WaitQuery),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
/// Answers when it is in one of the states.
pub(crate) async fn wait(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Answer<Agent> {
    let until: Vec<AgentState> = query
        .until
        .split(',')
        .map(|state| state.trim().parse())
        .collect::<Result<_, String>>()
        .map_err(|error| Failure::invalid(StatusCode::BAD_REQUEST, error))?;
    let timeout = Duration::from_millis(query.timeout_ms.unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX));
    Ok(Json(
        edge.daemon
            .wait(&caller.actor, &agent, &until, timeout)
            .await?,
    ))
}

/// One handler per verb, so that each is a route of its own.
macro_rules! verbs {
    ($($handler:ident $path:literal $verb:ident $what:literal;)*) => {$(
        #[utoipa::path(post, path = $path,
            params(("agent" = String, Path, description = "Name or id")),
            responses((status = 200, body = Agent), (status = "default", body = Problem)))]
        #[doc = $what]
        pub(crate) async fn $handler(
            State(edge): State<Edge>,
            caller: Caller,
            Path(agent): Path<String>,
        ) -> Answer<Agent> {
            Ok(Json(edge.daemon.act(&caller.actor, &agent, Verb::$verb).await?))
        }
    )*};
}

verbs! {
    start "/v1/agents/{agent}/start" Start "Starts it again.";
    stop "/v1/agents/{agent}/stop" Stop "Stops it; the work stays.";
    restart "/v1/agents/{agent}/restart" Restart "Stops, then starts it.";
    pause "/v1/agents/{agent}/pause" Pause "Freezes it.";
    resume "/v1/agents/{agent}/resume" Resume "Thaws it.";
    restore "/v1/agents/{agent}/restore" Restore "Takes it out of the trash.";
}

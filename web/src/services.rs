//! Services, ports, network and logs of one agent.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::policy::{AgentPolicy, PolicyAnswer, PolicyChange};
use wsm_api::problem::{Code, Problem};
use wsm_api::service::{AgentPorts, LogPart, Service};
use wsm_daemon::facade::ServiceVerb;

use crate::Edge;
use crate::extract::{Body, Caller, Path, Query};
use crate::problem::Answer;

/// Lines of a log that are sent when none were asked for.
const LOG_LINES_DEFAULT: u32 = 100;

#[utoipa::path(get, path = "/v1/agents/{agent}/ports",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = AgentPorts), (status = "default", body = Problem)))]
/// Its ports, inside and outside.
pub(crate) async fn ports(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<AgentPorts> {
    let mut found = edge.daemon.ports(&caller.actor, Some(&agent)).await?;
    let missing = || Problem::new(Code::NotFound, format!("no agent {agent:?}"), "");
    Ok(Json(found.pop().ok_or_else(missing)?))
}

#[utoipa::path(get, path = "/v1/agents/{agent}/services",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Vec<Service>), (status = "default", body = Problem)))]
/// Its services.
pub(crate) async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Vec<Service>> {
    Ok(Json(
        edge.daemon.agent(&caller.actor, &agent).await?.services,
    ))
}

/// One handler per verb, so that each is a route of its own.
macro_rules! service_verbs {
    ($($handler:ident $path:literal $verb:ident $what:literal;)*) => {$(
        #[utoipa::path(post, path = $path,
            params(
                ("agent" = String, Path, description = "Name or id"),
                ("service" = String, Path, description = "Name in the template"),
            ),
            responses((status = 200, body = Service), (status = "default", body = Problem)))]
        #[doc = $what]
        pub(crate) async fn $handler(
            State(edge): State<Edge>,
            caller: Caller,
            Path((agent, service)): Path<(String, String)>,
        ) -> Answer<Service> {
            let verb = ServiceVerb::$verb;
            Ok(Json(edge.daemon.service_act(&caller.actor, &agent, &service, verb).await?))
        }
    )*};
}

service_verbs! {
    start "/v1/agents/{agent}/services/{service}/start" Start "Starts it, and what it depends on.";
    stop "/v1/agents/{agent}/services/{service}/stop" Stop "Stops it.";
    restart "/v1/agents/{agent}/services/{service}/restart" Restart "Stops, then starts it.";
}

/// Query of `log`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// A service, `setup` or `egress`; the main terminal's history without.
    service: Option<String>,
    /// Continue here (`next` of the last answer).
    from: Option<u64>,
    /// How many of the last lines, without `from` (100).
    lines: Option<u32>,
}

#[utoipa::path(get, path = "/v1/agents/{agent}/log",
    params(("agent" = String, Path, description = "Name or id"), LogQuery),
    responses((status = 200, body = LogPart), (status = "default", body = Problem)))]
/// Part of a log, control characters made harmless.
pub(crate) async fn log(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<LogQuery>,
) -> Answer<LogPart> {
    let lines = query.lines.unwrap_or(LOG_LINES_DEFAULT);
    let service = query.service.as_deref();
    Ok(Json(
        edge.daemon
            .log(&caller.actor, &agent, service, query.from, lines)
            .await?,
    ))
}

#[utoipa::path(get, path = "/v1/agents/{agent}/policy",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = AgentPolicy), (status = "default", body = Problem)))]
/// What it may reach, and what it did.
pub(crate) async fn policy(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<AgentPolicy> {
    Ok(Json(edge.daemon.policy(&caller.actor, &agent).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/policy", request_body = PolicyChange,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = AgentPolicy), (status = "default", body = Problem)))]
/// Changes what it may reach, from now on; what is no longer allowed is closed.
pub(crate) async fn policy_change(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(change): Body<PolicyChange>,
) -> Answer<AgentPolicy> {
    let changed = edge.daemon.policy_change(&caller.actor, &agent, change);
    Ok(Json(changed.await?))
}

/// Query of `policy/check`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckQuery {
    /// `HOST` or `HOST:PORT`.
    target: String,
}

#[utoipa::path(get, path = "/v1/agents/{agent}/policy/check",
    params(("agent" = String, Path, description = "Name or id"), CheckQuery),
    responses((status = 200, body = PolicyAnswer), (status = "default", body = Problem)))]
/// Whether it may reach a host, and by which rule.
pub(crate) async fn policy_check(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<CheckQuery>,
) -> Answer<PolicyAnswer> {
    let answer = edge
        .daemon
        .policy_check(&caller.actor, &agent, &query.target);
    Ok(Json(answer.await?))
}

//! The host as a whole: status, doctor, templates, ports, prune.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::agent::Removed;
use wsm_api::host::{Check, Status};
use wsm_api::problem::Problem;
use wsm_api::service::AgentPorts;
use wsm_api::template::TemplateInfo;

use crate::Edge;
use crate::extract::{Caller, Query};
use crate::problem::Answer;

#[utoipa::path(get, path = "/v1/status",
    responses((status = 200, body = Status), (status = "default", body = Problem)))]
/// What runs here, and who the caller is.
pub(crate) async fn status(State(edge): State<Edge>, caller: Caller) -> Answer<Status> {
    let mut status = edge.daemon.status(&caller.actor).await?;
    status.web = edge.config.web.clone();
    if let (Some(web), Some(acme)) = (&mut status.web, &edge.acme) {
        web.problem = acme.problem();
    }
    Ok(Json(status))
}

#[utoipa::path(get, path = "/v1/doctor",
    responses((status = 200, body = Vec<Check>), (status = "default", body = Problem)))]
/// What the host can enforce, and how to mend what it can't.
pub(crate) async fn doctor(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<Check>> {
    Ok(Json(edge.daemon.doctor(&caller.actor).await?))
}

/// Query of the templates.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplatesQuery {
    /// A registered repository: what it brings, too.
    repository: Option<String>,
}

#[utoipa::path(get, path = "/v1/templates", params(TemplatesQuery),
    responses((status = 200, body = Vec<TemplateInfo>), (status = "default", body = Problem)))]
/// Built-in templates and the host's, with their parameters.
pub(crate) async fn templates(
    State(edge): State<Edge>,
    caller: Caller,
    Query(query): Query<TemplatesQuery>,
) -> Answer<Vec<TemplateInfo>> {
    let templates = edge
        .daemon
        .templates(&caller.actor, query.repository.as_deref());
    Ok(Json(templates.await?))
}

#[utoipa::path(get, path = "/v1/ports",
    responses((status = 200, body = Vec<AgentPorts>), (status = "default", body = Problem)))]
/// Ports of all agents.
pub(crate) async fn ports(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<AgentPorts>> {
    Ok(Json(edge.daemon.ports(&caller.actor, None).await?))
}

/// Query of `prune`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prune {
    /// Only tell what would be removed.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

#[utoipa::path(post, path = "/v1/prune", params(Prune),
    responses((status = 200, body = Removed), (status = "default", body = Problem)))]
/// Empties the trash of what is merged.
pub(crate) async fn prune(
    State(edge): State<Edge>,
    caller: Caller,
    Query(query): Query<Prune>,
) -> Answer<Removed> {
    Ok(Json(edge.daemon.prune(&caller.actor, query.dry_run).await?))
}

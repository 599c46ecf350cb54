//! Secrets: tickets, names and times, never a value.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::problem::Problem;
use wsm_api::secret::{NewSecret, Secret, SecretRemoved, SecretTicket};

use crate::Edge;
use crate::extract::{Body, Caller, Path, Query};
use crate::problem::Answer;

#[utoipa::path(get, path = "/v1/secrets",
    responses((status = 200, body = Vec<Secret>), (status = "default", body = Problem)))]
/// Secrets that the caller's agents may use.
pub(crate) async fn list(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<Secret>> {
    Ok(Json(edge.daemon.secrets(&caller.actor).await?))
}

#[utoipa::path(post, path = "/v1/secrets/{secret}", request_body = NewSecret,
    params(("secret" = String, Path, description = "Name")),
    responses((status = 200, body = SecretTicket), (status = "default", body = Problem)))]
/// A ticket to set it: the value is given to `wsm egress`, not here.
pub(crate) async fn set(
    State(edge): State<Edge>,
    caller: Caller,
    Path(secret): Path<String>,
    Body(new): Body<NewSecret>,
) -> Answer<SecretTicket> {
    let ticket = edge.daemon.secret_ticket(&caller.actor, &secret, &new);
    Ok(Json(ticket.await?))
}

/// Query of `remove`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveQuery {
    /// Everybody's, not the caller's own.
    #[serde(default)]
    #[param(required = false)]
    everyone: bool,
}

#[utoipa::path(delete, path = "/v1/secrets/{secret}",
    params(("secret" = String, Path, description = "Name"), RemoveQuery),
    responses((status = 200, body = SecretRemoved), (status = "default", body = Problem)))]
/// Forgets it; requests that need it are refused from now on.
pub(crate) async fn remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path(secret): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Answer<SecretRemoved> {
    let removed = edge
        .daemon
        .secret_remove(&caller.actor, &secret, query.everyone);
    Ok(Json(removed.await?))
}

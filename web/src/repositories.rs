//! Registered repositories.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::problem::Problem;
use wsm_api::repository::{NewRepository, Repository};

use crate::Edge;
use crate::extract::{Body, Caller, Path, Query};
use crate::problem::Answer;

#[utoipa::path(get, path = "/v1/repositories",
    responses((status = 200, body = Vec<Repository>), (status = "default", body = Problem)))]
/// Repositories that the caller may make agents of, and those that it registered.
pub(crate) async fn list(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<Repository>> {
    Ok(Json(edge.daemon.repositories(&caller.actor).await?))
}

#[utoipa::path(post, path = "/v1/repositories", request_body = NewRepository,
    responses((status = 200, body = Repository), (status = "default", body = Problem)))]
/// Registers one that the caller's account has granted.
pub(crate) async fn add(
    State(edge): State<Edge>,
    caller: Caller,
    Body(new): Body<NewRepository>,
) -> Answer<Repository> {
    Ok(Json(edge.daemon.repository_add(&caller.actor, new).await?))
}

/// Query of `remove`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveQuery {
    /// Whose; the caller's own without.
    user: Option<String>,
}

#[utoipa::path(delete, path = "/v1/repositories/{repository}",
    params(("repository" = String, Path, description = "Name"), RemoveQuery),
    responses((status = 200, body = Repository), (status = "default", body = Problem)))]
/// Takes one out; agents that were made of it stay.
pub(crate) async fn remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path(repository): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Answer<Repository> {
    let user = query.user.as_deref();
    let removed = edge
        .daemon
        .repository_remove(&caller.actor, &repository, user);
    Ok(Json(removed.await?))
}

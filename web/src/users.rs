//! People: users, the tokens they come in with, and what is shared with them.

use axum::Json;
use axum::extract::State;
use wsm_api::problem::Problem;
use wsm_api::user::{
    NewRole, NewShare, NewToken, NewUser, Share, Token, TokenMade, User, UserRemoved, Whoami,
};

use crate::Edge;
use crate::extract::{Body, Caller, Path};
use crate::problem::Answer;

#[utoipa::path(get, path = "/v1/whoami",
    responses((status = 200, body = Whoami), (status = "default", body = Problem)))]
/// Who the caller is, and how far that reaches.
pub(crate) async fn whoami(State(edge): State<Edge>, caller: Caller) -> Answer<Whoami> {
    Ok(Json(edge.daemon.whoami(&caller.actor).await?))
}

#[utoipa::path(get, path = "/v1/users",
    responses((status = 200, body = Vec<User>), (status = "default", body = Problem)))]
/// Users.
pub(crate) async fn list(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<User>> {
    Ok(Json(edge.daemon.users(&caller.actor).await?))
}

#[utoipa::path(post, path = "/v1/users", request_body = NewUser,
    responses((status = 200, body = User), (status = "default", body = Problem)))]
/// Adds a user.
pub(crate) async fn add(
    State(edge): State<Edge>,
    caller: Caller,
    Body(new): Body<NewUser>,
) -> Answer<User> {
    Ok(Json(edge.daemon.user_add(&caller.actor, new).await?))
}

#[utoipa::path(delete, path = "/v1/users/{user}",
    params(("user" = String, Path, description = "Name")),
    responses((status = 200, body = UserRemoved), (status = "default", body = Problem)))]
/// Removes a user with all tokens, devices and shares.
pub(crate) async fn remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path(user): Path<String>,
) -> Answer<UserRemoved> {
    Ok(Json(edge.daemon.user_remove(&caller.actor, &user).await?))
}

#[utoipa::path(post, path = "/v1/users/{user}/role", request_body = NewRole,
    params(("user" = String, Path, description = "Name")),
    responses((status = 200, body = User), (status = "default", body = Problem)))]
/// Changes a user's role on the host.
pub(crate) async fn role(
    State(edge): State<Edge>,
    caller: Caller,
    Path(user): Path<String>,
    Body(new): Body<NewRole>,
) -> Answer<User> {
    let changed = edge.daemon.user_role(&caller.actor, &user, &new.role);
    Ok(Json(changed.await?))
}

#[utoipa::path(get, path = "/v1/tokens",
    responses((status = 200, body = Vec<Token>), (status = "default", body = Problem)))]
/// The caller's tokens; an admin sees all.
pub(crate) async fn tokens(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<Token>> {
    Ok(Json(edge.daemon.tokens(&caller.actor).await?))
}

#[utoipa::path(post, path = "/v1/tokens", request_body = NewToken,
    responses((status = 200, body = TokenMade), (status = "default", body = Problem)))]
/// Makes a token; the answer alone tells its value.
pub(crate) async fn token_new(
    State(edge): State<Edge>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Answer<TokenMade> {
    Ok(Json(edge.daemon.token_new(&caller.actor, new).await?))
}

#[utoipa::path(delete, path = "/v1/tokens/{token}",
    params(("token" = String, Path, description = "Id")),
    responses((status = 200, body = Token), (status = "default", body = Problem)))]
/// Ends a token.
pub(crate) async fn token_remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path(token): Path<String>,
) -> Answer<Token> {
    Ok(Json(edge.daemon.token_remove(&caller.actor, &token).await?))
}

#[utoipa::path(get, path = "/v1/agents/{agent}/shares",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Vec<Share>), (status = "default", body = Problem)))]
/// Whom it is shared with.
pub(crate) async fn shares(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Vec<Share>> {
    Ok(Json(edge.daemon.shares(&caller.actor, &agent).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/shares", request_body = NewShare,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Share), (status = "default", body = Problem)))]
/// Shares it, or changes a share.
pub(crate) async fn share(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(new): Body<NewShare>,
) -> Answer<Share> {
    Ok(Json(edge.daemon.share(&caller.actor, &agent, new).await?))
}

#[utoipa::path(delete, path = "/v1/agents/{agent}/shares/{user}",
    params(
        ("agent" = String, Path, description = "Name or id"),
        ("user" = String, Path, description = "With whom it was shared"),
    ),
    responses((status = 200, body = Share), (status = "default", body = Problem)))]
/// Ends a share; its owner's to do, or that user's own.
pub(crate) async fn unshare(
    State(edge): State<Edge>,
    caller: Caller,
    Path((agent, user)): Path<(String, String)>,
) -> Answer<Share> {
    let ended = edge.daemon.unshare(&caller.actor, &agent, &user);
    Ok(Json(ended.await?))
}

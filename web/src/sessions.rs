//! Sessions: a browser comes in, and goes.

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use wsm_api::device::{Device, Entered, NewSession};
use wsm_api::problem::Problem;

use crate::Edge;
use crate::extract::{Body, Caller, Newcomer};
use crate::problem::Failure;

#[utoipa::path(post, path = "/v1/session", request_body = NewSession,
    responses(
        (status = 200, body = Entered, description = "The cookie of the answer is the session. \
            Requests with it need the page's Origin, and `x-wsm: 1` to change something; this one \
            needs the header too"),
        (status = "default", body = Problem),
    ))]
/// A session for who holds a token.
pub(crate) async fn enter(
    State(edge): State<Edge>,
    newcomer: Newcomer,
    Body(new): Body<NewSession>,
) -> Result<Response, Failure> {
    let address = newcomer.place.address.to_string();
    let made = edge.daemon.session_new(new, &address).await;
    let made = made.map_err(|problem| newcomer.place.missed(&edge, problem))?;
    Ok(newcomer.enter(made))
}

#[utoipa::path(delete, path = "/v1/session",
    responses((status = 200, body = Device), (status = "default", body = Problem)))]
/// Ends the session that the caller came in by.
pub(crate) async fn leave(State(edge): State<Edge>, caller: Caller) -> Result<Response, Failure> {
    let ended = edge.daemon.session_end(&caller.actor).await?;
    let cookies = caller.jar.map(|jar| [(SET_COOKIE, jar.forget())]);
    Ok((cookies, Json(ended)).into_response())
}

//! What handlers get: who asks, the query, the body. A miss is a problem like every other.

use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use wsm_daemon::actor::Actor;

use crate::peer::{Origin, Peer};
use crate::problem::Failure;
use crate::router::BODY_BYTES_MAX;
use crate::{Edge, auth};

/// Who asks, by the credentials of the connection.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    /// Holds the connection's place; a WebSocket keeps it until it ends.
    pub(crate) peer: Peer,
}

impl FromRequestParts<Edge> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Caller, Failure> {
        let ConnectInfo(peer) = ConnectInfo::<Peer>::from_request_parts(parts, edge)
            .await
            .map_err(|missing| Failure::invalid(StatusCode::FORBIDDEN, missing.body_text()))?;
        let actor = match &peer.origin {
            Origin::Local { uid, user } => edge.daemon.local_actor(*uid, user)?,
            Origin::Net { address, face } => {
                let actor = auth::caller(edge, address.ip(), parts)?;
                face.know();
                actor
            }
        };
        Ok(Caller { actor, peer })
    }
}

/// Variables of the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Edge> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Path<T>, Failure> {
        let found = axum::extract::Path::from_request_parts(parts, edge).await;
        let axum::extract::Path(value) =
            found.map_err(|error| Failure::invalid(StatusCode::BAD_REQUEST, error.body_text()))?;
        Ok(Path(value))
    }
}

/// The query; unknown keys are refused by the types.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Edge> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Query<T>, Failure> {
        let found = axum::extract::Query::from_request_parts(parts, edge).await;
        let axum::extract::Query(value) =
            found.map_err(|error| Failure::invalid(StatusCode::BAD_REQUEST, error.body_text()))?;
        Ok(Query(value))
    }
}

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body; an empty one counts as `{}`.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Edge> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, edge: &Edge) -> Result<Body<T>, Failure> {
        // What says that it is too long is not waited for.
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
            let message = format!("a body has {BODY_BYTES_MAX} bytes at most");
            return Err(Failure::invalid(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        let bytes = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, edge)).await;
        let late = |_| Failure::invalid(StatusCode::REQUEST_TIMEOUT, "the body did not come");
        let bytes = bytes
            .map_err(late)?
            .map_err(|error| Failure::invalid(error.status(), error.body_text()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Body).map_err(|error| {
            let message = format!("the request body can't be read: {error}");
            Failure::invalid(StatusCode::BAD_REQUEST, message)
        })
    }
}

//! What handlers get: who asks, the query, the body. A miss is a problem like every other.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use wsm_daemon::actor::Actor;
use wsm_daemon::facade::SessionMade;

use crate::Edge;
use crate::auth::{self, Place};
use crate::cookie::Jar;
use crate::net::bounds::Face;
use crate::origin::Said;
use crate::peer::{Origin, Peer};
use crate::problem::Failure;
use crate::router::BODY_BYTES_MAX;
use crate::sending::Asks;

#[cfg(test)]
mod tests;

/// Who asks, by the credentials of the connection.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    /// Holds the connection's place; a WebSocket keeps it until it ends.
    pub(crate) peer: Peer,
    /// Where its browser keeps the session that it came by.
    pub(crate) jar: Option<Jar>,
}

impl FromRequestParts<Edge> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Caller, Failure> {
        let peer = peer(parts, edge).await?;
        let (actor, jar) = match &peer.origin {
            Origin::Local { uid, user } => (edge.daemon.local_actor(*uid, user)?, None),
            Origin::Net { address, face } => {
                let known = auth::caller(edge, address.ip(), parts)?;
                face.know();
                known
            }
        };
        if let Some(asks) = parts.extensions.get::<Asks>() {
            asks.is(&actor.user);
        }
        Ok(Caller { actor, jar, peer })
    }
}

/// Somebody on the network who is nobody yet, and brings what makes it somebody in the body. No
/// page of another origin gets here.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) place: Place,
    face: Arc<Face>,
}

impl FromRequestParts<Edge> for Newcomer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Newcomer, Failure> {
        let (address, face) = match peer(parts, edge).await?.origin {
            Origin::Net { address, face } => (address, face),
            Origin::Local { .. } => {
                let message = "sessions are for the network; here the kernel says who you are";
                return Err(Failure::invalid(StatusCode::CONFLICT, message));
            }
        };
        let place = Place::of(edge, address.ip(), &parts.headers)?;
        let said = Said::read(&parts.headers, place.proxied);
        if !said.is_some_and(|said| said.not_others(&place.net)) {
            return Err(auth::foreign());
        }
        Ok(Newcomer { place, face })
    }
}

impl Newcomer {
    /// The answer that makes a session of this connection's browser.
    pub(crate) fn enter(&self, made: SessionMade) -> Response {
        self.face.know();
        let cookie = self.place.jar.keep(&made.cookie, made.seconds);
        ([(SET_COOKIE, cookie)], Json(made.entered)).into_response()
    }
}

async fn peer(parts: &mut Parts, edge: &Edge) -> Result<Peer, Failure> {
    let found = ConnectInfo::<Peer>::from_request_parts(parts, edge).await;
    let ConnectInfo(peer) =
        found.map_err(|missing| Failure::invalid(StatusCode::FORBIDDEN, missing.body_text()))?;
    Ok(peer)
}

/// Who asks, for an answer that goes on for long: whether that still holds is asked again.
#[derive(Debug)]
pub(crate) struct Standing {
    caller: Caller,
    parts: Parts,
    edge: Edge,
}

impl FromRequestParts<Edge> for Standing {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Standing, Failure> {
        Ok(Standing {
            caller: Caller::from_request_parts(parts, edge).await?,
            parts: parts.clone(),
            edge: edge.clone(),
        })
    }
}

impl Standing {
    /// Who it was at first.
    pub(crate) fn actor(&self) -> &Actor {
        &self.caller.actor
    }

    /// Who it is now: what it showed is looked at again.
    ///
    /// # Errors
    /// It is not good any more.
    pub(crate) async fn renew(&self) -> Result<Actor, Failure> {
        let mut parts = self.parts.clone();
        parts.extensions.insert(auth::Again);
        let caller = Caller::from_request_parts(&mut parts, &self.edge).await?;
        Ok(caller.actor)
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

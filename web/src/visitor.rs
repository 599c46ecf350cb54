//! Somebody whom nobody knows yet, with what may let them in.

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::StatusCode;
use axum::http::header::HeaderValue;
use axum::http::request::Parts;
use wsm_api::link::LinkOpened;

use crate::Edge;
use crate::auth::Place;
use crate::cookie::Jar;
use crate::origin::Said;
use crate::peer::{Origin, Peer};
use crate::problem::Failure;

/// Who comes with a link.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Where from; `None`: this machine.
    place: Option<Place>,
    /// Where its browser may keep the link: of a page of ours, and of nobody else's.
    jar: Option<Jar>,
    /// Holds the connection's place; a WebSocket keeps it until it ends.
    pub(crate) peer: Peer,
}

impl Visitor {
    /// Where from, as the journal has it.
    pub(crate) fn address(&self) -> String {
        let place = self.place.as_ref();
        place.map(|it| it.address.to_string()).unwrap_or_default()
    }

    /// The header that has its browser keep a link for so long.
    pub(crate) fn keep(&self, code: &str, seconds: u64) -> Option<HeaderValue> {
        self.jar.as_ref()?.keep_link(code, seconds)
    }

    /// Opens a link. A wrong one counts as a try of this address.
    pub(crate) async fn try_link(&self, edge: &Edge, code: &str) -> Result<LinkOpened, Failure> {
        let opened = edge.daemon.link_open(code, &self.address()).await;
        if let (Ok(_), Origin::Net { face, .. }) = (&opened, &self.peer.origin) {
            face.know();
        }
        opened.map_err(|problem| match &self.place {
            Some(place) => place.missed(edge, problem),
            None => problem.into(),
        })
    }
}

impl FromRequestParts<Edge> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Visitor, Failure> {
        let ConnectInfo(peer) = ConnectInfo::<Peer>::from_request_parts(parts, edge)
            .await
            .map_err(|missing| Failure::invalid(StatusCode::FORBIDDEN, missing.body_text()))?;
        let place = match &peer.origin {
            Origin::Local { .. } => None,
            Origin::Net { address, .. } => Some(Place::of(edge, address.ip(), &parts.headers)?),
        };
        let jar = place.as_ref().and_then(|place| {
            let said = Said::read(&parts.headers, place.proxied)?;
            said.not_others(&place.net).then(|| place.jar.clone())
        });
        Ok(Visitor { place, jar, peer })
    }
}

//! Somebody whom nobody knows yet, with what may let them in.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::StatusCode;
use axum::http::header::HeaderValue;
use axum::http::request::Parts;
use wsm_api::link::LinkOpened;
use wsm_api::problem::{Code, Problem};

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
    address: Option<IpAddr>,
    /// Where its browser may keep the link: of a page of ours, and of nobody else's.
    jar: Option<Jar>,
    /// Holds the connection's place; a WebSocket keeps it until it ends.
    pub(crate) peer: Peer,
}

impl Visitor {
    /// Where from, as the journal has it.
    pub(crate) fn address(&self) -> String {
        self.address.map(|it| it.to_string()).unwrap_or_default()
    }

    /// The header that has its browser keep a link for so long.
    pub(crate) fn keep(&self, code: &str, seconds: u64) -> Option<HeaderValue> {
        self.jar.as_ref()?.keep_link(code, seconds)
    }

    /// Opens a link. A wrong one counts as a try of this address.
    pub(crate) async fn try_link(&self, edge: &Edge, code: &str) -> Result<LinkOpened, Problem> {
        let opened = edge.daemon.link_open(code, &self.address()).await;
        match (&opened, self.address, &self.peer.origin) {
            (Err(problem), Some(address), _) if problem.code == Code::Unknown => {
                edge.failures.note(address, Instant::now());
            }
            (Ok(_), _, Origin::Net { face, .. }) => face.know(),
            _ => {}
        }
        opened
    }
}

impl FromRequestParts<Edge> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Visitor, Failure> {
        let ConnectInfo(peer) = ConnectInfo::<Peer>::from_request_parts(parts, edge)
            .await
            .map_err(|missing| Failure::invalid(StatusCode::FORBIDDEN, missing.body_text()))?;
        let (address, jar) = match &peer.origin {
            Origin::Local { .. } => (None, None),
            Origin::Net { address, .. } => {
                let place = Place::of(edge, address.ip(), &parts.headers)?;
                let said = Said::read(&parts.headers, place.proxied);
                let ours = said.is_some_and(|said| said.not_others(&place.net));
                (Some(place.address), ours.then_some(place.jar))
            }
        };
        Ok(Visitor { address, jar, peer })
    }
}

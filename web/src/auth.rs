//! Who asks, over the network: by a token, or by a session's cookie. A uid says nothing there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName, UPGRADE};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use wsm_api::problem::{Code, Problem};
use wsm_daemon::actor::Actor;

use crate::Edge;
use crate::config::{Net, Tls};
use crate::cookie::Jar;
use crate::origin::{self, Kind, Said};
use crate::problem::Failure;

/// Longest token: ours have 56 characters.
const TOKEN_BYTES_MAX: usize = 256;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who asks, and where its browser keeps the session that it came by.
pub(crate) fn caller(
    edge: &Edge,
    peer: IpAddr,
    parts: &Parts,
) -> Result<(Actor, Option<Jar>), Failure> {
    let place = Place::of(edge, peer, &parts.headers)?;
    let unknown = || {
        let hint = "come in with a token: `wsm token new` on that machine, then WSM_TOKEN";
        Problem::new(Code::Unknown, "who are you?", hint)
    };
    let address = place.address.to_string();
    if let Some(token) = bearer(&parts.headers)? {
        let known = edge.daemon.authenticate_token(token, &address);
        let known = known.map_err(|problem| place.missed(edge, problem))?;
        return Ok((known, None));
    }
    let session = place.jar.value(&parts.headers);
    let link = place.jar.link(&parts.headers);
    if session.is_none() && link.is_none() {
        return Err(unknown().into());
    }
    // Asked first: what a page of somebody else's sends is no try of this address.
    let kind = kind(&parts.method, &parts.headers);
    let said = Said::read(&parts.headers, place.proxied);
    if !said.is_some_and(|said| said.ours(&place.net, kind)) {
        return Err(foreign());
    }
    if let Some(cookie) = session
        && let Some(actor) = edge.daemon.authenticate_session(cookie, &address)?
    {
        return Ok((actor, Some(place.jar)));
    }
    // Who is signed in stays so, whatever links were opened in the same browser.
    let known = match &link {
        Some(code) => edge.daemon.authenticate_link(code, &address),
        None => Err(unknown()),
    };
    let known = known.map_err(|problem| place.missed(edge, problem))?;
    Ok((known, None))
}

/// A page of somebody else's asks, or a program that forgot to say who it is.
pub(crate) fn foreign() -> Failure {
    let message = "this was not asked by a page of this host: a session's requests need its \
                   Origin, and the header x-wsm: 1 to change something";
    Failure::refused(StatusCode::FORBIDDEN, message)
}

/// What a request with these is about to do.
fn kind(method: &Method, headers: &HeaderMap) -> Kind {
    if headers.contains_key(UPGRADE) {
        Kind::Socket
    } else if matches!(*method, Method::GET | Method::HEAD) {
        Kind::Read
    } else {
        Kind::Change
    }
}

/// Where a request from the network comes from.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// How its browser keeps our cookie.
    pub(crate) jar: Jar,
    pub(crate) net: Arc<Net>,
    pub(crate) proxied: bool,
}

impl Place {
    /// Of a request that came over the network; an address that guessed too often is sent away.
    pub(crate) fn of(edge: &Edge, peer: IpAddr, headers: &HeaderMap) -> Result<Place, Failure> {
        let Some(net) = edge.net.clone() else {
            let message = "the network is off: [web] in config.toml turns it on";
            return Err(Failure::refused(StatusCode::FORBIDDEN, message));
        };
        let forwarded = headers.get_all(FORWARDED_FOR).iter();
        let forwarded: Vec<_> = forwarded.filter_map(|line| line.to_str().ok()).collect();
        let address = net.client(peer, &forwarded);
        if edge.failures.too_many(address, Instant::now()) {
            let message = "too many tries from this address; wait a minute";
            return Err(Failure::refused(StatusCode::TOO_MANY_REQUESTS, message));
        }
        let host = headers.get(axum::http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let jar = match net.tls {
            Tls::Off if origin::is_loopback(host) => Jar::Loopback(net.listen.port()),
            _ => Jar::Secure,
        };
        Ok(Place {
            address,
            jar,
            proxied: net.proxies.contains(&peer),
            net,
        })
    }

    /// Counts a try that found nothing.
    pub(crate) fn missed(&self, edge: &Edge, problem: Problem) -> Failure {
        if problem.code == Code::Unknown {
            edge.failures.note(self.address, Instant::now());
        }
        problem.into()
    }
}

/// The token of `Authorization: Bearer TOKEN`, of which there is one at most.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let wrong = || {
        let message = "the header Authorization can't be read; it is: Bearer TOKEN";
        Failure::invalid(StatusCode::BAD_REQUEST, message)
    };
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(wrong());
    }
    let (scheme, token) = line
        .to_str()
        .ok()
        .and_then(|line| line.split_once(' '))
        .ok_or_else(wrong)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let good = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.len() <= TOKEN_BYTES_MAX
        && token.bytes().all(plain);
    good.then_some(Some(token)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_token_or_none() {
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
            }
            bearer(&headers).ok().map(|token| token.map(str::to_owned))
        };
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&["Bearer wsm_a"]), Some(Some("wsm_a".into())));
        assert_eq!(read(&["bEARER wsm_a"]), Some(Some("wsm_a".into())));
        let long = format!("Bearer {}", "a".repeat(257));
        for bad in [
            &["Bearer a", "Bearer b"][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer  a"],
            &["Bearer a b"],
            &["Bearer a,b"],
            &["Basic YTpi"],
            &["a"],
            &[&long],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}

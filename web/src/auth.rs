//! Who asks, over the network: by a token. A uid says nothing there.

use std::net::IpAddr;
use std::time::Instant;

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use axum::http::request::Parts;
use wsm_api::problem::{Code, Problem};
use wsm_daemon::actor::Actor;

use crate::Edge;
use crate::problem::Failure;

/// Longest token: ours have 56 characters.
const TOKEN_BYTES_MAX: usize = 256;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from, unless too many wrong ones came from there.
pub(crate) fn address(edge: &Edge, peer: IpAddr, parts: &Parts) -> Result<IpAddr, Failure> {
    let net = edge.net.as_ref();
    let forwarded = parts.headers.get_all(FORWARDED_FOR).iter();
    let forwarded: Vec<_> = forwarded.filter_map(|line| line.to_str().ok()).collect();
    let address = net.map_or(peer, |net| net.client(peer, &forwarded));
    if edge.failures.too_many(address, Instant::now()) {
        let message = "too many tries from this address; wait a minute";
        return Err(Failure::refused(StatusCode::TOO_MANY_REQUESTS, message));
    }
    Ok(address)
}

/// Who asks.
pub(crate) fn caller(edge: &Edge, peer: IpAddr, parts: &Parts) -> Result<Actor, Failure> {
    let address = address(edge, peer, parts)?;
    let Some(token) = bearer(&parts.headers)? else {
        let hint = "come in with a token: `wsm token new` on that machine, then WSM_TOKEN";
        return Err(Problem::new(Code::Unknown, "who are you?", hint).into());
    };
    edge.daemon
        .authenticate_token(token, &address.to_string())
        .map_err(|problem| {
            if problem.code == Code::Unknown {
                edge.failures.note(address, Instant::now());
            }
            problem.into()
        })
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

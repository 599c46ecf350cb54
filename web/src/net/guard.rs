//! What holds for every request from the network, before and after its handler.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::{Net, Tls};
use crate::problem::Failure;
use crate::{Edge, preview};

/// Of an answer that is no page: it may do nothing.
const NO_PAGE: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Says what every answer says, and lets nothing through that is meant for another host.
pub(crate) async fn guard(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let Some(net) = edge.net.clone() else {
        return next.run(request).await;
    };
    if let Some(label) = previewed(&net, &request) {
        return preview::own_origin(&edge, &label, request).await;
    }
    let mut response = match meant(&net, &request) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    if response.extensions().get::<preview::Foreign>().is_none() {
        say(&net, response.headers_mut());
    }
    response
}

/// The port and the agent whose own origin is asked.
fn previewed(net: &Net, request: &Request) -> Option<(String, String)> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let label = net.previewed(hosts.next()?.to_str().ok()?)?;
    (hosts.next().is_none() && request.uri().authority().is_none()).then_some(label)
}

/// One `Host`, and it is ours: a page whose name was made to lead here says its own.
fn meant(net: &Net, request: &Request) -> Result<(), Failure> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let known = host.is_some_and(|host| net.knows(host));
    if known && hosts.next().is_none() && request.uri().authority().is_none() {
        return Ok(());
    }
    let message =
        "this is another host: `names` in [web] of its config.toml lists what it is called";
    Err(Failure::invalid(StatusCode::MISDIRECTED_REQUEST, message))
}

fn say(net: &Net, headers: &mut HeaderMap) {
    let all = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, NO_PAGE),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    // Of a certificate that no browser trusts this would forbid even to say so.
    if !matches!(net.tls, Tls::SelfSigned) {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
}

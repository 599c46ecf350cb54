//! What passes between a browser and an agent's server: pure. Nothing of wsm's goes in, and
//! nothing comes out that would reach beyond the preview.

use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONNECTION, CONTENT_SECURITY_POLICY, COOKIE,
    HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, REFERER, REFERRER_POLICY,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

/// The cookie of an open preview, on its own origin.
pub(crate) const COOKIE_NAME: &str = "__Host-wsm-preview";

/// The cookie that tells which agent a browser knew by this name.
pub(crate) const MARKER_NAME: &str = "__Host-wsm-agent";

/// Cookies of ours, whatever their end: an agent neither sees nor sets them.
const OURS: &str = "__host-wsm";

/// How a token of ours begins.
const TOKEN: &str = "wsm_";

/// What is between two programs and goes no further.
const HOPS: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a proxy says of a request; an agent hears our word for it.
const FORWARDED: [&str; 6] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-wsm",
];

/// What an answer may not say: it would hold for more than the preview, or for longer.
const REACHING: [&str; 10] = [
    "service-worker-allowed",
    "strict-transport-security",
    "public-key-pins",
    "alt-svc",
    "nel",
    "report-to",
    "reporting-endpoints",
    "clear-site-data",
    "proxy-authenticate",
    "set-login",
];

/// Where a preview is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// On an origin of its own.
    Origin {
        /// That origin.
        origin: String,
        /// Ours, which may frame it.
        page: String,
    },
    /// Below a secret path of ours.
    Path {
        /// That path, without its last slash.
        prefix: String,
    },
}

/// The head that goes to an agent's server on this port.
pub(crate) fn request(head: &HeaderMap, form: &Form, inside: u16, upgrade: bool) -> HeaderMap {
    let mut out = without_hops(head);
    for name in FORWARDED {
        out.remove(name);
    }
    let local = format!("localhost:{inside}");
    let here = |text: String| HeaderValue::try_from(text).ok();
    match form {
        Form::Origin { origin, .. } => {
            keep_cookies(&mut out);
            let own =
                |value: &HeaderValue| value.to_str().ok()?.strip_prefix(origin).map(str::to_owned);
            for name in [ORIGIN, REFERER] {
                // A server that compares it with `Host` finds the same.
                if let Some(rest) = out.get(&name).and_then(own)
                    && let Some(value) = here(format!("http://{local}{rest}"))
                {
                    out.insert(name, value);
                }
            }
            let (scheme, host) = origin.split_once("://").unwrap_or_default();
            for (name, value) in [("x-forwarded-proto", scheme), ("x-forwarded-host", host)] {
                if let Some(value) = here(value.to_owned()) {
                    out.insert(HeaderName::from_static(name), value);
                }
            }
        }
        Form::Path { .. } => {
            out.remove(COOKIE);
            out.remove(REFERER);
            out.remove(ORIGIN);
        }
    }
    if has_token(&out) {
        out.remove(AUTHORIZATION);
    }
    if let Some(local) = here(local) {
        out.insert(HOST, local);
    }
    if upgrade {
        out.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        out.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    out
}

/// The head that comes back from it.
pub(crate) fn answer(head: &HeaderMap, form: &Form, inside: u16, upgrade: bool) -> HeaderMap {
    let mut out = without_hops(head);
    for name in REACHING {
        out.remove(name);
    }
    if let Some(to) = out.get(LOCATION).and_then(|to| to.to_str().ok()) {
        let to = HeaderValue::try_from(relocated(to, form, inside)).ok();
        match to {
            Some(to) => drop(out.insert(LOCATION, to)),
            None => drop(out.remove(LOCATION)),
        }
    }
    match form {
        Form::Origin { page, .. } => {
            let cookies: Vec<_> = out
                .get_all(SET_COOKIE)
                .iter()
                .filter_map(confined)
                .collect();
            out.remove(SET_COOKIE);
            for cookie in cookies {
                out.append(SET_COOKIE, cookie);
            }
            // Beside what the agent says: the stricter holds.
            let frames = format!("frame-ancestors 'self' {page}");
            if let Ok(frames) = HeaderValue::try_from(frames) {
                out.append(CONTENT_SECURITY_POLICY, frames);
            }
        }
        Form::Path { .. } => {
            out.remove(SET_COOKIE);
            // A browser would ask for a password in our name.
            out.remove(WWW_AUTHENTICATE);
            out.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
            out.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            // A page without an origin is foreign to its own files; the path is the secret.
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            out.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        }
    }
    if upgrade {
        out.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        out.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    out
}

/// What a page below a path of ours may do: all but be of our origin.
const SANDBOX: &str = "sandbox allow-scripts allow-forms allow-modals allow-popups \
                       allow-downloads allow-pointer-lock";

fn without_hops(head: &HeaderMap) -> HeaderMap {
    let mut out = head.clone();
    let named: Vec<String> = head
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named {
        out.remove(&*name);
    }
    for name in &HOPS {
        out.remove(name);
    }
    out
}

/// Takes our cookies out of what the browser sends.
fn keep_cookies(head: &mut HeaderMap) {
    let lines = head.get_all(COOKIE).iter();
    let kept: Vec<String> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .map(str::trim)
        .filter(|pair| !pair.is_empty() && !is_ours(pair))
        .map(str::to_owned)
        .collect();
    head.remove(COOKIE);
    if let Some(kept) = (!kept.is_empty()).then(|| kept.join("; "))
        && let Ok(kept) = HeaderValue::try_from(kept)
    {
        head.insert(COOKIE, kept);
    }
}

fn is_ours(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().trim();
    name.to_ascii_lowercase().starts_with(OURS)
}

/// A cookie of the preview's origin alone: without `Domain`; none of ours.
fn confined(cookie: &HeaderValue) -> Option<HeaderValue> {
    let text = cookie.to_str().ok()?;
    let mut parts = text.split(';');
    let pair = parts.next()?;
    // Browsers take a nameless cookie's value for `name=value`.
    if is_ours(pair) || is_ours(pair.trim_start().trim_start_matches('=')) {
        return None;
    }
    let wide = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default();
        !name.trim().eq_ignore_ascii_case("domain")
    };
    let rest: Vec<&str> = parts.filter(wide).collect();
    let text = std::iter::once(pair).chain(rest).collect::<Vec<_>>();
    HeaderValue::try_from(text.join(";")).ok()
}

/// Where a redirect leads, as the browser names it.
fn relocated(to: &str, form: &Form, inside: u16) -> String {
    let own = ["localhost", "127.0.0.1", "[::1]"].iter().find_map(|name| {
        let rest = to.strip_prefix("http://")?.strip_prefix(name)?;
        let rest = rest.strip_prefix(&format!(":{inside}"))?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
    });
    let path = match own {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        Some(rest) => format!("/{rest}"),
        None => to.to_owned(),
    };
    match form {
        Form::Path { prefix } if path.starts_with('/') && !path.starts_with("//") => {
            format!("{prefix}{path}")
        }
        _ => path,
    }
}

/// Whether a request to a preview's own origin comes from a page of it, or from the person: pages
/// of other previews are of the same site, and their requests bring the cookie too.
pub(crate) fn asked_by_itself(method: &Method, head: &HeaderMap, origin: &str) -> bool {
    let said = |name: &str| head.get(name).and_then(|value| value.to_str().ok());
    let from = said("origin");
    if head.contains_key(UPGRADE) {
        return from.is_none_or(|from| from == origin);
    }
    let navigates = *method == Method::GET
        && said("sec-fetch-mode") == Some("navigate")
        && matches!(said("sec-fetch-dest"), Some("document" | "iframe"));
    match said("sec-fetch-site") {
        Some("same-origin" | "none") => true,
        Some(_) => navigates,
        None => from.is_none_or(|from| from == origin),
    }
}

/// Whether somebody went there, rather than a page asked for a part.
pub(crate) fn is_navigation(method: &Method, head: &HeaderMap) -> bool {
    let said = |name: HeaderName| head.get(name).and_then(|value| value.to_str().ok());
    let mode = said(HeaderName::from_static("sec-fetch-mode"));
    let html = said(ACCEPT).is_some_and(|kinds| kinds.contains("text/html"));
    *method == Method::GET && mode.map_or(html, |mode| mode == "navigate")
}

/// Whether a method is for more than looking.
pub(crate) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A browser fetches a service worker.
pub(crate) fn is_worker(head: &HeaderMap) -> bool {
    head.get("service-worker").is_some()
}

pub(crate) fn is_preflight(head: &HeaderMap) -> bool {
    head.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// A page without an origin asks whether it may ask: its path is the secret.
pub(crate) fn preflight(head: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let out = response.headers_mut();
    out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    for (asked, allowed) in [
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(asked) = head.get(asked) {
            out.insert(allowed, asked.clone());
        }
    }
    response
}

/// Whether it brings a token of ours.
pub(crate) fn has_token(head: &HeaderMap) -> bool {
    let value = head
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.split_once(' '));
    token.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && token.trim_start().starts_with(TOKEN)
    })
}

/// The value of the preview's cookie, if there is one.
pub(crate) fn cookie(head: &HeaderMap) -> Option<&str> {
    named(head, COOKIE_NAME)
}

/// Id of the agent that this browser knew by this name.
pub(crate) fn marker(head: &HeaderMap) -> Option<&str> {
    named(head, MARKER_NAME)
}

fn named<'a>(head: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = head.get_all(COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(known, value)| (known == name).then_some(value))
}

/// A path of this origin and no other: `//host` would be one.
pub(crate) fn below_root(path: &str) -> String {
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match path.trim_start_matches('/') {
        _ if !plain => "/".to_owned(),
        rest => format!("/{rest}"),
    }
}

/// Percent-encoded, for a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;

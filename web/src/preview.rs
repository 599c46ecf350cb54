//! Previews: pages that an agent serves, shown to whoever may see the agent, apart from our own.
//!
//! With a wildcard name each port of each agent has an origin of its own, and a cookie that is good
//! there alone. Without, a page comes below a secret path of ours, in a sandbox that has no origin
//! at all. Either way nothing of wsm's is passed on to the agent, and what the agent says of
//! cookies, workers and other origins ends here ([`headers`]).

pub(crate) mod carry;
pub(crate) mod headers;
mod keep;

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use wsm_api::preview::{NewPreview, Preview};
use wsm_api::problem::{Code, Problem};

use crate::Edge;
use crate::config::Net;
use crate::extract::{Body, Path, Standing};
use crate::problem::{Answer, Failure};
use headers::Form;
use keep::Opened;
pub(crate) use keep::Previews;

/// How long a preview stays open in a browser: a day's work.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// Path on a preview's own origin where its cookie is given.
const ENTER: &str = "/.wsm/enter";

/// Path on our origin of the page that asks for a ticket.
pub(crate) const OPEN: &str = "/preview/open";

/// What path previews begin with.
pub(crate) const BELOW: &str = "/preview/";

const OPEN_PAGE: &str = include_str!("preview/open.html");
const OPEN_SCRIPT: &str = include_str!("preview/open.js");

/// Says that an answer is an agent's: what we say with our own answers is not said with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign;

#[utoipa::path(post, path = "/v1/agents/{agent}/previews", request_body = NewPreview,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Preview), (status = "default", body = Problem)))]
/// A URL that shows what the agent serves on a port: good once, and soon, where previews have
/// origins of their own; a secret for some hours where they have none.
pub(crate) async fn open(
    State(edge): State<Edge>,
    standing: Standing,
    Path(agent): Path<String>,
    Body(new): Body<NewPreview>,
) -> Answer<Preview> {
    let target = edge
        .daemon
        .preview(standing.actor(), &agent, &new.port, false)
        .await?;
    let Some(net) = edge.net.as_deref() else {
        let hint = "[web] in config.toml turns it on; or bring the port here by ssh -L";
        let message = "a preview is seen over the network, which is off";
        return Err(Problem::new(Code::NotAvailable, message, hint).into());
    };
    let to = headers::below_root(&new.path);
    let opened = Opened::new(standing, &target, to.clone());
    if let Some(base) = net.preview_url(&target.port, &target.name) {
        let ticket = edge.previews.ticket(opened)?;
        return Ok(Json(Preview {
            url: format!("{base}{ENTER}?ticket={ticket}"),
            own_origin: true,
        }));
    }
    let secret = edge.previews.open(opened)?;
    Ok(Json(Preview {
        url: format!("{}{BELOW}{secret}{to}", net.page_url()),
        own_origin: false,
    }))
}

/// Answers what is asked of a preview's own origin.
pub(crate) async fn own_origin(
    edge: &Edge,
    label: &(String, String),
    request: Request,
) -> Response {
    let answer = match try_own_origin(edge, label, request).await {
        Ok(answer) => answer,
        Err(failure) => plain(failure.into_response()),
    };
    foreign(answer)
}

async fn try_own_origin(
    edge: &Edge,
    (port, agent): &(String, String),
    request: Request,
) -> Result<Response, Failure> {
    let net = edge.net.as_deref().expect("a host of the network's");
    let origin = net.preview_url(port, agent).unwrap_or_default();
    if request.uri().path() == ENTER {
        return enter(edge, &origin, &request);
    }
    if !headers::asked_by_itself(request.method(), request.headers(), &origin) {
        let message = "a page of another origin asks: a preview answers to itself alone";
        return Err(Failure::refused(StatusCode::FORBIDDEN, message));
    }
    let (mut parts, body) = request.into_parts();
    let known = match headers::cookie(&parts.headers) {
        Some(cookie) => edge.previews.find(cookie),
        None => None,
    };
    let known = known.filter(|opened| edge.daemon.is_named(&opened.agent, agent));
    let known = known.filter(|opened| opened.is_for(port, agent));
    let standing = match known {
        Some(opened) => opened.standing.clone(),
        None if headers::has_token(&parts.headers) => {
            let standing = Standing::from_request_parts(&mut parts, edge).await?;
            parts.headers.remove(AUTHORIZATION);
            std::sync::Arc::new(standing)
        }
        None if headers::is_navigation(&parts.method, &parts.headers) => {
            let to = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            return Ok(to_open_page(net, port, agent, to));
        }
        None => {
            let hint = "open it from the agent's page";
            return Err(Problem::new(Code::Unknown, "this preview is not open", hint).into());
        }
    };
    let actor = standing.renew().await?;
    let changes = headers::changes(&parts.method);
    let target = edge.daemon.preview(&actor, agent, port, changes).await?;
    let form = Form::Origin {
        origin,
        page: net.page_url(),
    };
    let request = Request::from_parts(parts, body);
    carry::carry(edge, target, form, standing, request).await
}

/// A ticket becomes a cookie of this origin.
fn enter(edge: &Edge, origin: &str, request: &Request) -> Result<Response, Failure> {
    let query = request.uri().query().unwrap_or_default();
    let ticket = query.strip_prefix("ticket=").unwrap_or_default();
    let Some(opened) = edge.previews.redeem(ticket) else {
        let message = "this way into the preview was used already, or is too old";
        let hint = "open it again from the agent's page";
        return Err(Problem::new(Code::Unknown, message, hint).into());
    };
    let net = edge.net.as_deref().expect("a host of the network's");
    if net.preview_url(&opened.port, &opened.name).as_deref() != Some(origin) {
        return Err(Problem::new(Code::Unknown, "this is another preview's", "").into());
    }
    let (id, to) = (opened.agent.clone(), opened.to.clone());
    let value = edge.previews.open(opened)?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let head = response.headers_mut();
    let text = |text: String| HeaderValue::try_from(text).expect("a plain text");
    head.insert(LOCATION, text(to));
    let age = OPEN_FOR.as_secs();
    let name = headers::COOKIE_NAME;
    let own = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}");
    head.append(SET_COOKIE, text(own));
    // Names are given again: what an agent of this name left in the browser before is not this one's.
    if headers::marker(request.headers()) != Some(&*id) {
        let forget = HeaderValue::from_static("\"cache\", \"storage\"");
        head.insert(HeaderName::from_static("clear-site-data"), forget);
        let name = headers::MARKER_NAME;
        let year = 400 * 24 * 60 * 60;
        let mark = format!("{name}={id}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={year}");
        head.append(SET_COOKIE, text(mark));
    }
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// Whoever comes without a cookie gets a ticket where the login is: on our own origin.
fn to_open_page(net: &Net, port: &str, agent: &str, to: &str) -> Response {
    let to = headers::encoded(to);
    let url = format!("{}{OPEN}?agent={agent}&port={port}&to={to}", net.page_url());
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(url) = HeaderValue::try_from(url) {
        response.headers_mut().insert(LOCATION, url);
    }
    response
}

/// Answers what is asked below [`BELOW`] on our own origin.
pub(crate) async fn below(edge: &Edge, request: Request) -> Response {
    match request.uri().path() {
        OPEN => return own(OPEN_PAGE, "text/html; charset=utf-8"),
        "/preview/open.js" => return own(OPEN_SCRIPT, "text/javascript; charset=utf-8"),
        _ => {}
    }
    let answer = match try_below(edge, request).await {
        Ok(answer) => answer,
        Err(failure) => plain(failure.into_response()),
    };
    foreign(answer)
}

async fn try_below(edge: &Edge, mut request: Request) -> Result<Response, Failure> {
    let gone = || Problem::new(Code::NotFound, "there is no such preview (any more)", "");
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let rest = path.strip_prefix(BELOW).unwrap_or_default();
    let (secret, rest) = match rest.find(['/', '?']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let opened = edge.previews.find(secret).ok_or_else(gone)?;
    if headers::is_worker(request.headers()) {
        let message = "a preview below a path has no service worker";
        return Err(Failure::refused(StatusCode::FORBIDDEN, message));
    }
    let prefix = format!("{BELOW}{secret}");
    if request.method() == Method::OPTIONS && headers::is_preflight(request.headers()) {
        return Ok(headers::preflight(request.headers()));
    }
    let to = headers::below_root(rest);
    *request.uri_mut() = to.parse().map_err(|_| gone())?;
    let actor = opened.standing.renew().await?;
    let changes = headers::changes(request.method());
    let (id, port) = (&opened.agent, &opened.port);
    let target = edge.daemon.preview(&actor, id, port, changes).await?;
    let form = Form::Path { prefix };
    let standing = opened.standing.clone();
    carry::carry(edge, target, form, standing, request).await
}

/// A page of our own.
fn own(text: &'static str, kind: &'static str) -> Response {
    let policy = "default-src 'none'; script-src 'self'; connect-src 'self'; \
                  frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let head = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, text).into_response()
}

/// An answer of ours where an agent's was expected: it may do nothing.
fn plain(mut response: Response) -> Response {
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
    let head = response.headers_mut();
    head.insert(CONTENT_SECURITY_POLICY, nothing);
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn foreign(mut response: Response) -> Response {
    response.extensions_mut().insert(Foreign);
    response
}

//! Carries one request to an agent's server, and what it answers back; bodies are streams.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::UPGRADE;
use axum::http::{StatusCode, Version};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use wsm_api::problem::{Code, Problem};
use wsm_daemon::facade::preview::Target;

use super::headers::{self, Form};
use crate::Edge;
use crate::extract::Standing;
use crate::net::bounds::CONNECTIONS_PER_ADDRESS_MAX;
use crate::problem::Failure;

/// Requests that are carried at once, by everybody.
const CARRIED_MAX: usize = 512;

/// Of those for one person: a page of an agent's may open as many WebSockets as it likes, and each
/// takes one of the connections that this address has for everything.
const CARRIED_OF_USER_MAX: usize = CONNECTIONS_PER_ADDRESS_MAX / 2;

/// How long an agent's server may take until it begins to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// How often a right is looked at that may have ended while something goes on.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Headers of an answer, and bytes of its head.
const HEADERS_MAX: usize = 128;
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Read from one side at once.
const COPY_BYTES: usize = 16 * 1024;

/// Carries it. `standing`: who asks; what goes on ends with that one's right.
pub(crate) async fn carry(
    edge: &Edge,
    target: Target,
    form: Form,
    standing: Arc<Standing>,
    mut request: Request,
) -> Result<Response, Failure> {
    let place = Places::take(&edge.carried, &standing.actor().user).ok_or_else(|| {
        let message = "too many requests to previews are under way";
        Failure::refused(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    let upgrade = is_websocket(&request);
    let inside = target.inside;
    let head = headers::request(request.headers(), &form, inside, upgrade);
    let browser = upgrade.then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    parts.headers = head;
    parts.version = Version::HTTP_11;
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map_or_else(Default::default, Into::into);
    parts.extensions.clear();
    let at = (target.agent.clone(), target.port.clone());
    let mut until = Box::pin(ended(edge.clone(), standing, at));
    let mut answer = tokio::select! {
        answer = ask(&target, Request::from_parts(parts, body)) => answer?,
        () = &mut until => {
            let message = "your right to it has ended";
            return Err(Failure::refused(StatusCode::FORBIDDEN, message));
        }
    };
    drop(target);
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(browser) = browser else {
            return Err(broken("it changed the protocol unasked").into());
        };
        let server = hyper::upgrade::on(&mut answer);
        tokio::spawn(copy(browser, server, until, place));
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        *response.headers_mut() = headers::answer(answer.headers(), &form, inside, true);
        return Ok(response);
    }
    let (mut parts, body) = answer.into_parts();
    parts.headers = headers::answer(&parts.headers, &form, inside, false);
    let held = body_of(body, until, place);
    Ok(Response::from_parts(parts, held))
}

fn is_websocket(request: &Request) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    let upgrade = upgrade.and_then(|to| to.to_str().ok());
    upgrade.is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
}

/// One connection for one request: it is loopback.
async fn ask(
    target: &Target,
    request: Request,
) -> Result<hyper::Response<hyper::body::Incoming>, Problem> {
    let stream = target
        .sockets
        .connect(target.inside)
        .await
        .map_err(|error| {
            let message = format!("nothing answers on port {} of {}", target.port, target.name);
            let hint = format!("is its server started? ({error})");
            Problem::new(Code::NotFound, message, hint)
        })?;
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // It ends with the answer's body, or when the browser goes.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a preview's connection broke");
        }
    });
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
    let late = |_| Problem::new(Code::TimedOut, "the agent's server does not answer", "");
    answer.map_err(late)?.map_err(broken)
}

fn broken(why: impl std::fmt::Display) -> Problem {
    let message = format!("the agent's server can't be understood: {why}");
    Problem::new(Code::Failed, message, "")
}

/// The body, as long as the right to it holds.
fn body_of(
    body: hyper::body::Incoming,
    until: impl Future<Output = ()> + Send + Unpin + 'static,
    place: Place,
) -> Body {
    let data = Body::new(body).into_data_stream();
    let held = data.take_until(until).map(move |bytes| {
        // Given back when the stream is dropped.
        let _place = &place;
        bytes
    });
    Body::from_stream(held)
}

/// Copies what a WebSocket says until a side ends, or the right to it.
async fn copy(
    browser: hyper::upgrade::OnUpgrade,
    server: hyper::upgrade::OnUpgrade,
    until: impl Future<Output = ()>,
    _place: Place,
) {
    let both = async {
        let (browser, server) = tokio::try_join!(browser, server).map_err(std::io::Error::other)?;
        let (mut browser, mut server) = (TokioIo::new(browser), TokioIo::new(server));
        tokio::io::copy_bidirectional_with_sizes(&mut browser, &mut server, COPY_BYTES, COPY_BYTES)
            .await
    };
    tokio::select! {
        copied = both => if let Err(error) = copied {
            tracing::debug!(%error, "a preview's WebSocket broke");
        },
        () = until => {}
    }
}

/// Completes when whoever asked may not look any more, or the daemon stops.
async fn ended(edge: Edge, standing: Arc<Standing>, (agent, port): (String, String)) {
    let mut closing = edge.closing.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = closing.changed() => return,
        }
        let Ok(actor) = standing.renew().await else {
            return;
        };
        let may = edge.daemon.preview(&actor, &agent, &port, false).await;
        if may.is_err() {
            return;
        }
    }
}

/// Who has requests under way, and how many.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<String, usize>>);

/// One request under way, until it is dropped.
#[derive(Debug)]
struct Place {
    user: String,
    places: Arc<Places>,
}

impl Places {
    fn take(places: &Arc<Places>, user: &str) -> Option<Place> {
        let mut held = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = held.values().sum();
        let own = held.get(user).copied().unwrap_or_default();
        if all >= CARRIED_MAX || own >= CARRIED_OF_USER_MAX {
            return None;
        }
        held.insert(user.to_owned(), own + 1);
        Some(Place {
            user: user.to_owned(),
            places: Arc::clone(places),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_persons_previews_leave_room_for_the_rest() {
        let places = Arc::new(Places::default());
        let mut held: Vec<_> = (0..CARRIED_OF_USER_MAX)
            .map(|_| Places::take(&places, "ann").expect("within the bound"))
            .collect();
        assert!(Places::take(&places, "ann").is_none());
        assert!(Places::take(&places, "bob").is_some());
        held.pop();
        assert!(Places::take(&places, "ann").is_some());
        for n in 0..CARRIED_MAX {
            held.extend(Places::take(&places, &n.to_string()));
        }
        assert!(Places::take(&places, "bob").is_none());
        held.clear();
        assert!(places.0.lock().unwrap().is_empty());
    }
}

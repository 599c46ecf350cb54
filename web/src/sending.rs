//! Large answers: how much of them is in memory at once, for whom, and for how long.
//!
//! An answer is held until its client has read it, and a client reads as slowly as it likes. So what
//! is large takes of a sum, for everybody and for each person, until it is passed on or let go.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::task::AbortHandle;
use wsm_daemon::facade::Standing;

use crate::problem::Failure;

/// An answer up to this is not counted: a connection has one at a time.
const SMALL: u64 = 64 * 1024;

/// Bytes of large answers at once, of everybody, and of one person: two of the largest recordings.
const ALL_MAX: u64 = 256 * MEBIBYTE;
const PERSON_MAX: u64 = 72 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

/// Passed on at once, as a copy: what a connection holds of an answer does not hold all of it.
const PIECE: usize = 32 * 1024;

/// How long a client may take: this, and longer the more it is, at the pace of a bad telephone line.
const PATIENCE: Duration = Duration::from_secs(60);
const BYTES_PER_SECOND: u64 = 32 * 1024;

/// Among a request's extensions: who asks, as soon as that is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asks(Arc<OnceLock<String>>);

impl Asks {
    /// It is this user.
    pub(crate) fn is(&self, user: &str) {
        // Who it was at first is who is answered.
        self.0.get_or_init(|| user.to_owned());
    }
}

/// Among an answer's extensions: the right that it hangs on for as long as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Until(pub(crate) Standing);

/// Bytes of large answers that are held, by person.
#[derive(Debug, Default)]
pub(crate) struct Sending(Mutex<HashMap<String, u64>>);

/// What one of them takes, until it is dropped.
#[derive(Debug)]
struct Share {
    user: String,
    bytes: u64,
    sending: Arc<Sending>,
}

impl Sending {
    fn take(sending: &Arc<Sending>, user: &str, bytes: u64) -> Option<Share> {
        let mut held = sending.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = held.values().sum();
        let own = held.get(user).copied().unwrap_or_default();
        if all + bytes > ALL_MAX || own + bytes > PERSON_MAX {
            return None;
        }
        held.insert(user.to_owned(), own + bytes);
        Some(Share {
            user: user.to_owned(),
            bytes,
            sending: Arc::clone(sending),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let held = self.sending.0.lock();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.user) {
            *own -= self.bytes;
            if *own == 0 {
                held.remove(&self.user);
            }
        }
    }
}

/// Passes a large answer on for as long as it has a share, and its client reads it.
pub(crate) async fn bounded(
    State(sending): State<Arc<Sending>>,
    mut request: Request,
    next: Next,
) -> Response {
    let asks = Asks::default();
    request.extensions_mut().insert(asks.clone());
    let mut response = next.run(request).await;
    // What has no length is a stream, of which little is held.
    let bytes = response.body().size_hint().exact();
    let Some(bytes) = bytes.filter(|bytes| *bytes > SMALL) else {
        return response;
    };
    let user = asks.0.get().map_or("", String::as_str);
    let Some(share) = Sending::take(&sending, user, bytes) else {
        let message = "much is being sent to you that you have not read yet: try again after it";
        return Failure::refused(StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    };
    let until = response.extensions_mut().remove::<Until>();
    let over = async move {
        let late = tokio::time::sleep(allowed(bytes));
        match until {
            Some(Until(standing)) => tokio::select! {
                () = late => {}
                _ = standing.ended() => {}
            },
            None => late.await,
        }
    };
    response.map(|body| Body::new(Piecewise::new(body, bytes, share, over)))
}

/// How long a client may take for so many bytes.
fn allowed(bytes: u64) -> Duration {
    PATIENCE + Duration::from_secs(bytes / BYTES_PER_SECOND)
}

/// What is there still of an answer.
#[derive(Debug)]
struct Held {
    body: Body,
    rest: Bytes,
    _share: Share,
}

/// A body of which nothing is left when it is over, read or not.
#[derive(Debug)]
struct Piecewise {
    held: Arc<Mutex<Option<Held>>>,
    left: u64,
    watch: AbortHandle,
}

impl Piecewise {
    fn new(
        body: Body,
        bytes: u64,
        share: Share,
        over: impl Future<Output = ()> + Send + 'static,
    ) -> Piecewise {
        let held = Arc::new(Mutex::new(Some(Held {
            body,
            rest: Bytes::new(),
            _share: share,
        })));
        let known = Arc::clone(&held);
        let watch = tokio::spawn(async move {
            over.await;
            // Whoever does not read is not asked: the connection hears of it when it goes on.
            known.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
        Piecewise {
            held,
            left: bytes,
            watch: watch.abort_handle(),
        }
    }
}

impl Drop for Piecewise {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl hyper::body::Body for Piecewise {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let piece = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(held) = held.as_mut() else {
                let why = "it took too long, or its right has ended";
                return Poll::Ready(Some(Err(io::Error::other(why).into())));
            };
            while held.rest.is_empty() {
                match ready!(Pin::new(&mut held.body).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => held.rest = data,
                        Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                    },
                    Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    None => return Poll::Ready(None),
                }
            }
            let next = held.rest.split_to(PIECE.min(held.rest.len()));
            Bytes::copy_from_slice(&next)
        };
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Extension, Router};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::net::{bounds::Crowd, talk};
    use crate::peer::{Origin, Peer};

    const BIG: usize = 32 * 1024 * 1024;

    fn held(sending: &Arc<Sending>) -> u64 {
        sending.0.lock().unwrap().values().sum()
    }

    /// Somebody who asks for something big, and reads when the test does.
    async fn asks(router: &Router, user: &str) -> DuplexStream {
        let address = std::net::SocketAddr::from(([192, 0, 2, 7], 1));
        let (seat, face) = Crowd::default().admit(address.ip(), false).unwrap();
        let peer = Peer::new(Origin::Net { address, face }, seat);
        let (mut here, there) = tokio::io::duplex(4096);
        tokio::spawn(talk(there, peer, router.clone()));
        let head =
            format!("GET /big HTTP/1.1\r\nHost: a\r\nuser: {user}\r\nConnection: close\r\n\r\n");
        here.write_all(head.as_bytes()).await.unwrap();
        here
    }

    async fn status(stream: &mut DuplexStream) -> String {
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.unwrap();
        String::from_utf8_lossy(&line[9..]).into_owned()
    }

    fn served(sending: &Arc<Sending>) -> Router {
        let big = async |Extension(asks): Extension<Asks>, request: Request| {
            asks.is(request.headers()["user"].to_str().unwrap());
            vec![7_u8; BIG]
        };
        let layer = axum::middleware::from_fn_with_state(Arc::clone(sending), bounded);
        Router::new().route("/big", get(big)).layer(layer)
    }

    #[tokio::test]
    async fn who_reads_nothing_fills_no_memory() {
        let sending = Arc::<Sending>::default();
        let router = served(&sending);
        let mut slow = Vec::new();
        let mut refused = 0;
        for _ in 0..8 {
            let mut stream = asks(&router, "eve").await;
            match &*status(&mut stream).await {
                "200" => slow.push(stream),
                "503" => refused += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!((slow.len(), refused), (2, 6));
        assert_eq!(held(&sending), 2 * BIG as u64);
        // Others are answered, and whole.
        let mut bob = asks(&router, "bob").await;
        assert_eq!(status(&mut bob).await, "200");
        let mut all = Vec::new();
        bob.read_to_end(&mut all).await.unwrap();
        let said = String::from_utf8_lossy(&all[..400]).to_lowercase();
        assert!(said.contains(&format!("content-length: {BIG}")), "{said}");
        assert!(all.ends_with(&[7; BIG]));
        assert_eq!(held(&sending), 2 * BIG as u64, "what was read is let go");
        // So is what its client leaves.
        slow.clear();
        let left = async {
            while held(&sending) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), left)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_is_over_is_let_go_before_it_is_read() {
        let sending = Arc::<Sending>::default();
        let share = Sending::take(&sending, "eve", BIG as u64).unwrap();
        let (end, ends) = tokio::sync::oneshot::channel::<()>();
        let over = async { drop(ends.await) };
        let body = Body::from(vec![7; BIG]);
        let mut body = Body::new(Piecewise::new(body, BIG as u64, share, over));
        let mut next = async || std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let first = next().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), PIECE);
        drop(end);
        let left = async {
            while held(&sending) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), left)
            .await
            .unwrap();
        assert!(next().await.unwrap().is_err(), "it was not all");
    }

    #[test]
    fn everybody_together_has_a_bound_too() {
        let sending = Arc::<Sending>::default();
        let take = |user: usize| Sending::take(&sending, &user.to_string(), PERSON_MAX);
        let all: Vec<_> = (0..100).filter_map(take).collect();
        assert_eq!(all.len() as u64, ALL_MAX / PERSON_MAX);
        assert!(Sending::take(&sending, "0", 1).is_none());
        drop(all);
        assert!(sending.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_slow_line_has_its_time_and_nobody_has_for_ever() {
        assert!(allowed(BIG as u64) > Duration::from_secs(15 * 60));
        assert!(allowed(BIG as u64) < Duration::from_secs(30 * 60));
        assert!(allowed(SMALL) < Duration::from_secs(70));
    }
}

//! A verified connection to a server, in HTTP/1.1 or HTTP/2.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{CONNECTION_WINDOW, HEAD_LIST_MAX, PING_INTERVAL, PING_TIMEOUT, STREAM_WINDOW};
use crate::engine::agent::{Shared, shown};
use crate::engine::connection::{Target, not_dialled};
use crate::engine::http::{HEAD_BYTES_MAX, Refusal, Sent, drive};
use crate::engine::tunnel::{Count, Counted};
use crate::engine::upstream::HTTP2;

type Answered = Result<Response<Incoming>, TrySendError<Request<Sent>>>;

enum Sender {
    Http1(http1::SendRequest<Sent>),
    Http2(http2::SendRequest<Sent>),
}

/// A connection to the server.
pub(super) struct Server {
    send: Sender,
    /// Aborted with it.
    _driver: JoinSet<()>,
}

impl Server {
    /// Connects, unless that was done, and verifies who answers.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        target: &Target,
        protocols: &[&[u8]],
        dialled: Option<TcpStream>,
    ) -> Result<Server, Refusal> {
        let whole = shown(&target.ask());
        let gateway = |why: String| Refusal::new(StatusCode::BAD_GATEWAY, why);
        let stream = match dialled {
            Some(stream) => stream,
            None => {
                let dialled = shared.dialer.dial(&target.host, target.port).await;
                dialled.map_err(|error| {
                    not_dialled(shared, target, &error);
                    gateway(error.to_string())
                })?
            }
        };
        let address = stream.peer_addr().ok().map(|peer| peer.ip().to_canonical());
        let count = Arc::new(Count::default());
        let stream = Counted::new(stream, &count);
        let secured = shared.trust.connect(&target.host, protocols, stream).await;
        let stream = secured.map_err(|error: io::Error| gateway(format!("{whole}: {error}")))?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let failed = |error: hyper::Error| gateway(format!("{whole}: {error}"));
        let stream = TokioIo::new(stream);
        let (send, driver): (_, Pin<Box<dyn Future<Output = _> + Send>>) = if is_http2 {
            let (send, driver) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(HEAD_LIST_MAX)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .handshake(stream)
                .await
                .map_err(failed)?;
            (Sender::Http2(send), Box::pin(driver))
        } else {
            let (send, driver) = http1::Builder::new()
                .max_buf_size(HEAD_BYTES_MAX)
                .max_header_size(HEAD_BYTES_MAX)
                .handshake(stream)
                .await
                .map_err(failed)?;
            (Sender::Http1(send), Box::pin(driver.with_upgrades()))
        };
        Ok(Server {
            send,
            _driver: drive(shared, target, address, count, driver),
        })
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.send, Sender::Http2(_))
    }

    /// Whether it takes another request, once it does.
    pub(super) async fn ready(&mut self) -> bool {
        let ready = match &mut self.send {
            Sender::Http1(send) => send.ready().await,
            Sender::Http2(send) => send.ready().await,
        };
        ready.is_ok()
    }

    /// Sends; the answer is awaited without it.
    pub(super) fn send(
        &mut self,
        request: Request<Sent>,
    ) -> Pin<Box<dyn Future<Output = Answered> + Send>> {
        match &mut self.send {
            Sender::Http1(send) => Box::pin(send.try_send_request(request)),
            Sender::Http2(send) => Box::pin(send.try_send_request(request)),
        }
    }
}

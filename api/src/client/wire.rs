//! HTTP and WebSocket handshakes; one connection per request.

use std::fmt::Display;

use futures_util::SinkExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use hyper::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Client, ClientError, Connection, Result};
use crate::problem::Problem;

/// A WebSocket to the daemon.
pub type Socket = WebSocketStream<Connection>;

/// Longest answer in bytes: a patch is bounded far below by the daemon.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest WebSocket message: the shim's longest frame, with room.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Read at once. tungstenite writes zeros over so much before each read.
const READ_BYTES: usize = 32 * 1024;

/// Path and query of a request.
#[derive(Debug)]
pub(super) struct Target(String);

impl Target {
    pub(super) fn new(path: &str) -> Target {
        Target(path.to_owned())
    }

    pub(super) fn agent(agent: &str) -> Target {
        Target::new("/v1/agents").then(agent)
    }

    /// One more part of the path.
    pub(super) fn then(mut self, part: &str) -> Target {
        self.0.push('/');
        self.encode(part);
        self
    }

    pub(super) fn query(mut self, key: &str, value: &impl Display) -> Target {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(key);
        self.0.push('=');
        self.encode(&value.to_string());
        self
    }

    pub(super) fn maybe(self, key: &str, value: Option<&impl Display>) -> Target {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Percent-encoding of everything but RFC 3986's unreserved characters.
    fn encode(&mut self, text: &str) {
        // A part that is only dots would be taken for a step in the path.
        let dots = text.bytes().all(|byte| byte == b'.');
        for byte in text.bytes() {
            let plain = byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'_' | b'~')
                || (byte == b'.' && !dots);
            if plain {
                self.0.push(char::from(byte));
            } else {
                self.0.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types serialize")
}

pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| ClientError::Broken(format!("its answer can't be read: {error}")))
}

/// Sends a JSON document as a text message.
pub(super) async fn say(socket: &mut Socket, value: &impl Serialize) -> Result<()> {
    let text = String::from_utf8(encode(value)).expect("JSON is UTF-8");
    socket
        .send(Message::Text(text.into()))
        .await
        .map_err(broken)
}

fn broken(error: impl Display) -> ClientError {
    ClientError::Broken(error.to_string())
}

impl Client {
    pub(super) async fn get<T: DeserializeOwned>(&self, target: Target) -> Result<T> {
        let (_, body) = self.call(Method::GET, target, None).await?;
        decode(&body)
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        target: Target,
        body: Option<Vec<u8>>,
    ) -> Result<T> {
        let (_, body) = self.call(Method::POST, target, body).await?;
        decode(&body)
    }

    /// Status and body of a success; everything else is an error.
    pub(super) async fn call(
        &self,
        method: Method,
        target: Target,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes)> {
        let request = self
            .request(&target)
            .method(method)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .expect("a target is percent-encoded, hosts and tokens are checked");
        let response = self.exchange(request).await?;
        let status = response.status();
        let body = collect(response).await?;
        if status.is_success() {
            Ok((status, body))
        } else {
            Err(refusal(status, &body))
        }
    }

    /// A WebSocket, or the daemon's problem.
    pub(super) async fn upgrade(&self, target: Target) -> Result<Socket> {
        let key = generate_key();
        let request = self
            .request(&target)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .body(Full::new(Bytes::new()))
            .expect("a target is percent-encoded, hosts and tokens are checked");
        let response = self.exchange(request).await?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(status, &collect(response).await?));
        }
        let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accept
            .is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err(broken("its WebSocket handshake is wrong"));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
        let parts = upgraded
            .downcast::<TokioIo<Connection>>()
            .map_err(|_| broken("the connection is not the one that was opened"))?;
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let early = parts.read_buf.to_vec();
        let stream = parts.io.into_inner();
        let role = Role::Client;
        Ok(WebSocketStream::from_partially_read(stream, early, role, Some(limits)).await)
    }

    /// With what every request has.
    fn request(&self, target: &Target) -> Builder {
        let request = Request::builder()
            .uri(&target.0)
            .header(HOST, self.way.host());
        match self.way.bearer() {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let stream = self.way.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // It ends with its connection; errors come out of the request too.
        drop(tokio::spawn(connection.with_upgrades()));
        match sender.send_request(request).await {
            Ok(response) => Ok(response),
            Err(error) => Err(match self.way.complaint().await {
                Some(complaint) => broken(format!("{error} ({complaint})")),
                None => broken(error),
            }),
        }
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    Ok(body.collect().await.map_err(broken)?.to_bytes())
}

fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ClientError::Problem(problem),
        Err(_) => broken(format!("it answered {status} without a problem")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_can_not_leave_their_place() {
        let target = Target::agent("../x?y=1#é").then("log").query("lines", &5);
        assert_eq!(target.0, "/v1/agents/..%2Fx%3Fy%3D1%23%C3%A9/log?lines=5");
        assert_eq!(Target::agent("..").0, "/v1/agents/%2E%2E");
        let target = Target::new("/v1/x")
            .maybe("a", None::<&u8>)
            .query("b", &"c d")
            .query("e", &1);
        assert_eq!(target.0, "/v1/x?b=c%20d&e=1");
    }
}

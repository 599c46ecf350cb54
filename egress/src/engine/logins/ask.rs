//! One question to a token endpoint.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::Answered;
use crate::engine::dial::Dialer;
use crate::engine::http::HEAD_BYTES_MAX;
use crate::engine::upstream::{HTTP1, Trust};
use crate::host::Host;
use crate::login::Kind;
use crate::login::forms::TEXT_BYTES_MAX;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks, over TLS that is verified like every other, of an address that is vetted like every other.
pub(super) async fn ask(
    dialer: &Dialer,
    trust: &Trust,
    kind: Kind,
    body: Zeroizing<Vec<u8>>,
) -> Answered {
    let asked = timeout(PATIENCE, try_ask(dialer, trust, kind, body)).await;
    let whole = asked.map_err(|_| format!("no answer in {PATIENCE:?}"));
    whole.and_then(|answered| answered).map_err(|why| {
        let host = kind.facts().token_host;
        format!("{host}: {why}")
    })
}

async fn try_ask(dialer: &Dialer, trust: &Trust, kind: Kind, body: Zeroizing<Vec<u8>>) -> Answered {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let facts = kind.facts();
    let host = Host::parse(facts.token_host).map_err(|e| said(&e))?;
    let stream = dialer.dial(&host, 443).await.map_err(|e| said(&e))?;
    let stream = trust.connect(&host, &[HTTP1], stream).await;
    let stream = TokioIo::new(stream.map_err(|e| said(&e))?);
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .handshake(stream)
        .await;
    let (mut send, driver) = connection.map_err(|e| said(&e))?;
    // Aborted with it.
    let mut driving = JoinSet::new();
    driving.spawn(driver);
    let request = Request::builder()
        .method(Method::POST)
        .uri(facts.token_path)
        .header(header::HOST, facts.token_host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "wsm")
        .body(Full::new(Bytes::from_owner(body)));
    let request = request.map_err(|e| said(&e))?;
    let answer = send.send_request(request).await.map_err(|e| said(&e))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), TEXT_BYTES_MAX);
    let body = body.collect().await.map_err(|e| said(&e))?.to_bytes();
    Ok((status, Zeroizing::new(body.to_vec())))
}

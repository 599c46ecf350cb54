//! One request to somebody else's server: looked up once, every address vetted, a vetted one dialled;
//! no redirect is followed, and little of the answer is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_LENGTH, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wsm_egress::address::{Permit, vet};
use wsm_egress::host::Host;

use super::place::Place;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long one address may take to accept, and how many are tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
const ADDRESSES_MAX: usize = 4;
/// What is read of an answer, for people.
const ANSWER_BYTES_MAX: usize = 4096;
/// What is told of it.
const TOLD_CHARACTERS_MAX: usize = 200;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// Value of `Retry-After`.
    pub retry_after: Option<String>,
    /// What it began with, for people.
    pub text: String,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// It must not be spoken to: no use in trying again.
    #[error("{0}")]
    Refused(String),
    /// It does not answer, or not now.
    #[error("{0}")]
    Away(String),
}

/// Posts to a place whose addresses are public, or permitted.
///
/// # Errors
/// It must not be spoken to, or does not answer.
pub async fn post(
    place: &Place,
    permits: &[Permit],
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
) -> Result<Answer, PostError> {
    let all = async {
        let tcp = dial(place, permits).await?;
        if !place.tls {
            return exchange(tcp, place, headers, body).await;
        }
        let away = |e: &dyn std::fmt::Display| PostError::Away(format!("TLS: {e}"));
        let name = match &place.host {
            Host::Ip(ip) => ServerName::from(*ip),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|e| away(&e))?,
        };
        let tls = TlsConnector::from(trust()?).connect(name, tcp).await;
        exchange(tls.map_err(|e| away(&e))?, place, headers, body).await
    };
    let late = |_| PostError::Away(format!("no answer in {TIMEOUT:?}"));
    tokio::time::timeout(TIMEOUT, all).await.map_err(late)?
}

async fn dial(place: &Place, permits: &[Permit]) -> Result<TcpStream, PostError> {
    let away = |why: String| PostError::Away(format!("{}: {why}", place.authority()));
    let addresses: Vec<IpAddr> = match &place.host {
        Host::Ip(ip) => vec![*ip],
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), place.port)).await;
            let found = found.map_err(|e| away(format!("look it up: {e}")))?;
            found.map(|address| address.ip().to_canonical()).collect()
        }
    };
    let hint = "; root may permit it: [notify] permit in config.toml";
    vet(&place.host, &addresses, &own_addresses(), permits)
        .map_err(|bad| PostError::Refused(format!("{bad}{hint}")))?;
    if !place.tls && !addresses.iter().all(IpAddr::is_loopback) {
        let why = "without TLS only this machine is spoken to";
        return Err(PostError::Refused(why.to_owned()));
    }
    let mut last = "it has no address".to_owned();
    for ip in addresses.into_iter().take(ADDRESSES_MAX) {
        let connecting = TcpStream::connect(SocketAddr::new(ip, place.port));
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("no answer in {CONNECT_TIMEOUT:?}"),
        }
    }
    Err(away(last))
}

/// Addresses of this host's interfaces: nobody outside has a reason to lead a message there.
fn own_addresses() -> Vec<IpAddr> {
    let Ok(found) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let addresses = found.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    addresses.collect()
}

/// Whom this host trusts, read once.
fn trust() -> Result<Arc<ClientConfig>, PostError> {
    static TRUST: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = TRUST.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| PostError::Away(format!("TLS: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(TRUST.get_or_init(|| Arc::new(config))))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    place: &Place,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
) -> Result<Answer, PostError> {
    let away = |e: hyper::Error| PostError::Away(format!("{}: {e}", place.authority()));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(away)?;
    // Ends when the sender is dropped.
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&place.path)
        .header(HOST, place.authority())
        .header(USER_AGENT, concat!("wsm/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_LENGTH, body.len());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body)));
    let request = request.map_err(|e| PostError::Refused(format!("no request: {e}")))?;
    let answer = sender.send_request(request).await.map_err(away)?;
    let retry_after = answer.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok().map(str::to_owned));
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    connection.abort();
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let text = String::from_utf8_lossy(&bytes);
    Ok(Answer {
        status,
        retry_after,
        text: text
            .chars()
            .take(TOLD_CHARACTERS_MAX)
            .map(visible)
            .collect(),
    })
}

//! TLS that ends here: for hosts that a credential belongs to. What the agent sends is read as HTTP,
//! written anew to the server, whose certificate was verified, and carries the value instead of the
//! placeholder.
//!
//! ```text
//! hello ─► dial, TLS to the server ─► handshake with the agent, in the protocol the server chose
//!   each request ─► is it for this host? ─► inject ─► server ─► answer, as it comes
//! ```
//! Both sides speak the same protocol, so that one connection of the agent is one to the server.

mod login;
mod server;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::AlertDescription;
use rustls::server::Acceptor;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::agent::{Shared, shown};
use super::authority::Offer;
use super::connection::{FIRST_TIMEOUT, Target};
use super::form::Form;
use super::http::{Body, HEAD_BYTES_MAX, HEAD_TIMEOUT, Refusal, Sent, strip};
use super::inject::{self, Misuse};
use super::injector::Injector;
use super::search::{self, Struck, Tell};
use super::stream::Rewound;
use super::tunnel::{Count, Counted, Told};
use super::upstream::{HANDSHAKE_TIMEOUT, HTTP1, HTTP2};
use crate::credential::{BODY_BYTES_MAX, Credential, Place};
use crate::host::Host;
use crate::policy::Denial;
use crate::secret::Value;
use server::Server;

/// Connections of one agent that end here at once; each may hold what it was sent.
pub(super) const TERMINATED_MAX: usize = 128;
/// Requests at once in one connection.
const STREAMS_MAX: u32 = 128;
/// Bytes that may be under way in one request, and in one connection, each direction.
const STREAM_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Longest list of headers, as HTTP/2 counts.
const HEAD_LIST_MAX: u32 = 64 * 1024;
/// Two signs of life.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(30);

/// A client's connection.
struct Session {
    shared: Arc<Shared>,
    target: Target,
    /// What the client and the server speak; known after the handshake.
    http2: OnceLock<bool>,
    server: Mutex<Option<Server>>,
    /// A WebSocket that was agreed on: the client's side, and the server's.
    upgraded: std::sync::Mutex<Option<(OnUpgrade, OnUpgrade)>>,
}

/// Serves a connection to its end; `dialled` is one to the server, if there is one already.
pub(super) async fn serve(
    shared: &Arc<Shared>,
    target: Target,
    stream: Rewound,
    dialled: Option<TcpStream>,
) -> io::Result<()> {
    let Ok(_place) = shared.terminated.acquire().await else {
        return Ok(()); // never closed
    };
    let accepting = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let start = timeout(FIRST_TIMEOUT, accepting).await??;
    let asks = |protocol: &[u8]| {
        let mut offered = start.client_hello().alpn().into_iter().flatten();
        offered.any(|offered| offered == protocol)
    };
    let protocols: &[&[u8]] = match (asks(HTTP2), asks(HTTP1)) {
        (true, true) => &[HTTP2, HTTP1],
        (true, false) => &[HTTP2],
        (false, _) => &[HTTP1],
    };
    let opened = Server::open(shared, &target, protocols, dialled).await;
    // A server that can't be reached is told of in answers.
    let offer = match &opened {
        Ok(server) if server.is_http2() => Offer::Http2,
        Ok(_) => Offer::Http1,
        Err(_) => Offer::Both,
    };
    let injector = shared.injector();
    let Some(authority) = &injector.authority else {
        return Ok(()); // its credentials were taken away meanwhile
    };
    let config = authority
        .server(&target.host, offer)
        .map_err(io::Error::other)?;
    let stream = match timeout(HANDSHAKE_TIMEOUT, start.into_stream(config)).await? {
        Ok(stream) => stream,
        Err(error) => {
            untrusted(shared, &target, &error);
            return Err(error);
        }
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let session = Arc::new(Session {
        shared: Arc::clone(shared),
        target,
        http2: http2.into(),
        server: Mutex::new(opened.ok()),
        upgraded: std::sync::Mutex::default(),
    });
    session.answer_all(stream).await;
    let upgraded = session
        .upgraded
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match upgraded {
        Some((client, server)) => session.carry(client, server).await,
        None => Ok(()),
    }
}

/// A program that brings its own list of authorities, or pins a certificate, can't be helped here;
/// but a person should know.
fn untrusted(shared: &Shared, target: &Target, error: &io::Error) {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(rustls::Error::AlertReceived(
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown,
    )) = inner
    {
        let why = "a credential belongs to this host, and the program does not trust this agent's \
                   authority (/etc/wsm/authority.pem inside)";
        let (why, missing) = (why.to_owned(), None);
        shared.denied(&shown(&target.ask()), "tls", &Denial { why, missing });
    }
}

impl Session {
    async fn answer_all(self: &Arc<Session>, stream: tokio_rustls::server::TlsStream<Rewound>) {
        let service = service_fn(|request| {
            let session = Arc::clone(self);
            async move {
                let answer = session.handle(request).await;
                let answer = answer.unwrap_or_else(|refusal| {
                    let mut answer = refusal.answer();
                    if session.is_http2() {
                        answer.headers_mut().remove(header::CONNECTION);
                    }
                    answer
                });
                Ok::<_, Infallible>(answer)
            }
        });
        let stream = TokioIo::new(stream);
        let served = if self.is_http2() {
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEAD_LIST_MAX)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(stream, service)
                .await
        } else {
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .max_header_size(HEAD_BYTES_MAX)
                .serve_connection(stream, service)
                .with_upgrades()
                .await
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a terminated connection ended");
        }
    }

    fn is_http2(&self) -> bool {
        self.http2.get().copied().unwrap_or(false)
    }

    async fn handle(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let ask = self.target.ask();
        let decided = self.shared.decide(&ask, "https");
        decided.map_err(|denial| Refusal::denied(&denial))?;
        if request.method() == Method::CONNECT {
            let why = "this is no proxy";
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, why));
        }
        let injector = self.shared.injector();
        self.addressed(&request)?;
        if let Some((credential, kind)) = self.asks_for_tokens(&request, &injector) {
            return self.new_token(request, credential, kind).await;
        }
        let upgrade = self.websocket(&mut request, &injector)?;
        let (mut parts, body) = request.into_parts();
        let Target { host, port } = &self.target;
        let tokens = self.tokens(&parts, &injector).await;
        let value = |credential: &Credential| match credential.spec().login {
            Some(_) => tokens.value(credential),
            None => self.value(credential),
        };
        let credentials = &injector.credentials;
        inject::inject(
            &mut parts,
            (host, *port),
            credentials,
            &injector.search,
            value,
        )
        .map_err(|misuse| self.misused(misuse))?;
        self.readdress(&mut parts, upgrade.is_some())?;
        let body = self.body(&mut parts, body, &injector).await?;
        self.shared.allowed(&shown(&ask));
        let answer = self.send(Request::from_parts(parts, body)).await?;
        self.answered_with(answer.status(), tokens);
        self.answered(answer, upgrade)
    }

    /// The credential's value now: it may have been changed, or have expired.
    fn value(&self, credential: &Credential) -> Result<Value, String> {
        let spec = credential.spec();
        let secrets = &self.shared.secrets;
        secrets.value(&spec.owner, &spec.secret, &self.target.host)
    }

    /// A request is for the host of the connection, by every name in it.
    fn addressed(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        let bad = |why: &str| Refusal::new(StatusCode::BAD_REQUEST, why);
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let (named, more) = (hosts.next(), hosts.next());
        if more.is_some() {
            return Err(bad("two Host headers"));
        }
        if request
            .uri()
            .scheme_str()
            .is_some_and(|scheme| scheme != "https")
        {
            return Err(bad("a request within TLS is for https"));
        }
        let header = named.map(|value| value.to_str().unwrap_or_default());
        let authority = request
            .uri()
            .authority()
            .map(|authority| authority.as_str());
        if header.is_none() && authority.is_none() {
            return Err(bad("no Host header"));
        }
        for text in [header, authority].into_iter().flatten() {
            let named = Host::parse_with_port(text).map_err(|e| bad(&e.to_string()))?;
            let port = named.1.unwrap_or(self.target.port);
            if (&named.0, port) != (&self.target.host, self.target.port) {
                let whole = shown(&self.target.ask());
                let why = format!("the connection is to {whole}, the request for {text}");
                let (missing, shown) = (None, format!("{}:{port}", named.0));
                let denial = Denial {
                    why: why.clone(),
                    missing,
                };
                self.shared.denied(&shown, "https", &denial);
                return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, why));
            }
        }
        Ok(())
    }

    /// The client's side of a WebSocket, if the request asks for one and it is declared.
    fn websocket(
        &self,
        request: &mut Request<Incoming>,
        injector: &Injector,
    ) -> Result<Option<OnUpgrade>, Refusal> {
        let Some(wanted) = request.headers().get(header::UPGRADE) else {
            return Ok(None);
        };
        let websocket = wanted.as_bytes().eq_ignore_ascii_case(b"websocket");
        let mut here = injector.credentials.iter();
        let Target { host, port } = &self.target;
        let declared = here.any(|c| c.spec().websocket && c.is_for(host, *port));
        let plain = *request.method() == Method::GET && request.version() == Version::HTTP_11;
        if !(websocket && declared && plain) {
            let why = "a change of protocol is not passed on, but for WebSockets where a \
                       credential declares `websocket = true`";
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, why));
        }
        Ok(Some(hyper::upgrade::on(request)))
    }

    fn misused(&self, misuse: Misuse) -> Refusal {
        let target = shown(&self.target.ask());
        let (Misuse::Misplaced { credential, why } | Misuse::NoValue { credential, why }) = misuse;
        self.shared.misplaced(&credential, &target, &why);
        let text = format!("credential {credential}: {why}");
        Refusal::new(StatusCode::FORBIDDEN, text)
    }

    /// Makes a request one to the server: the host as it was decided, nothing about connections.
    fn readdress(&self, parts: &mut Parts, upgrade: bool) -> Result<(), Refusal> {
        let trailers = parts.headers.get(header::TE).is_some_and(has_trailers);
        strip(&mut parts.headers);
        parts.headers.remove(header::HOST);
        parts.headers.remove(header::EXPECT);
        let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
        let named = match self.target.port {
            443 => self.target.host.to_string(),
            port => format!("{}:{port}", self.target.host),
        };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        if self.is_http2() {
            let uri = format!("https://{named}{path}");
            parts.uri = uri.parse::<Uri>().map_err(|e| bad(e.to_string()))?;
            parts.version = Version::HTTP_2;
            if trailers {
                let trailers = HeaderValue::from_static("trailers");
                parts.headers.insert(header::TE, trailers);
            }
            return Ok(());
        }
        parts.uri = path.parse::<Uri>().map_err(|e| bad(e.to_string()))?;
        parts.version = Version::HTTP_11;
        let named = HeaderValue::from_str(&named).map_err(|e| bad(e.to_string()))?;
        parts.headers.insert(header::HOST, named);
        if upgrade {
            to_websocket(&mut parts.headers);
        }
        Ok(())
    }

    /// The body: a small one is filled where that is declared, all are looked through.
    async fn body(
        &self,
        parts: &mut Parts,
        body: Incoming,
        injector: &Injector,
    ) -> Result<Sent, Refusal> {
        let (shared, target) = (Arc::clone(&self.shared), shown(&self.target.ask()));
        let tell: Tell = Box::new(move |credential| {
            shared.misplaced(credential, &target, search::STRUCK_OUT);
        });
        let search = Arc::clone(&injector.search);
        let Some((form, declared)) = self.declared(parts, &body, injector) else {
            return Ok(Struck::new(body, search, tell).boxed());
        };
        let broken = |e: hyper::Error| Refusal::new(StatusCode::BAD_REQUEST, e.to_string());
        let bytes = body.collect().await.map_err(broken)?.to_bytes();
        let found = declared.into_iter().find(|c| form.holds(&bytes, c));
        let Some(credential) = found else {
            return Ok(Struck::new(Full::new(bytes), search, tell).boxed());
        };
        let value = self.value(credential).map_err(|why| {
            let credential = credential.spec().name.clone();
            self.misused(Misuse::NoValue { credential, why })
        })?;
        let filled = form.fill(&bytes, &credential.spec().placeholder, &value);
        // It has another length now; hyper writes it.
        parts.headers.remove(header::CONTENT_LENGTH);
        let filled = Full::new(bytes::Bytes::from_owner(filled));
        Ok(Struck::new(filled, search, tell).boxed())
    }

    /// Whether a body may have a declared member, and of which credentials.
    fn declared<'a>(
        &self,
        parts: &Parts,
        body: &Incoming,
        injector: &'a Injector,
    ) -> Option<(Form, Vec<&'a Credential>)> {
        let length = body.size_hint().upper()?;
        let kind = parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let form = Form::of(kind)?;
        let Target { host, port } = &self.target;
        let in_body = |place: &Place| matches!(place, Place::Body { .. });
        let fits = |credential: &&Credential| {
            credential.is_for(host, *port)
                && credential.covers(parts.uri.path())
                && credential.spec().places.iter().any(in_body)
        };
        let declared: Vec<_> = injector.credentials.iter().filter(fits).collect();
        let plain = !parts.headers.contains_key(header::CONTENT_ENCODING);
        let small = length <= u64::try_from(BODY_BYTES_MAX).unwrap_or(0);
        (plain && small && !declared.is_empty()).then_some((form, declared))
    }

    /// Sends a request; again over a new connection if the kept one was closed before any of it
    /// was sent.
    async fn send(&self, request: Request<Sent>) -> Result<Response<Incoming>, Refusal> {
        let mut request = request;
        for last in [false, true] {
            let sending = {
                let mut kept = self.server.lock().await;
                let usable = match kept.as_mut() {
                    Some(server) => server.ready().await,
                    None => false,
                };
                if !usable {
                    let protocols: &[&[u8]] = if self.is_http2() { &[HTTP2] } else { &[HTTP1] };
                    let opened = Server::open(&self.shared, &self.target, protocols, None).await?;
                    if opened.is_http2() != self.is_http2() {
                        let why = "the server speaks another protocol than before";
                        return Err(Refusal::new(StatusCode::BAD_GATEWAY, why));
                    }
                    *kept = Some(opened);
                }
                let Some(server) = kept.as_mut() else {
                    return Err(Refusal::new(StatusCode::BAD_GATEWAY, "no connection"));
                };
                server.send(request)
            };
            match sending.await {
                Ok(answer) => return Ok(answer),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !last => request = unsent,
                    _ => {
                        let why = format!("{}: {}", shown(&self.target.ask()), failed.error());
                        return Err(Refusal::new(StatusCode::BAD_GATEWAY, why));
                    }
                },
            }
        }
        Err(Refusal::new(StatusCode::BAD_GATEWAY, "no connection"))
    }

    /// The server's answer, for the client.
    fn answered(
        &self,
        mut answer: Response<Incoming>,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Response<Body>, Refusal> {
        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let there = switched.then(|| hyper::upgrade::on(&mut answer));
        let (mut parts, body) = answer.into_parts();
        strip(&mut parts.headers);
        match (there, upgrade) {
            (Some(there), Some(here)) => {
                to_websocket(&mut parts.headers);
                let mut upgraded = self.upgraded.lock().unwrap_or_else(PoisonError::into_inner);
                *upgraded = Some((here, there));
            }
            (Some(_), None) => {
                let why = "the server changes the protocol unasked";
                return Err(Refusal::new(StatusCode::BAD_GATEWAY, why));
            }
            (None, _) => {}
        }
        Ok(Response::from_parts(parts, body.boxed()))
    }

    /// A WebSocket's bytes, as they are.
    async fn carry(&self, client: OnUpgrade, server: OnUpgrade) -> io::Result<()> {
        let client = client.await.map_err(io::Error::other)?;
        let server = server.await.map_err(io::Error::other)?;
        let (count, ask) = (Arc::new(Count::default()), self.target.ask());
        let target = shown(&ask);
        let mut server = Counted::new(TokioIo::new(server), &count);
        let mut client = TokioIo::new(client);
        let mut told = Told::new(&self.shared, &target, &count);
        tokio::select! {
            done = copy_bidirectional(&mut client, &mut server) => done.map(drop),
            () = self.shared.forbidden(&ask, None) => Ok(()),
            () = told.until_idle() => Ok(()),
        }
    }
}

fn has_trailers(te: &HeaderValue) -> bool {
    let text = te.to_str().unwrap_or_default();
    text.split(',').any(|word| word.trim() == "trailers")
}

fn to_websocket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

#[cfg(test)]
mod tests;

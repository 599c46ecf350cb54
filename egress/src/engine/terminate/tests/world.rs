//! An agent's proxy between a client and a server, all on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;

use crate::config::HostConfig;
use crate::credential::{CredentialSpec, Place};
use crate::engine::agent::{Common, Shared};
use crate::engine::connection::{self, Target};
use crate::engine::dial::Dialer;
use crate::engine::injector::Injector;
use crate::engine::log::Logs;
use crate::engine::secrets::Secrets;
use crate::engine::upstream::{HTTP1, HTTP2, Trust};
use crate::host::Host;
use crate::policy::{Mode, Policy, PolicySpec, Written};
use crate::protocol::{Answer, Brought, Gift, SecretAnswer, SecretOrder, Word};
use crate::secret::Value;

pub(super) const HOST: &str = "api.example";
pub(super) const PLACEHOLDER: &str = "sk-placeholder-0123456789";
pub(super) const VALUE: &str = "sk-the-real-value";

type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// What the server knows.
#[derive(Default)]
struct Seen {
    heads: std::sync::Mutex<Vec<String>>,
    connections: AtomicUsize,
    events: Mutex<Option<mpsc::UnboundedReceiver<()>>>,
}

pub(super) struct World {
    shared: Arc<Shared>,
    secrets: Arc<Secrets>,
    words: mpsc::Receiver<Word>,
    proxy: SocketAddr,
    port: u16,
    pem: String,
    seen: Arc<Seen>,
    next: mpsc::UnboundedSender<()>,
    policy: PolicySpec,
    _dir: TempDir,
}

/// A server's certificate, and who must be trusted for it.
fn identity() -> (ServerConfig, CertificateDer<'static>) {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).unwrap();
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)
        .unwrap();
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    (config, root.into())
}

fn secrets(dir: &TempDir) -> Secrets {
    let secrets = Secrets::open(dir.path(), None);
    let answer = secrets.obey(SecretOrder::Expect {
        uid: 0,
        owner: Some("ann".into()),
        name: "model-key".into(),
        expires_ms: None,
    });
    let Answer::Secret(SecretAnswer::Ticket(ticket)) = answer else {
        panic!("{answer:?}");
    };
    let gift = Gift {
        ticket,
        hosts: Vec::new(),
        visible: false,
        brought: Brought::Value(Value::new(VALUE.to_owned().into()).unwrap()),
    };
    assert_eq!(secrets.take(0, gift), Answer::Done);
    secrets
}

fn spec(port: u16, websocket: bool) -> CredentialSpec {
    let header = Place::Header {
        name: "x-api-key".into(),
        value: "{secret}".into(),
    };
    let field = Place::Body {
        field: "refresh_token".into(),
    };
    CredentialSpec {
        name: "model".into(),
        owner: "ann".into(),
        secret: "model-key".into(),
        hosts: vec![format!("{HOST}:{port}")],
        places: vec![header, field],
        paths: Vec::new(),
        placeholder: PLACEHOLDER.into(),
        websocket,
        login: None,
    }
}

impl World {
    pub(super) async fn new() -> World {
        World::made(true, false).await
    }

    pub(super) async fn with_untrusted_server() -> World {
        World::made(false, false).await
    }

    pub(super) async fn with_websocket(declared: bool) -> World {
        World::made(true, declared).await
    }

    async fn made(trusted: bool, websocket: bool) -> World {
        let (config, root) = identity();
        let (next, events) = mpsc::unbounded_channel();
        let seen = Arc::new(Seen {
            events: Mutex::new(Some(events)),
            ..Seen::default()
        });
        let port = serve(config, Arc::clone(&seen)).await;
        let dir = tempfile::tempdir().unwrap();
        let toml = format!(
            "[egress]\npermit = [{{ names = [\"{HOST}\"], cidr = \"127.0.0.0/8\" }}]\n\
             [egress.hosts]\n\"{HOST}\" = [\"127.0.0.1\"]\n"
        );
        std::fs::write(dir.path().join("config.toml"), toml).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(if trusted { root } else { identity().1 })
            .unwrap();
        let common = Common::new(
            Dialer::new(HostConfig::load(dir.path()).unwrap()),
            Logs::open(dir.path()).unwrap(),
            secrets(&dir),
            Trust::fixed(roots),
        );
        let injector = Injector::new(&common.secrets, "a1", &[spec(port, websocket)]).unwrap();
        let pem = injector.pem().unwrap();
        let policy = PolicySpec {
            mode: Mode::Allow,
            rules: vec![Written {
                rule: format!("{HOST}:{port}"),
                group: None,
            }],
            exposes: Vec::new(),
        };
        let secrets = Arc::clone(&common.secrets);
        let (tell, words) = mpsc::channel(64);
        let compiled = Policy::compile(&policy).unwrap();
        let shared = Arc::new(Shared::new("a1", true, (compiled, injector), common, tell));
        let target = Target {
            host: Host::parse(HOST).unwrap(),
            port,
        };
        let proxy = proxy(Arc::clone(&shared), target).await;
        World {
            shared,
            secrets,
            words,
            proxy,
            port,
            pem,
            seen,
            next,
            policy,
            _dir: dir,
        }
    }

    /// Heads of requests that the server saw.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    pub(super) fn words(&mut self) -> Vec<Word> {
        std::iter::from_fn(|| self.words.try_recv().ok()).collect()
    }

    pub(super) fn next_event(&self) {
        self.next.send(()).unwrap();
    }

    pub(super) fn forget_secret(&self) {
        let (owner, name) = (Some("ann".into()), "model-key".into());
        let answer = self.secrets.obey(SecretOrder::Remove { owner, name });
        assert_eq!(answer, Answer::Secret(SecretAnswer::Removed(true)));
    }

    /// The agent is another user's from now on.
    pub(super) fn hand_over(&self) {
        let theirs = CredentialSpec {
            owner: "bob".into(),
            ..spec(self.port, true)
        };
        let injector = Injector::new(&self.secrets, "a1", &[theirs]).unwrap();
        self.shared.set_injector(injector);
    }

    pub(super) fn deny_all(&mut self) {
        self.policy.rules.clear();
        self.shared
            .set_policy(Policy::compile(&self.policy).unwrap());
    }

    pub(super) async fn next_word(&mut self) -> Option<Word> {
        self.words.recv().await
    }

    /// TLS to the proxy, by who trusts somebody else.
    pub(super) async fn tls_of_a_stranger(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(identity().1).unwrap();
        let stream = TcpStream::connect(self.proxy).await?;
        let host = Host::parse(HOST).unwrap();
        Trust::fixed(roots).connect(&host, &[HTTP1], stream).await
    }

    /// TLS to the proxy, by who trusts the agent's authority.
    pub(super) async fn tls(&self, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let stream = TcpStream::connect(self.proxy).await.unwrap();
        let host = Host::parse(HOST).unwrap();
        Trust::fixed(roots)
            .connect(&host, protocols, stream)
            .await
            .unwrap()
    }

    /// A connection without TLS, which is caught like any.
    pub(super) async fn plain(&self) -> Client {
        let stream = TcpStream::connect(self.proxy).await.unwrap();
        let (send, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        Client::Http1(send)
    }

    pub(super) async fn client(&self, protocols: &[&[u8]]) -> Client {
        let stream = self.tls(protocols).await;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        assert_eq!(is_http2, protocols.first() == Some(&HTTP2));
        let stream = TokioIo::new(stream);
        if is_http2 {
            let (send, driver) = http2::handshake(TokioExecutor::new(), stream)
                .await
                .unwrap();
            tokio::spawn(driver);
            Client::Http2(send)
        } else {
            let (send, driver) = http1::handshake(stream).await.unwrap();
            tokio::spawn(driver);
            Client::Http1(send)
        }
    }
}

pub(super) enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Another user of the same connection.
    pub(super) fn shared(&self) -> Client {
        match self {
            Client::Http2(send) => Client::Http2(send.clone()),
            Client::Http1(_) => panic!("one at a time"),
        }
    }

    pub(super) fn get(&self, path: &str) -> hyper::http::request::Builder {
        match self {
            Client::Http1(_) => Request::get(path).header("host", HOST),
            Client::Http2(_) => Request::get(format!("https://{HOST}{path}")),
        }
    }

    pub(super) fn post(&self, path: &str) -> hyper::http::request::Builder {
        self.get(path).method("POST")
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Client::Http1(send) => {
                send.ready().await?;
                send.send_request(request).await
            }
            Client::Http2(send) => {
                send.ready().await?;
                send.send_request(request).await
            }
        }
    }

    pub(super) async fn begin(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.send(request).await.unwrap()
    }

    /// Status and body.
    pub(super) async fn ask(&mut self, request: Request<Full<Bytes>>) -> (StatusCode, String) {
        let answer = self.begin(request).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// `None`: the connection was ended instead.
    pub(super) async fn try_ask(&mut self, request: Request<Full<Bytes>>) -> Option<StatusCode> {
        Some(self.send(request).await.ok()?.status())
    }
}

/// Hands each connection to the proxy, as if it was caught on its way to the target.
async fn proxy(shared: Arc<Shared>, target: Target) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (shared, target) = (Arc::clone(&shared), target.clone());
            tokio::spawn(async move {
                connection::pass(&shared, target, stream, BytesMut::new())
                    .await
                    .ok();
            });
        }
    });
    address
}

/// A server that says what it saw.
async fn serve(config: ServerConfig, seen: Arc<Seen>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                seen.connections.fetch_add(1, Ordering::Relaxed);
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                let service = service_fn(|request| answer(Arc::clone(&seen), request));
                let stream = TokioIo::new(stream);
                if is_http2 {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    server.serve_connection(stream, service).await.ok();
                } else {
                    let server = hyper::server::conn::http1::Builder::new();
                    let served = server.serve_connection(stream, service);
                    served.with_upgrades().await.ok();
                }
            });
        }
    });
    port
}

async fn answer(
    seen: Arc<Seen>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    let mut head = format!(
        "{} {} {:?}\n",
        request.method(),
        request.uri(),
        request.version()
    );
    for (name, value) in request.headers() {
        head.push_str(&format!(
            "{name}: {}\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    seen.heads.lock().unwrap().push(head.clone());
    let mut answer = Response::builder();
    let body = match request.uri().path() {
        "/echo" => {
            let body = request.into_body().collect().await?.to_bytes();
            Full::new([head.as_bytes(), b"\n", &body].concat().into()).boxed()
        }
        "/count" => {
            let length = request.into_body().collect().await?.to_bytes().len();
            Full::new(format!("{head}\n{length}").into()).boxed()
        }
        "/big" => Full::new(Bytes::from(vec![b'y'; 20 << 20])).boxed(),
        "/close" => {
            answer = answer.header("connection", "close");
            Full::new(head.into()).boxed()
        }
        "/events" => {
            let events = seen.events.lock().await.take().unwrap();
            let frames = unfold((0, events), |(number, mut events)| async move {
                events.recv().await?;
                let data = Frame::data(Bytes::from(format!("data: {number}\n\n")));
                Some((Ok(data), (number + 1, events)))
            });
            StreamBody::new(Box::pin(frames)).boxed()
        }
        "/ws" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let stream = TokioIo::new(upgrade.await.unwrap());
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
            let switch = [("connection", "upgrade"), ("upgrade", "websocket")];
            let headers = BTreeMap::from(switch);
            answer = answer.status(101);
            for (name, value) in headers {
                answer = answer.header(name, value);
            }
            Full::default().boxed()
        }
        _ => Full::new(head.into()).boxed(),
    };
    Ok(answer.body(body).unwrap())
}

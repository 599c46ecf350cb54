//! HTTP/1 without TLS: every request is decided on, and written anew to whom it was decided for.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, client, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::agent::{Shared, shown};
use super::connection::{self, Target};
use super::stream::Rewound;
use super::tunnel::{Count, Counted, Told};
use crate::host::BadHost;
use crate::policy::{Ask, Denial};
use crate::way;

/// Longest head of a request, and of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long a head may take, the wait for the next request included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Headers that are about one connection, and end at it.
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Body = BoxBody<Bytes, hyper::Error>;

/// A client's connection.
struct Session {
    shared: Arc<Shared>,
    /// Whom the connection is for, where it was caught; a proxy is told with every request.
    bound: Option<Target>,
    upstream: Mutex<Option<Upstream>>,
    /// What becomes of the connection after a `CONNECT`.
    tunnel: std::sync::Mutex<Option<(OnUpgrade, Target)>>,
}

/// A connection to a server, used again while requests are for the same one.
struct Upstream {
    target: Ask,
    send: SendRequest<Incoming>,
    /// Aborted with it.
    _driver: JoinSet<()>,
}

/// Why a request is answered here.
struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Refusal {
        Refusal {
            status,
            why: why.into(),
        }
    }

    fn denied(denial: &Denial) -> Refusal {
        let why = match &denial.missing {
            Some(rule) => format!(
                "{}; the rule that is missing in network.allow: {rule:?}",
                denial.why
            ),
            None => denial.why.clone(),
        };
        Refusal::new(StatusCode::FORBIDDEN, why)
    }

    fn answer(self) -> Response<Body> {
        let text = Full::new(Bytes::from(format!("wsm: {}\n", self.why)));
        let mut answer = Response::new(text.map_err(|never: Infallible| match never {}).boxed());
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        answer
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(shared: &Arc<Shared>, bound: Option<Target>, stream: Rewound) {
    let session = Arc::new(Session {
        shared: Arc::clone(shared),
        bound,
        upstream: Mutex::new(None),
        tunnel: std::sync::Mutex::default(),
    });
    let service = service_fn(|request| {
        let session = Arc::clone(&session);
        async move {
            let answer = session.handle(request).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(Refusal::answer))
        }
    });
    let served = server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP ended");
        return;
    }
    let asked = session
        .tunnel
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some((upgrade, target)) = asked
        && let Err(error) = tunnel(shared, upgrade, target).await
    {
        tracing::debug!(%error, "a tunnel ended");
    }
}

/// Goes on with the stream of a `CONNECT` as with a connection that was caught.
async fn tunnel(shared: &Arc<Shared>, upgrade: OnUpgrade, target: Target) -> io::Result<()> {
    let upgraded = upgrade.await.map_err(io::Error::other)?;
    let parts = upgraded
        .downcast::<TokioIo<Rewound>>()
        .map_err(|_| io::Error::other("not our stream"))?;
    let Rewound { early, stream } = parts.io.into_inner();
    let mut first = BytesMut::from(&parts.read_buf[..]);
    first.extend_from_slice(&early);
    // Through a pointer: a tunnel may turn out to be HTTP, which is served by the caller's caller.
    Box::pin(connection::pass(shared, target, stream, first)).await
}

impl Session {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        if request.method() == Method::CONNECT {
            return self.connect(request);
        }
        if request.headers().contains_key(header::UPGRADE) {
            let why = "a change of protocol is not passed on";
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, why));
        }
        let (mut parts, body) = request.into_parts();
        let ask = self.target(&parts)?;
        let Some(target) = Target::of(&ask) else {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "no target"));
        };
        readdress(&mut parts, &target)?;
        let mut kept = self.upstream.lock().await;
        let usable = match kept.as_mut() {
            Some(upstream) => upstream.target == ask && upstream.send.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            *kept = Some(self.dial(&target).await?);
        }
        let Some(upstream) = kept.as_mut() else {
            return Err(Refusal::new(StatusCode::BAD_GATEWAY, "no connection"));
        };
        self.shared.allowed(&shown(&ask));
        let answer = upstream.send.send_request(Request::from_parts(parts, body));
        let answer = answer.await.map_err(|error| {
            let why = format!("{}: {error}", shown(&ask));
            Refusal::new(StatusCode::BAD_GATEWAY, why)
        })?;
        let (mut parts, body) = answer.into_parts();
        strip(&mut parts.headers);
        Ok(Response::from_parts(parts, body.boxed()))
    }

    /// Whom a request is for, if that is allowed.
    fn target(&self, parts: &Parts) -> Result<Ask, Refusal> {
        let bad = |error: BadHost| Refusal::new(StatusCode::BAD_REQUEST, error.to_string());
        let mut hosts = parts.headers.get_all(header::HOST).iter();
        let (named, more) = (hosts.next(), hosts.next());
        if more.is_some() {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "two Host headers"));
        }
        let ask = match (&self.bound, parts.uri.authority()) {
            (_, Some(authority)) if parts.uri.scheme_str() == Some("http") => {
                way::absolute(authority.as_str()).map_err(bad)?
            }
            (Some(bound), None) => {
                let named = named.and_then(|value| value.to_str().ok());
                let named = named.ok_or(BadHost::Empty).map_err(bad)?;
                way::host_header(named, bound.port).map_err(bad)?
            }
            _ => {
                let why = "a proxy is asked for http://HOST/ or by CONNECT";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
            }
        };
        match &self.bound {
            Some(bound) => self.same(bound, &ask),
            None => {
                let decided = self.shared.decide(&ask, "http");
                decided.map_err(|denial| Refusal::denied(&denial))?;
                Ok(ask)
            }
        }
    }

    /// A connection to a host is for requests to that host alone, and the decision on it stands
    /// only as long as the policy does.
    fn same(&self, bound: &Target, ask: &Ask) -> Result<Ask, Refusal> {
        let whole = bound.ask();
        let decided = self.shared.decide(&whole, "http");
        decided.map_err(|denial| Refusal::denied(&denial))?;
        let fits = matches!(ask, Ask::Reach { host, port }
            if *port == bound.port && connection::named_fits(&self.shared, bound, host).is_ok());
        if fits {
            return Ok(whole);
        }
        let why = format!(
            "the connection is to {}, the request for {}",
            shown(&whole),
            shown(ask)
        );
        let missing = None;
        let denial = Denial {
            why: why.clone(),
            missing,
        };
        self.shared.denied(&shown(ask), "http", &denial);
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, why))
    }

    async fn dial(&self, target: &Target) -> Result<Upstream, Refusal> {
        let gateway = |why: String| Refusal::new(StatusCode::BAD_GATEWAY, why);
        let dialled = self.shared.dialer.dial(&target.host, target.port).await;
        let stream = dialled.map_err(|error| {
            connection::not_dialled(&self.shared, target, &error);
            gateway(error.to_string())
        })?;
        let address = stream.peer_addr().ok().map(|peer| peer.ip().to_canonical());
        let count = Arc::new(Count::default());
        let stream = Counted::new(stream, &count);
        let (send, driver) = client::conn::http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| gateway(error.to_string()))?;
        let shared = Arc::clone(&self.shared);
        let asked = target.ask();
        let ask = asked.clone();
        let mut tasks = JoinSet::new();
        let target = shown(&ask);
        tasks.spawn(async move {
            let mut told = Told::new(&shared, &target, &count);
            tokio::select! {
                ended = driver => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a server's connection ended");
                    }
                }
                () = shared.forbidden(&ask, address) => {}
                () = told.until_idle() => {}
            }
        });
        Ok(Upstream {
            target: asked,
            send,
            _driver: tasks,
        })
    }

    /// `CONNECT`: the answer first, then what the client begins with is looked at like a caught
    /// connection's.
    fn connect(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let authority = request.uri().authority().map_or("", |a| a.as_str());
        let asked = match (&self.bound, way::connect(authority)) {
            (None, Ok(ask)) => ask,
            (None, Err(bad)) => {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, bad.to_string()));
            }
            (Some(_), _) => {
                let why = "this is no proxy";
                return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, why));
            }
        };
        let decided = self.shared.decide(&asked, "connect");
        decided.map_err(|denial| Refusal::denied(&denial))?;
        if let Some(target) = Target::of(&asked) {
            let mut tunnel = self.tunnel.lock().unwrap_or_else(PoisonError::into_inner);
            *tunnel = Some((hyper::upgrade::on(request), target));
        }
        Ok(Response::new(
            Full::new(Bytes::new())
                .map_err(|never: Infallible| match never {})
                .boxed(),
        ))
    }
}

/// Makes a request one to the server: path alone, `Host` as it was decided.
fn readdress(parts: &mut Parts, target: &Target) -> Result<(), Refusal> {
    let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
    strip(&mut parts.headers);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse::<Uri>().map_err(|e| bad(e.to_string()))?;
    let named = match target.port {
        80 => target.host.to_string(),
        port => format!("{}:{port}", target.host),
    };
    let named = HeaderValue::from_str(&named).map_err(|e| bad(e.to_string()))?;
    parts.headers.insert(header::HOST, named);
    Ok(())
}

/// Takes away what is about one connection, and what `Connection` names so.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    for name in named {
        headers.remove(name);
    }
    for name in HOP {
        headers.remove(name);
    }
}

//! The API over the network: TLS, bounds on what a stranger can hold, and what every answer says.

pub(crate) mod acme;
pub(crate) mod bounds;
pub(crate) mod guard;
pub(crate) mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::peer::{Origin, Peer};
use bounds::Crowd;

/// How long the TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the head of a request may take, and how long a connection may wait for the next.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Headers of a request, and bytes of its head.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Pause after a failed accept, so that a lack of descriptors does not burn the CPU.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A listener on the network and how it speaks.
#[derive(Debug)]
pub struct NetListener {
    pub(crate) listener: TcpListener,
    pub(crate) config: crate::config::Net,
    tls: Option<tls::Identity>,
}

impl NetListener {
    /// Takes the port; a certificate of wsm's own is kept in `state`.
    ///
    /// # Errors
    /// What is in the way, for people.
    pub async fn open(
        config: crate::config::Net,
        state: &std::path::Path,
    ) -> Result<NetListener, String> {
        let tls = tls::Identity::load(&config, &state.join("web"))?;
        let listen = config.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|e| format!("listen on {listen}: {e}"))?;
        Ok(NetListener {
            listener,
            config,
            tls,
        })
    }

    /// Fingerprint of the certificate: what a client may pin.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.tls.as_ref()?.fingerprint.as_deref()
    }

    /// Who sees to the certificate, where an authority gives it.
    pub(crate) fn acme(&self) -> Option<Arc<acme::Acme>> {
        self.tls.as_ref()?.acme.clone()
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(net: NetListener, router: Router) {
    let acme = net.acme();
    let certified = async {
        match acme {
            Some(acme) => acme.run().await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(certified, accept(net, router));
}

async fn accept(net: NetListener, router: Router) {
    let crowd = Arc::new(Crowd::default());
    let acceptor = net
        .tls
        .as_ref()
        .map(|tls| TlsAcceptor::from(tls.config.clone()));
    loop {
        let (stream, address) = match net.listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let proxy = net.config.proxies.contains(&address.ip());
        let Some((seat, face)) = crowd.admit(address.ip(), proxy) else {
            tracing::debug!(%address, "too many connections");
            continue;
        };
        let known = Arc::clone(&face);
        let peer = Peer::new(Origin::Net { address, face }, seat);
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            let conversation = converse(stream, address, acceptor, peer, router);
            tokio::select! {
                ended = conversation => if let Err(error) = ended {
                    tracing::debug!(%address, %error, "a connection broke");
                },
                () = known.asked_to_leave() => {}
            }
        });
    }
}

async fn converse(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    peer: Peer,
    router: Router,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(acceptor) = acceptor else {
        return talk(stream, peer, router).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
    let mut stream =
        handshake.map_err(|_| io::Error::other(format!("{address} says nothing")))??;
    if stream.get_ref().1.alpn_protocol() == Some(acme::PROTOCOL) {
        return stream.shutdown().await;
    }
    talk(stream, peer, router).await
}

pub(crate) async fn talk<S>(stream: S, peer: Peer, router: Router) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        TowerToHyperService::new(router.clone()).call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await
        .map_err(io::Error::other)
}

//! The HTTP and WebSocket edge: axum routes over the daemon's facade.
//!
//! [`router`] lists every route on one page. A handler extracts, calls one method of
//! [`wsm_daemon::facade::Daemon`] and returns; who asks is decided in [`peer`], what an error
//! looks like in [`problem`], and terminal bytes pass through [`pipe`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::{Notify, watch};
use wsm_daemon::facade::Daemon;

mod agents;
mod alis;
mod audit;
mod auth;
mod client;
pub mod config;
mod cookie;
mod devices;
mod events;
mod extract;
mod feed;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod handoffs;
mod host;
mod links;
mod live;
pub mod net;
mod notify;
pub mod openapi;
mod origin;
mod pages;
mod pairings;
mod passkey;
mod passkeys;
mod peer;
mod pipe;
mod presence;
mod preview;
mod problem;
mod questions;
mod repositories;
mod review;
pub mod router;
mod secrets;
mod sending;
mod services;
mod sessions;
mod terminals;
mod usage;
mod users;
mod visitor;

/// How long requests under way may take after a shutdown was asked for. Clients come back by
/// themselves, so this only has to be longer than a plain answer takes.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// What the edge has to be told.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What `status` says of the network.
    pub web: Option<wsm_api::host::Web>,
}

/// State of every handler.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    daemon: Daemon,
    config: Arc<Config>,
    /// The network, if it is on.
    net: Option<Arc<config::Net>>,
    /// Who sees to its certificate, where an authority gives it.
    acme: Option<Arc<net::acme::Acme>>,
    failures: Arc<net::bounds::Failures>,
    previews: Arc<preview::Previews>,
    /// Places for requests to previews.
    carried: Arc<preview::carry::Places>,
    challenges: Arc<passkey::challenges::Challenges>,
    /// Changes when the daemon stops: answers that have no end of their own end.
    closing: watch::Receiver<()>,
}

impl Edge {
    fn new(
        daemon: Daemon,
        config: Config,
        net: Option<Arc<config::Net>>,
        acme: Option<Arc<net::acme::Acme>>,
        closing: watch::Receiver<()>,
    ) -> Edge {
        Edge {
            daemon,
            config: Arc::new(config),
            net,
            acme,
            failures: Arc::default(),
            previews: Arc::default(),
            carried: Arc::default(),
            challenges: Arc::default(),
            closing,
        }
    }
}

/// Serves the API on a Unix socket, and on the network if there is a listener for it, until
/// `shutdown` completes.
///
/// # Errors
/// The listener failed for good.
pub async fn serve(
    listener: UnixListener,
    daemon: Daemon,
    config: Config,
    net: Option<net::NetListener>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (close, closing) = watch::channel(());
    let acme = net.as_ref().and_then(net::NetListener::acme);
    let known = net.as_ref().map(|net| Arc::new(net.config.clone()));
    let edge = Edge::new(daemon, config, known, acme, closing);
    let router = router::router(edge.clone());
    let strangers = async {
        match net {
            Some(listener) => {
                let guard = axum::middleware::from_fn_with_state(edge, net::guard::guard);
                net::serve(listener, router.clone().layer(guard)).await;
            }
            None => std::future::pending().await,
        }
    };
    let service = router
        .clone()
        .into_make_service_with_connect_info::<peer::Peer>();
    let stopping = Arc::new(Notify::new());
    let grace = stopping.clone();
    let server =
        axum::serve(peer::Door::new(listener), service).with_graceful_shutdown(async move {
            shutdown.await;
            drop(close);
            stopping.notify_one();
        });
    let grace = async {
        grace.notified().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = grace => Ok(()),
        () = strangers => Ok(()),
    }
}

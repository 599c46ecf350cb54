//! TLS to servers: verified by what the host's system store trusts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::host::Host;

/// HTTP/1.1 as TLS names it.
pub(super) const HTTP1: &[u8] = b"http/1.1";
/// HTTP/2 as TLS names it.
pub(super) const HTTP2: &[u8] = b"h2";

/// How long a handshake may take.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How old the system store may be, as it was read.
const AGE_MAX: Duration = Duration::from_secs(300);
/// Sessions that are resumed: none is verified twice.
const SESSIONS_MAX: usize = 256;

/// Who is trusted; one for all agents.
#[derive(Debug, Default)]
pub(super) struct Trust {
    read: Mutex<Option<(Instant, Arc<ClientConfig>)>>,
}

impl Trust {
    /// Trusts these alone, whatever the system does.
    #[cfg(test)]
    pub(super) fn fixed(roots: RootCertStore) -> Trust {
        let config = Arc::new(config(roots).expect("ring has both versions"));
        let later = Instant::now() + Duration::from_secs(3600);
        Trust {
            read: Mutex::new(Some((later, config))),
        }
    }

    /// Speaks TLS to a host over a connection.
    pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &Host,
        protocols: &[&[u8]],
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let name = match host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
            Host::Ip(ip) => ServerName::from(*ip),
        };
        let connector = TlsConnector::from(self.config().await?);
        let protocols = protocols.iter().map(|protocol| protocol.to_vec());
        let connector = connector.with_alpn(protocols.collect());
        let connected = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream)).await;
        connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some((since, config)) = &*self.lock()
            && since.elapsed() < AGE_MAX
        {
            return Ok(Arc::clone(config));
        }
        // A directory of files.
        let config = tokio::task::spawn_blocking(|| config(system_store()?))
            .await
            .map_err(io::Error::other)??;
        let config = Arc::new(config);
        *self.lock() = Some((Instant::now(), Arc::clone(&config)));
        Ok(config)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<ClientConfig>)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn system_store() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a part of the system's certificates can't be read");
    }
    let mut roots = RootCertStore::empty();
    // Some of any system are of a form that nobody verifies by any more.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = "the system trusts no certificate authority: install ca-certificates";
        return Err(io::Error::other(why));
    }
    Ok(roots)
}

fn config(roots: RootCertStore) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(io::Error::other)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(config)
}

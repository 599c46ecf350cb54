//! A certificate that an authority gives (ACME, RFC 8555): our names are proved by a handshake on
//! our own port (TLS-ALPN-01, RFC 8737), it is kept for the next start and renewed in time.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_acme::{
    AccountCache, AcmeConfig, CertCache, EventOk, ResolvesServerCertAcme, is_tls_alpn_challenge,
};
use sha2::{Digest, Sha256};

use super::tls;
use crate::config;

/// What is spoken in a handshake that proves a name; nothing follows it.
pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";

/// An authority that takes a request and never answers holds a renewal up for so long.
const ANEW: Duration = Duration::from_secs(24 * 60 * 60);

/// Most of what an authority says that is told.
const PROBLEM_CHARS_MAX: usize = 500;

/// Sees to the certificate.
#[derive(Debug)]
pub(crate) struct Acme {
    asked: config::Acme,
    names: Vec<String>,
    trust: Arc<ClientConfig>,
    keep: Keep,
    shown: Arc<Shown>,
    problem: Mutex<String>,
}

impl Acme {
    /// `own`: where account and certificate are kept.
    pub(super) fn new(
        asked: &config::Acme,
        names: Vec<String>,
        own: &Path,
    ) -> Result<Acme, String> {
        tls::directory(own)?;
        Ok(Acme {
            trust: trust(asked.authority.as_deref())?,
            asked: asked.clone(),
            names,
            keep: Keep(own.to_owned()),
            shown: Arc::default(),
            problem: Mutex::new("the certificate is asked for".to_owned()),
        })
    }

    /// What clients are shown.
    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// What is wrong with the certificate, for people; empty if nothing is.
    pub(crate) fn problem(&self) -> String {
        locked(&self.problem).clone()
    }

    /// Gets the certificate and renews it, for ever.
    pub(super) async fn run(&self) {
        loop {
            let mut state = AcmeConfig::new_with_client_config(&self.names, self.trust.clone())
                .directory(&self.asked.directory)
                .contact(&self.asked.contact)
                .cache(self.keep.clone())
                .state();
            let resolver = state.resolver();
            locked(&self.shown.0).proving = Some(resolver.clone());
            let events = async {
                while let Some(event) = state.next().await {
                    self.note(event, &resolver);
                }
            };
            if tokio::time::timeout(ANEW, events).await.is_ok() {
                tracing::error!("the certificate is no longer seen to");
            }
        }
    }

    fn note<E: fmt::Display>(
        &self,
        event: Result<EventOk, E>,
        resolver: &Arc<ResolvesServerCertAcme>,
    ) {
        match event {
            Ok(EventOk::DeployedCachedCert | EventOk::DeployedNewCert) => {
                tracing::info!(names = ?self.names, "the certificate is used");
                locked(&self.shown.0).serving = Some(resolver.clone());
                locked(&self.problem).clear();
            }
            Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {}
            Err(error) => {
                tracing::warn!(%error, "the certificate could not be had");
                let told = format!("the certificate could not be had: {error}");
                *locked(&self.problem) = told.chars().take(PROBLEM_CHARS_MAX).collect();
            }
        }
    }
}

/// Whom we believe to be the authority.
fn trust(more: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = more {
        let failed = |e: &dyn fmt::Display| format!("read {}: {e}", path.display());
        let pems = CertificateDer::pem_file_iter(path).map_err(|e| failed(&e))?;
        for pem in pems {
            roots
                .add(pem.map_err(|e| failed(&e))?)
                .map_err(|e| failed(&e))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What handshakes are answered with: the newest certificate, whatever is asked for at the moment.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    proving: Option<Arc<ResolvesServerCertAcme>>,
    serving: Option<Arc<ResolvesServerCertAcme>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let answers = locked(&self.0);
        let answer = match is_tls_alpn_challenge(&hello) {
            true => &answers.proving,
            false => &answers.serving,
        };
        let resolver = answer.clone()?;
        drop(answers);
        resolver.resolve(hello)
    }
}

/// Account and certificates, in files for us alone.
#[derive(Debug, Clone)]
struct Keep(PathBuf);

impl Keep {
    /// The file of what was got from there for these.
    fn file(&self, kind: &str, these: &[String], directory: &str) -> PathBuf {
        let mut hash = Sha256::new();
        for word in these.iter().map(String::as_str).chain([directory]) {
            hash.update(word);
            hash.update(b"\n");
        }
        let digest: String = hash.finalize()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.0.join(format!("{kind}-{digest}"))
    }

    async fn load(path: PathBuf) -> io::Result<Option<Vec<u8>>> {
        match tokio::fs::read(&path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn store(path: PathBuf, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        let written = tokio::task::spawn_blocking(move || tls::write(&path, &bytes));
        written.await.map_err(io::Error::other)?
    }
}

#[async_trait]
impl CertCache for Keep {
    type EC = io::Error;

    async fn load_cert(&self, names: &[String], from: &str) -> io::Result<Option<Vec<u8>>> {
        Keep::load(self.file("certificate", names, from)).await
    }

    async fn store_cert(&self, names: &[String], from: &str, pem: &[u8]) -> io::Result<()> {
        Keep::store(self.file("certificate", names, from), pem).await
    }
}

#[async_trait]
impl AccountCache for Keep {
    type EA = io::Error;

    async fn load_account(&self, contact: &[String], from: &str) -> io::Result<Option<Vec<u8>>> {
        Keep::load(self.file("account", contact, from)).await
    }

    async fn store_account(&self, contact: &[String], from: &str, key: &[u8]) -> io::Result<()> {
        Keep::store(self.file("account", contact, from), key).await
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

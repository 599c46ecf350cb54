//! Over TLS, with a token. Who the server is, the system's store says, or a pinned certificate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wsm_api::client::{Connection, Dial, Promise};
use wsm_api::problem::Code;

use super::address::Site;
use super::known::{Known, Pin};
use crate::failure::Failure;

/// How long a connection, and then a handshake, may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A way that carries nothing for so long is asked whether it is there, this often, so many times.
const QUIET: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_secs(5);
const ASK_TIMES: u32 = 2;

/// A server, and what it and we have to show.
#[derive(Debug)]
pub(super) struct Line {
    given: String,
    site: Site,
    host: String,
    token: Secret,
    tls: Option<Arc<ClientConfig>>,
}

/// A token; it is not for logs.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Line {
    pub(super) fn new(given: &str, site: Site, known: Known) -> Result<Line, Failure> {
        let failed = |e: rustls::Error| Failure::new(Code::Failed, format!("speak TLS: {e}"), "");
        let tls = if site.secure {
            Some(Arc::new(config(known.pin).map_err(failed)?))
        } else {
            None
        };
        Ok(Line {
            given: given.to_owned(),
            host: site.host(),
            site,
            token: Secret(known.token),
            tls,
        })
    }

    async fn connect(&self) -> io::Result<Connection> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let place = (self.site.name.as_str(), self.site.port);
        let stream = timeout(TIMEOUT, TcpStream::connect(place))
            .await
            .map_err(late)??;
        watch_over(&stream)?;
        let Some(tls) = &self.tls else {
            return Ok(Connection::new(stream));
        };
        let name = ServerName::try_from(self.site.name.clone()).map_err(io::Error::other)?;
        let stream = timeout(
            TIMEOUT,
            TlsConnector::from(Arc::clone(tls)).connect(name, stream),
        )
        .await
        .map_err(late)?;
        Ok(Connection::new(stream?))
    }
}

/// Has the kernel notice that the other side is gone.
fn watch_over(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, QUIET)?;
    sockopt::set_tcp_keepintvl(stream, ASK_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, ASK_TIMES)?;
    let unheard = QUIET + ASK_EVERY * ASK_TIMES;
    let unheard = u32::try_from(unheard.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, unheard)?;
    Ok(())
}

impl Dial for Line {
    fn dial(&self) -> Promise<'_, io::Result<Connection>> {
        Box::pin(self.connect())
    }

    fn address(&self) -> &str {
        &self.given
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn bearer(&self) -> Option<&str> {
        Some(&self.token.0)
    }
}

fn config(pin: Option<Pin>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match pin {
        Some(pin) => Arc::new(Pinned {
            pin,
            provider: Arc::clone(&provider),
        }),
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|e| rustls::Error::General(format!("the system's store: {e}")))?
        }
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Believes one certificate, whoever signed it and whatever it is called.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found: [u8; 32] = Sha256::digest(certificate).into();
        if found == self.pin.0 {
            return Ok(ServerCertVerified::assertion());
        }
        let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        let why = format!("its certificate is sha256:{found}, not the pinned one");
        Err(rustls::Error::General(why))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

//! Certificate and key: given as files, made here and kept, or got from an authority.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WantsServerCert;
use rustls::{ConfigBuilder, ServerConfig};
use sha2::{Digest, Sha256};

use super::acme::{self, Acme};
use crate::config::{Net, Tls};

/// Clients pin a certificate of our own, so it lasts: a new one is a new fingerprint for all.
const YEARS: i64 = 10;

/// Who we are to TLS.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// `sha256:` and the certificate's hash in hexadecimal digits, where it stays the same.
    pub(super) fingerprint: Option<String>,
    /// Who sees to the certificate, where an authority gives it.
    pub(super) acme: Option<Arc<Acme>>,
}

impl Identity {
    /// `None` where somebody else speaks TLS.
    pub(super) fn load(net: &Net, own: &Path) -> Result<Option<Identity>, String> {
        let (chain, secret) = match &net.tls {
            Tls::Off => return Ok(None),
            Tls::Files { certificate, key } => files(certificate, key)?,
            Tls::SelfSigned => {
                make_unless_there(net, own)?;
                kept(own).map_err(|e| format!("read {}: {e}", own.display()))?
            }
            Tls::Acme(asked) => {
                let acme = Arc::new(Acme::new(asked, net.names.clone(), &own.join("acme"))?);
                let config = server(|config| Ok(config.with_cert_resolver(acme.shown())))?;
                return Ok(Some(Identity {
                    config: speak(config, &[b"http/1.1", acme::PROTOCOL]),
                    fingerprint: None,
                    acme: Some(acme),
                }));
            }
        };
        let Some(first) = chain.first() else {
            return Err("there is no certificate in the file".to_owned());
        };
        let fingerprint = fingerprint(first);
        let config = server(|config| config.with_single_cert(chain, secret))?;
        Ok(Some(Identity {
            config: speak(config, &[b"http/1.1"]),
            fingerprint: Some(fingerprint),
            acme: None,
        }))
    }
}

/// How we speak, with what this does about the certificate.
fn server(
    certified: impl FnOnce(
        ConfigBuilder<ServerConfig, WantsServerCert>,
    ) -> Result<ServerConfig, rustls::Error>,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| certified(builder.with_no_client_auth()))
        .map_err(|e| format!("use the certificate: {e}"))
}

fn speak(mut config: ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Certificate chain and key.
type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn files(certificate: &Path, key: &Path) -> Result<Pair, String> {
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        move |e: rustls::pki_types::pem::Error| format!("read {path}: {e}")
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable(certificate))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    Ok((chain, secret))
}

/// What was made here before.
fn kept(own: &Path) -> std::io::Result<Pair> {
    let certificate = CertificateDer::from(fs::read(own.join("certificate.der"))?);
    let key = PrivatePkcs8KeyDer::from(fs::read(own.join("key.der"))?);
    Ok((vec![certificate], PrivateKeyDer::from(key)))
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = Sha256::digest(certificate);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Makes a certificate for these names, unless there is one.
fn make_unless_there(net: &Net, own: &Path) -> Result<(), String> {
    let mut names = net.names.clone();
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    if !net.listen.ip().is_unspecified() {
        names.push(net.listen.ip().to_string());
    }
    names.extend(net.preview.iter().map(|suffix| format!("*.{suffix}")));
    names.sort();
    names.dedup();
    let said = names.join("\n");
    let written = own.join("names");
    if fs::read_to_string(&written).is_ok_and(|there| there == said) {
        return Ok(());
    }
    let failed = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    directory(own)?;
    let mut params = CertificateParams::new(names).map_err(|e| failed("make a certificate", &e))?;
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(1);
    params.not_after = now + time::Duration::days(365 * YEARS);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "wsm");
    let key = KeyPair::generate().map_err(|e| failed("make a key", &e))?;
    let certificate = params
        .self_signed(&key)
        .map_err(|e| failed("make a certificate", &e))?;
    // The list of names comes last: without it all is made anew.
    for (name, text) in [
        ("key.der", key.serialized_der()),
        ("certificate.der", certificate.der().as_ref()),
        ("names", said.as_bytes()),
    ] {
        write(&own.join(name), text).map_err(|e| failed("keep the certificate", &e))?;
    }
    Ok(())
}

/// Makes a directory for us alone.
pub(super) fn directory(path: &Path) -> Result<(), String> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| format!("make a directory for the certificate: {e}"))
}

/// Whole or not at all, and for us alone.
pub(super) fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn net(names: &str) -> Net {
        let text = format!("[web]\nlisten = \"127.0.0.1:1\"\nnames = [{names}]");
        crate::config::parse(&text, Path::new("/"))
            .unwrap()
            .unwrap()
    }

    #[test]
    fn the_certificate_is_kept_until_the_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("web");
        let load = |names| {
            Identity::load(&net(names), &own)
                .unwrap()
                .and_then(|tls| tls.fingerprint)
                .unwrap()
        };
        let first = load("\"a.example\"");
        assert_eq!(first.len(), "sha256:".len() + 64);
        assert_eq!(load("\"a.example\""), first);
        assert_ne!(load("\"b.example\""), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&own), 0o700);
        assert_eq!(mode(&own.join("key.der")), 0o600);
    }

    #[test]
    fn files_that_are_none_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut net = net("");
        net.tls = Tls::Files {
            certificate: dir.path().join("c.pem"),
            key: dir.path().join("k.pem"),
        };
        let why = Identity::load(&net, dir.path()).unwrap_err();
        assert!(why.contains("c.pem"), "{why}");
        fs::write(dir.path().join("c.pem"), "nothing").unwrap();
        assert!(Identity::load(&net, dir.path()).is_err());
    }
}

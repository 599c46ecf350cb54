//! An agent's own certificate authority: trusted in its sandbox alone, for its credentials' hosts
//! alone. Its key follows from the key of the secrets, so that programs of the agent go on trusting
//! it when egress was restarted, and is in this process's memory only.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use p256::SecretKey;
use p256::pkcs8::EncodePrivateKey;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use ring::hkdf;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::search::BASE64;
use super::upstream::{HTTP1, HTTP2};
use crate::credential::Credentials;
use crate::host::Host;
use crate::rule::Pattern;

/// Hosts whose certificates are kept.
const KEPT_MAX: usize = 64;
/// How long a certificate is good for, both ways from now: clocks inside are the host's.
const LIFE: time::Duration = time::Duration::days(30);
/// After this time it is made anew.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Sessions that clients may resume, for each host.
const SESSIONS_MAX: usize = 64;

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthorityError {
    /// Never with the names and keys that come here.
    #[error("make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// Neither.
    #[error("serve TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Neither.
    #[error("make a key")]
    Key,
}

/// An agent's authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// One key for all hosts: who has it is this process.
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    kept: Mutex<BTreeMap<Host, Kept>>,
}

struct Kept {
    since: Instant,
    /// Offering both protocols; [`Authority::server`] narrows it.
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// Which protocols a client is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Http1,
    Http2,
    Both,
}

impl Authority {
    /// The authority of an agent that follows from a seed of its own.
    pub(super) fn new(
        agent: &str,
        seed: &[u8; 32],
        credentials: &Credentials,
    ) -> Result<Authority, AuthorityError> {
        let key = derived(seed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("wsm agent {agent}"));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2099, 1, 1);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: subtrees(credentials),
            excluded_subtrees: Vec::new(),
        });
        let certificate = params.self_signed(&key)?;
        Ok(Authority {
            pem: pem(certificate.der()),
            certificate: certificate.into(),
            issuer: Issuer::new(params, key),
            key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            kept: Mutex::default(),
        })
    }

    /// What the agent must trust.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// How to be a host to the agent.
    pub(super) fn server(
        &self,
        host: &Host,
        offer: Offer,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut config = self.kept(host)?;
        let protocols: &[&[u8]] = match offer {
            Offer::Both => return Ok(config),
            Offer::Http1 => &[HTTP1],
            Offer::Http2 => &[HTTP2],
        };
        let narrowed = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // The sessions stay shared.
        Arc::make_mut(&mut config).alpn_protocols = narrowed;
        Ok(config)
    }

    fn kept(&self, host: &Host) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(host)
            && found.since.elapsed() < AGE_MAX
        {
            return Ok(Arc::clone(&found.config));
        }
        let config = Arc::new(self.config(host)?);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        let since = Instant::now();
        let fresh = Kept {
            since,
            config: Arc::clone(&config),
        };
        kept.insert(host.clone(), fresh);
        Ok(config)
    }

    fn config(&self, host: &Host) -> Result<ServerConfig, AuthorityError> {
        let name = match host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
        };
        let mut params = CertificateParams::new(vec![name])?;
        params.distinguished_name = named("wsm");
        let now = OffsetDateTime::now_utc();
        params.not_before = now - LIFE;
        params.not_after = now + LIFE;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&self.key, &self.issuer)?;
        let chain = vec![leaf.into(), self.certificate.clone()];
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let provider = Arc::clone(&self.provider);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(key))?;
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(config)
    }
}

/// A certificate as files hold it.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let encoded = BASE64.encode(certificate);
    let lines = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    let body = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// What the authority may speak for.
fn subtrees(credentials: &Credentials) -> Vec<GeneralSubtree> {
    let subtrees = credentials.rules().map(|rule| match &rule.pattern {
        Pattern::Exact(Host::Name(name)) | Pattern::Below(name) => {
            GeneralSubtree::DnsName(name.clone())
        }
        Pattern::Exact(Host::Ip(ip)) => {
            let bits = match ip {
                IpAddr::V4(_) => 32,
                IpAddr::V6(_) => 128,
            };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*ip, bits))
        }
    });
    subtrees.collect()
}

/// The key of a seed: the first of its expansions that is one (the first, but for one in 2³²).
fn derived(seed: &[u8; 32]) -> Result<KeyPair, AuthorityError> {
    let extracted = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, seed);
    for number in 0..4_u8 {
        let mut scalar = Zeroizing::new([0; 32]);
        let info = [b"wsm authority key".as_slice(), &[number]];
        let expanded = extracted.expand(&info, hkdf::HKDF_SHA256);
        let filled = expanded.and_then(|expanded| expanded.fill(&mut *scalar));
        filled.map_err(|_| AuthorityError::Key)?;
        let Ok(key) = SecretKey::from_slice(&*scalar) else {
            continue;
        };
        let pkcs8 = key.to_pkcs8_der().map_err(|_| AuthorityError::Key)?;
        let pkcs8 = PrivatePkcs8KeyDer::from(pkcs8.as_bytes());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ECDSA_P256_SHA256)?;
        return Ok(pair);
    }
    Err(AuthorityError::Key)
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;
    use crate::engine::inject::tests::credentials;

    fn authority(seed: u8) -> Authority {
        Authority::new("a1", &[seed; 32], &credentials()).unwrap()
    }

    /// Whether who trusts one authority believes another's certificate for a host.
    fn believed(trusted: &Authority, by: &Authority, host: &str) -> bool {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name = named("wsm");
        let leaf = params.signed_by(&by.key, &by.issuer).unwrap();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::clone(&trusted.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::now();
        let verified =
            verifier
                .build()
                .unwrap()
                .verify_server_cert(leaf.der(), &[], &name, &[], now);
        verified.is_ok()
    }

    #[test]
    fn one_seed_is_one_key() {
        assert!(believed(&authority(1), &authority(1), "api.example"));
        assert!(!believed(&authority(1), &authority(2), "api.example"));
    }

    #[test]
    fn it_speaks_for_its_hosts_alone() {
        let one = authority(1);
        assert!(believed(&one, &one, "git.example"));
        assert!(!believed(&one, &one, "bank.example"));
    }

    #[test]
    fn certificates_are_kept_and_bounded() {
        let one = authority(1);
        let host = |number: usize| Host::parse(&format!("a{number}.api.example")).unwrap();
        let first = one.server(&host(0), Offer::Both).unwrap();
        assert!(Arc::ptr_eq(
            &first,
            &one.server(&host(0), Offer::Both).unwrap()
        ));
        let narrow = one.server(&host(0), Offer::Http1).unwrap();
        assert_eq!(narrow.alpn_protocols, [HTTP1.to_vec()]);
        assert!(Arc::ptr_eq(
            &first,
            &one.server(&host(0), Offer::Both).unwrap()
        ));
        for number in 1..=KEPT_MAX {
            one.server(&host(number), Offer::Both).unwrap();
        }
        assert_eq!(one.kept.lock().unwrap().len(), 1);
    }
}

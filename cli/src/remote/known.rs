//! What we have to show to a host, and what we know it by: the environment, or a file of our own.
//!
//! ```toml
//! # ~/.config/wsm/hosts.toml, for its owner alone (0600)
//! ["https://wsm.example.org:7443"]
//! token = "wsm_…"
//! certificate = "sha256:…"
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use wsm_api::problem::Code;

use crate::failure::Failure;

/// Longest file of hosts, and longest token.
const FILE_BYTES_MAX: u64 = 256 * 1024;
const TOKEN_BYTES_MAX: usize = 256;

/// What is known of a host.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) token: String,
    pub(super) pin: Option<Pin>,
}

/// SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin(pub(super) [u8; 32]);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token: Option<String>,
    certificate: Option<String>,
}

/// Finds it; what the environment and the command line say comes first.
pub(super) fn find(given: &str, pin: Option<&str>) -> Result<Known, Failure> {
    let entry = match path() {
        Some(path) => entry(&path, given)?,
        None => Entry::default(),
    };
    let told = std::env::var("WSM_TOKEN")
        .ok()
        .filter(|token| !token.is_empty());
    let Some(token) = told.or(entry.token) else {
        let hint = "on that machine: `wsm token new --scope own`; then here WSM_TOKEN, or \
                    token in ~/.config/wsm/hosts.toml";
        let message = format!("there is no token for {given}");
        return Err(Failure::new(Code::Unknown, message, hint));
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(plain) {
        return Err(Failure::new(Code::Invalid, "the token can't be one", ""));
    }
    let pin = pin.map(str::to_owned).or(entry.certificate);
    Ok(Known {
        token,
        pin: pin.as_deref().map(read_pin).transpose()?,
    })
}

fn path() -> Option<PathBuf> {
    let set = |name| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        Some(PathBuf::from(value))
    };
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("wsm/hosts.toml"))
}

/// What the file says of the host. One that others may read is no place for tokens.
fn entry(path: &Path, given: &str) -> Result<Entry, Failure> {
    let wrong = |why: String, hint: &str| {
        Failure::new(Code::Invalid, format!("{}: {why}", path.display()), hint)
    };
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Entry::default()),
        file => file.map_err(|e| wrong(e.to_string(), ""))?,
    };
    let found = file.metadata().map_err(|e| wrong(e.to_string(), ""))?;
    let mine = found.uid() == rustix::process::geteuid().as_raw();
    if !mine || found.mode() & 0o077 != 0 || !found.is_file() {
        let why = "others may read it, and there are tokens in it".to_owned();
        return Err(wrong(why, "it must be yours alone: chmod 600"));
    }
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|e| wrong(e.to_string(), ""))?;
    let mut hosts: BTreeMap<String, Entry> =
        toml::from_str(&text).map_err(|e| wrong(e.message().to_owned(), ""))?;
    let same = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    let key = hosts.keys().find(|key| same(key) == same(given)).cloned();
    Ok(key.and_then(|key| hosts.remove(&key)).unwrap_or_default())
}

/// `sha256:HEX` as `wsm status` prints it, or a PEM file.
fn read_pin(text: &str) -> Result<Pin, Failure> {
    if let Some(hex) = text.strip_prefix("sha256:") {
        let hex: String = hex.chars().filter(|c| *c != ':').collect();
        let mut pin = [0; 32];
        let pairs = hex.as_bytes().chunks(2).zip(&mut pin);
        let read = pairs.map(|(pair, byte)| {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
            Some(())
        });
        if hex.len() == 64 && hex.is_ascii() && read.collect::<Option<()>>().is_some() {
            return Ok(Pin(pin));
        }
        let hint = "`wsm status` on that machine prints it";
        let message = format!("{text:?} is no fingerprint");
        return Err(Failure::new(Code::Invalid, message, hint));
    }
    let certificate = CertificateDer::from_pem_file(text).map_err(|e| {
        let hint = "give sha256:… as `wsm status` prints it, or a PEM file";
        Failure::new(Code::Invalid, format!("--host-cert {text}: {e}"), hint)
    })?;
    Ok(Pin(Sha256::digest(&certificate).into()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts.toml");
        assert!(entry(&path, "https://a").unwrap().token.is_none());
        fs::write(&path, "[\"https://A:7443/\"]\ntoken = \"t\"\n").unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        assert!(entry(&path, "https://a:7443").is_err());
        mode(0o600);
        let found = entry(&path, "https://a:7443").unwrap();
        assert_eq!(found.token.as_deref(), Some("t"));
        assert!(entry(&path, "https://b:7443").unwrap().token.is_none());
    }

    #[test]
    fn fingerprints() {
        let text = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(read_pin(&text).unwrap(), Pin([10; 32]));
        let pairs = format!("sha256:{}", ["FF"; 32].join(":"));
        assert_eq!(read_pin(&pairs).unwrap(), Pin([255; 32]));
        for bad in ["sha256:", "sha256:0a", "sha256:zz", "/nowhere.pem", ""] {
            assert!(read_pin(bad).is_err(), "{bad}");
        }
        let long = format!("sha256:{}", "ä".repeat(32));
        assert!(read_pin(&long).is_err());
    }
}

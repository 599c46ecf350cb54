//! Keys of this host, made once and kept beside the database, for its user alone: one that signs
//! pushes, and one that what channels are given is sealed with, so that a copy of the database alone
//! holds no token.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::push::vapid::Vapid;

/// Directory below the daemon's state.
const DIRECTORY: &str = "notify";

/// Longest key file.
const BYTES_MAX: u64 = 4096;

/// The keys.
pub struct Keys {
    /// Signs pushes.
    pub vapid: Vapid,
    seal: LessSafeKey,
    random: SystemRandom,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// Reads the keys, or makes those that are not there.
    ///
    /// # Errors
    /// One is there and no key, or can't be read or made.
    pub fn open(state: &Path) -> Result<Keys, String> {
        let directory = state.join(DIRECTORY);
        fs::create_dir_all(&directory).map_err(|e| format!("make {DIRECTORY}: {e}"))?;
        let random = SystemRandom::new();
        let vapid = kept(&directory, "vapid.pk8", Vapid::generate)?;
        let seal = kept(&directory, "seal.key", || {
            let mut key = vec![0; 32];
            let filled = random.fill(&mut key);
            filled.map_err(|_| "the system gives no random numbers".to_owned())?;
            Ok(key)
        })?;
        let seal = UnboundKey::new(&AES_256_GCM, &seal);
        let seal = seal.map_err(|_| "seal.key: it is no key".to_owned())?;
        Ok(Keys {
            vapid: Vapid::parse(&vapid).map_err(|why| format!("vapid.pk8: {why}"))?,
            seal: LessSafeKey::new(seal),
            random,
        })
    }

    /// Seals what a channel was given; it is opened for that channel alone.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal(&self, channel: &str, secret: &str) -> Result<Vec<u8>, String> {
        let failed = |_| "the system gives no random numbers".to_owned();
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(failed)?;
        let mut sealed = secret.as_bytes().to_vec();
        let own = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(channel.as_bytes());
        let done = self.seal.seal_in_place_append_tag(own, aad, &mut sealed);
        done.map_err(failed)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for this channel.
    #[must_use]
    pub fn open_sealed(&self, channel: &str, sealed: &[u8]) -> Option<String> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(channel.as_bytes());
        let opened = self.seal.open_in_place(nonce, aad, &mut sealed).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }

    /// Random characters for ids and secrets.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        let filled = self.random.fill(&mut bytes);
        filled.map_err(|_| "the system gives no random numbers".to_owned())?;
        Ok(bytes)
    }
}

/// What a file holds, which is made if it is not there: whole, or not at all.
fn kept(
    directory: &Path,
    name: &str,
    make: impl FnOnce() -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, String> {
    let path = directory.join(name);
    let failed = |e: io::Error| format!("{name}: {e}");
    match File::open(&path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(BYTES_MAX)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
            return Ok(bytes);
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        Err(_) => {}
    }
    let bytes = make()?;
    let beside = directory.join(format!("{name}.new"));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, &path).map_err(failed)?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_and_are_nobody_elses() {
        let state = tempfile::tempdir().unwrap();
        let public = Keys::open(state.path()).unwrap().vapid.public();
        assert_eq!(Keys::open(state.path()).unwrap().vapid.public(), public);
        for name in ["vapid.pk8", "seal.key"] {
            let path = state.path().join(DIRECTORY).join(name);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
            fs::write(&path, b"x").unwrap();
            assert!(Keys::open(state.path()).is_err(), "{name} is not replaced");
            fs::remove_file(&path).unwrap();
            Keys::open(state.path()).unwrap();
        }
    }

    #[test]
    fn what_is_sealed_is_opened_for_its_channel_alone() {
        let state = tempfile::tempdir().unwrap();
        let keys = Keys::open(state.path()).unwrap();
        let sealed = keys.seal("a", "tk_secret").unwrap();
        assert!(!sealed.windows(9).any(|part| part == b"tk_secret"));
        assert_eq!(keys.open_sealed("a", &sealed).as_deref(), Some("tk_secret"));
        assert_eq!(keys.open_sealed("b", &sealed), None);
        assert_eq!(keys.open_sealed("a", &sealed[..8]), None);
    }
}

//! The secrets: one file, sealed as a whole, whose key lies beside it or comes from systemd.
//!
//! ```text
//! $CREDENTIALS_DIRECTORY/wsm-secrets-key, or state/key (0600)  ──HKDF(salt)──► key of this writing
//! state/secrets:  "wsm-secrets 1\n"  salt (32)  ChaCha20-Poly1305(document)
//! ```
//! Each writing has a salt, and thus a key, of its own: no nonce is ever used twice. What is sealed
//! as a whole can't be taken apart: no value can be put under another name.

mod file;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::host::Host;
use crate::rule::Pattern;
use crate::secret::{self, About, Value};

pub(super) use file::VaultError;
use file::{Document, Files, Kept};

/// Most secrets of a host.
const SECRETS_MAX: usize = 4096;

/// Whose, and what it is called.
type Key = (Option<String>, String);

/// The open store.
#[derive(Debug)]
pub(crate) struct Vault {
    files: Files,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<Key, Entry>,
    /// Something was used since it was written.
    used: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Value,
    hosts: Vec<Pattern>,
    about: About,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoValue {
    #[error("there is no secret {0:?} of {1}, nor of the host: `wsm secret set {0}`")]
    Missing(String, String),
    #[error("the secret {0:?} has expired: `wsm secret set {0}`")]
    Expired(String),
    #[error("the secret {0:?} is bound to other hosts than {1}")]
    Bound(String, String),
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

impl Vault {
    /// Opens the store of a state directory. The key is made if there is neither key nor store.
    pub(crate) fn open(state: &Path, credentials: Option<&Path>) -> Result<Vault, VaultError> {
        let files = Files::open(state, credentials)?;
        let mut inner = Inner::default();
        for kept in files.read()? {
            let hosts = secret::check_hosts(&kept.about.hosts).map_err(|_| VaultError::Damaged)?;
            let key = (kept.about.owner.clone(), kept.about.name.clone());
            let entry = Entry {
                value: kept.value,
                hosts,
                about: kept.about,
            };
            inner.entries.insert(key, entry);
        }
        Ok(Vault {
            files,
            inner: Mutex::new(inner),
        })
    }

    /// Keeps a value, in place of an older one.
    pub(crate) fn set(
        &self,
        owner: Option<String>,
        name: String,
        hosts: Vec<String>,
        expires_ms: Option<u64>,
        value: Value,
    ) -> Result<(), VaultError> {
        secret::check_name(&name)?;
        let patterns = secret::check_hosts(&hosts)?;
        if owner.is_none() && patterns.is_empty() {
            // Anybody's template may name it: without a bound it could be sent anywhere.
            let why = "a secret of the host must be bound to hosts";
            return Err(secret::BadSecret::Hosts(why.to_owned()).into());
        }
        let about = About {
            owner: owner.clone(),
            name: name.clone(),
            hosts,
            set_ms: now_ms(),
            expires_ms,
            used_ms: None,
        };
        let entry = Entry {
            value,
            hosts: patterns,
            about,
        };
        let mut inner = self.lock();
        let mut entries = inner.entries.clone();
        entries.insert((owner, name), entry);
        if entries.len() > SECRETS_MAX {
            return Err(VaultError::Full);
        }
        self.write(&mut inner, entries)
    }

    /// Forgets a secret; whether there was one.
    pub(crate) fn remove(&self, owner: Option<String>, name: String) -> Result<bool, VaultError> {
        let mut inner = self.lock();
        let mut entries = inner.entries.clone();
        if entries.remove(&(owner, name)).is_none() {
            return Ok(false);
        }
        self.write(&mut inner, entries)?;
        Ok(true)
    }

    /// All of them, without their values.
    pub(crate) fn list(&self) -> Vec<About> {
        let inner = self.lock();
        inner.entries.values().map(|e| e.about.clone()).collect()
    }

    /// The value for a request to `host`: the owner's, else the host's. It counts as used.
    pub(crate) fn value(&self, owner: &str, name: &str, host: &Host) -> Result<Value, NoValue> {
        let mut inner = self.lock();
        let now = now_ms();
        let owners = [Some(owner.to_owned()), None].map(|owner| (owner, name.to_owned()));
        let found = owners
            .into_iter()
            .find(|key| inner.entries.contains_key(key));
        let Some(entry) = found.and_then(|key| inner.entries.get_mut(&key)) else {
            return Err(NoValue::Missing(name.to_owned(), owner.to_owned()));
        };
        if entry.about.expires_ms.is_some_and(|at| at <= now) {
            return Err(NoValue::Expired(name.to_owned()));
        }
        if !secret::may_go(&entry.hosts, host) {
            return Err(NoValue::Bound(name.to_owned(), host.to_string()));
        }
        entry.about.used_ms = Some(now);
        let value = entry.value.clone();
        inner.used = true;
        Ok(value)
    }

    /// Writes when they were used last, if any was since the last writing.
    pub(crate) fn flush(&self) -> Result<(), VaultError> {
        let mut inner = self.lock();
        if !inner.used {
            return Ok(());
        }
        let entries = inner.entries.clone();
        self.write(&mut inner, entries)
    }

    /// 32 bytes that follow from the key for one purpose and one name, and lead to no other.
    pub(crate) fn derive(&self, purpose: &str, name: &str) -> zeroize::Zeroizing<[u8; 32]> {
        self.files.derive(purpose, name)
    }

    /// First on the disk, then in memory: what was answered is kept.
    fn write(&self, inner: &mut Inner, entries: BTreeMap<Key, Entry>) -> Result<(), VaultError> {
        let document = Document {
            secrets: entries.values().map(|e| (&e.about, &e.value)).collect(),
        };
        self.files.write(&document)?;
        inner.entries = entries;
        inner.used = false;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nobody panics between two changes that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A secret as it is read back.
impl From<(About, Value)> for Kept {
    fn from((about, value): (About, Value)) -> Kept {
        Kept { about, value }
    }
}

#[cfg(test)]
mod tests;

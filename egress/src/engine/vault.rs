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
use crate::login::{self, Kind, Login};
use crate::rule::Pattern;
use crate::secret::{self, About, Value};

pub(super) use file::VaultError;
use file::{Document, Files};

/// Most secrets of a host.
const SECRETS_MAX: usize = 4096;

/// Whose, and what it is called.
type Key = (Option<String>, String);

/// The open store.
#[derive(Debug)]
pub(crate) struct Vault {
    files: Files,
    inner: Mutex<Inner>,
    /// Held while a file is written and synced: whoever only reads does not wait for the disk.
    writing: Mutex<()>,
}

type Entries = BTreeMap<Key, Entry>;

#[derive(Debug, Default)]
struct Inner {
    entries: Entries,
    /// Something was used since it was written.
    used: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    content: Content,
    hosts: Vec<Pattern>,
    about: About,
}

/// What is kept under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Plain(Value),
    Login(Box<Login>),
}

/// What somebody brought.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) owner: Option<String>,
    pub(crate) name: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) visible: bool,
    pub(crate) content: Content,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoValue {
    #[error("there is no secret {0:?} of {1}, nor of the host: `wsm secret set {0}`")]
    Missing(String, String),
    #[error("there is no {0} login of {1}: `wsm secret login {0}`")]
    NoLogin(&'static str, String),
    #[error("the secret {0:?} has expired: `wsm secret set {0}`")]
    Expired(String),
    #[error("the {0} login has ended, and can't be renewed: `wsm secret login {0}`")]
    Ended(&'static str),
    #[error("the secret {0:?} is bound to other hosts than {1}")]
    Bound(String, String),
    #[error("{0:?} is a login: a template uses it by `login`")]
    IsLogin(String),
    #[error("the secret {0:?} was not set to be seen by agents: `wsm secret set {0} --visible`")]
    Hidden(String),
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

impl Vault {
    /// Opens the store of a state directory. The key is made if there is neither key nor store.
    pub(crate) fn open(state: &Path, credentials: Option<&Path>) -> Result<Vault, VaultError> {
        let files = Files::open(state, credentials)?;
        let mut inner = Inner::default();
        for (about, content) in files.read()? {
            let hosts = secret::check_hosts(&about.hosts).map_err(|_| VaultError::Damaged)?;
            let key = (about.owner.clone(), about.name.clone());
            let entry = Entry {
                content,
                hosts,
                about,
            };
            inner.entries.insert(key, entry);
        }
        Ok(Vault {
            files,
            inner: Mutex::new(inner),
            writing: Mutex::default(),
        })
    }

    /// Keeps what was brought, in place of an older one.
    pub(crate) fn set(&self, new: New) -> Result<(), VaultError> {
        let New {
            owner,
            name,
            hosts,
            expires_ms,
            visible,
            content,
        } = new;
        secret::check_name(&name)?;
        let patterns = secret::check_hosts(&hosts)?;
        if owner.is_none() && (patterns.is_empty() || visible) {
            // Anybody's template may name it: without a bound it could be sent anywhere.
            let why = "a secret of the host must be bound to hosts, and seen by no agent";
            return Err(secret::BadSecret::Hosts(why.to_owned()).into());
        }
        check_kind(owner.as_ref(), &name, &content)?;
        let about = About {
            owner: owner.clone(),
            name: name.clone(),
            hosts,
            set_ms: now_ms(),
            expires_ms,
            used_ms: None,
            visible,
            login: None,
        };
        let mut entry = Entry {
            content,
            hosts: patterns,
            about,
        };
        entry.tell_of_login(None);
        self.change(|entries| {
            entries.insert((owner.clone(), name.clone()), entry.clone());
        })
    }

    /// Forgets a secret; whether there was one.
    pub(crate) fn remove(&self, owner: Option<String>, name: String) -> Result<bool, VaultError> {
        let key = (owner, name);
        if !self.lock().entries.contains_key(&key) {
            return Ok(false);
        }
        self.change(|entries| {
            entries.remove(&key);
        })?;
        Ok(true)
    }

    /// All of them, without their values.
    pub(crate) fn list(&self) -> Vec<About> {
        let inner = self.lock();
        inner.entries.values().map(|e| e.about.clone()).collect()
    }

    /// The value for a request to `host`: the owner's, else the host's. It counts as used.
    pub(crate) fn value(&self, owner: &str, name: &str, host: &Host) -> Result<Value, NoValue> {
        self.take(owner, name, |entry| {
            if secret::may_go(&entry.hosts, host) {
                Ok(())
            } else {
                Err(NoValue::Bound(name.to_owned(), host.to_string()))
            }
        })
    }

    /// The value for the agent itself, of a secret that was brought for that. It counts as used.
    pub(crate) fn reveal(&self, owner: &str, name: &str) -> Result<Value, NoValue> {
        self.take(owner, name, |entry| {
            if entry.about.visible {
                Ok(())
            } else {
                Err(NoValue::Hidden(name.to_owned()))
            }
        })
    }

    fn take(
        &self,
        owner: &str,
        name: &str,
        may: impl FnOnce(&Entry) -> Result<(), NoValue>,
    ) -> Result<Value, NoValue> {
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
        may(entry)?;
        let Content::Plain(value) = &entry.content else {
            return Err(NoValue::IsLogin(name.to_owned()));
        };
        let value = value.clone();
        entry.about.used_ms = Some(now);
        inner.used = true;
        Ok(value)
    }

    /// A login, and why the server does not renew it any more, if so.
    pub(crate) fn login(
        &self,
        owner: &str,
        kind: Kind,
    ) -> Result<(Login, Option<String>), NoValue> {
        let inner = self.lock();
        let entry = inner.entries.get(&login_key(owner, kind));
        let Some((Content::Login(login), about)) = entry.map(|e| (&e.content, &e.about)) else {
            return Err(NoValue::NoLogin(kind.facts().name, owner.to_owned()));
        };
        if login.refresh.is_none() && login.until_ms <= now_ms() {
            return Err(NoValue::Ended(kind.facts().name));
        }
        let refused = about.login.as_ref().and_then(|about| about.refused.clone());
        Ok(((**login).clone(), refused))
    }

    /// A login was put into a request.
    pub(crate) fn used_login(&self, owner: &str, kind: Kind) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(&login_key(owner, kind)) {
            entry.about.used_ms = Some(now_ms());
            inner.used = true;
        }
    }

    /// What came of renewing `old`. Nothing is done if another was brought meanwhile. What can't be
    /// written now is used all the same, since the old one may be worth nothing any more, and written
    /// with the next [`Vault::flush`].
    pub(crate) fn renewed(
        &self,
        owner: &str,
        old: &Login,
        new: Result<Login, String>,
    ) -> Result<(), VaultError> {
        let key = login_key(owner, old.kind);
        let change = |entries: &mut Entries| {
            let Some(entry) = entries.get_mut(&key) else {
                return;
            };
            match &mut entry.content {
                Content::Login(kept) if kept.refresh == old.refresh => {
                    if let Ok(new) = &new {
                        **kept = new.clone();
                    }
                    entry.tell_of_login(new.as_ref().err().cloned());
                }
                Content::Login(_) | Content::Plain(_) => {}
            }
        };
        let kept = self.change(change);
        if kept.is_err() {
            let mut inner = self.lock();
            change(&mut inner.entries);
            inner.used = true;
        }
        kept
    }

    /// Writes when they were used last, if any was since the last writing.
    pub(crate) fn flush(&self) -> Result<(), VaultError> {
        let _writing = self.writing();
        let entries = {
            let mut inner = self.lock();
            if !std::mem::take(&mut inner.used) {
                return Ok(());
            }
            inner.entries.clone()
        };
        let written = self.write(&entries);
        if written.is_err() {
            self.lock().used = true;
        }
        written
    }

    /// 32 bytes that follow from the key for one purpose and one name, and lead to no other.
    pub(crate) fn derive(&self, purpose: &str, name: &str) -> zeroize::Zeroizing<[u8; 32]> {
        self.files.derive(purpose, name)
    }

    /// First on the disk, then in memory: what was answered is kept. What is used meanwhile, is.
    fn change(&self, change: impl Fn(&mut Entries)) -> Result<(), VaultError> {
        let _writing = self.writing();
        let mut entries = self.lock().entries.clone();
        change(&mut entries);
        if entries.len() > SECRETS_MAX {
            return Err(VaultError::Full);
        }
        self.write(&entries)?;
        change(&mut self.lock().entries);
        Ok(())
    }

    fn write(&self, entries: &Entries) -> Result<(), VaultError> {
        let mut document = Document::default();
        for entry in entries.values() {
            match &entry.content {
                Content::Plain(value) => document.secrets.push((&entry.about, value)),
                Content::Login(login) => document.logins.push((&entry.about, login)),
            }
        }
        self.files.write(&document)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nobody panics between two changes that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Says of a login what may be told of it.
    fn tell_of_login(&mut self, refused: Option<String>) {
        let Content::Login(login) = &self.content else {
            return;
        };
        let renewable = login.refresh.is_some();
        self.about.expires_ms = (!renewable).then_some(login.until_ms);
        self.about.login = Some(login::About {
            kind: login.kind,
            until_ms: login.until_ms,
            renewable,
            refused,
        });
    }
}

fn login_key(owner: &str, kind: Kind) -> Key {
    (Some(owner.to_owned()), kind.facts().secret.to_owned())
}

/// A login is its user's, and nothing else has its name.
fn check_kind(
    owner: Option<&String>,
    name: &str,
    content: &Content,
) -> Result<(), secret::BadSecret> {
    let bad = |why: String| Err(secret::BadSecret::Login(why));
    match content {
        Content::Login(login) => {
            login
                .check()
                .map_err(|why| secret::BadSecret::Login(why.0))?;
            let facts = login.kind.facts();
            if owner.is_none() || name != facts.secret {
                return bad(format!("a {} login is a user's own", facts.name));
            }
            Ok(())
        }
        Content::Plain(_) => match Kind::ALL.iter().find(|kind| kind.facts().secret == name) {
            Some(kind) => {
                let kind = kind.facts().name;
                bad(format!("{name} is a login: `wsm secret login {kind}`"))
            }
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests;

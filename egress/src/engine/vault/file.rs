//! The two files of the store, and what is done to their bytes.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::Content;
use crate::login::Login;
use crate::secret::{About, BadSecret, Value};

/// What systemd calls the key (`LoadCredentialEncrypted=`), and what it is called beside the store.
const CREDENTIAL: &str = "wsm-secrets-key";
const KEY_FILE: &str = "key";
const STORE_FILE: &str = "secrets";
const MAGIC: &[u8] = b"wsm-secrets 1\n";
const SALT_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
/// Longest store: 4,096 values of 8 KiB.
const STORE_BYTES_MAX: u64 = 64 << 20;

/// Why the store can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    #[error("{0} must be a file of 32 bytes that its owner alone can read (chmod 600)")]
    BadKey(String),
    #[error(
        "the key of the secrets is gone: bring back {0}, or remove {STORE_FILE} beside it and set \
         all secrets anew"
    )]
    NoKey(String),
    #[error("the secrets were sealed with another key, or damaged")]
    Damaged,
    #[error("there are too many secrets")]
    Full,
    #[error("the kernel gave no random numbers")]
    Random,
    #[error(transparent)]
    Bad(#[from] BadSecret),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> VaultError + '_ {
    move |error| VaultError::Io(path.display().to_string(), error)
}

/// What is sealed, as it is written.
#[derive(Debug, Default, Serialize)]
pub(super) struct Document<'a> {
    pub(super) secrets: Vec<(&'a About, &'a Value)>,
    pub(super) logins: Vec<(&'a About, &'a Login)>,
}

/// What was sealed, as it is read.
#[derive(Debug, Deserialize)]
struct Read_ {
    secrets: Vec<(About, Value)>,
    #[serde(default)]
    logins: Vec<(About, Login)>,
}

/// The place of the files, and the key.
pub(super) struct Files {
    dir: PathBuf,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Files").field(&self.dir).finish()
    }
}

impl Files {
    pub(super) fn open(dir: &Path, credentials: Option<&Path>) -> Result<Files, VaultError> {
        let own = dir.join(KEY_FILE);
        let given = credentials.map(|dir| dir.join(CREDENTIAL));
        let key = match given.filter(|path| path.exists()) {
            Some(path) => read_key(&path)?,
            None if own.exists() => read_key(&own)?,
            // A new key for an old store would be no key at all.
            None if dir.join(STORE_FILE).exists() => {
                return Err(VaultError::NoKey(own.display().to_string()));
            }
            None => make_key(dir, &own)?,
        };
        Ok(Files {
            dir: dir.to_owned(),
            key,
        })
    }

    /// Everything that is kept; nothing where nothing ever was.
    pub(super) fn read(&self) -> Result<Vec<(About, Content)>, VaultError> {
        let path = self.dir.join(STORE_FILE);
        let mut bytes = Zeroizing::new(Vec::new());
        match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => {
                let file = file.map_err(at(&path))?;
                let length = file.metadata().map_err(at(&path))?.len();
                if length > STORE_BYTES_MAX {
                    return Err(VaultError::Damaged);
                }
                // Room for all of it: a buffer that grows would leave copies behind.
                bytes.reserve_exact(usize::try_from(length).unwrap_or(0) + 1);
                file.take(length)
                    .read_to_end(&mut bytes)
                    .map_err(at(&path))?;
            }
        }
        let head = MAGIC.len() + SALT_BYTES;
        if bytes.len() < head || !bytes.starts_with(MAGIC) {
            return Err(VaultError::Damaged);
        }
        let (head, sealed) = bytes.split_at_mut(head);
        let key = self.sealing(&head[MAGIC.len()..])?;
        let nonce = Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
        let opened = key.open_in_place(nonce, Aad::from(&*head), sealed);
        let text = opened.map_err(|_| VaultError::Damaged)?;
        let read: Read_ = serde_json::from_slice(text).map_err(|_| VaultError::Damaged)?;
        let plain = read.secrets.into_iter();
        let plain = plain.map(|(about, value)| (about, Content::Plain(value)));
        let logins = read.logins.into_iter();
        let logins = logins.map(|(about, login)| (about, Content::Login(Box::new(login))));
        Ok(plain.chain(logins).collect())
    }

    /// Writes all of it: the new file is whole and on the disk before it takes the old one's place.
    pub(super) fn write(&self, document: &Document<'_>) -> Result<(), VaultError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(room(document)));
        bytes.extend_from_slice(MAGIC);
        let mut salt = [0; SALT_BYTES];
        fill(&mut salt)?;
        bytes.extend_from_slice(&salt);
        let head = bytes.clone();
        serde_json::to_writer(&mut *bytes, document).map_err(|_| VaultError::Damaged)?;
        let key = self.sealing(&salt)?;
        let nonce = Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
        let text = &mut bytes[head.len()..];
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(&*head), text)
            .map_err(|_| VaultError::Damaged)?;
        bytes.extend_from_slice(tag.as_ref());
        replace(&self.dir, STORE_FILE, &bytes)
    }

    pub(super) fn derive(&self, purpose: &str, name: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        let salt = Salt::new(HKDF_SHA256, b"wsm derive 1");
        let info = [purpose.as_bytes(), b"\0", name.as_bytes()];
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        salt.extract(&*self.key)
            .expand(&info, HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *out))
            .expect("32 bytes are one block of SHA-256");
        out
    }

    /// The key of one writing.
    fn sealing(&self, salt: &[u8]) -> Result<LessSafeKey, VaultError> {
        let key = Salt::new(HKDF_SHA256, salt).extract(&*self.key);
        let okm = key
            .expand(&[b"wsm secrets 1"], &aead::CHACHA20_POLY1305)
            .map_err(|_| VaultError::Damaged)?;
        Ok(LessSafeKey::new(UnboundKey::from(okm)))
    }
}

/// Room that a document takes at most: a text is escaped to two bytes a character at most, since a
/// value is visible ASCII.
fn room(document: &Document<'_>) -> usize {
    let of = |about: &About| {
        let hosts: usize = about.hosts.iter().map(|host| host.len() + 3).sum();
        let owner = about.owner.as_ref().map_or(0, String::len);
        hosts + owner * 6 + about.name.len() + 768
    };
    let plain = document.secrets.iter();
    let plain = plain.map(|(about, value)| value.reveal().len() * 2 + of(about));
    let logins = document.logins.iter().map(|(about, login)| {
        let refresh = login
            .refresh
            .as_ref()
            .map_or(0, |value| value.reveal().len());
        let facts = login
            .account
            .iter()
            .map(|(k, v)| 2 * (k.len() + v.len()) + 8);
        2 * (login.access.reveal().len() + refresh) + facts.sum::<usize>() + of(about)
    });
    MAGIC.len() + SALT_BYTES + plain.chain(logins).sum::<usize>() + 256
}

fn fill(bytes: &mut [u8]) -> Result<(), VaultError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| VaultError::Random)
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, VaultError> {
    let bad = || VaultError::BadKey(path.display().to_string());
    let file = File::open(path).map_err(at(path))?;
    let found = file.metadata().map_err(at(path))?;
    // systemd's are 0400 and root's, shown to the service by an access list: group bits are its mask.
    let open = found.mode() & 0o007 != 0 || (path.ends_with(KEY_FILE) && found.mode() & 0o077 != 0);
    if !found.is_file() || open {
        return Err(bad());
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let mut more = [0];
    let mut file = file;
    file.read_exact(&mut *key).map_err(|_| bad())?;
    let whole = file.read(&mut more).map_err(at(path))? == 0;
    more.zeroize();
    if whole { Ok(key) } else { Err(bad()) }
}

fn make_key(dir: &Path, path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, VaultError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill(&mut *key)?;
    debug_assert!(path.starts_with(dir));
    replace(dir, KEY_FILE, &*key)?;
    Ok(key)
}

/// Puts a whole, synced file in the place of another.
fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
    let new = dir.join(format!("{name}.new"));
    let written = || {
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, dir.join(name))?;
        File::open(dir)?.sync_all()
    };
    written().map_err(at(&new))
}

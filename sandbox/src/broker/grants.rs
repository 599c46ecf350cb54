//! Grants: a local user passes open descriptors, and that is what wsm may use from then on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, readlink};
use serde::{Deserialize, Serialize};

use super::access::{Peer, check_writable};
use super::record::{self, Grant, Identity};
use super::setup::Host;
use crate::ceiling::Ceiling;
use crate::fail::{Context, failure, gone};
use crate::files;
use crate::protocol::{Account, Failure, FailureKind, Purpose, Reply};
use crate::spec::GrantId;

/// File of all grants.
const GRANTS: &str = "grants.json";
/// Grants that one account may have.
const GRANTS_PER_ACCOUNT_MAX: usize = 1000;

/// A grant that was checked, before it has an id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Checked {
    Good {
        account: Account,
        directory: Identity,
        git_dir: Option<Identity>,
    },
    Bad(Failure),
}

/// Checks what a peer wants to grant. Runs in a worker.
pub(super) fn check(host: &Host, peer: Peer, purpose: Purpose, fds: &[OwnedFd]) -> Checked {
    match try_check(host, peer, purpose, fds) {
        Ok(checked) => checked,
        Err(failed) => Checked::Bad(failed),
    }
}

fn try_check(
    host: &Host,
    peer: Peer,
    purpose: Purpose,
    fds: &[OwnedFd],
) -> Result<Checked, Failure> {
    let account = Account {
        uid: peer.uid,
        gid: peer.gid,
    };
    if account.uid == 0 && !Ceiling::load(host.etc.as_fd())?.allow_root_account {
        return Err(failure(
            FailureKind::Refused,
            "grant a directory",
            "root's own files are not given to agents on this host",
            "work as an ordinary user, or set `allow_root_account` in ceiling.json",
        ));
    }
    let (directory, git_dir) = match (purpose, fds) {
        (Purpose::Directory, [directory]) => (identify(&account, directory)?, None),
        (Purpose::Repository, [tree, git]) => {
            let git_dir = identify(&account, git)?;
            check_git_dir(git)?;
            (identify(&account, tree)?, Some(git_dir))
        }
        _ => {
            let why = format!("{} descriptors came along", fds.len());
            let hint = "pass the directory, and for a repository its git directory too";
            return Err(failure(
                FailureKind::Invalid,
                "grant a directory",
                why,
                hint,
            ));
        }
    };
    for identity in std::iter::once(&directory).chain(&git_dir) {
        host.check_apart(Path::new(&identity.path))?;
    }
    Ok(Checked::Good {
        account,
        directory,
        git_dir,
    })
}

/// What a descriptor refers to, if the account owns it and may write it.
fn identify(account: &Account, fd: &OwnedFd) -> Result<Identity, Failure> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let path = readlink(link.as_str()).what(|| "name the directory".into())?;
    let Some(path) = path
        .to_str()
        .filter(|path| path.starts_with('/'))
        .map(str::to_owned)
    else {
        let why = "its path is not UTF-8";
        return Err(failure(
            FailureKind::Invalid,
            "grant a directory",
            why,
            "rename it",
        ));
    };
    let what = || format!("grant {path}");
    let refused = |why: String, hint: &str| failure(FailureKind::Refused, what(), why, hint);
    let stat = files::stat(fd.as_fd()).what(what)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Err(refused("it is not a directory".into(), ""));
    }
    if stat.st_uid != account.uid {
        let why = format!("it belongs to uid {}, you are {}", stat.st_uid, account.uid);
        return Err(refused(why, "ask as the user that owns it"));
    }
    let identity = Identity {
        path: path.clone(),
        device: stat.st_dev,
        inode: stat.st_ino,
    };
    // The same directory must be there for the broker: not deleted, not in another namespace.
    let reopened = reopen(&identity)?;
    if !check_writable(account, &reopened).what(what)? {
        return Err(refused("you may not read, write and enter it".into(), ""));
    }
    Ok(identity)
}

fn check_git_dir(git: &OwnedFd) -> Result<(), Failure> {
    let there = ["objects", "refs"].iter().all(|name| {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        files::open_below(git.as_fd(), Path::new(name), flags).is_ok()
    });
    let head = files::open_below(git.as_fd(), Path::new("HEAD"), OFlag::O_PATH).is_ok();
    if there && head {
        return Ok(());
    }
    Err(failure(
        FailureKind::Invalid,
        "grant a repository",
        "its git directory has no HEAD, objects and refs",
        "pass the common git directory (`git rev-parse --git-common-dir`)",
    ))
}

/// Opens a granted directory again, if it is still the same one.
pub(super) fn reopen(identity: &Identity) -> Result<OwnedFd, Failure> {
    let what = || format!("open {}", identity.path);
    let root = files::root().what(what)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let path = Path::new(&identity.path);
    let fd = match files::open_plain(root.as_fd(), path, flags) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone(path)),
        result => result.what(what)?,
    };
    let stat = files::stat(fd.as_fd()).what(what)?;
    if (stat.st_dev, stat.st_ino) == (identity.device, identity.inode) {
        return Ok(fd);
    }
    Err(failure(
        FailureKind::Refused,
        what(),
        "another directory stands where the granted one was",
        "grant it again: run `wsm new` in it",
    ))
}

impl Host {
    /// Gives a checked grant its id: the one it has already, or a new one.
    pub(super) fn record_grant(
        &self,
        purpose: Purpose,
        checked: Checked,
    ) -> Result<Reply, Failure> {
        let (account, directory, git_dir) = match checked {
            Checked::Good {
                account,
                directory,
                git_dir,
            } => (account, directory, git_dir),
            Checked::Bad(failed) => return Err(failed),
        };
        let what = || "record the grant".to_owned();
        let mut grants = self.grants()?;
        let same = |grant: &&Grant| {
            grant.purpose == purpose
                && grant.account == account
                && grant.directory == directory
                && grant.git_dir == git_dir
        };
        let id = match grants.iter().find(same) {
            Some(grant) => grant.id.clone(),
            None => {
                if grants
                    .iter()
                    .filter(|grant| grant.account == account)
                    .count()
                    >= GRANTS_PER_ACCOUNT_MAX
                {
                    let why = format!("uid {} has {GRANTS_PER_ACCOUNT_MAX} already", account.uid);
                    return Err(failure(FailureKind::Refused, what(), why, ""));
                }
                let id = GrantId(new_id().what(what)?);
                grants.push(Grant {
                    id: id.clone(),
                    purpose,
                    account: account.clone(),
                    directory: directory.clone(),
                    git_dir: git_dir.clone(),
                });
                record::write(self.records.as_fd(), GRANTS, &grants).what(what)?;
                id
            }
        };
        Ok(granted(Grant {
            id,
            purpose,
            account,
            directory,
            git_dir,
        }))
    }

    /// What a grant stands for.
    pub(super) fn look_up(&self, id: &GrantId) -> Result<Reply, Failure> {
        self.grant(id, Purpose::Repository)
            .or_else(|_| self.grant(id, Purpose::Directory))
            .map(granted)
    }

    fn grants(&self) -> Result<Vec<Grant>, Failure> {
        let grants =
            record::read(self.records.as_fd(), GRANTS).what(|| "read the grants".into())?;
        Ok(grants.unwrap_or_default())
    }

    /// A grant that stands: recorded, for this purpose, and still the same directories.
    pub(super) fn grant(&self, id: &GrantId, purpose: Purpose) -> Result<Grant, Failure> {
        let grants = self.grants()?;
        let found = grants
            .into_iter()
            .find(|grant| grant.id == *id && grant.purpose == purpose);
        let grant = found.ok_or_else(|| {
            let what = format!("use grant {:?}", id.0);
            let hint = "a local user must grant the directory first: run `wsm new` in it";
            failure(FailureKind::NotFound, what, "there is no such grant", hint)
        })?;
        for identity in [Some(&grant.directory), grant.git_dir.as_ref()]
            .into_iter()
            .flatten()
        {
            reopen(identity)?;
        }
        Ok(grant)
    }
}

fn granted(grant: Grant) -> Reply {
    Reply::Granted {
        grant: grant.id,
        account: grant.account,
        path: grant.directory.path,
        git_dir: grant.git_dir.map(|identity| identity.path),
    }
}

/// 16 random hexadecimal digits.
fn new_id() -> std::io::Result<String> {
    Ok(format!("g{:016x}", files::random()?))
}

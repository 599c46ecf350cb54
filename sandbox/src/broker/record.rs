//! What the broker remembers, in root-owned files below `state/broker/`, written atomically.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::fcntl::{OFlag, renameat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::files;
use crate::landlock::LandlockStatus;
use crate::protocol::{Account, Purpose};
use crate::spawn::Tally;
use crate::spec::{AgentId, Extras, GrantId, LayerReport, Limits, Network, ProbeReport};

/// Longest record in bytes: thousands of grants fit.
const RECORD_BYTES_MAX: u64 = 16 << 20;

/// A directory that a local user let wsm use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) id: GrantId,
    pub(super) purpose: Purpose,
    pub(super) account: Account,
    pub(super) directory: Identity,
    /// The common git directory of a repository.
    pub(super) git_dir: Option<Identity>,
}

/// A directory as it was when it was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) path: String,
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// What is remembered of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AgentRecord {
    /// Its repository, for ever.
    pub(super) repository: GrantId,
    /// Its account, for ever.
    pub(super) account: Account,
    /// The common git directory.
    pub(super) git_dir: String,
    /// What its last sandbox had beyond others: read back, and undone when it is deleted.
    #[serde(default)]
    pub(super) extras: Extras,
    /// Whether its processes may trace each other.
    #[serde(default)]
    pub(super) debug: bool,
}

fn no_way_out() -> Network {
    Network::Loopback
}

/// A sandbox as it was when it was made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) shim_pid: i32,
    pub(super) range_base: u32,
    pub(super) landlock: Option<LandlockStatus>,
    /// The limits that were asked for, after admission; unknown to brokers before this field.
    #[serde(default)]
    pub(super) asked: Option<Limits>,
    /// What its network is; none to brokers before this field.
    #[serde(default = "no_way_out")]
    pub(super) network: Network,
    /// What became of them.
    pub(super) limits: Vec<LayerReport>,
    /// Brokers before this field counted them.
    #[serde(default)]
    pub(super) tally: Option<Tally>,
    /// As the launcher wrote them: whoever asks for them reads them.
    pub(super) probes: Box<RawValue>,
}

impl Made {
    /// What the self-test saw.
    pub(super) fn probes(&self) -> Vec<ProbeReport> {
        serde_json::from_str(self.probes.get()).unwrap_or_default()
    }

    /// The same in two numbers.
    pub(super) fn tally(&self) -> Tally {
        self.tally.unwrap_or_else(|| Tally::of(&self.probes()))
    }
}

/// File name of an agent's record.
pub(super) fn agent_file(agent: &AgentId) -> String {
    format!("{agent}.json")
}

/// File name of what is known of an agent's sandbox. An id has no dot.
pub(super) fn made_file(agent: &AgentId) -> String {
    format!("{agent}.made.json")
}

/// Reads a document; `None` if there is none.
pub(super) fn read<T: DeserializeOwned>(dir: BorrowedFd<'_>, name: &str) -> io::Result<Option<T>> {
    let fd = match files::open_below(dir, Path::new(name), OFlag::O_RDONLY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let reader = io::Read::take(std::fs::File::from(fd), RECORD_BYTES_MAX);
    let document = serde_json::from_reader(io::BufReader::new(reader));
    Ok(Some(document.map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {error}"))
    })?))
}

/// Waits until a document that was written with [`write_passing`] is on the disk; one that was
/// removed meanwhile is fine.
pub(super) fn sync(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match files::open_below(dir, Path::new(name), OFlag::O_RDONLY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => Ok(fsync(opened?.as_fd())?),
    }
}

/// Writes a document so that a reader, or a crash, sees the old one or the new one.
pub(super) fn write(dir: BorrowedFd<'_>, name: &str, document: &impl Serialize) -> io::Result<()> {
    let file = write_new(dir, name, document)?;
    fsync(file.as_fd())?;
    put_in_place(dir, name)
}

/// As [`write`], but a crash of the machine may lose it: for what such a crash makes untrue anyway.
/// Waiting for the disk would be the longest part of a creation.
pub(super) fn write_passing(
    dir: BorrowedFd<'_>,
    name: &str,
    document: &impl Serialize,
) -> io::Result<()> {
    write_new(dir, name, document)?;
    put_in_place(dir, name)
}

/// Makes the file of a document that is overwritten later; one that is there is left as it is. A file
/// that is new on the disk takes as long as everything else that a start writes.
pub(super) fn reserve(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
    files::create_below(dir, Path::new(name), flags, 0o600).map(drop)
}

/// Overwrites a document in place. Who reads meanwhile, or after a crash, may find none: for what is
/// not told to anybody before it is written.
pub(super) fn overwrite(
    dir: BorrowedFd<'_>,
    name: &str,
    document: &impl Serialize,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(document)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
    let mut file = std::fs::File::from(files::create_below(dir, Path::new(name), flags, 0o600)?);
    file.write_all(&bytes)?;
    // After and not before: what is emptied first is written out at once by ext4 (auto_da_alloc).
    file.set_len(bytes.len() as u64)
}

fn write_new(
    dir: BorrowedFd<'_>,
    name: &str,
    document: &impl Serialize,
) -> io::Result<std::fs::File> {
    let bytes = serde_json::to_vec_pretty(document)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
    let fd = files::create_below(dir, Path::new(&format!("{name}.new")), flags, 0o600)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(&bytes)?;
    Ok(file)
}

fn put_in_place(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    Ok(renameat(dir, format!("{name}.new").as_str(), dir, name)?)
}

/// Removes a document; one that is gone is fine.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

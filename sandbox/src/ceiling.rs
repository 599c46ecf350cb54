//! The ceiling: what the host's administrator lets any sandbox have. Root-owned, read by the broker.
//!
//! A spec is foreign bytes until [`Ceiling::admit`] made an [`Admitted`] of it; nobody checks its
//! fields again. What needs the file system (grants, the kind of a path, whether the account may
//! see it) is checked where those are opened.

mod admit;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use crate::protocol::{Failure, FailureKind};
use crate::spec::{Limits, SandboxSpec};

/// Name of the file below the configuration directory.
pub const CEILING_FILE: &str = "ceiling.json";

/// Longest ceiling file: far above any that a person writes.
const CEILING_BYTES_MAX: u64 = 64 * 1024;
/// Tasks of an agent that asks for nothing: enough for a parallel build, stops a fork bomb.
const PIDS_DEFAULT: u32 = 4096;
/// Agents at once unless the file says otherwise.
const AGENTS_MAX_DEFAULT: usize = 1000;

/// The rights no sandbox exceeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ceiling {
    /// Most that one agent may ask for; `null` is unlimited.
    pub limits_max: Limits,
    /// What an agent gets that asks for nothing. Memory that is `null` becomes half of the host's.
    pub limits_default: Limits,
    /// Agents at once.
    pub agents_max: usize,
    /// Whether uid 0 may be an agent's account.
    pub allow_root_account: bool,
    /// Paths that no spec may show read-only, with all below them.
    pub read_deny: Vec<String>,
    /// Device nodes that a sandbox may have: `/dev/kvm`.
    pub devices: Vec<String>,
}

impl Default for Ceiling {
    fn default() -> Ceiling {
        Ceiling {
            limits_max: Limits::default(),
            limits_default: Limits {
                pids: Some(PIDS_DEFAULT),
                ..Limits::default()
            },
            agents_max: AGENTS_MAX_DEFAULT,
            allow_root_account: false,
            read_deny: Vec::new(),
            devices: Vec::new(),
        }
    }
}

/// A spec that the ceiling lets through: checked, normalised, its limits filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    spec: SandboxSpec,
}

impl Admitted {
    /// The spec, true in every field.
    #[must_use]
    pub fn spec(&self) -> &SandboxSpec {
        &self.spec
    }
}

impl Ceiling {
    /// Reads `ceiling.json` below the configuration directory; a missing file is the default.
    /// Directory and file must be root's, and nobody else may write them.
    pub fn load(etc: BorrowedFd<'_>) -> Result<Ceiling, Failure> {
        let mut ceiling = match open(etc)? {
            Some(file) => parse(file)?,
            None => Ceiling::default(),
        };
        if ceiling.limits_default.memory_bytes.is_none() {
            ceiling.limits_default.memory_bytes = host_memory_bytes().map(|bytes| bytes / 2);
        }
        Ok(ceiling)
    }

    /// Checks a spec, foreign bytes until now.
    pub fn admit(&self, spec: SandboxSpec) -> Result<Admitted, Failure> {
        admit::admit(self, spec).map(|spec| Admitted { spec })
    }
}

fn failure(kind: FailureKind, why: String, hint: &str) -> Failure {
    Failure {
        kind,
        what: format!("read {CEILING_FILE}"),
        why,
        hint: hint.into(),
    }
}

fn open(etc: BorrowedFd<'_>) -> Result<Option<File>, Failure> {
    let failed = |error: std::io::Error| failure(FailureKind::Failed, error.to_string(), "");
    let directory = etc.try_clone_to_owned().map(File::from).map_err(failed)?;
    check_owner("the configuration directory", &directory)?;
    // NONBLOCK: a fifo in its place must not hold the broker up.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    match openat(etc, CEILING_FILE, flags, Mode::empty()) {
        Ok(fd) => {
            let file = File::from(fd);
            check_owner("the file", &file)?;
            Ok(Some(file))
        }
        Err(nix::Error::ENOENT) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

fn check_owner(what: &str, file: &File) -> Result<(), Failure> {
    let metadata = file
        .metadata()
        .map_err(|error| failure(FailureKind::Failed, error.to_string(), ""))?;
    if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        return Err(failure(
            FailureKind::Refused,
            format!("{what} belongs to uid {uid} with mode {mode:04o}; only root may write it"),
            "chown root it and chmod go-w it",
        ));
    }
    Ok(())
}

fn parse(file: File) -> Result<Ceiling, Failure> {
    let mut text = String::new();
    let failed = |why: String| failure(FailureKind::Refused, why, "correct the file");
    let length = file
        .take(CEILING_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if length as u64 > CEILING_BYTES_MAX {
        return Err(failed(format!(
            "it is longer than {CEILING_BYTES_MAX} bytes"
        )));
    }
    let ceiling: Ceiling =
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    for path in &ceiling.read_deny {
        if !admit::is_normal(path) {
            return Err(failed(format!(
                "read_deny: {path:?} is not an absolute, normal path"
            )));
        }
    }
    Ok(ceiling)
}

/// Memory of this host, where /proc says so. Read once: /proc/meminfo counts every page.
fn host_memory_bytes() -> Option<u64> {
    static BYTES: OnceLock<Option<u64>> = OnceLock::new();
    *BYTES.get_or_init(read_host_memory)
}

fn read_host_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

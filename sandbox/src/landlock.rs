//! The Landlock domain: the second wall behind the mounts.
//!
//! Made of the same paths as the mounts, so that each rule matches one. Handled are all rights of
//! the newest ABI that the crate knows, as far as the kernel has them; what wsm *relies on* ends at
//! [`ABI_FULL`]. TCP is left alone: the network namespace decides, and loopback must work. Mounting
//! is over once a domain is entered.

#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use ::landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use serde::{Deserialize, Serialize};

use crate::ablation::{self, Layer};
use crate::files;
use crate::sys;

/// The oldest ABI (Linux 5.13) that is worth being required. What an older one lacks is held by
/// another layer, as [`describe`] tells, and the layer is reported as reduced.
pub const ABI_REQUIRED: u32 = 1;
/// From this ABI on (Linux 6.12) everything that wsm relies on is enforced: files, truncation,
/// device ioctls, abstract sockets, signals.
pub const ABI_FULL: u32 = 6;
/// Newest rights that are asked for; the kernel may have fewer.
const ABI_NEWEST: ABI = ABI::V9;

/// Something that Landlock can hold.
struct Part {
    /// From this ABI on.
    since: u32,
    name: &'static str,
    /// What holds it where Landlock can't.
    instead: &'static str,
}

const PARTS: &[Part] = &[
    Part {
        since: 1,
        name: "files",
        instead: "",
    },
    Part {
        since: 2,
        name: "renames across directories",
        instead: "all are refused",
    },
    Part {
        since: 3,
        name: "truncation",
        instead: "read-only mounts hold",
    },
    Part {
        since: 5,
        name: "device ioctls",
        instead: "only harmless devices are there",
    },
    Part {
        since: 6,
        name: "abstract sockets",
        instead: "the network namespace holds",
    },
    Part {
        since: 6,
        name: "signals",
        instead: "pid namespace and uids hold",
    },
    Part {
        since: 9,
        name: "socket files",
        instead: "sockets below what filesystem.read and write show can be connected to",
    },
];

/// What a domain may reach; each path gives its rights to everything below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Read, list and execute.
    pub read: Vec<PathBuf>,
    /// Everything but device nodes and device ioctls.
    pub write: Vec<PathBuf>,
    /// Device files and directories of them: read, write, ioctl.
    pub devices: Vec<PathBuf>,
    /// List directories, nothing more: `/`.
    pub list: Vec<PathBuf>,
    /// Paths of the above that may be missing; any other missing path is an error.
    pub optional: Vec<PathBuf>,
}

/// What the kernel took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandlockStatus {
    /// ABI of the kernel, 0 for none.
    pub abi: u32,
    /// For people: what is enforced, what is not.
    pub detail: String,
    /// Whether everything that wsm relies on is enforced ([`ABI_FULL`]).
    pub fully: bool,
}

/// Why a domain could not be entered. The process must not go on to run anything.
#[derive(Debug, thiserror::Error)]
pub enum LandlockError {
    /// The kernel has none, or too old a one, and it is required.
    #[error("enter Landlock: this kernel offers ABI {abi}, needed is {needed}")]
    TooOld {
        /// What the kernel offers.
        abi: u32,
        /// What is needed.
        needed: u32,
    },
    /// A path of the rules is missing or can't be opened.
    #[error("open {path} for a Landlock rule")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel refused the rules.
    #[error("enter Landlock: {0}")]
    Kernel(String),
}

/// Enters the domain for the calling (single-threaded) process, for ever. Sets no_new_privs.
///
/// With `required`, a kernel below [`ABI_REQUIRED`] is an error; without, none at all is a status.
pub fn enforce(rules: &Rules, required: bool) -> Result<LandlockStatus, LandlockError> {
    let abi = sys::landlock_abi();
    if required && abi < ABI_REQUIRED {
        return Err(LandlockError::TooOld {
            abi,
            needed: ABI_REQUIRED,
        });
    }
    let mut ruleset = ruleset(required)?;
    let groups = [
        (&rules.read, read_rights()),
        (&rules.write, write_rights()),
        (&rules.devices, device_rights()),
        (&rules.list, AccessFs::ReadDir.into()),
    ];
    for (paths, rights) in groups {
        for path in paths {
            if let Some(fd) = open(path, &rules.optional)? {
                ruleset = allow(ruleset, fd.as_fd(), rights)?;
            }
        }
    }
    restrict(ruleset, abi)
}

/// Enters a domain that reads below `read` and does everything below `write`: the git helper.
/// What it executes and links must lie below `read` too.
pub fn restrict_helper(
    read: &[BorrowedFd<'_>],
    write: &[BorrowedFd<'_>],
) -> Result<LandlockStatus, LandlockError> {
    let abi = sys::landlock_abi();
    if abi < ABI_REQUIRED {
        return Err(LandlockError::TooOld {
            abi,
            needed: ABI_REQUIRED,
        });
    }
    let mut ruleset = ruleset(true)?;
    for (fds, rights) in [(read, read_rights()), (write, write_rights())] {
        for fd in fds {
            ruleset = allow(ruleset, *fd, rights)?;
        }
    }
    restrict(ruleset, abi)
}

/// The same for every kernel of that ABI: what is enforced, what is not, and what holds instead,
/// for `show` and `doctor`.
#[must_use]
pub fn describe(abi: u32) -> String {
    if abi == 0 {
        return "not available on this kernel".into();
    }
    let (enforced, missing): (Vec<&Part>, Vec<&Part>) =
        PARTS.iter().partition(|part| part.since <= abi);
    let names: Vec<&str> = enforced.iter().map(|part| part.name).collect();
    let enforced = format!("ABI {abi}: {}", names.join(", "));
    if missing.is_empty() {
        return enforced;
    }
    let missing: Vec<String> = missing
        .iter()
        .map(|part| format!("{} (ABI {}; {})", part.name, part.since, part.instead))
        .collect();
    format!("{enforced}; not on this kernel: {}", missing.join(", "))
}

fn ruleset(required: bool) -> Result<RulesetCreated, LandlockError> {
    let mut ruleset = Ruleset::default();
    if required {
        ruleset = ruleset
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))?;
    }
    let mut ruleset = ruleset
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_NEWEST))?;
    if !ablation::off(Layer::LandlockScopes) {
        ruleset = ruleset.scope(Scope::from_all(ABI_NEWEST))?;
    }
    Ok(ruleset.create()?)
}

fn read_rights() -> BitFlags<AccessFs> {
    AccessFs::from_read(ABI_NEWEST)
}

fn write_rights() -> BitFlags<AccessFs> {
    AccessFs::from_all(ABI_NEWEST)
        & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

fn device_rights() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::IoctlDev
}

/// Opens the path of a rule; `None` if it is missing and may be.
fn open(path: &Path, optional: &[PathBuf]) -> Result<Option<PathFd>, LandlockError> {
    match PathFd::new(path) {
        Ok(fd) => Ok(Some(fd)),
        Err(PathFdError::OpenCall { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound
                && optional.iter().any(|candidate| candidate == path) =>
        {
            Ok(None)
        }
        Err(PathFdError::OpenCall { source, .. }) => Err(LandlockError::Open {
            path: path.into(),
            source,
        }),
        Err(other) => Err(LandlockError::Kernel(other.to_string())),
    }
}

/// Adds a rule, without the rights that only directories have where `fd` is a file.
fn allow(
    ruleset: RulesetCreated,
    fd: BorrowedFd<'_>,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, LandlockError> {
    let rights = if is_directory(fd)? {
        rights
    } else {
        rights & AccessFs::from_file(ABI_NEWEST)
    };
    Ok(ruleset.add_rule(PathBeneath::new(fd, rights))?)
}

fn is_directory(fd: BorrowedFd<'_>) -> Result<bool, LandlockError> {
    match files::stat(fd) {
        Ok(stat) => Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR),
        Err(error) => Err(LandlockError::Kernel(format!(
            "stat the target of a rule: {error}"
        ))),
    }
}

fn restrict(ruleset: RulesetCreated, abi: u32) -> Result<LandlockStatus, LandlockError> {
    let ruleset = ruleset.no_new_privs(!ablation::off(Layer::NoNewPrivs));
    let status = ruleset.restrict_self()?;
    let entered = status.ruleset != RulesetStatus::NotEnforced;
    if entered != (abi > 0) {
        return Err(LandlockError::Kernel(format!(
            "the kernel offers ABI {abi} but the domain is {:?}",
            status.ruleset
        )));
    }
    Ok(LandlockStatus {
        abi,
        detail: describe(abi),
        fully: abi >= ABI_FULL,
    })
}

impl From<RulesetError> for LandlockError {
    fn from(error: RulesetError) -> LandlockError {
        LandlockError::Kernel(error.to_string())
    }
}

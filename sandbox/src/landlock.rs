//! The Landlock domain: the second wall behind the mounts.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// Whether everything that wsm asks for is enforced.
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

/// Enters the domain for the calling (single-threaded) process, for ever.
pub fn enforce(_rules: &Rules, _required: bool) -> Result<LandlockStatus, LandlockError> {
    Err(LandlockError::TooOld { abi: 0, needed: 3 })
}

/// Enters a domain that reads below `read` and does everything below `write`: the git helper.
pub fn restrict_helper(
    _read: &[BorrowedFd<'_>],
    _write: &[BorrowedFd<'_>],
) -> Result<LandlockStatus, LandlockError> {
    Err(LandlockError::TooOld { abi: 0, needed: 3 })
}

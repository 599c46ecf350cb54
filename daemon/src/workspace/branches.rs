//! The agent's branches, read from its git directory without opening it as a repository.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use git2::{Oid, Reference};

use super::beneath::{self, Kind};
use super::check::hex;
use super::protocol::{AgentView, Doing, Failure, FailureKind};

/// Most branches of one agent.
const BRANCHES_MAX: usize = 1000;

/// Directories in `refs/heads/`.
const DEPTH_MAX: usize = 16;

/// Longest `HEAD` or loose ref.
const REF_BYTES_MAX: u64 = 4096;

/// Longest `packed-refs`: a repository of many thousand tags.
const PACKED_BYTES_MAX: u64 = 16 << 20;

/// What the agent's git directory says.
#[derive(Debug)]
pub(super) struct Branches {
    /// What is checked out.
    pub(super) head: AgentView,
    /// Branches without `refs/heads/`.
    pub(super) tips: BTreeMap<String, Oid>,
    /// Something is stashed.
    pub(super) stash: bool,
    /// What was left out, and why.
    pub(super) warnings: Vec<String>,
}

/// Reads `HEAD`, `refs/heads/` and `packed-refs`.
pub(super) fn read(private: BorrowedFd<'_>) -> Result<Branches, Failure> {
    if beneath::kind(private, Path::new("reftable")).is_ok() {
        return Err(Failure::new(
            FailureKind::Unsupported,
            "read the agent's branches",
            "the agent's git directory uses reftable",
        )
        .hint("run `git refs migrate --ref-format=files` in the agent's workspace"));
    }
    let mut found = Branches {
        head: head(private),
        tips: BTreeMap::new(),
        stash: beneath::kind(private, Path::new("refs/stash")).is_ok(),
        warnings: Vec::new(),
    };
    packed(private, &mut found)?;
    match beneath::directory(private, Path::new("refs/heads")) {
        Ok(_) => loose(private, Path::new("refs/heads"), 0, &mut found)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(hostile("refs/heads", &e)),
    }
    Ok(found)
}

fn head(private: BorrowedFd<'_>) -> AgentView {
    let Ok(Some(text)) = beneath::read(private, Path::new("HEAD"), REF_BYTES_MAX) else {
        return AgentView::Unreadable;
    };
    let text = text.trim_ascii_end();
    if let Some(name) = text.strip_prefix(b"ref: refs/heads/") {
        return match std::str::from_utf8(name) {
            Ok(name) if valid(name) => AgentView::Branch {
                name: name.to_owned(),
            },
            _ => AgentView::Unreadable,
        };
    }
    hex(text).map_or(AgentView::Unreadable, |oid| AgentView::Detached {
        oid: oid.into(),
    })
}

fn packed(private: BorrowedFd<'_>, found: &mut Branches) -> Result<(), Failure> {
    let text = beneath::read(private, Path::new("packed-refs"), PACKED_BYTES_MAX)
        .map_err(|e| hostile("packed-refs", &e))?
        .unwrap_or_default();
    for line in text.split(|b| *b == b'\n') {
        let Some((digits, name)) = line.split_at_checked(41) else {
            continue;
        };
        found.stash |= name == b"refs/stash";
        let Some(name) = name.strip_prefix(b"refs/heads/") else {
            continue;
        };
        add(&String::from_utf8_lossy(name), &digits[..40], found)?;
    }
    Ok(())
}

fn loose(
    private: BorrowedFd<'_>,
    directory: &Path,
    depth: usize,
    found: &mut Branches,
) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        found
            .warnings
            .push(format!("{}: too deep", directory.display()));
        return Ok(());
    }
    let fd = beneath::directory(private, directory).map_err(|e| hostile("refs/heads", &e))?;
    let entries = beneath::list(fd, BRANCHES_MAX * 2).map_err(|e| hostile("refs/heads", &e))?;
    for (name, kind) in entries {
        let path: PathBuf = directory.join(&name);
        match kind {
            Kind::Directory => loose(private, &path, depth + 1, found)?,
            Kind::File => {
                let Ok(Some(text)) = beneath::read(private, &path, REF_BYTES_MAX) else {
                    found
                        .warnings
                        .push(format!("{}: unreadable", path.display()));
                    continue;
                };
                let name = path
                    .strip_prefix("refs/heads")
                    .expect("the walk began there")
                    .to_string_lossy()
                    .into_owned();
                if !name.ends_with(".lock") {
                    add(&name, text.trim_ascii_end(), found)?;
                }
            }
            Kind::Symlink | Kind::Other => {
                found
                    .warnings
                    .push(format!("{}: not a regular file", path.display()));
            }
        }
    }
    Ok(())
}

fn add(name: &str, digits: &[u8], found: &mut Branches) -> Result<(), Failure> {
    match (valid(name), hex(digits)) {
        (true, Ok(oid)) => {
            found.tips.insert(name.to_owned(), oid);
        }
        (false, _) => found
            .warnings
            .push(format!("{name:?}: not a name of a branch")),
        (true, Err(_)) if digits.starts_with(b"ref: ") => {}
        (true, Err(_)) => found
            .warnings
            .push(format!("{name}: not the name of an object")),
    }
    if found.tips.len() + found.warnings.len() > BRANCHES_MAX {
        return Err(Failure::new(
            FailureKind::TooLarge,
            "read the agent's branches",
            format!("there are more than {BRANCHES_MAX}"),
        ));
    }
    Ok(())
}

/// Whether git accepts it as the name of a branch.
pub(super) fn valid(name: &str) -> bool {
    !name.starts_with('-')
        && name != "HEAD"
        && Reference::is_valid_name(&format!("refs/heads/{name}"))
}

/// Opens the agent's git directory.
pub(super) fn open(path: &Path) -> Result<std::os::fd::OwnedFd, Failure> {
    beneath::root(path).doing(|| format!("open the agent's git directory {}", path.display()))
}

fn hostile(what: &str, error: &io::Error) -> Failure {
    Failure::new(
        FailureKind::Hostile,
        format!("read {what} of the agent's git directory"),
        error.to_string(),
    )
}

/// The agent's `objects/`, as a descriptor.
pub(super) fn objects(private: impl AsFd) -> Result<std::os::fd::OwnedFd, Failure> {
    beneath::directory(private, Path::new("objects")).map_err(|e| hostile("objects", &e))
}

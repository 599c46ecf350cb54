//! Work that is not committed: in the agent's tree, compared with the tip that the helper knows.
//!
//! The tree is hostile: links are read as links, only regular files are opened, and nested
//! repositories are left alone.

use std::os::fd::OwnedFd;
use std::path::Path;

use git2::{Delta, Diff, DiffOptions, Index, Oid, Repository};

use super::beneath::{self, Kind};
use super::libgit;
use super::protocol::{Doing, Failure, FailureKind, LISTED_MAX, Place};

/// Files above this are compared as binary.
pub(super) const TEXT_BYTES_MAX: i64 = 8 << 20;

/// What is not committed.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Tracked files that differ.
    pub(super) tracked: u64,
    /// Files neither tracked nor ignored.
    pub(super) untracked: u64,
    /// The first of both.
    pub(super) paths: Vec<String>,
}

impl Found {
    pub(super) fn count(&self) -> u64 {
        self.tracked + self.untracked
    }
}

/// The main repository with the agent's tree as its working tree, an index that shows the tip of
/// its branch, and that tip.
///
/// The index is the human's as far as it saves hashing: what the human staged, and what libgit2
/// can't read of it, plays no part. It is never written.
pub(super) fn open(place: &Place) -> Result<(Repository, Oid), Failure> {
    let repository = libgit::open(&place.git_dir, Some(&place.workspace))?;
    let tip = tip(&repository, place)?;
    let doing = || format!("read the tree of {tip}");
    let path = place
        .git_dir
        .join("worktrees")
        .join(&place.admin_id)
        .join("index");
    let mut index = Index::open(&path).or_else(|_| Index::new()).doing(doing)?;
    let tree = repository
        .find_commit(tip)
        .and_then(|c| c.tree())
        .doing(doing)?;
    index.read_tree(&tree).doing(doing)?;
    repository.set_index(&mut index).doing(doing)?;
    drop(tree);
    Ok((repository, tip))
}

/// Directories in directories that are looked through.
const DEPTH_MAX: usize = 512;

/// Most entries of one directory.
const ENTRIES_MAX: usize = 2_000_000;

/// Refuses a tree in which libgit2 would open something that blocks: it reads every `.gitignore`
/// and `.gitattributes` without asking what kind of file it is.
fn guard(directory: OwnedFd, path: &Path, depth: usize) -> Result<(), Failure> {
    let what = || format!("look through {}", path.display());
    let refused = |why: &str| Failure::new(FailureKind::Hostile, what(), why);
    if depth > DEPTH_MAX {
        return Err(refused("its directories are nested too deeply"));
    }
    let at = directory.try_clone().doing(what)?;
    for (name, kind) in beneath::list(directory, ENTRIES_MAX).doing(what)? {
        let read = name == ".gitignore" || name == ".gitattributes";
        match kind {
            Kind::Directory if name == ".git" => {}
            Kind::Directory => match beneath::directory(&at, Path::new(&name)) {
                Ok(below) => guard(below, &path.join(&name), depth + 1)?,
                // It went away, or the agent keeps it closed: libgit2 can't go there either.
                Err(_) => continue,
            },
            Kind::File => {}
            // A link that leads to a file is harmless, and git ignores it.
            Kind::Symlink => {
                if read
                    && std::fs::metadata(path.join(&name))
                        .is_ok_and(|m| !m.is_file() && !m.is_dir())
                {
                    return Err(refused(
                        "a link named like a git file leads to a FIFO or device",
                    ));
                }
            }
            Kind::Other if read => {
                return Err(refused("a FIFO, socket or device is named like a git file")
                    .hint("remove it in the agent's workspace: `wsm shell`"));
            }
            Kind::Other => {}
        }
    }
    Ok(())
}

/// Tip of the agent's branch in the main repository.
pub(super) fn tip(repository: &Repository, place: &Place) -> Result<Oid, Failure> {
    repository
        .refname_to_id(&format!("refs/heads/{}", place.branch))
        .map_err(|error| {
            let branch = &place.branch;
            let aside = format!("refs/wsm/{}/heads/{branch}", place.agent);
            let failure = Failure::git(format!("read the branch {branch}"), &error);
            if repository.refname_to_id(&aside).is_ok() {
                return failure.hint(format!("put it back: `git branch {branch} {aside}`"));
            }
            failure.hint("if it was deleted, the agent's commits are in its workspace still")
        })
}

/// Compares a commit with the tree.
pub(super) fn diff<'r>(
    repository: &'r Repository,
    from: Oid,
    contents: bool,
) -> Result<Diff<'r>, Failure> {
    let doing = || format!("compare the working tree with {from}");
    let tree = repository
        .find_commit(from)
        .and_then(|c| c.tree())
        .doing(doing)?;
    let work = repository.workdir().expect("the caller set it");
    guard(beneath::root(work).doing(doing)?, work, 0)?;
    let mut options = DiffOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .ignore_submodules(true)
        .include_typechange(true)
        .show_untracked_content(contents)
        .max_size(TEXT_BYTES_MAX);
    repository
        .diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options))
        .doing(doing)
}

/// Counts what differs from a commit.
pub(super) fn uncommitted(repository: &Repository, tip: Oid) -> Result<Found, Failure> {
    let mut found = Found::default();
    for delta in diff(repository, tip, false)?.deltas() {
        match delta.status() {
            Delta::Unmodified | Delta::Ignored => continue,
            Delta::Untracked => found.untracked += 1,
            _ => found.tracked += 1,
        }
        if found.paths.len() < LISTED_MAX
            && let Some(path) = delta.new_file().path().or(delta.old_file().path())
        {
            found.paths.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// A tree of everything that is in the working tree, as if all of it were committed.
pub(super) fn whole_tree(repository: &Repository, tip: Oid) -> Result<Oid, Failure> {
    let doing = || "write the uncommitted work down".to_owned();
    let work = repository.workdir().expect("the caller set it").to_owned();
    let root = beneath::root(&work).doing(doing)?;
    // The index is the repository's, so that line ends are converted as git does.
    let mut index = repository.index().doing(doing)?;
    let changed = diff(repository, tip, false)?;
    for delta in changed.deltas() {
        let Some(path) = delta.new_file().path().or(delta.old_file().path()) else {
            continue;
        };
        match delta.status() {
            Delta::Unmodified | Delta::Ignored => {}
            Delta::Deleted => index.remove_path(path).doing(doing)?,
            _ => add(&mut index, &root, path)?,
        }
    }
    index.write_tree_to(repository).doing(doing)
}

fn add(index: &mut Index, root: &OwnedFd, path: &Path) -> Result<(), Failure> {
    let what = || format!("write {} down", path.display());
    match beneath::kind(root, path) {
        Ok(Kind::File | Kind::Symlink) => index.add_path(path).doing(what),
        // A nested repository, or a FIFO: git would not commit it either.
        Ok(Kind::Directory | Kind::Other) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Failure::new(
            FailureKind::Busy,
            what(),
            "it went away meanwhile",
        )),
        Err(e) => Err(Failure::io(what(), &e)),
    }
}

//! Work that is not committed: in the agent's tree, compared with the tip that the helper knows.
//!
//! The tree is hostile: links are read as links, only regular files are opened, and nested
//! repositories are left alone.

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

/// The main repository with the agent's tree as its working tree, and the human's index for it.
pub(super) fn open(place: &Place) -> Result<Repository, Failure> {
    let repository = libgit::open(&place.git_dir, Some(&place.workspace))?;
    let path = place
        .git_dir
        .join("worktrees")
        .join(&place.admin_id)
        .join("index");
    let doing = || format!("read {}", path.display());
    let mut index = Index::open(&path).doing(doing)?;
    repository.set_index(&mut index).doing(doing)?;
    Ok(repository)
}

/// Tip of the agent's branch in the main repository.
pub(super) fn tip(repository: &Repository, place: &Place) -> Result<Oid, Failure> {
    repository
        .refname_to_id(&format!("refs/heads/{}", place.branch))
        .map_err(|error| {
            Failure::git(format!("read the branch {}", place.branch), &error)
                .hint("if it was deleted, the agent's commits are in its workspace still")
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
    let commit = repository.find_commit(tip).doing(doing)?;
    // The index is the repository's, so that line ends are converted as git does; it is not written.
    let mut index = repository.index().doing(doing)?;
    let changed = diff(repository, tip, false)?;
    index.read_tree(&commit.tree().doing(doing)?).doing(doing)?;
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

fn add(index: &mut Index, root: &std::os::fd::OwnedFd, path: &Path) -> Result<(), Failure> {
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

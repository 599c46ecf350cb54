//! Forgetting a worktree. Repeatable; what is gone already counts as done.

use std::fs;
use std::io;

use git2::{ErrorCode, Oid, Repository};

use super::compare;
use super::create::check_place;
use super::libgit;
use super::protocol::{Branches, Doing, Failure, FailureKind, Place, Reply};

/// Removes the administrative directory and such branches as `branches` says.
pub(super) fn remove(place: &Place, branches: Branches) -> Result<Reply, Failure> {
    check_place(place)?;
    let repository = libgit::open(&place.git_dir, None)?;
    let stood = administrative(place)?;
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    for (name, oid) in own_refs(&repository, place)? {
        // A creation that failed because the human has a branch of that name must not lead to its
        // removal. What lies at refs/wsm/ is always ours.
        let foreign = name.starts_with("refs/heads/") && !stood && !made_by_wsm(&repository, &name);
        let goes = match branches {
            _ if foreign => false,
            Branches::DeleteAll => true,
            Branches::DeleteMerged => held_elsewhere(&repository, place, oid)?,
        };
        if goes {
            delete(&repository, &name).map_err(|failure| {
                failure
                    .hint("a ref that `git gc` packed needs the right to write the git directory")
            })?;
            deleted.push(name);
        } else {
            kept.push(name);
        }
    }
    Ok(Reply::Removed { deleted, kept })
}

/// Whether there was one.
fn administrative(place: &Place) -> Result<bool, Failure> {
    let admin = place.git_dir.join("worktrees").join(&place.admin_id);
    match fs::symlink_metadata(&admin) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Failure::io(format!("look at {}", admin.display()), &e)),
        Ok(meta) if !meta.is_dir() => {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("remove {}", admin.display()),
                "it is not a directory",
            ));
        }
        Ok(_) => {}
    }
    fs::remove_dir_all(&admin).doing(|| format!("remove {}", admin.display()))?;
    match fs::remove_dir(place.git_dir.join("worktrees")) {
        // Other worktrees are there.
        Ok(()) | Err(_) => Ok(true),
    }
}

/// Whether the branch's log knows us.
fn made_by_wsm(repository: &Repository, name: &str) -> bool {
    repository.reflog(name).is_ok_and(|log| {
        log.iter().any(|entry| {
            entry
                .message_bytes()
                .is_some_and(|m| m.starts_with(b"wsm:"))
        })
    })
}

/// The branch, and everything at `refs/wsm/<agent>/`.
fn own_refs(repository: &Repository, place: &Place) -> Result<Vec<(String, Oid)>, Failure> {
    let doing = || "list the agent's branches".to_owned();
    let mut found = Vec::new();
    let branch = format!("refs/heads/{}", place.branch);
    match repository.refname_to_id(&branch) {
        Ok(oid) => found.push((branch, oid)),
        Err(e) if e.code() == ErrorCode::NotFound => {}
        Err(e) => return Err(Failure::git(doing(), &e)),
    }
    let glob = format!("refs/wsm/{}/*", place.agent);
    for reference in repository.references_glob(&glob).doing(doing)? {
        let reference = reference.doing(doing)?;
        if let (Ok(name), Some(oid)) = (reference.name(), reference.target()) {
            found.push((name.to_owned(), oid));
        }
    }
    Ok(found)
}

/// Whether a branch that stays holds the commit, or `HEAD` its changes.
fn held_elsewhere(repository: &Repository, place: &Place, oid: Oid) -> Result<bool, Failure> {
    let own = format!("refs/heads/{}", place.branch);
    let head = repository.head().and_then(|head| head.peel_to_commit());
    let head = head.ok().map(|head| head.id());
    let into = head.filter(|head| repository.refname_to_id(&own).ok() != Some(*head));
    compare::held(repository, Some(&own), into, oid)
}

fn delete(repository: &Repository, name: &str) -> Result<(), Failure> {
    match repository.find_reference(name) {
        Ok(mut reference) => reference.delete().doing(|| format!("delete {name}")),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(()),
        Err(e) => Err(Failure::git(format!("delete {name}"), &e)),
    }
}

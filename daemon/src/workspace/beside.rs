//! Work of an agent that is not on its branch: what a removal would throw away unseen.

use std::path::Path;

use git2::{Oid, Repository};

use super::beneath;
use super::branches;
use super::compare;
use super::inspect;
use super::protocol::{AgentView, Doing, Failure, LISTED_MAX, Place};

/// In words. What can't be told counts as work.
pub(super) fn beside(
    repository: &Repository,
    place: &Place,
    target: Oid,
    tip: Oid,
) -> Result<Vec<String>, Failure> {
    let mut found = match private(repository, place, target) {
        Ok(found) => found,
        Err(failure) => vec![failure.to_string()],
    };
    for path in inspect::submodules(repository, tip)? {
        let root = beneath::root(&place.workspace);
        let git = Path::new(&path).join(".git");
        if root.and_then(|root| beneath::kind(root, &git)).is_ok() {
            found.push(format!("submodule {path}"));
        }
    }
    found.truncate(LISTED_MAX);
    Ok(found)
}

/// What the agent's git directory holds beside its branch.
fn private(repository: &Repository, place: &Place, target: Oid) -> Result<Vec<String>, Failure> {
    let private = branches::open(&place.private_git_dir)?;
    let read = branches::read(std::os::fd::AsFd::as_fd(&private))?;
    let odb = repository.odb().doing(|| "open the objects".into())?;
    // The agent's branch stays as long as it is not merged itself.
    let lost = |oid| Ok(!odb.exists(oid) || !compare::held(repository, None, Some(target), oid)?);
    let mut found = Vec::new();
    for (name, oid) in &read.tips {
        if !lost(*oid)? {
            continue;
        }
        let mut what = if *name == place.branch {
            "commits that are not on the branch outside".to_owned()
        } else {
            format!("branch {name}")
        };
        let reference = format!("refs/wsm/{}/heads/{name}", place.agent);
        if repository.refname_to_id(&reference).ok() == Some(*oid) {
            what.push_str(&format!(" at {reference}"));
        }
        found.push(what);
    }
    if let AgentView::Detached { oid } = &read.head
        && lost(oid.git())?
    {
        found.push("commits on no branch".to_owned());
    }
    if read.stash {
        found.push("a stash".to_owned());
    }
    Ok(found)
}

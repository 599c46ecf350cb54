//! `diff` and the state of the work.

use git2::{Delta, Diff, DiffOptions, Oid, Patch, Repository};

use super::beside;
use super::changes;
use super::inspect;
use super::protocol::{
    DiffReply, Doing, Failure, FileChange, LISTED_MAX, PATCH_BYTES_MAX, Place, WorkState,
};

/// Where the work stands.
pub(super) fn state(place: &Place, target: Option<&str>) -> Result<WorkState, Failure> {
    let (repository, tip) = changes::open(place)?;
    let target = inspect::commit(&repository, target.unwrap_or("HEAD"))?;
    let (ahead, behind) = repository
        .graph_ahead_behind(tip, target)
        .doing(|| "compare the branches".into())?;
    let found = changes::uncommitted(&repository, tip)?;
    Ok(WorkState {
        tip: tip.into(),
        ahead: ahead as u64,
        behind: behind as u64,
        merged: ahead == 0 || contained(&repository, target, tip)?,
        uncommitted: found.tracked,
        untracked: found.untracked,
        beside: beside::beside(&repository, place, target, tip)?,
    })
}

/// Whether a ref that stays when the agent goes holds the commit, or `into` its changes. `own`: the
/// agent's branch, if it goes too.
pub(super) fn held(
    repository: &Repository,
    own: Option<&str>,
    into: Option<Oid>,
    oid: Oid,
) -> Result<bool, Failure> {
    let doing = || format!("look for another branch with {oid}");
    if let Some(into) = into
        && contained(repository, into, oid)?
    {
        return Ok(true);
    }
    let mut walk = repository.revwalk().doing(doing)?;
    walk.push(oid).doing(doing)?;
    for reference in repository.references().doing(doing)? {
        let reference = reference.doing(doing)?;
        let Ok(name) = reference.name() else { continue };
        let stays = Some(name) != own
            && ["refs/heads/", "refs/remotes/", "refs/tags/"]
                .iter()
                .any(|p| name.starts_with(p));
        if stays && let Ok(commit) = reference.peel_to_commit() {
            walk.hide(commit.id()).doing(doing)?;
        }
    }
    Ok(walk.next().is_none())
}

/// Whether merging `tip` into `target` would change nothing: after a squash, or an apply that was
/// committed, `target` has the work although it lacks the commits.
pub(super) fn contained(repository: &Repository, target: Oid, tip: Oid) -> Result<bool, Failure> {
    let doing = || format!("compare {tip} with {target}");
    if repository.merge_base(tip, target).is_err() {
        return Ok(false);
    }
    let into = repository.find_commit(target).doing(doing)?;
    let from = repository.find_commit(tip).doing(doing)?;
    let merged = repository.merge_commits(&into, &from, None).doing(doing)?;
    if merged.has_conflicts() {
        return Ok(false);
    }
    let diff = repository
        .diff_tree_to_index(Some(&into.tree().doing(doing)?), Some(&merged), None)
        .doing(doing)?;
    Ok(diff.deltas().len() == 0)
}

/// What the agent changed since it branched off.
pub(super) fn diff(
    place: &Place,
    target: Option<&str>,
    uncommitted: bool,
    patch: bool,
) -> Result<DiffReply, Failure> {
    let (repository, tip) = changes::open(place)?;
    let target = inspect::commit(&repository, target.unwrap_or("HEAD"))?;
    let base = repository
        .merge_base(tip, target)
        .doing(|| "find the merge base".into())?;
    let found = changes::uncommitted(&repository, tip)?;
    let mut diff = if uncommitted {
        changes::diff(&repository, base, true)?
    } else {
        committed(&repository, base, tip)?
    };
    diff.find_similar(None)
        .doing(|| "look for renames".into())?;
    let mut reply = DiffReply {
        base: base.into(),
        tip: tip.into(),
        files_changed: 0,
        insertions: 0,
        deletions: 0,
        files: Vec::new(),
        patch: String::new(),
        truncated: false,
        uncommitted: found.tracked,
        untracked: found.untracked,
    };
    list(&diff, patch, &mut reply);
    Ok(reply)
}

fn committed(repository: &Repository, base: Oid, tip: Oid) -> Result<Diff<'_>, Failure> {
    let tree = |oid| repository.find_commit(oid).and_then(|c| c.tree());
    let doing = || format!("compare {base} with {tip}");
    let (old, new) = (tree(base).doing(doing)?, tree(tip).doing(doing)?);
    let mut options = DiffOptions::new();
    options
        .include_typechange(true)
        .max_size(changes::TEXT_BYTES_MAX);
    repository
        .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
        .doing(doing)
}

fn list(diff: &Diff<'_>, print: bool, reply: &mut DiffReply) {
    let mut text: Vec<u8> = Vec::new();
    for (at, delta) in diff.deltas().enumerate() {
        let status = match delta.status() {
            Delta::Unmodified | Delta::Ignored => continue,
            Delta::Added | Delta::Copied => 'A',
            Delta::Deleted => 'D',
            Delta::Renamed => 'R',
            Delta::Typechange => 'T',
            Delta::Untracked => '?',
            Delta::Modified | Delta::Unreadable | Delta::Conflicted => 'M',
        };
        let path = delta.new_file().path().or(delta.old_file().path());
        let path = path
            .map(|p| p.to_string_lossy().into_owned())
            .unwrap_or_default();
        // One file that can't be read, or changes while it is, must not hide the others.
        let patch = Patch::from_diff(diff, at).ok().flatten();
        let lines = patch.as_ref().and_then(|p| p.line_stats().ok());
        let (_, insertions, deletions) = lines.unwrap_or_default();
        let binary = patch.as_ref().is_none_or(|p| p.delta().flags().is_binary());
        reply.files_changed += 1;
        reply.insertions += insertions as u64;
        reply.deletions += deletions as u64;
        if print && !reply.truncated {
            let printed = patch.and_then(|mut p| p.to_buf().ok());
            let part = printed.map_or_else(
                || format!("Unreadable file {path} differs\n").into_bytes(),
                |buffer| buffer.to_vec(),
            );
            reply.truncated = text.len() + part.len() > PATCH_BYTES_MAX;
            let room = part.len().min(PATCH_BYTES_MAX - text.len());
            text.extend_from_slice(&part[..room]);
        }
        if reply.files.len() < LISTED_MAX {
            reply.files.push(FileChange {
                path,
                status,
                insertions: insertions as u64,
                deletions: deletions as u64,
                binary,
            });
        }
    }
    reply.patch = String::from_utf8_lossy(&text).into_owned();
}

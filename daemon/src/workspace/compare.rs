//! `diff` and the state of the work.

use git2::{Delta, Diff, DiffFormat, DiffOptions, Oid, Patch, Repository};

use super::changes;
use super::inspect;
use super::protocol::{
    DiffReply, Doing, Failure, FileChange, LISTED_MAX, PATCH_BYTES_MAX, Place, WorkState,
};

/// Where the work stands.
pub(super) fn state(place: &Place, target: Option<&str>) -> Result<WorkState, Failure> {
    let repository = changes::open(place)?;
    let tip = changes::tip(&repository, place)?;
    let target = inspect::commit(&repository, target.unwrap_or("HEAD"))?;
    let (ahead, behind) = repository
        .graph_ahead_behind(tip, target)
        .doing(|| "compare the branches".into())?;
    let found = changes::uncommitted(&repository, tip)?;
    Ok(WorkState {
        tip: tip.into(),
        ahead: ahead as u64,
        behind: behind as u64,
        merged: ahead == 0,
        uncommitted: found.tracked,
        untracked: found.untracked,
    })
}

/// What the agent changed since it branched off.
pub(super) fn diff(
    place: &Place,
    target: Option<&str>,
    uncommitted: bool,
    patch: bool,
) -> Result<DiffReply, Failure> {
    let repository = changes::open(place)?;
    let tip = changes::tip(&repository, place)?;
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
    list(&diff, &mut reply)?;
    if patch {
        print(&diff, &mut reply)?;
    }
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

fn list(diff: &Diff<'_>, reply: &mut DiffReply) -> Result<(), Failure> {
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
        let patch = Patch::from_diff(diff, at).doing(|| format!("compare {path}"))?;
        let binary = patch.as_ref().is_none_or(|p| p.delta().flags().is_binary());
        let (insertions, deletions) = match patch {
            Some(patch) => {
                let (_, plus, minus) = patch.line_stats().doing(|| format!("compare {path}"))?;
                (plus as u64, minus as u64)
            }
            None => (0, 0),
        };
        reply.files_changed += 1;
        reply.insertions += insertions;
        reply.deletions += deletions;
        if reply.files.len() < LISTED_MAX {
            reply.files.push(FileChange {
                path,
                status,
                insertions,
                deletions,
                binary,
            });
        }
    }
    Ok(())
}

fn print(diff: &Diff<'_>, reply: &mut DiffReply) -> Result<(), Failure> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut truncated = false;
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        if bytes.len() + line.content().len() > PATCH_BYTES_MAX {
            truncated = true;
            return false;
        }
        if matches!(line.origin(), '+' | '-' | ' ') {
            bytes.push(u8::try_from(line.origin()).expect("one of three ASCII characters"));
        }
        bytes.extend_from_slice(line.content());
        true
    });
    if !truncated {
        printed.doing(|| "print the patch".into())?;
    }
    reply.patch = String::from_utf8_lossy(&bytes).into_owned();
    reply.truncated = truncated;
    Ok(())
}

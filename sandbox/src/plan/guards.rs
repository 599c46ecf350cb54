//! Guarded names: what is mounted over each, and which directories above must not be renamed away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Expected, Facts, Op};
use crate::fail::failure;
use crate::protocol::{Failure, FailureKind};
use crate::spec::{Guard, SandboxSpec};

/// A guard with the bind that it lies in.
struct Placed<'a> {
    at: PathBuf,
    base: &'a Path,
    guard: &'a Guard,
    /// Whether the agent may write there.
    writable: bool,
}

/// The mounts for all guards, each with its place.
pub(super) fn ops(
    spec: &SandboxSpec,
    facts: &Facts,
    expected: &mut Expected,
) -> Result<Vec<(PathBuf, Op)>, Failure> {
    let workspace = Path::new(&facts.paths.workspace);
    let placed: Result<Vec<Placed<'_>>, Failure> = spec
        .extras
        .guards
        .iter()
        .map(|guard| place(guard, spec, facts, workspace))
        .collect();
    let placed = placed?;
    // What lies below a guarded name is guarded with it; only hiding adds to protecting.
    let kept = placed.iter().filter(|one| {
        let covers = |other: &Placed<'_>| {
            let above = one.at.starts_with(&other.at) && one.at != other.at;
            let twin = one.at == other.at && other.guard > one.guard;
            (above && (other.guard.hide || !one.guard.hide)) || twin
        };
        !placed.iter().any(covers)
    });
    let mut ops = Vec::new();
    let mut held = BTreeSet::new();
    for Placed {
        at,
        base,
        guard,
        writable,
    } in kept
    {
        let between = at.ancestors().skip(1).take_while(|above| above != base);
        for above in between.filter(|_| *writable) {
            let guarded = placed.iter().any(|other| above.starts_with(&other.at));
            if !guarded && held.insert(above.to_owned()) {
                let (at, base) = (above.to_owned(), base.to_path_buf());
                ops.push((at.clone(), Op::Hold { at, base }));
            }
        }
        expected.guards.push((at.clone(), guard.hide));
        let op = Op::Guard {
            at: at.clone(),
            base: base.to_path_buf(),
            hide: guard.hide,
            directory: guard.directory,
            absent: *base == workspace,
            owned: *writable,
        };
        ops.push((at.clone(), op));
    }
    expected.held = held.into_iter().collect();
    Ok(ops)
}

fn place<'a>(
    guard: &'a Guard,
    spec: &'a SandboxSpec,
    facts: &'a Facts,
    workspace: &'a Path,
) -> Result<Placed<'a>, Failure> {
    let path = Path::new(&guard.path);
    if !path.is_absolute() {
        return Ok(Placed {
            at: workspace.join(path),
            base: workspace,
            guard,
            writable: true,
        });
    }
    let deepest = |bases: &mut dyn Iterator<Item = &'a Path>| {
        bases
            .filter(|base| path.starts_with(base) && path != *base)
            .max_by_key(|base| base.components().count())
    };
    let write = deepest(&mut facts.write.iter().map(PathBuf::as_path));
    let read = deepest(&mut spec.read.iter().map(Path::new)).filter(|_| guard.hide);
    match (write, read) {
        (Some(base), _) => Ok((base, true)),
        (None, Some(base)) => Ok((base, false)),
        (None, None) => Err(failure(
            FailureKind::Refused,
            format!("guard {}", guard.path),
            "it lies neither in the workspace nor in a directory that the spec shows",
            "name it below one of those",
        )),
    }
    .map(|(base, writable)| Placed {
        at: path.to_owned(),
        base,
        guard,
        writable,
    })
}

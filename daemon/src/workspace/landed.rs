//! What a merge or an apply left in the log of the main checkout: who asked may have died before the
//! answer came.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use git2::Oid;

use super::create::check_place;
use super::libgit;
use super::private;
use super::protocol::{Doing, Failure, Landed, MergeKind, Place};

/// Entries of the log that are looked through.
const ENTRIES_MAX: usize = 200;

/// What the log says of one.
pub(super) fn message(branch: &str, how: MergeKind, mark: u64) -> String {
    let how = match how {
        MergeKind::FastForward => "merge, fast-forward",
        MergeKind::Merge => "merge",
        MergeKind::Squash => "merge, squashed",
        MergeKind::Staged => "apply",
    };
    format!("wsm: {branch}: {how}{}", tail(mark))
}

fn tail(mark: u64) -> String {
    format!(" ({mark})")
}

/// Adds a line that moves nothing, as `git reset` does. A checkout without a log is not given one.
pub(super) fn tell(git_dir: &Path, at: Oid, message: &str) -> Result<(), Failure> {
    let doing = || format!("write the log of {}", git_dir.display());
    let file = OpenOptions::new()
        .append(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(git_dir.join("logs/HEAD"));
    match file {
        Ok(mut file) => {
            let line = private::log_line(Some(at), at, &None, message);
            file.write_all(line.as_bytes()).doing(doing)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Failure::io(doing(), &e)),
    }
}

/// What the log says of this one.
pub(super) fn landed(place: &Place, mark: u64) -> Result<Option<Landed>, Failure> {
    check_place(place)?;
    let repository = libgit::open(&place.git_dir, None)?;
    if !repository.path().join("logs/HEAD").exists() {
        // To read what is not there, libgit2 would make it.
        return Ok(None);
    }
    let log = repository
        .reflog("HEAD")
        .doing(|| "read the log of the main checkout".into())?;
    let head = format!("wsm: {}: ", place.branch);
    let tail = tail(mark);
    let found = log.iter().take(ENTRIES_MAX).find_map(|entry| {
        let message = entry.message().ok().flatten()?;
        let how = message.strip_prefix(&head)?.strip_suffix(&tail)?;
        Some(Landed {
            to: entry.id_new().into(),
            how: how.to_owned(),
        })
    });
    Ok(found)
}

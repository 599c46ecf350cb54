//! Checkpoints of the journal: what the daemon said at a time, in a file that it can't change.

use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, renameat};

use crate::fail::{Context, failure};
use crate::files;
use crate::protocol::{
    CHECKPOINT_PAUSE, CHECKPOINTS, CHECKPOINTS_BYTES_MAX, CHECKPOINTS_OLD, Failure, FailureKind,
    JournalEnd, Reply,
};

/// Adds a line. The clock is ours: the daemon can't say when it said it.
pub(super) fn write(
    state: BorrowedFd<'_>,
    person: &JournalEnd,
    wsm: &JournalEnd,
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let what = || "write a checkpoint".to_owned();
    let refused = |kind, why: &str| failure(kind, what(), why, "");
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if [person, wsm]
        .iter()
        .any(|end| end.chain.len() != 64 || !end.chain.bytes().all(digit))
    {
        return Err(refused(
            FailureKind::Invalid,
            "a hash is 64 hexadecimal digits",
        ));
    }
    let mut file = open(state).what(what)?;
    let mut found = file.metadata().what(what)?;
    if !found.is_file() || found.uid() != 0 || found.nlink() != 1 {
        return Err(refused(
            FailureKind::Failed,
            "the file of checkpoints is not root's own",
        ));
    }
    let now = SystemTime::now();
    let age = found.modified().what(what)?;
    // A clock that was set back must not stop them for long: then the age is none, and it goes on.
    if found.len() > 0
        && now
            .duration_since(age)
            .is_ok_and(|age| age < CHECKPOINT_PAUSE)
    {
        return Err(refused(FailureKind::Refused, "the last one is too young"));
    }
    if found.len() >= CHECKPOINTS_BYTES_MAX {
        renameat(state, CHECKPOINTS, state, CHECKPOINTS_OLD).what(what)?;
        file = open(state).what(what)?;
        found = file.metadata().what(what)?;
        if found.len() != 0 {
            return Err(refused(
                FailureKind::Failed,
                "somebody else made the new file",
            ));
        }
    }
    let at_ms = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let line = format!(
        "{at_ms} {} {} {} {}\n",
        person.seq, person.chain, wsm.seq, wsm.chain
    );
    // One write: a line is there or not, whatever else writes.
    file.write_all(line.as_bytes()).what(what)?;
    file.sync_data().what(what)?;
    Ok((Reply::Done, Vec::new()))
}

fn open(state: BorrowedFd<'_>) -> std::io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK;
    files::create_below(state, Path::new(CHECKPOINTS), flags, 0o644).map(File::from)
}

//! Checkpoints of the journal: what the daemon said at a time, in a file that it can't change, and
//! can't contradict.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, renameat};

use crate::fail::{Context, failure};
use crate::files;
use crate::protocol::{
    CHECKPOINT_PAUSE, CHECKPOINTS, CHECKPOINTS_BYTES_MAX, CHECKPOINTS_OLD, Failure, FailureKind,
    JournalEnd, JournalLine, Kept, Reply,
};

/// How much of the end of a file is read at first: some twenty lines.
const TAIL_BYTES: u64 = 4096;

/// How much of it is read at most: a full one, with what was added by the line that filled it.
const READ_BYTES_MAX: u64 = CHECKPOINTS_BYTES_MAX + TAIL_BYTES;

fn what() -> String {
    "write a checkpoint".to_owned()
}

fn refused(kind: FailureKind, why: &str) -> Failure {
    failure(kind, what(), why, "")
}

/// Adds a line. The clock is ours: the daemon can't say when it said it. One at a time.
pub(super) fn write(
    state: BorrowedFd<'_>,
    kept: Kept,
    person: JournalEnd,
    wsm: JournalEnd,
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    if !(person.is_well_formed() && wsm.is_well_formed()) {
        return Err(refused(
            FailureKind::Invalid,
            "a hash is 64 hexadecimal digits",
        ));
    }
    let mut file = open(state).what(what)?;
    let found = file.metadata().what(what)?;
    if !found.is_file() || found.uid() != 0 || found.nlink() != 1 {
        return Err(refused(
            FailureKind::Failed,
            "the file of checkpoints is not root's own",
        ));
    }
    let mut line = JournalLine {
        at_ms: 0,
        kept,
        person,
        wsm,
    };
    if stands(state, &file, &line)? {
        return Ok((Reply::Done, Vec::new()));
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
    let full = found.len() >= CHECKPOINTS_BYTES_MAX;
    let before = before(state, &file, found.len()).what(what)?;
    if full {
        renameat(state, CHECKPOINTS, state, CHECKPOINTS_OLD).what(what)?;
        file = open(state).what(what)?;
        if file.metadata().what(what)?.len() != 0 {
            return Err(refused(
                FailureKind::Failed,
                "somebody else made the new file",
            ));
        }
    }
    let at_ms = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    line.at_ms = u64::try_from(at_ms).unwrap_or(0);
    // One write: a line is there or not, whatever else writes.
    let text = format!("{before}{line}\n");
    file.write_all(text.as_bytes()).what(what)?;
    file.sync_data().what(what)?;
    Ok((Reply::Done, Vec::new()))
}

/// Whether nothing has to be added for this; refused if it contradicts what was said before.
fn stands(state: BorrowedFd<'_>, file: &File, line: &JournalLine) -> Result<bool, Failure> {
    let cut = line.kept.is_cut();
    let Some(before) = last(state, file, cut).what(what)? else {
        return Ok(false);
    };
    if line.kept == Kept::Begins {
        return Ok(true);
    }
    if !(line.person.follows(&before.person) && line.wsm.follows(&before.wsm)) {
        let why = "what was said last knows of later rows, or of others with these numbers";
        return Err(refused(FailureKind::Exists, why));
    }
    Ok(cut && line.person == before.person && line.wsm == before.wsm)
}

/// What goes before the next line of a file of this length.
fn before(state: BorrowedFd<'_>, file: &File, length: u64) -> io::Result<String> {
    if length == 0 || length >= CHECKPOINTS_BYTES_MAX {
        // What was cut is known for ever, however often the file is renamed.
        let cut = last(state, file, true)?;
        return Ok(cut.map(|cut| format!("{cut}\n")).unwrap_or_default());
    }
    // What a crash left of a line must not spoil this one.
    let mut end = [0];
    file.read_exact_at(&mut end, length - 1)?;
    let torn = end != *b"\n";
    Ok(if torn { "\n".to_owned() } else { String::new() })
}

fn open(state: BorrowedFd<'_>) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK;
    files::create_below(state, Path::new(CHECKPOINTS), flags, 0o644).map(File::from)
}

/// The last line that tells of a cut, or that is a checkpoint. A damaged file knows less, and stops
/// nothing: `audit verify` tells of it.
fn last(state: BorrowedFd<'_>, file: &File, cut: bool) -> io::Result<Option<JournalLine>> {
    if let Some(line) = last_in(file, cut)? {
        return Ok(Some(line));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    match files::open_below(state, Path::new(CHECKPOINTS_OLD), flags).map(File::from) {
        Ok(old) if old.metadata()?.is_file() => last_in(&old, cut),
        _ => Ok(None),
    }
}

fn last_in(file: &File, cut: bool) -> io::Result<Option<JournalLine>> {
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(READ_BYTES_MAX);
    let mut window = TAIL_BYTES;
    loop {
        let from = length.saturating_sub(window).max(begin);
        let mut bytes = vec![0; usize::try_from(length - from).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, from)?;
        let text = String::from_utf8_lossy(&bytes);
        // What is read from the middle on begins with half a line.
        let lines = text.split('\n').skip(usize::from(from > 0));
        let lines = lines.filter_map(|line| line.parse::<JournalLine>().ok());
        let found = lines.filter(|line| line.kept.is_cut() == cut).last();
        if found.is_some() || from == begin {
            return Ok(found);
        }
        window *= 8;
    }
}

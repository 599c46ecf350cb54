//! Recordings of terminals: their bounds, and what lies in an agent's files. The shim writes them;
//! it is not believed more than any other file that an agent could have had a hand in.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wsm_egress::config::{HostConfig, Recordings};
use wsm_sandbox::launch::{RECORDINGS, recording_file};
use wsm_terminal::protocol::Record;
use wsm_terminal::recording::{self, SEGMENT_BYTES, SEGMENTS_MAX};

const MEBIBYTE: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the host's configuration says; one that can't be read says what it would by default.
fn configured(etc_dir: &Path) -> Recordings {
    HostConfig::load(etc_dir).unwrap_or_default().recordings
}

fn age(recordings: Recordings) -> Duration {
    DAY.saturating_mul(recordings.days)
}

/// How a terminal that starts now is recorded.
#[must_use]
pub fn record(etc_dir: &Path) -> Option<Record> {
    let recordings = configured(etc_dir);
    recordings.enabled.then(|| Record {
        bytes_max: u64::from(recordings.mebibytes) * MEBIBYTE,
        age_ms: u64::try_from(age(recordings).as_millis()).unwrap_or(u64::MAX),
    })
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Terminal and begin: its name.
    pub id: String,
    /// Terminal.
    pub terminal: String,
    /// When what is there of it begins, milliseconds since 1970.
    pub begun_ms: u64,
    /// From its first event to its last.
    pub length: Duration,
    /// Bytes of events.
    pub bytes: u64,
    /// Columns and rows at its begin.
    pub size: (u16, u16),
}

/// Every recording of an agent, oldest first. `logs`: where its files lie. Reads a lot: not for
/// the thread that serves.
///
/// # Errors
/// A file is there and can't be read.
pub fn list(logs: &Path, etc_dir: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    each(logs, etc_dir, |id, recording| {
        found.push(Found {
            id,
            terminal: recording.meta.terminal.clone(),
            begun_ms: recording.begun_us() / 1000,
            length: recording.length(),
            bytes: recording.bytes() as u64,
            size: (recording.meta.cols, recording.meta.rows),
        });
    })?;
    found.sort_by_key(|found| found.begun_ms);
    Ok(found)
}

/// The bytes of one, as a file of its own. `None`: there is none of that name.
///
/// # Errors
/// As for [`list`].
pub fn read(logs: &Path, etc_dir: &Path, wanted: &str) -> io::Result<Option<Vec<u8>>> {
    let mut file = None;
    each(logs, etc_dir, |id, recording| {
        if id == wanted {
            file = Some(recording.to_file());
        }
    })?;
    Ok(file)
}

fn each(
    logs: &Path,
    etc_dir: &Path,
    mut take: impl FnMut(String, &recording::Recording<'_>),
) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let oldest = now
        .unwrap_or_default()
        .saturating_sub(age(configured(etc_dir)));
    for number in 0..RECORDINGS {
        let Some(bytes) = bounded(&logs.join(recording_file(number)))? else {
            continue;
        };
        for recording in recording::Recording::all(&bytes) {
            let end =
                Duration::from_micros(recording.begun_us()).saturating_add(recording.length());
            if end >= oldest {
                let meta = &recording.meta;
                take(format!("{}.{}", meta.terminal, meta.begun_ms), &recording);
            }
        }
    }
    Ok(())
}

/// A whole file, if it is one: a link or a pipe in its place is not followed or waited for.
fn bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let opened = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let most = SEGMENTS_MAX * SEGMENT_BYTES as u64;
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(most).read_to_end(&mut bytes)?;
    }
    Ok(Some(bytes))
}

//! What an agent that rests left to be read: its logs and its last screen.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// Of a longer log the end is shown: as much as a shim writes into one file.
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The last lines of a log. The directory is the account's own, who may put anything in its place:
/// a link to what only the daemon may read, a FIFO that nobody writes to, more than memory holds.
pub(super) fn log_tail(path: &Path, lines: u32) -> io::Result<String> {
    let flags = O_NOFOLLOW | O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(e),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        let why = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    file.seek(SeekFrom::Start(meta.len().saturating_sub(LOG_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(last_lines(&String::from_utf8_lossy(&bytes), lines))
}

/// The last lines, each ended.
pub(super) fn last_lines(text: &str, lines: u32) -> String {
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines as usize);
    let mut out = all[from..].join("\n");
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_from_its_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("web.log");
        assert_eq!(log_tail(&log, 9).expect("none is no error"), "");
        std::fs::write(&log, "a\nb\nc\n").expect("it writes");
        assert_eq!(log_tail(&log, 2).expect("it reads"), "b\nc\n");
        let file = OpenOptions::new().append(true).open(&log);
        let file = file.expect("it is there");
        file.set_len(100 << 30).expect("a hole");
        assert!(log_tail(&log, 1).expect("it reads").len() as u64 <= LOG_BYTES_MAX + 1);
    }

    #[test]
    fn what_is_no_log_is_neither_followed_nor_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let secret = dir.path().join("wsm.db");
        std::fs::write(&secret, "secret").expect("it writes");
        let link = dir.path().join("link.log");
        std::os::unix::fs::symlink(&secret, &link).expect("it links");
        assert!(log_tail(&link, 9).is_err());
        assert_eq!(log_tail(&secret, 9).expect("the control"), "secret\n");
        let fifo = dir.path().join("fifo.log");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.expect("mkfifo runs").success());
        assert!(log_tail(&fifo, 9).is_err());
        assert!(log_tail(dir.path(), 9).is_err());
    }
}

//! A service's log: its newest bytes by number in memory, more of it in a bounded file.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Bytes kept in memory, for requests.
const MEMORY_BYTES_MAX: usize = 256 * 1024;
/// A file that reaches this …
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// … keeps only so much of its end.
const FILE_BYTES_KEPT: u64 = 1024 * 1024;
/// Bytes of one answer: as JSON they are up to four times as many, and must fit a frame.
const ANSWER_BYTES_MAX: usize = 192 * 1024;
/// Subscribers hear of a log no more often than this.
const TELL_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Log {
    file: File,
    file_bytes: u64,
    memory: VecDeque<u8>,
    end: u64,
    /// Processes that wrote since subscribers were last told.
    pub(super) news: Vec<String>,
    told: Option<Instant>,
}

impl Log {
    pub(super) fn new(file: File) -> io::Result<Log> {
        let file_bytes = file.metadata()?.len();
        Ok(Log {
            file,
            file_bytes,
            memory: VecDeque::new(),
            end: 0,
            news: Vec::new(),
            told: None,
        })
    }

    pub(super) fn push(&mut self, process: &str, bytes: &[u8]) {
        let over = (self.memory.len() + bytes.len()).saturating_sub(MEMORY_BYTES_MAX);
        let over = over.min(self.memory.len());
        self.memory.drain(..over);
        let kept = &bytes[bytes.len().saturating_sub(MEMORY_BYTES_MAX)..];
        self.memory.extend(kept);
        self.end += bytes.len() as u64;
        if !self.news.iter().any(|known| known == process) {
            self.news.push(process.to_owned());
        }
        // A full disk must not end a service; what is in memory can still be read.
        if self.file.write_all_at(bytes, self.file_bytes).is_ok() {
            self.file_bytes += bytes.len() as u64;
        }
        if self.file_bytes > FILE_BYTES_MAX && self.shorten().is_err() {
            self.file_bytes = 0;
        }
    }

    /// Rewrites the file in place with whole lines from its end.
    fn shorten(&mut self) -> io::Result<()> {
        let mut kept = vec![0; usize::try_from(FILE_BYTES_KEPT).expect("1 MiB fits")];
        let from = self.file_bytes - FILE_BYTES_KEPT;
        self.file.read_exact_at(&mut kept, from)?;
        let line = kept.iter().position(|&byte| byte == b'\n');
        let kept = &kept[line.map_or(0, |at| at + 1)..];
        self.file.write_all_at(kept, 0)?;
        self.file_bytes = kept.len() as u64;
        self.file.set_len(self.file_bytes)
    }

    /// Bytes from `from` on, or the last `lines` lines; with the number of the first byte.
    pub(super) fn read(&self, from: Option<u64>, lines: u32) -> (u64, Vec<u8>) {
        let start = self.end - self.memory.len() as u64;
        let from = match from {
            Some(from) => from.clamp(start, self.end),
            None => start + self.last_lines(lines) as u64,
        };
        let offset = usize::try_from(from - start).expect("within memory");
        let wanted = self.memory.len() - offset;
        let length = wanted.min(ANSWER_BYTES_MAX);
        let bytes = self.memory.range(offset..offset + length);
        (from, bytes.copied().collect())
    }

    fn last_lines(&self, lines: u32) -> usize {
        let floor = self.memory.len().saturating_sub(ANSWER_BYTES_MAX);
        if lines == 0 {
            return self.memory.len();
        }
        let mut left = lines;
        for (at, &byte) in self.memory.iter().enumerate().rev() {
            // The last byte ends the last line; it does not begin one.
            if byte == b'\n' && at + 1 < self.memory.len() {
                left -= 1;
                if left == 0 {
                    return at + 1;
                }
            }
            if at == floor {
                return at;
            }
        }
        0
    }

    /// When subscribers may be told next.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (!self.news.is_empty()).then(|| self.told.map_or(now, |told| told + TELL_EVERY))
    }

    pub(super) fn tell(&mut self, now: Instant) -> Vec<String> {
        self.told = Some(now);
        std::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_are_bounded() {
        let mut log = Log::new(tempfile::tempfile().unwrap()).unwrap();
        for number in 0..200_000 {
            log.push(
                "db",
                format!("a line with the number {number}\n").as_bytes(),
            );
        }
        assert!(log.memory.len() <= MEMORY_BYTES_MAX);
        assert!(log.file.metadata().unwrap().len() <= FILE_BYTES_MAX + 100);
        let mut head = [0; 23];
        log.file.read_exact_at(&mut head, 0).unwrap();
        assert_eq!(&head, b"a line with the number ");
        let (from, bytes) = log.read(None, 2);
        let last = "a line with the number 199998\na line with the number 199999\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), last);
        assert_eq!(from + last.len() as u64, log.end);
        assert_eq!(log.read(Some(from + 30), 0).1.len(), last.len() - 30);
        assert_eq!(log.read(Some(u64::MAX), 0), (log.end, Vec::new()));
        assert!(log.read(Some(0), 0).0 > 0);
        assert_eq!(log.read(None, 0).1, b"");
        assert!(log.read(None, u32::MAX).1.len() <= ANSWER_BYTES_MAX);
        assert_eq!(log.news, ["db"]);
    }
}

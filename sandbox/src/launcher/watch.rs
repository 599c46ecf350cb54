//! Telling the shim that something changed below some directories.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Changes are said at most this often; a git command makes dozens.
const PAUSE: Duration = Duration::from_millis(50);
/// Directories watched at once: a refs tree has a handful, and inotify watches are limited.
const DIRECTORIES_MAX: usize = 512;

/// Watches directories, with what lies below them.
#[derive(Debug)]
pub(super) struct Watcher {
    inotify: Inotify,
    wanted: Vec<PathBuf>,
    due: Option<Instant>,
}

impl Watcher {
    pub(super) fn new(directories: Vec<String>) -> nix::Result<Watcher> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let wanted = directories.into_iter().map(PathBuf::from).collect();
        let mut watcher = Watcher {
            inotify,
            wanted,
            due: None,
        };
        watcher.scan();
        Ok(watcher)
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// How long until a change must be said; `None` if there is none.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.due
            .map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Whether it is time to say that something changed.
    pub(super) fn changed(&mut self) -> bool {
        let mut seen = false;
        while let Ok(events) = self.inotify.read_events() {
            seen |= !events.is_empty();
        }
        if seen && self.due.is_none() {
            self.due = Some(Instant::now() + PAUSE);
        }
        if self.due.is_none_or(|due| Instant::now() < due) {
            return false;
        }
        self.due = None;
        self.scan();
        true
    }

    /// Watches what is there now: each wanted directory with its directories, or, while it is
    /// missing, the nearest one above it.
    fn scan(&mut self) {
        let mut found = HashSet::new();
        for wanted in &self.wanted {
            if wanted.is_dir() {
                collect(wanted, &mut found);
            } else if let Some(above) = wanted.ancestors().skip(1).find(|path| path.is_dir()) {
                found.insert(above.to_owned());
            }
        }
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        // Added again even if known: a directory may have been replaced by another of its name.
        // One that can't be watched is found by the daemon's poll.
        found.retain(|path| self.inotify.add_watch(path.as_path(), flags).is_ok());
    }
}

fn collect(top: &Path, found: &mut HashSet<PathBuf>) {
    let mut pending = vec![top.to_owned()];
    while let Some(path) = pending.pop() {
        if found.len() >= DIRECTORIES_MAX {
            return;
        }
        if let Ok(entries) = std::fs::read_dir(&path) {
            let directories = entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            pending.extend(directories.map(|entry| entry.path()));
        }
        found.insert(path);
    }
}

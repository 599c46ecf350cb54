//! One helper at a time changes a workspace, and one the main checkout: that of a daemon that died may still be at it when the
//! next daemon's begins.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::protocol::{Failure, FailureKind, Request};

/// A helper whose daemon is gone ends at its next step; the agent, whose directory the lock is on,
/// can't hold its own commits up for longer than this.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(10);

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _lock: Flock<File>,
}

/// Waits for the turn of a request that changes something; `None`: it needs none.
pub(super) fn take(request: &Request, patience: Duration) -> Result<Option<Turn>, Failure> {
    let directory = match request {
        Request::CreateWorkspace(create) => &create.place.private_git_dir,
        Request::Import(import) => &import.place.private_git_dir,
        Request::RemoveWorkspace { place, .. } => &place.private_git_dir,
        Request::Merge(merge) => &merge.place.git_dir,
        Request::Apply { place, .. } | Request::Landed { place, .. } => &place.git_dir,
        _ => return Ok(None),
    };
    lock(directory, patience)
}

fn lock(directory: &Path, patience: Duration) -> Result<Option<Turn>, Failure> {
    let doing = || format!("wait for the turn at {}", directory.display());
    let mut file = match File::open(directory) {
        Ok(file) => file,
        // Nobody can be at what is not there.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io(doing(), &error)),
    };
    let end = Instant::now() + patience;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(Turn { _lock: lock })),
            Err((file, Errno::EWOULDBLOCK | Errno::EINTR)) => file,
            Err((_, errno)) => return Err(Failure::io(doing(), &errno.into())),
        };
        if Instant::now() >= end {
            let why = "another git helper is at work there";
            return Err(Failure::new(FailureKind::Busy, doing(), why));
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path(), Duration::ZERO).unwrap();
        assert!(first.is_some());
        let busy = lock(directory.path(), Duration::from_millis(30)).unwrap_err();
        assert_eq!(busy.kind, FailureKind::Busy);
        drop(first);
        assert!(lock(directory.path(), Duration::ZERO).unwrap().is_some());
        let missing = directory.path().join("missing");
        assert!(lock(&missing, Duration::ZERO).unwrap().is_none());
    }
}

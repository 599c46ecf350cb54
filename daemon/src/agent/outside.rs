//! The branch as others move it: the kernel says so at once, not the next look.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc::WeakSender;
use wsm_sandbox::protocol::{Reply as BrokerReply, Request as BrokerRequest};

use super::handle::Message;
use crate::engine::Engine;
use crate::record::Record;

/// Pause before a watch that ended, or could not be had, is asked for again; looks go on meanwhile.
const AGAIN: Duration = Duration::from_secs(20);

/// Many events at once; a ref is moved by one.
const EVENTS_BYTES: usize = 4096;

// inotify(7).
const HEADER_BYTES: usize = 16;
const IN_MOVED_TO: u32 = 0x80;
const IN_DELETE_SELF: u32 = 0x400;
const IN_MOVE_SELF: u32 = 0x800;
const IN_Q_OVERFLOW: u32 = 0x4000;
const IN_IGNORED: u32 = 0x8000;

/// Tells the driver each time that the branch was moved, until the driver is gone.
pub(super) async fn follow(engine: Arc<Engine>, record: Record, driver: WeakSender<Message>) {
    let (_, file) = record
        .branch
        .rsplit_once('/')
        .unwrap_or(("", &record.branch));
    loop {
        // Bounded: they are taken from what the account may have. Others are looked at.
        if let Ok(_place) = engine.watching.try_acquire()
            && let Some(watch) = ask(&engine, &record).await
            && let Err(error) = read(watch, file, &driver).await
        {
            tracing::debug!(agent = %record.name, %error, "watch its branch");
        }
        tokio::time::sleep(AGAIN).await;
        if driver.upgrade().is_none() {
            return;
        }
    }
}

async fn ask(engine: &Engine, record: &Record) -> Option<OwnedFd> {
    let request = BrokerRequest::WatchBranch {
        agent: record.id.clone(),
        branch: record.branch.clone(),
    };
    match engine.broker.ask_with_fds(request).await {
        Ok((BrokerReply::Watched, mut fds)) => fds.pop(),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(agent = %record.name, %error, "watch its branch");
            None
        }
    }
}

/// Reads until the watch is gone.
async fn read(watch: OwnedFd, file: &str, driver: &WeakSender<Message>) -> std::io::Result<()> {
    // Read like a pipe, which is all that is known of it there.
    let mut watch = Receiver::from_owned_fd_unchecked(watch)?;
    let mut bytes = [0; EVENTS_BYTES];
    loop {
        let length = watch.read(&mut bytes).await?;
        let told = told(bytes.get(..length).unwrap_or_default(), file);
        let Some(driver) = driver.upgrade() else {
            return Ok(());
        };
        if told.moved {
            drop(driver.send(Message::Outside).await);
        }
        if told.gone || length == 0 {
            return Ok(());
        }
    }
}

/// What events say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// The file was renamed into its place.
    moved: bool,
    /// There will be no more.
    gone: bool,
}

/// Reads what the kernel wrote; what is cut off is none of its.
fn told(mut bytes: &[u8], file: &str) -> Told {
    let mut told = Told::default();
    while let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) {
        let word = |at: usize| {
            let word = header.get(at..at + 4).and_then(|word| word.try_into().ok());
            word.map_or(0, u32::from_ne_bytes)
        };
        let length = usize::try_from(word(12)).unwrap_or(usize::MAX);
        let Some((name, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let mask = word(4);
        told.moved |= mask & IN_Q_OVERFLOW != 0;
        told.moved |= mask & IN_MOVED_TO != 0 && name == file.as_bytes();
        told.gone |= mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF) != 0;
        bytes = rest;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(mask: u32, name: &str) -> Vec<u8> {
        let mut padded = name.as_bytes().to_vec();
        padded.resize(name.len().next_multiple_of(16), 0);
        let length = u32::try_from(padded.len()).expect("short");
        let words = [1, mask, 0, length];
        let header = words.iter().flat_map(|word: &u32| word.to_ne_bytes());
        header.chain(padded).collect()
    }

    #[test]
    fn only_the_branch_itself_is_news() {
        let told_of = |events: &[Vec<u8>]| told(&events.concat(), "a");
        let moved = |moved| Told { moved, gone: false };
        assert_eq!(told_of(&[event(IN_MOVED_TO, "a")]), moved(true));
        assert_eq!(told_of(&[event(IN_MOVED_TO, "b")]), moved(false));
        assert_eq!(
            told_of(&[event(IN_MOVED_TO, "ab"), event(IN_MOVED_TO, "a")]),
            moved(true)
        );
        assert_eq!(told_of(&[event(IN_Q_OVERFLOW, "")]), moved(true));
        assert!(told_of(&[event(IN_DELETE_SELF, ""), event(IN_IGNORED, "")]).gone);
        let cut = event(IN_MOVED_TO, "a");
        assert_eq!(told(&cut[..cut.len() - 1], "a"), Told::default());
        assert_eq!(told(&cut[..7], "a"), Told::default());
    }
}

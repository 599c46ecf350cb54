//! Checkpoints: where the journal's chains end is told to the broker, which writes it down where
//! the daemon can't change it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::{
    CHECKPOINTS, CHECKPOINTS_BYTES_MAX, CHECKPOINTS_OLD, JournalEnd, Request,
};

use super::{Engine, store_problem};
use crate::audit::{Checkpoint, Link, hex, unhex};

/// How long a row is at most without a checkpoint behind it.
const EVERY: Duration = Duration::from_secs(60);

impl Engine {
    /// Has a checkpoint written whenever there are new rows, once a minute.
    pub(crate) fn keep_checkpoints(self: &Arc<Engine>) {
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let mut newest = engine.store.newest();
            newest.mark_changed();
            // The store lives as long as the daemon: this ends with it.
            while newest.changed().await.is_ok() {
                if let Err(problem) = engine.checkpoint().await {
                    tracing::warn!(%problem, "the journal has no new checkpoint");
                }
                tokio::time::sleep(EVERY).await;
            }
        });
    }

    /// Has one written now.
    pub(crate) async fn checkpoint(&self) -> Result<(), Problem> {
        let [person, wsm] = self.store.ends().map_err(|e| store_problem(&e))?;
        let end = |link: Link| JournalEnd {
            seq: link.seq,
            chain: hex(&link.chain),
        };
        let request = Request::Checkpoint {
            person: end(person),
            wsm: end(wsm),
        };
        let asked = self.broker.ask(request).await;
        asked.map(drop).map_err(|e| crate::broker::problem(&e))
    }

    /// All that were written.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Checkpoint>, Problem> {
        let mut known = Vec::new();
        for name in [CHECKPOINTS_OLD, CHECKPOINTS] {
            let path = self.agents_dir.with_file_name(name);
            let mut text = String::new();
            let read = std::fs::File::open(&path).and_then(|file| {
                file.take(CHECKPOINTS_BYTES_MAX + 4096)
                    .read_to_string(&mut text)
            });
            match read {
                Ok(_) => known.extend(text.lines().filter_map(parse)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!("read the checkpoints of the journal: {error}");
                    return Err(Problem::new(Code::Failed, message, ""));
                }
            }
        }
        Ok(known)
    }
}

/// A line; what was cut off by a crash is none.
fn parse(line: &str) -> Option<Checkpoint> {
    let mut words = line.split(' ');
    let at_ms = words.next()?.parse().ok()?;
    let mut end = || {
        Some(Link {
            seq: words.next()?.parse().ok()?,
            chain: unhex(words.next()?)?,
        })
    };
    let (person, wsm) = (end()?, end()?);
    words
        .next()
        .is_none()
        .then_some(Checkpoint { at_ms, person, wsm })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_torn_ones_are_none() {
        let line = format!("5 7 {} 8 {}", "a".repeat(64), "0".repeat(64));
        let known = parse(&line).expect("a checkpoint");
        assert_eq!((known.at_ms, known.person.seq, known.wsm.seq), (5, 7, 8));
        assert_eq!((known.person.chain, known.wsm.chain), ([0xaa; 32], [0; 32]));
        for torn in 0..line.len() {
            assert_eq!(parse(&line[..torn]), None, "{torn}");
        }
        assert_eq!(parse(&format!("{line} 1")), None);
    }
}

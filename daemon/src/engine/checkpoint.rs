//! Checkpoints: where the journal's chains end is told to the broker, which writes it down where
//! the daemon can't change it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::{
    CHECKPOINT_PAUSE, CHECKPOINTS, CHECKPOINTS_BYTES_MAX, CHECKPOINTS_OLD, JournalEnd, Request,
};

use super::{Engine, store_problem};
use crate::audit::{Known, Link, hex};

/// How long a row is at most without a checkpoint behind it.
const EVERY: Duration = Duration::from_secs(60);

/// How often something is said that comes too soon after what was said before.
const TRIES: u32 = 4;

impl Engine {
    /// Has a checkpoint written whenever there are new rows, once a minute.
    pub(crate) fn keep_checkpoints(self: &Arc<Engine>) {
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let mut newest = engine.store.newest();
            newest.mark_changed();
            let mut begun = false;
            // The store lives as long as the daemon: this ends with it.
            while newest.changed().await.is_ok() {
                if let Err(problem) = engine.keep(&mut begun).await {
                    tracing::warn!(%problem, "the journal has no new checkpoint");
                }
                tokio::time::sleep(EVERY).await;
            }
        });
    }

    /// Has one written; once before, what was gone when nothing was written down of that yet.
    async fn keep(&self, begun: &mut bool) -> Result<(), Problem> {
        let begins = if *begun { Ok(()) } else { self.begin().await };
        *begun = begins.is_ok();
        // A broker of before knows of no cuts: the rows have their checkpoints all the same.
        self.say(self.checkpoint_now().await?).await?;
        begins
    }

    async fn begin(&self) -> Result<(), Problem> {
        let bases = self.store.bases().map_err(|e| store_problem(&e))?;
        self.say(cut(true, bases)).await
    }

    /// Has one written now.
    pub(crate) async fn checkpoint(&self) -> Result<(), Problem> {
        let request = self.checkpoint_now().await?;
        let asked = self.broker.ask(request).await;
        asked.map(drop).map_err(|e| crate::broker::problem(&e))
    }

    async fn checkpoint_now(&self) -> Result<Request, Problem> {
        let store = self.store.clone();
        let settled = tokio::task::spawn_blocking(move || store.settled_ends()).await;
        let settled = settled.map_err(|e| {
            let message = format!("wsm's own work broke off: {e}");
            Problem::new(Code::Failed, message, "see the daemon's log")
        })?;
        let [person, wsm] = settled.map_err(|e| store_problem(&e))?;
        Ok(Request::Checkpoint {
            person: end(person),
            wsm: end(wsm),
        })
    }

    /// Has it written down that the rows up to this number are taken out: before they are. If they
    /// are not then, the file knows of more than was done, which is no harm.
    pub(crate) async fn tell_of_cut(&self, through: u64) -> Result<(), Problem> {
        let bases = self.store.bases_at(through);
        let bases = bases.map_err(|e| store_problem(&e))?;
        self.say(cut(false, bases)).await
    }

    /// Asks again if something else was written down within the last second.
    async fn say(&self, request: Request) -> Result<(), Problem> {
        let mut tries = 1;
        loop {
            let asked = self.broker.ask(request.clone()).await;
            let Err(error) = asked else { return Ok(()) };
            let problem = crate::broker::problem(&error);
            if problem.code != Code::Refused || tries == TRIES {
                return Err(problem);
            }
            tries += 1;
            tokio::time::sleep(CHECKPOINT_PAUSE).await;
        }
    }

    /// All that was written.
    pub(crate) fn checkpoints(&self) -> Result<Known, Problem> {
        let mut known = Known::default();
        for name in [CHECKPOINTS_OLD, CHECKPOINTS] {
            let path = self.agents_dir.with_file_name(name);
            let mut text = Vec::new();
            let read = std::fs::File::open(&path).and_then(|file| {
                file.take(CHECKPOINTS_BYTES_MAX + 4096)
                    .read_to_end(&mut text)
            });
            match read {
                Ok(_) => known.read(&String::from_utf8_lossy(&text)),
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

fn end(link: Link) -> JournalEnd {
    JournalEnd {
        seq: link.seq,
        chain: hex(&link.chain),
    }
}

fn cut(begins: bool, [person, wsm]: [Link; 2]) -> Request {
    Request::Cut {
        begins,
        person: end(person),
        wsm: end(wsm),
    }
}

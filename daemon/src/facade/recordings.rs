//! What an agent's terminals showed.

use std::io;

use tokio::sync::Semaphore;
use wsm_api::problem::{Code, Problem};
use wsm_api::recording::{RecordInput, Recording};

use super::Daemon;
use crate::actor::Actor;
use crate::agent::handle::Message;
use crate::recordings::{self, Found};
use crate::role::Verb;
use crate::shim::INPUTS;
use crate::store::rfc3339;

/// Each has a file in memory while it is read.
static READING: Semaphore = Semaphore::const_new(2);

impl Daemon {
    /// `rec ls`, oldest first; of an agent that rests as well.
    ///
    /// # Errors
    /// There is no such agent, or a file can't be read.
    pub async fn recordings(&self, actor: &Actor, agent: &str) -> Result<Vec<Recording>, Problem> {
        let found = self.read_recordings(actor, agent, recordings::list).await?;
        Ok(found.into_iter().map(shown).collect())
    }

    /// The bytes of one.
    ///
    /// # Errors
    /// There is no such agent or recording, or its file can't be read.
    pub async fn recording(
        &self,
        actor: &Actor,
        agent: &str,
        id: &str,
    ) -> Result<Vec<u8>, Problem> {
        let wanted = id.to_owned();
        let read = move |logs: &_, etc: &_| recordings::read(logs, etc, &wanted);
        let found = self.read_recordings(actor, agent, read).await?;
        found.ok_or_else(|| {
            let message = format!("{agent} has no recording {id:?}");
            Problem::new(Code::NotFound, message, format!("see `wsm rec ls {agent}`"))
        })
    }

    /// `rec input`: what people type is recorded until the agent stops or is handed over, or no more.
    /// Whoever could type is told.
    ///
    /// # Errors
    /// The agent does not run, was started by an older wsm, or nothing of it is recorded.
    pub async fn record_input(
        &self,
        actor: &Actor,
        agent: &str,
        RecordInput { on }: RecordInput,
    ) -> Result<RecordInput, Problem> {
        let (shim, _) = self.running(actor, agent, Verb::RecordInput)?;
        if shim.speaks() < INPUTS {
            let message =
                format!("{agent} was started by an older wsm: its input can't be recorded");
            let hint = format!("`wsm restart {agent}` when it may be interrupted");
            return Err(Problem::new(Code::NotAvailable, message, hint));
        }
        if on && recordings::record(&self.engine.etc_dir).is_none() {
            let hint = "`[recordings] enabled = true` in config.toml, for what starts then";
            return Err(Problem::new(
                Code::NotAvailable,
                "nothing is recorded here",
                hint,
            ));
        }
        let (handle, actor) = (self.find(actor, agent, Verb::RecordInput)?, actor.who());
        let asked = handle.ask(|reply| Message::RecordInput { actor, on, reply });
        asked.await?;
        Ok(RecordInput { on })
    }

    async fn read_recordings<T: Send + 'static>(
        &self,
        actor: &Actor,
        agent: &str,
        read: impl FnOnce(&std::path::Path, &std::path::Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let published = self.find(actor, agent, Verb::Recordings)?.now();
        let logs = self.engine.log_dir(&published.record.id);
        let etc = self.engine.etc_dir.clone();
        let _place = READING.acquire().await.expect("it is never closed");
        let done = tokio::task::spawn_blocking(move || read(&logs, &etc)).await;
        done.unwrap_or_else(|e| Err(e.into())).map_err(|e| {
            let message = format!("read the recordings of {agent}: {e}");
            Problem::new(Code::Failed, message, "")
        })
    }
}

fn shown(found: Found) -> Recording {
    Recording {
        id: found.id,
        terminal: found.terminal,
        begun: rfc3339(found.begun_ms),
        length_ms: u64::try_from(found.length.as_millis()).unwrap_or(u64::MAX),
        bytes: found.bytes,
        cols: found.size.0,
        rows: found.size.1,
    }
}

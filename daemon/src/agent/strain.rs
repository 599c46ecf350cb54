//! What an agent runs into: its limits, as the kernel counts it.

use wsm_sandbox::launch::Exit;
use wsm_sandbox::protocol::{Reply as BrokerReply, Request as BrokerRequest, Strain};

use super::run::ended;
use crate::engine::Engine;
use crate::record::Record;

/// Signal of the kernel's out-of-memory killer (signal(7)).
const SIGKILL: i32 = 9;

/// What the agent has run into of its limits; nothing where nobody can say.
pub(super) async fn strain(engine: &Engine, record: &Record) -> Strain {
    let agent = record.id.clone();
    match engine.broker.ask(BrokerRequest::Strain { agent }).await {
        Ok(BrokerReply::Strained(strain)) => strain,
        Ok(_) => Strain::default(),
        Err(error) => {
            tracing::debug!(agent = %record.name, %error, "look at its limits");
            Strain::default()
        }
    }
}

/// `was killed by signal 9: it reached its memory limit of 96 MiB`, or as [`ended`] has it; and
/// whether it was a limit of its own.
pub(super) async fn how_it_ended(engine: &Engine, record: &Record, exit: Exit) -> (String, bool) {
    let how = ended(exit);
    if exit != Exit::Signal(SIGKILL) {
        return (how, false);
    }
    let strain = strain(engine, record).await;
    match (strain.oom_kills, strain.memory_bytes) {
        (0, _) => (how, false),
        (_, None) => (format!("{how}: the host was out of memory"), false),
        (_, Some(bytes)) => {
            let mebibytes = bytes >> 20;
            let how = format!("{how}: it reached its memory limit of {mebibytes} MiB");
            (how, true)
        }
    }
}

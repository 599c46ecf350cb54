//! What a driver waits for, where there may be nothing to wait for.

use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::Event;

use super::driver::Done;
use crate::shim::Shim;

pub(super) async fn next_event(events: &mut Option<mpsc::Receiver<Event>>) -> Option<Event> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn next_done(job: &mut Option<JoinHandle<Done>>) -> Done {
    let Some(handle) = job else {
        return std::future::pending().await;
    };
    let done = handle.await;
    *job = None;
    done.unwrap_or_else(|e| {
        let problem = Problem::new(Code::Failed, format!("wsm's own work broke off: {e}"), "");
        Done::BrokeOff(problem)
    })
}

pub(super) async fn shim_gone(shim: Option<&Shim>) {
    match shim {
        Some(shim) => shim.closed().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

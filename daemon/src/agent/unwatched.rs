//! Stopping an agent that has been idle, and seen by nobody, for as long as its template says.

use std::time::{Duration, Instant};

use wsm_api::agent::State;
use wsm_terminal::protocol::{Reply, Request};

use super::driver::{Driver, Next, Stage};
use crate::actor::Who;
use crate::store::now_ms;

/// One that is watched is looked at again after this long.
const AGAIN: Duration = Duration::from_secs(30);

impl Driver {
    /// Its state may have become idle, or something else.
    pub(super) fn rested(&mut self) {
        let after = self.record.resolved.agent.idle_stop;
        let idle = self.record.state == State::Idle && self.stage == Stage::Running;
        let (Some(after), true) = (after, idle) else {
            self.hearing.unwatched = None;
            return;
        };
        let so_far = Duration::from_millis(now_ms().saturating_sub(self.record.since_ms));
        let left = after.saturating_sub(so_far);
        self.hearing.unwatched = Some(Instant::now() + left);
    }

    /// Stops it if it is still idle and nobody looks.
    pub(super) async fn stop_unwatched(&mut self, now: Instant) {
        if self.hearing.unwatched.is_none_or(|at| at > now) {
            return;
        }
        self.hearing.unwatched = None;
        let Some(after) = self.record.resolved.agent.idle_stop else {
            return;
        };
        if self.record.state != State::Idle || self.stage != Stage::Running {
            return;
        }
        if self.watched().await {
            self.hearing.unwatched = Some(now + AGAIN.min(after));
            return;
        }
        let reason = format!("idle and watched by nobody for {after:?}");
        self.begin_stop(&Who::wsm(), Next::Rest(State::Stopped, reason))
            .await;
    }

    /// Whether somebody has one of its terminals open. Where that can't be known somebody has.
    async fn watched(&self) -> bool {
        let Some(shim) = &self.shim else {
            return true;
        };
        match shim.request(Request::Who { terminal: None }).await {
            Ok(Reply::Who { viewers, .. }) => !viewers.is_empty(),
            _ => true,
        }
    }
}

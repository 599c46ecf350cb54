//! Stopping, pausing, removing.

use std::time::{Duration, Instant};

use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::Request as BrokerRequest;
use wsm_terminal::protocol::Request;

use super::driver::{Begin, Driver, Next, STOP_GRACE, Stage, stopped_by};
use super::make;
use super::strain::strain;
use crate::actor::Who;
use crate::engine::row;
use crate::record::{Phase, Wanted};
use crate::service::Input;
use crate::store::now_ms;

/// How often it is looked whether what was asked to end still can.
const LOOK: Duration = Duration::from_secs(1);

/// Signals by number (signal(7)); the daemon makes no system calls of its own.
const SIGHUP: i32 = 1;
const SIGTERM: i32 = 15;

impl Driver {
    /// Asks everything to end.
    pub(super) async fn begin_stop(&mut self, actor: &Who, next: Next) {
        if let Next::Rest(State::Stopped, _) = &next {
            self.record.wanted = Wanted::Stopped;
        }
        self.main.again = None;
        self.record.ending = match &next {
            Next::Rest(state, reason) => Some((*state, reason.clone())),
            Next::Restart | Next::Erase => None,
        };
        if self.held.take() == Some(Begin::Making) {
            // Nothing of it was begun.
            self.record.phase = Phase::Recorded;
            self.stage = Stage::Resting;
        }
        match &mut self.stage {
            Stage::Resting => match next {
                Next::Rest(state, reason) => self.set_by(actor, state, reason),
                Next::Restart => self.begin_start(actor),
                Next::Erase => self.erase(),
            },
            // The workspace is all or nothing: it is let finish, then rests.
            Stage::Making | Stage::Erasing => {
                let message = "it will be stopped".to_owned();
                self.commit(row(actor, "agent.wanted", self.record.id.as_str(), message));
            }
            Stage::Opening | Stage::SettingUp => {
                self.set_by(actor, State::Stopping, "it is being stopped");
                self.close(next);
            }
            Stage::Stopping { next: later, .. } | Stage::Closing { next: later } => *later = next,
            Stage::Running => self.stop_running(actor, next).await,
        }
    }

    async fn stop_running(&mut self, actor: &Who, next: Next) {
        if self.record.state == State::Paused
            && let Err(problem) = self.ask_freeze(false).await
        {
            tracing::warn!(agent = %self.record.name, %problem, "thaw before the stop");
        }
        let grace = STOP_GRACE.max(self.longest_grace());
        let now = Instant::now();
        self.stage = Stage::Stopping {
            until: now + grace,
            look: now + LOOK,
            next,
        };
        self.set_by(
            actor,
            State::Stopping,
            "the command and its services are asked to end",
        );
        if self.main.running
            && let Some(shim) = self.shim.clone()
        {
            for signal in [SIGHUP, SIGTERM] {
                let process = self.main_process();
                let request = Request::Signal {
                    process,
                    signal,
                    group: true,
                };
                if let Err(error) = shim.request(request).await {
                    tracing::debug!(agent = %self.record.name, %error, "signal the command");
                }
            }
        }
        Box::pin(self.feed(Input::StopAll)).await;
        self.check_stopped();
    }

    /// Closes the sandbox when its time is over, or when nothing in it can react: at its process
    /// limit no process can be made, all CPU is taken, and a service can't end in order either.
    pub(super) async fn stop_due(&mut self, now: Instant) {
        let Stage::Stopping { until, look, next } = &self.stage else {
            return;
        };
        let (over, looks, next) = (*until <= now, *look <= now, next.clone());
        if over || (looks && strain(&self.engine, &self.record).await.full) {
            return self.close(next);
        }
        if let Stage::Stopping { look, .. } = &mut self.stage
            && looks
        {
            *look = now + LOOK;
        }
    }

    fn longest_grace(&self) -> Duration {
        let services = self.record.resolved.services.values();
        let sum = services
            .map(|s| s.stop.grace + Duration::from_secs(1))
            .sum::<Duration>();
        sum.min(Duration::from_secs(60))
    }

    /// Closes the sandbox as soon as everything ended.
    pub(super) fn check_stopped(&mut self) {
        if let Stage::Stopping { next, .. } = &self.stage
            && !self.main.running
            && self.services_stopped()
        {
            let next = next.clone();
            self.close(next);
        }
    }

    /// Freezes or thaws.
    pub(super) async fn freeze(&mut self, actor: &Who, frozen: bool) -> Result<(), Problem> {
        if self.stage != Stage::Running {
            // Its shim died, or its command ended: the state follows when that is cleaned up.
            let what = if frozen { "pause" } else { "resume" };
            let message = format!("{what} {}: it is ending", self.record.name);
            let hint = format!("see `wsm explain {}`", self.record.name);
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        self.ask_freeze(frozen).await?;
        if !frozen {
            self.set_by(actor, State::Working, format!("resumed by {actor}"));
            let turn = self.record.heard.waits();
            self.follow(super::evidence::News {
                turn,
                ..Default::default()
            });
            return Ok(());
        }
        let before = self.record.clone();
        let reason = format!("paused by {actor}");
        let told = self.turn(actor, State::Paused, reason);
        if let Err(problem) = self.try_commit(before, told) {
            // Frozen without a word of it, a later daemon would wait for it for ever.
            self.ask_freeze(false).await?;
            return Err(problem);
        }
        Ok(())
    }

    pub(super) async fn ask_freeze(&self, frozen: bool) -> Result<(), Problem> {
        let agent = self.record.id.clone();
        let request = BrokerRequest::Freeze { agent, frozen };
        let asked = self.engine.broker.ask(request).await;
        asked.map(drop).map_err(|e| crate::broker::problem(&e))
    }

    /// To the trash, or gone for good.
    pub(super) async fn on_remove(&mut self, actor: &Who, purge: bool) -> Result<(), Problem> {
        if purge {
            self.record.wanted = Wanted::Erased;
            let message = format!("{} is removed for good", self.record.name);
            self.commit(row(actor, "agent.purged", self.record.id.as_str(), message));
            self.begin_stop(actor, Next::Erase).await;
            // `begin_stop` lets a making finish; wanted says what comes after.
            return Ok(());
        }
        if self.record.trashed_ms.is_none() {
            self.record.trashed_ms = Some(now_ms());
            for port in &mut self.record.ports {
                port.outside = None;
            }
            let message = format!(
                "{} was put into the trash; its work is kept",
                self.record.name
            );
            self.commit(row(
                actor,
                "agent.trashed",
                self.record.id.as_str(),
                message,
            ));
        }
        if self.stage != Stage::Resting || self.record.state != State::Failed {
            self.begin_stop(actor, Next::Rest(State::Stopped, stopped_by(actor)))
                .await;
        }
        Ok(())
    }

    /// Out of the trash, with its ports leased again.
    pub(super) async fn restore(&mut self, actor: &Who) -> Result<(), Problem> {
        let before = self.record.clone();
        // Held until they are written down, so that nobody else is given them meanwhile.
        let held = make::lease_ports(&self.engine, &mut self.record).await?;
        self.record.trashed_ms = None;
        let message = format!("{} was taken out of the trash", self.record.name);
        let told = row(actor, "agent.restored", self.record.id.as_str(), message);
        let written = self.try_commit(before, told);
        drop(held);
        written
    }
}

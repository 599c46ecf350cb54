//! How one stage follows another: begin, make, open, close, rest, erase.

use std::sync::Arc;

use wsm_api::agent::State;
use wsm_api::problem::Problem;

use super::driver::{Begin, Done, Driver, Next, Stage, problem_text};
use super::make;
use crate::actor::Who;
use crate::engine::{WSM, row};
use crate::record::{Phase, Wanted};

/// Rows of this verb tell what a `teardown` did not do.
pub(crate) const TEARDOWN_FAILED: &str = "teardown.failed";

impl Driver {
    /// Begins what is missing until the command runs.
    pub(super) fn begin_start(&mut self, actor: &Who) {
        self.record.wanted = Wanted::Running;
        self.record.boot_id.clone_from(&self.engine.boot_id);
        if self.record.phase < Phase::Setup {
            self.stage = Stage::Making;
            self.record.phase = Phase::Workspace;
            self.record.attempts += 1;
            self.set_by(actor, State::Creating, "the worktree is being made");
            if !self.hold(Begin::Making) {
                self.make();
            }
        } else {
            self.open(actor);
        }
    }

    pub(super) fn open(&mut self, actor: &Who) {
        self.stage = Stage::Opening;
        let made = self.record.phase == Phase::Made;
        let state = if made {
            State::Starting
        } else {
            State::Creating
        };
        self.set_by(actor, state, "the sandbox is being built");
        if !self.hold(Begin::Opening) {
            self.build();
        }
    }

    pub(super) fn make(&mut self) {
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        self.job = Some(tokio::spawn(async move {
            Done::Made(make::make(&engine, &record).await)
        }));
    }

    pub(super) fn build(&mut self) {
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        self.job = Some(tokio::spawn(async move {
            Done::Opened(make::open(&engine, &record).await.map(Box::new))
        }));
    }

    /// Takes the sandbox down, whatever is left of it.
    pub(super) fn close(&mut self, next: Next) {
        let opening = self.stage == Stage::Opening;
        self.stage = Stage::Closing { next };
        self.held = None;
        let forwards = std::mem::take(&mut self.forwards);
        self.sockets = None;
        self.supervisor = None;
        self.events = None;
        let job = self.job.take();
        if let (Some(job), false) = (&job, opening) {
            job.abort();
        }
        let import = self.work.abandon();
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        let shim = self.shim.clone();
        self.job = Some(tokio::spawn(async move {
            if let Some(shim) = shim {
                make::keep_screen(&engine, &record, &shim).await;
            }
            if let (Some(job), true) = (job, opening) {
                // A sandbox that the broker is building would stand after it was taken down.
                drop(job.await);
            }
            if let Some(import) = import {
                drop(import.await);
            }
            for forward in forwards {
                forward.close().await;
            }
            let (closed, imported) = make::close(&engine, &record).await;
            Done::Closed(closed, imported.map(Box::new))
        }));
    }

    pub(super) async fn on_done(&mut self, done: Done) {
        match done {
            Done::Made(Ok(made)) => {
                self.record.paths = Some(made.paths);
                self.record.base = made.base.clone();
                self.record.sync.head = made.base;
                self.record.phase = Phase::Setup;
                for note in &made.notes {
                    let told = row(WSM, "workspace.left-out", self.record.id.as_str(), note);
                    self.ledger.push(told);
                }
                let message = format!("branch {} made", self.record.branch);
                self.commit(row(
                    WSM,
                    "workspace.created",
                    self.record.id.as_str(),
                    message,
                ));
                match self.record.wanted {
                    Wanted::Running => self.open(&Who::wsm()),
                    Wanted::Stopped => {
                        self.rest(State::Stopped, "stopped before it was started");
                    }
                    Wanted::Erased => self.erase(),
                }
            }
            Done::Opened(Ok(opened)) => self.on_opened(*opened).await,
            Done::SetUp(Ok(())) => {
                self.record.phase = Phase::Made;
                self.start_services().await;
            }
            Done::Made(Err(problem)) => {
                self.record.phase = Phase::Recorded;
                self.rest(State::Failed, problem_text(&problem));
                if self.record.wanted == Wanted::Erased {
                    self.erase();
                }
            }
            Done::Opened(Err(problem)) | Done::SetUp(Err(problem)) => {
                self.close(Next::Rest(State::Failed, problem_text(&problem)));
            }
            Done::Closed(result, imported) => {
                self.shim = None;
                if let Some(imported) = imported {
                    self.take_in(*imported);
                }
                self.on_closed(result);
            }
            Done::Erased(erased, failed) => self.on_erased(erased, &failed),
            Done::BrokeOff(problem) => self.on_broke_off(&problem),
        }
    }

    fn on_erased(&mut self, erased: Result<(), Problem>, failed: &[Problem]) {
        let id = self.record.id.to_string();
        for problem in failed {
            let told = row(WSM, TEARDOWN_FAILED, &id, problem_text(problem));
            self.ledger.push(told);
        }
        match erased {
            Ok(()) => {
                self.ledger.erase();
                let message = format!("{} is gone for good", self.record.name);
                self.commit(row(WSM, "agent.erased", &id, message));
            }
            Err(problem) => self.rest(State::Failed, problem_text(&problem)),
        }
    }

    /// A job panicked: nothing may be left running of which nobody knows.
    fn on_broke_off(&mut self, problem: &Problem) {
        let reason = problem_text(problem);
        match self.stage {
            Stage::Closing { .. } | Stage::Erasing | Stage::Making | Stage::Resting => {
                self.rest(State::Failed, reason);
            }
            _ => self.close(Next::Rest(State::Failed, reason)),
        }
    }

    fn on_closed(&mut self, result: Result<(), Problem>) {
        self.shim = None;
        self.answer_imports(&Ok(()));
        self.terminals.clear();
        self.main = super::run::Main::default();
        self.services_rest();
        let next = match std::mem::replace(&mut self.stage, Stage::Resting) {
            Stage::Closing { next } => next,
            _ => Next::Rest(State::Stopped, String::new()),
        };
        if let Err(problem) = result {
            self.rest(
                State::Failed,
                format!("take the sandbox down: {}", problem_text(&problem)),
            );
            return;
        }
        match next {
            Next::Rest(state, reason) => self.rest(state, reason),
            Next::Restart => self.begin_start(&Who::wsm()),
            Next::Erase => self.erase(),
        }
    }

    /// Rests in a state.
    pub(super) fn rest(&mut self, state: State, reason: impl Into<String>) {
        self.stage = Stage::Resting;
        self.job = None;
        self.set(state, reason);
    }

    pub(super) fn erase(&mut self) {
        self.stage = Stage::Erasing;
        self.held = None;
        self.set(State::Stopping, "its files are being removed");
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        self.job = Some(tokio::spawn(async move {
            let (erased, failed) = make::erase(&engine, &record).await;
            Done::Erased(erased, failed)
        }));
    }
}

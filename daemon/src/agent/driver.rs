//! The driver: one task per agent, the only writer of its record.
//!
//! Requests, the shim's events and the ends of long work come in; states go out by a watch
//! channel. Long work (making, opening, closing …) runs as a task of its own and changes nothing:
//! it comes back as a [`Done`], and the driver decides what that means.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::Listed;
use wsm_terminal::protocol::Event;

use super::handle::{Handle, Message, Published};
use super::ledger::Ledger;
use super::make::{Made, Opened};
use super::request::{Decision, decide};
use super::select::{at, next_done, next_event, shim_gone};
use crate::actor::Who;
use crate::engine::{Engine, row};
use crate::facade::Verb;
use crate::port::{Forward, SocketSource};
use crate::record::{Record, Wanted};
use crate::service::Supervisor;
use crate::shim::Shim;
use crate::store::{Row, now_ms};
use crate::workspace::protocol::Imported;

/// How long the agent's own command may take to end after it was asked to.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);

/// The result of long work.
#[derive(Debug)]
pub(super) enum Done {
    Made(Result<Made, Problem>),
    Opened(Result<Box<Opened>, Problem>),
    SetUp(Result<(), Problem>),
    Closed(Result<(), Problem>, Option<Box<Imported>>),
    /// With what of `teardown` failed.
    Erased(Result<(), Problem>, Vec<Problem>),
    /// It panicked.
    BrokeOff(Problem),
}

/// What the driver is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing runs.
    Resting,
    /// Worktree and directories.
    Making,
    /// The sandbox.
    Opening,
    /// `[files]` and `setup`.
    SettingUp,
    /// Services and the command.
    Running,
    /// They were asked to end.
    Stopping {
        until: Instant,
        /// When it is looked whether they still can.
        look: Instant,
        next: Next,
    },
    /// The sandbox is being taken down.
    Closing { next: Next },
    /// The files are being removed.
    Erasing,
}

/// What comes after a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Rest in this state, for this reason.
    Rest(State, String),
    /// Start again.
    Restart,
    /// Take the sandbox down, then erase.
    Erase,
}

/// What is begun only when everything before it is written down: after a crash it would be begun
/// again, or in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Worktree and directories.
    Making,
    /// The sandbox.
    Opening,
    /// Services.
    Services,
    /// The command.
    Command,
}

/// One agent's driver.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(super) engine: Arc<Engine>,
    pub(super) record: Record,
    pub(super) ledger: Ledger,
    /// Waits until the ledger is clean.
    pub(super) held: Option<Begin>,
    pub(super) stage: Stage,
    pub(super) shim: Option<Shim>,
    pub(super) events: Option<mpsc::Receiver<Event>>,
    pub(super) job: Option<JoinHandle<Done>>,
    pub(super) supervisor: Option<Supervisor>,
    pub(super) forwards: Vec<Forward>,
    /// Sockets of this sandbox's network; dropped with it, since they hold the namespace.
    pub(super) sockets: Option<SocketSource>,
    pub(super) work: super::work::Work,
    pub(super) main: super::run::Main,
    pub(super) terminals: Vec<String>,
    pub(super) hearing: super::hear::Hearing,
    recovered: bool,
    /// How far each service's log was read.
    pub(super) log_offsets: HashMap<String, u64>,
    pub(super) to_self: mpsc::WeakSender<Message>,
    inbox: mpsc::Receiver<Message>,
    publish: watch::Sender<Arc<Published>>,
}

impl Driver {
    /// Starts the driver of a record that is in the database. `listed`: what the broker has of it.
    pub(crate) fn spawn(engine: &Arc<Engine>, record: Record, listed: Option<Listed>) -> Handle {
        let id = record.id.clone();
        let ledger = Ledger::new(record.clone());
        let first = Published {
            record: ledger.recorded(),
            unrecorded: None,
            terminals: Vec::new(),
            shim: None,
            heard: Vec::new(),
            recovered: false,
            erased: false,
        };
        let (handle, own) = Handle::new(first);
        let driver = Driver {
            engine: Arc::clone(engine),
            record,
            ledger,
            held: None,
            stage: Stage::Resting,
            shim: None,
            events: None,
            job: None,
            supervisor: None,
            forwards: Vec::new(),
            sockets: None,
            work: super::work::Work::default(),
            main: super::run::Main::default(),
            terminals: Vec::new(),
            hearing: super::hear::Hearing::new(),
            recovered: false,
            log_offsets: HashMap::new(),
            to_self: own.to_self,
            inbox: own.inbox,
            publish: own.publish,
        };
        engine.add(id, handle.clone());
        tokio::spawn(driver.run(listed));
        handle
    }

    async fn run(mut self, listed: Option<Listed>) {
        self.recover(listed).await;
        self.recovered = true;
        self.publish();
        // Who is at its terminals may have lost the right to while no daemon was there.
        self.engine.store.rights_changed();
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    None => break,
                    Some(message) => self.take(message).await,
                },
                event = next_event(&mut self.events) => self.on_event(event).await,
                done = next_done(&mut self.job) => self.on_done(done).await,
                done = super::work::next_import(&mut self.work) => self.on_imported(done),
                () = shim_gone(self.shim.as_ref()) => self.on_shim_gone().await,
                () = at(deadline) => self.on_deadline().await,
            }
            if self.publish.borrow().erased {
                break;
            }
        }
        self.engine.forget(&self.record.id);
    }

    /// Writes state and reason with their row, and publishes them.
    pub(super) fn set(&mut self, state: State, reason: impl Into<String>) {
        self.set_by(&Who::wsm(), state, reason);
    }

    pub(super) fn set_by(&mut self, actor: &Who, state: State, reason: impl Into<String>) {
        let reason = reason.into();
        if self.record.state == state && self.record.reason == reason {
            return;
        }
        if !matches!(
            state,
            State::Working | State::Idle | State::Blocked | State::Paused
        ) {
            self.drop_questions("it ended");
        }
        let told = self.turn(actor, state, reason);
        self.commit(told);
        self.rested();
    }

    /// Changes state and reason; the row is to be written with them.
    pub(super) fn turn(&mut self, actor: &Who, state: State, reason: String) -> Row {
        let before = self.record.state;
        if before != state {
            self.record.since_ms = now_ms();
        }
        self.record.heard.trust = None;
        self.record.state = state;
        self.record.reason = reason;
        let message = format!("{state}: {}", self.record.reason);
        let told = row(actor, "agent.state", self.record.id.as_str(), message);
        told.changed(before.as_str(), state.as_str())
    }

    /// Tells a change of the record, which is shown as soon as it is written.
    pub(super) fn commit(&mut self, row: Row) {
        self.ledger.push(row);
        self.write();
    }

    /// Changes the record if that can be written, or leaves it as it was.
    pub(super) fn try_commit(&mut self, before: Record, row: Row) -> Result<(), Problem> {
        self.ledger.push(row);
        if self.write() {
            return Ok(());
        }
        let why = self.ledger.why();
        self.record = before;
        self.ledger.take_back();
        self.publish();
        Err(why)
    }

    /// Writes what is not written yet, and publishes.
    pub(super) fn write(&mut self) -> bool {
        let store = &self.engine.store;
        let written = self.ledger.write(store, &self.record, Instant::now());
        self.publish();
        written
    }

    /// Whether this has to wait: what it builds on is not written down yet.
    pub(super) fn hold(&mut self, step: Begin) -> bool {
        let held = !self.ledger.is_clean();
        self.held = held.then_some(step);
        if held {
            self.publish();
        }
        held
    }

    /// Begins what was held, if all is written now.
    pub(super) async fn go_on(&mut self) {
        self.write();
        if !self.ledger.is_clean() {
            return;
        }
        match self.held.take() {
            Some(Begin::Making) => self.make(),
            Some(Begin::Opening) => self.build(),
            Some(Begin::Services) => self.run_services().await,
            Some(Begin::Command) => self.run_main().await,
            None => {}
        }
    }

    pub(super) fn publish(&self) {
        self.publish.send_replace(Arc::new(Published {
            record: self.ledger.recorded(),
            unrecorded: self.ledger.unrecorded(&self.record, self.held.is_some()),
            terminals: self.terminals.clone(),
            shim: self.shim.clone(),
            heard: self.hearing.said.iter().cloned().collect(),
            recovered: self.recovered,
            erased: self.ledger.is_erased(),
        }));
        self.engine.change();
    }

    /// A sender that does not keep the driver alive by itself.
    pub(super) fn sender(&self) -> Option<mpsc::Sender<Message>> {
        self.to_self.upgrade()
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Wish { owner, message } => {
                if owner == self.record.owner {
                    Box::pin(self.take(*message)).await;
                }
            }
            Message::Verb { actor, verb, reply } => {
                let answer = self.on_verb(&actor, verb).await;
                drop(reply.send(answer));
            }
            Message::Remove {
                actor,
                purge,
                reply,
            } => {
                let answer = self.on_remove(&actor, purge).await;
                drop(reply.send(answer));
            }
            Message::Import { reply } => self.import_for(reply),
            Message::Service {
                actor,
                service,
                verb,
                reply,
            } => {
                let answer = self.on_service(&actor, &service, verb).await;
                drop(reply.send(answer));
            }
            Message::Policy {
                actor,
                change,
                reply,
            } => {
                let answer = self.on_policy(&actor, change).await;
                drop(reply.send(answer));
            }
            Message::Offer { .. }
            | Message::Answer { .. }
            | Message::RecordInput { .. }
            | Message::Decide { .. } => self.take_word(message).await,
            Message::Terminal { size, reply } => {
                drop(reply.send(self.open_shell(size).await));
            }
            Message::Sockets { reply } => drop(reply.send(self.own_sockets())),
            Message::Probed {
                service,
                id,
                ok,
                detail,
            } => {
                self.on_probed(service, id, ok, detail).await;
            }
            Message::Bring { bringing, reply } => {
                drop(reply.send(self.begin_bring(bringing)));
            }
            Message::Brought { row, reply } => {
                self.end_bring(row);
                drop(reply.send(Ok(())));
            }
            Message::Forwarded { said } => self.on_forwarded(said),
            Message::Outside => self.work_changed(),
            Message::Step { reason } => {
                if self.stage == Stage::SettingUp {
                    self.set(State::SettingUp, reason);
                }
            }
        }
    }

    /// What one person says to another, or to the agent.
    async fn take_word(&mut self, message: Message) {
        match message {
            Message::Offer {
                actor,
                offer,
                reply,
            } => drop(reply.send(self.on_offer(&actor, *offer))),
            Message::Answer {
                actor,
                to,
                accept,
                reply,
            } => drop(reply.send(self.on_answer(&actor, &to, accept).await)),
            Message::RecordInput { actor, on, reply } => {
                drop(reply.send(self.on_record_input(&actor, on).await));
            }
            Message::Decide {
                actor,
                answer,
                reply,
            } => drop(reply.send(self.on_decide(&actor, answer).await)),
            _ => {}
        }
    }

    async fn on_verb(&mut self, actor: &Who, verb: Verb) -> Result<Decision, Problem> {
        let decision = decide(self.record.state, self.record.trashed_ms.is_some(), verb);
        match decision {
            Decision::Accept => {}
            Decision::Already => {
                self.note_wanted(actor, verb);
                return Ok(decision);
            }
            Decision::Refuse(why) => {
                let message = format!("{verb:?} {}: {why}", self.record.name).to_lowercase();
                return Err(Problem::new(Code::Conflict, message, way_out(&self.record)));
            }
        }
        if !matches!(verb, Verb::Stop | Verb::Resume) {
            self.must_write(verb)?;
        }
        match verb {
            Verb::Start => self.begin_start(actor),
            Verb::Stop => {
                self.begin_stop(actor, Next::Rest(State::Stopped, stopped_by(actor)))
                    .await
            }
            Verb::Restart if self.stage == Stage::Resting => self.begin_start(actor),
            Verb::Restart => self.begin_stop(actor, Next::Restart).await,
            Verb::Pause => self.freeze(actor, true).await?,
            Verb::Resume => self.freeze(actor, false).await?,
            Verb::Restore => self.restore(actor).await?,
        }
        Ok(decision)
    }

    /// Nothing is begun that could not be written down; what ends something never waits for that.
    fn must_write(&mut self, verb: Verb) -> Result<(), Problem> {
        if self.ledger.is_clean() || self.write() {
            return Ok(());
        }
        let mut why = self.ledger.why();
        let verb = format!("{verb:?}").to_lowercase();
        why.message = format!("{verb} {}: {}", self.record.name, why.message);
        Err(why)
    }

    fn note_wanted(&mut self, actor: &Who, verb: Verb) {
        let wanted = match verb {
            Verb::Start => Wanted::Running,
            Verb::Stop => Wanted::Stopped,
            _ => return,
        };
        if self.record.wanted != wanted {
            self.record.wanted = wanted;
            let message = format!("wanted: {wanted:?}").to_lowercase();
            self.commit(row(actor, "agent.wanted", self.record.id.as_str(), message));
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let stopping = match &self.stage {
            Stage::Stopping { until, look, .. } => Some((*until).min(*look)),
            _ => None,
        };
        let services = self.supervisor.as_ref().and_then(Supervisor::next_deadline);
        let held = self.held.filter(|_| self.ledger.is_clean());
        let begins = held.map(|_| Instant::now());
        let writes = self.ledger.due();
        let (work, main) = (self.work.due(), self.main.due());
        let hearing = self.hearing.due(Instant::now());
        [stopping, services, work, main, hearing, begins, writes]
            .into_iter()
            .flatten()
            .min()
    }
}

/// What to do about an agent that does not run.
pub(crate) fn way_out(record: &Record) -> String {
    let name = &record.name;
    match record.state {
        _ if record.trashed_ms.is_some() => format!("bring it back with `wsm restore {name}`"),
        State::Paused => format!("let it run on with `wsm resume {name}`"),
        State::Stopped | State::Failed | State::Lost => format!("start it with `wsm start {name}`"),
        _ => format!("see `wsm explain {name}`"),
    }
}

/// `stopped by ada`.
pub(super) fn stopped_by(actor: &Who) -> String {
    format!("stopped by {actor}")
}

/// Problem and hint as one reason.
pub(super) fn problem_text(problem: &Problem) -> String {
    let mut text = problem.message.clone();
    for detail in &problem.details {
        text.push_str("; ");
        text.push_str(detail);
    }
    if !problem.hint.is_empty() {
        text.push_str(" (");
        text.push_str(&problem.hint);
        text.push(')');
    }
    text
}

//! The driver: one task per agent, the only writer of its record.
//!
//! Requests, the shim's events and the ends of long work come in; states go out by a watch
//! channel. Long work (making, opening, closing …) runs as a task of its own and changes nothing:
//! it comes back as a [`Done`], and the driver decides what that means.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::Listed;
use wsm_terminal::protocol::Event;

use super::make::{self, Made, Opened};
use super::request::{Decision, decide};
use crate::engine::{Engine, WSM, row};
use crate::facade::{ServiceVerb, Verb};
use crate::port::{Forward, SocketSource};
use crate::record::{Phase, Record, Wanted};
use crate::service::Supervisor;
use crate::shim::Shim;
use crate::store::{Change, Row, now_ms};
use crate::workspace::protocol::Imported;

/// Requests that wait for a driver.
const INBOX_MAX: usize = 64;

/// How long the agent's own command may take to end after it was asked to.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);

/// What others may know of an agent.
#[derive(Debug, Clone)]
pub struct Published {
    /// The record.
    pub record: Record,
    /// Terminals, `main` first.
    pub terminals: Vec<String>,
    /// The shim, while there is one.
    pub shim: Option<Shim>,
    /// Whether the state is a guess from silence.
    pub guess: bool,
    /// Gone for good.
    pub erased: bool,
}

/// What is sent to a driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// A verb; answered once it was accepted, refused or found to be so already.
    Verb {
        actor: String,
        verb: Verb,
        reply: Answer<Decision>,
    },
    /// To the trash, or gone for good.
    Remove {
        actor: String,
        purge: bool,
        reply: Answer<()>,
    },
    /// Take commits over now; answered when it is done.
    Import { reply: Answer<()> },
    /// Act on a service; answered when it was taken.
    Service {
        actor: String,
        service: String,
        verb: ServiceVerb,
        reply: Answer<()>,
    },
    /// A new shell terminal.
    Terminal {
        size: (u16, u16),
        reply: Answer<String>,
    },
    /// The answer of a probe.
    Probed {
        service: String,
        id: u64,
        ok: bool,
        detail: String,
    },
    /// Setup came a step further.
    Step { reason: String },
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, Problem>>;

/// Reaches a driver; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Message>,
    published: watch::Receiver<Arc<Published>>,
}

impl Handle {
    /// What is known now.
    #[must_use]
    pub fn now(&self) -> Arc<Published> {
        Arc::clone(&self.published.borrow())
    }

    /// Follows it.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// Sends without an answer.
    pub(crate) async fn tell(&self, message: Message) {
        // A driver that is gone has erased its agent.
        drop(self.inbox.send(message).await);
    }

    /// Sends and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        message: impl FnOnce(Answer<T>) -> Message,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.tell(message(reply)).await;
        answer.await.unwrap_or_else(|_| {
            Err(Problem::new(
                Code::NotFound,
                "the agent is gone",
                "see `wsm ls -a`",
            ))
        })
    }
}

/// The result of long work.
#[derive(Debug)]
pub(super) enum Done {
    Made(Result<Made, Problem>),
    Opened(Result<Box<Opened>, Problem>),
    SetUp(Result<(), Problem>),
    Closed(Result<(), Problem>, Option<Box<Imported>>),
    Erased(Result<(), Problem>),
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
    Stopping { until: Instant, next: Next },
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

/// One agent's driver.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(super) engine: Arc<Engine>,
    pub(super) record: Record,
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
    pub(super) guess: bool,
    /// How far each service's log was read.
    pub(super) log_offsets: HashMap<String, u64>,
    pub(super) to_self: mpsc::WeakSender<Message>,
    inbox: mpsc::Receiver<Message>,
    publish: watch::Sender<Arc<Published>>,
    /// Asked for while it could not be done at once.
    later: VecDeque<Message>,
}

impl Driver {
    /// Starts the driver of a record that is in the database. `listed`: what the broker has of it.
    pub(crate) fn spawn(engine: &Arc<Engine>, record: Record, listed: Option<Listed>) -> Handle {
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        let id = record.id.clone();
        let first = Published {
            record: record.clone(),
            terminals: Vec::new(),
            shim: None,
            guess: false,
            erased: false,
        };
        let (publish, published) = watch::channel(Arc::new(first));
        let driver = Driver {
            engine: Arc::clone(engine),
            record,
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
            guess: false,
            log_offsets: HashMap::new(),
            to_self: sender.downgrade(),
            inbox,
            publish,
            later: VecDeque::new(),
        };
        let handle = Handle {
            inbox: sender,
            published,
        };
        engine.add(id, handle.clone());
        tokio::spawn(driver.run(listed));
        handle
    }

    async fn run(mut self, listed: Option<Listed>) {
        self.recover(listed).await;
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    None => break,
                    Some(message) => self.take(message).await,
                },
                event = next_event(&mut self.events) => self.on_event(event).await,
                done = next_done(&mut self.job) => self.on_done(done).await,
                done = super::work::next_import(&mut self.work) => self.on_imported(done).await,
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
        self.set_by(WSM, state, reason);
    }

    pub(super) fn set_by(&mut self, actor: &str, state: State, reason: impl Into<String>) {
        let reason = reason.into();
        if self.record.state == state && self.record.reason == reason {
            return;
        }
        if self.record.state != state {
            self.record.since_ms = now_ms();
        }
        self.record.state = state;
        self.record.reason = reason;
        let message = format!("{state}: {}", self.record.reason);
        self.commit(row(actor, "agent.state", self.record.id.as_str(), message));
    }

    /// Writes the record with a row, and publishes it.
    pub(super) fn commit(&mut self, row: Row) {
        let change = Change::new(row).agent(&self.record);
        if let Err(error) = self.engine.store.commit(&change) {
            // The agent lives on; the next change writes the whole record again.
            tracing::error!(agent = %self.record.name, %error, "can't write the agent's record");
        }
        self.publish();
    }

    pub(super) fn publish(&self) {
        self.publish_as(false);
    }

    fn publish_as(&self, erased: bool) {
        self.publish.send_replace(Arc::new(Published {
            record: self.record.clone(),
            terminals: self.terminals.clone(),
            shim: self.shim.clone(),
            guess: self.guess,
            erased,
        }));
    }

    /// A sender that does not keep the driver alive by itself.
    pub(super) fn sender(&self) -> Option<mpsc::Sender<Message>> {
        self.to_self.upgrade()
    }

    async fn take(&mut self, message: Message) {
        match message {
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
            Message::Terminal { size, reply } => {
                let answer = self.open_shell(size).await;
                drop(reply.send(answer));
            }
            Message::Probed {
                service,
                id,
                ok,
                detail,
            } => {
                self.on_probed(service, id, ok, detail).await;
            }
            Message::Step { reason } => {
                if self.stage == Stage::SettingUp {
                    self.set(State::SettingUp, reason);
                }
            }
        }
    }

    async fn on_verb(&mut self, actor: &str, verb: Verb) -> Result<Decision, Problem> {
        let decision = decide(self.record.state, self.record.trashed_ms.is_some(), verb);
        match decision {
            Decision::Accept => {}
            Decision::Already => {
                self.note_wanted(actor, verb);
                return Ok(decision);
            }
            Decision::Refuse(why) => {
                let message = format!("{verb:?} {}: {why}", self.record.name).to_lowercase();
                return Err(Problem::new(Code::Conflict, message, "see `wsm explain`"));
            }
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

    fn note_wanted(&mut self, actor: &str, verb: Verb) {
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

    /// Begins what is missing until the command runs.
    pub(super) fn begin_start(&mut self, actor: &str) {
        self.record.wanted = Wanted::Running;
        self.record.boot_id.clone_from(&self.engine.boot_id);
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        if record.phase < Phase::Setup {
            self.stage = Stage::Making;
            self.record.phase = Phase::Workspace;
            self.record.attempts += 1;
            let record = self.record.clone();
            self.set_by(actor, State::Creating, "the worktree is being made");
            self.job = Some(tokio::spawn(async move {
                Done::Made(make::make(&engine, &record).await)
            }));
        } else {
            self.open(actor);
        }
    }

    pub(super) fn open(&mut self, actor: &str) {
        self.stage = Stage::Opening;
        let made = self.record.phase == Phase::Made;
        let state = if made {
            State::Starting
        } else {
            State::Creating
        };
        self.set_by(actor, state, "the sandbox is being built");
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        self.job = Some(tokio::spawn(async move {
            Done::Opened(make::open(&engine, &record).await.map(Box::new))
        }));
    }

    /// Takes the sandbox down, whatever is left of it.
    pub(super) fn close(&mut self, next: Next) {
        self.stage = Stage::Closing { next };
        let forwards = std::mem::take(&mut self.forwards);
        self.sockets = None;
        self.supervisor = None;
        self.events = None;
        if let Some(job) = self.job.take() {
            job.abort();
        }
        let import = self.work.abandon();
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        self.job = Some(tokio::spawn(async move {
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

    async fn on_done(&mut self, done: Done) {
        match done {
            Done::Made(Ok(made)) => {
                self.record.paths = Some(made.paths);
                self.record.base = made.base.clone();
                self.record.sync.head = made.base;
                self.record.phase = Phase::Setup;
                let message = format!("branch {} made", self.record.branch);
                self.commit(row(
                    WSM,
                    "workspace.created",
                    self.record.id.as_str(),
                    message,
                ));
                match self.record.wanted {
                    Wanted::Running => self.open(WSM),
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
                    self.take_in(*imported).await;
                }
                self.on_closed(result);
            }
            Done::Erased(Ok(())) => {
                let change = Change::new(row(
                    WSM,
                    "agent.erased",
                    self.record.id.as_str(),
                    format!("{} is gone for good", self.record.name),
                ));
                let change = change.erased(self.record.id.as_str());
                match self.engine.store.commit(&change) {
                    Ok(_) => self.publish_as(true),
                    Err(e) => self.rest(State::Failed, format!("erase: {e}")),
                }
            }
            Done::Erased(Err(problem)) => {
                self.rest(State::Failed, problem_text(&problem));
            }
        }
    }

    fn on_closed(&mut self, result: Result<(), Problem>) {
        self.shim = None;
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
            Next::Restart => self.begin_start(WSM),
            Next::Erase => self.erase(),
        }
        while let Some(message) = self.later.pop_front() {
            if let Some(sender) = self.sender() {
                drop(sender.try_send(message));
            }
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
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        self.job = Some(tokio::spawn(async move {
            Done::Erased(make::erase(&engine, &record).await)
        }));
    }

    fn next_deadline(&self) -> Option<Instant> {
        let stopping = match &self.stage {
            Stage::Stopping { until, .. } => Some(*until),
            _ => None,
        };
        let services = self.supervisor.as_ref().and_then(Supervisor::next_deadline);
        [stopping, services, self.work.due(), self.main.due()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// `stopped by ada`.
pub(super) fn stopped_by(actor: &str) -> String {
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

async fn next_event(events: &mut Option<mpsc::Receiver<Event>>) -> Option<Event> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_done(job: &mut Option<JoinHandle<Done>>) -> Done {
    let Some(handle) = job else {
        return std::future::pending().await;
    };
    let done = handle.await;
    *job = None;
    done.unwrap_or_else(|e| {
        let problem = Problem::new(Code::Failed, format!("wsm's own work broke off: {e}"), "");
        Done::Closed(Err(problem), None)
    })
}

async fn shim_gone(shim: Option<&Shim>) {
    match shim {
        Some(shim) => shim.closed().await,
        None => std::future::pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

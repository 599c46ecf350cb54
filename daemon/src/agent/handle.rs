//! How others reach a driver: a queue in, a published state out.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use wsm_api::agent::State;
use wsm_api::policy::PolicyChange;
use wsm_api::problem::{Code, Problem};

use super::decide;
use super::hear::Told;
use super::ledger::Unrecorded;
use super::request::Decision;
use crate::actor::Who;
use crate::facade::{ServiceVerb, Verb};
use crate::port::SocketSource;
use crate::record::{Bringing, Offer, Record};
use crate::shim::Shim;
use crate::store::Row;

/// Requests that wait for a driver.
const INBOX_MAX: usize = 64;

/// What others may know of an agent.
#[derive(Debug, Clone)]
pub struct Published {
    /// The record, as it is in the database.
    pub record: Arc<Record>,
    /// What is so beyond that, while the database takes nothing.
    pub unrecorded: Option<Unrecorded>,
    /// Terminals, `main` first.
    pub terminals: Vec<String>,
    /// The shim, while there is one.
    pub shim: Option<Shim>,
    /// What was heard last, newest at the end.
    pub heard: Vec<Told>,
    /// Whether what an earlier daemon left was taken up.
    pub recovered: bool,
    /// Gone for good.
    pub erased: bool,
}

impl Published {
    /// The state that is so, written or not: what a request is answered by.
    #[must_use]
    pub fn state(&self) -> State {
        let unrecorded = self.unrecorded.as_ref();
        unrecorded.map_or(self.record.state, |beyond| beyond.state)
    }

    /// Why it is so, written or not.
    #[must_use]
    pub fn reason(&self) -> String {
        let unrecorded = self.unrecorded.as_ref();
        unrecorded.map_or_else(
            || self.record.reason.clone(),
            |beyond| beyond.reason.clone(),
        )
    }

    /// Whether it is in the trash, written or not.
    #[must_use]
    pub fn trashed(&self) -> bool {
        let unrecorded = self.unrecorded.as_ref();
        unrecorded.map_or(self.record.trashed_ms.is_some(), |beyond| beyond.trashed)
    }

    /// Whether nothing is left of it, written or not.
    #[must_use]
    pub fn gone(&self) -> bool {
        self.erased || self.unrecorded.as_ref().is_some_and(|beyond| beyond.erased)
    }
}

/// What is sent to a driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// A verb; answered once it was accepted, refused or found to be so already.
    Verb {
        actor: Who,
        verb: Verb,
        reply: Answer<Decision>,
    },
    /// To the trash, or gone for good.
    Remove {
        actor: Who,
        purge: bool,
        reply: Answer<()>,
    },
    /// Take commits over now; answered when it is done.
    Import { reply: Answer<()> },
    /// Act on a service; answered when it was taken.
    Service {
        actor: Who,
        service: String,
        verb: ServiceVerb,
        reply: Answer<()>,
    },
    /// What it may reach changes; answered when egress has taken it.
    Policy {
        actor: Who,
        change: PolicyChange,
        reply: Answer<()>,
    },
    /// It is offered to another user; answered when that is written down.
    Offer {
        actor: Who,
        offer: Box<Offer>,
        reply: Answer<()>,
    },
    /// The offer to that user is taken, or is none any more.
    Answer {
        actor: Who,
        to: String,
        accept: bool,
        reply: Answer<()>,
    },
    /// What people type is recorded, or no more; answered when the shim was told.
    RecordInput {
        actor: Who,
        on: bool,
        reply: Answer<()>,
    },
    /// A question is answered; replied to when the agent was told.
    Decide {
        actor: Who,
        answer: decide::Answer,
        reply: Answer<()>,
    },
    /// Somebody's wish, who had a right to it while the agent was this owner's. It is dropped, and its
    /// answer with it, where the agent was handed over while it was on its way.
    Wish {
        owner: String,
        message: Box<Message>,
    },
    /// A new shell terminal.
    Terminal {
        size: (u16, u16),
        reply: Answer<String>,
    },
    /// Sockets in its network, while it has one.
    Sockets { reply: Answer<SocketSource> },
    /// The answer of a probe.
    Probed {
        service: String,
        id: u64,
        ok: bool,
        detail: String,
    },
    /// A merge or an apply begins: written down before anything changes.
    Bring {
        bringing: Bringing,
        reply: Answer<()>,
    },
    /// What came of it; told where all its changes are.
    Brought { row: Row, reply: Answer<()> },
    /// The agent's view was moved to the human's commit, or not; told if it is news.
    Forwarded { said: Option<String> },
    /// Somebody moved its branch, maybe wsm itself.
    Outside,
    /// Setup came a step further.
    Step { reason: String },
}

impl Message {
    /// Whether somebody wants something of the agent; the others go on with what was begun, or look
    /// themselves.
    fn is_wish(&self) -> bool {
        !matches!(
            self,
            Message::Answer { .. }
                | Message::Brought { .. }
                | Message::Probed { .. }
                | Message::Forwarded { .. }
                | Message::Outside
                | Message::Step { .. }
        )
    }
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, Problem>>;

/// Reaches a driver; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Message>,
    published: watch::Receiver<Arc<Published>>,
    /// Whose agent it was when somebody's right to it was looked at.
    owner: Option<String>,
}

/// The driver's ends of a handle.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) inbox: mpsc::Receiver<Message>,
    /// Does not keep the driver alive by itself.
    pub(super) to_self: mpsc::WeakSender<Message>,
    pub(super) publish: watch::Sender<Arc<Published>>,
}

impl Handle {
    pub(super) fn new(first: Published) -> (Handle, Own) {
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        let (publish, published) = watch::channel(Arc::new(first));
        let own = Own {
            inbox,
            to_self: sender.downgrade(),
            publish,
        };
        let handle = Handle {
            inbox: sender,
            published,
            owner: None,
        };
        (handle, own)
    }

    /// For somebody whose right was looked at: what is asked by it is not done for another owner.
    #[must_use]
    pub fn judged(mut self, owner: &str) -> Handle {
        self.owner = Some(owner.to_owned());
        self
    }

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
        let message = message(reply);
        let message = match &self.owner {
            Some(owner) if message.is_wish() => Message::Wish {
                owner: owner.clone(),
                message: Box::new(message),
            },
            _ => message,
        };
        self.tell(message).await;
        answer.await.unwrap_or_else(|_| Err(self.unanswered()))
    }

    fn unanswered(&self) -> Problem {
        let record = &self.now().record;
        if self.owner.as_ref().is_some_and(|it| *it != record.owner) {
            let message = format!("{} was handed over to {}", record.name, record.owner);
            return Problem::new(Code::Conflict, message, "nothing was done");
        }
        Problem::new(Code::NotFound, "the agent is gone", "see `wsm ls -a`")
    }
}

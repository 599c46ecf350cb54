//! What the edges (HTTP, CLI wiring) may ask of the daemon: one method per verb of the API.

use std::time::Duration;

use tokio::net::UnixStream;
use wsm_api::agent::{Agent, DryRun, Explanation, NewAgent, Removed, Shown, State};
use wsm_api::event::Event;
use wsm_api::host::{Check, Status};
use wsm_api::problem::{Code, Problem};
use wsm_api::review::{Diff, Merge, Merged};
use wsm_api::service::{AgentPorts, LogPart, Service};
use wsm_api::template::TemplateInfo;
use wsm_api::terminal::{Capture, Exec, NewTerminal, Opened, Send};

/// Who asks: a local user by the peer credentials of the Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The wsm user: the account's name.
    pub user: String,
    /// Unix uid.
    pub uid: u32,
    /// May act on every agent.
    pub admin: bool,
}

/// What can be asked of a running or stopped agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it again.
    Start,
    /// Stop it; the work stays.
    Stop,
    /// Stop, then start.
    Restart,
    /// Freeze.
    Pause,
    /// Thaw.
    Resume,
    /// Take it out of the trash.
    Restore,
}

/// What can be asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceVerb {
    /// Start it, and what it depends on.
    Start,
    /// Stop it.
    Stop,
    /// Stop, then start.
    Restart,
}

/// Answer to a request for a new agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is being made.
    Agent(Box<Agent>),
    /// What would be made.
    DryRun(Box<DryRun>),
}

/// Handle of the daemon; cheap to clone.
#[derive(Debug, Clone)]
pub struct Daemon {}

fn pending<T>() -> Result<T, Problem> {
    Err(Problem::new(Code::NotAvailable, "not available yet", ""))
}

#[expect(clippy::unused_async, unused_variables, missing_docs, reason = "signatures first")]
impl Daemon {
    pub async fn status(&self, actor: &Actor) -> Result<Status, Problem> {
        pending()
    }
    pub async fn doctor(&self, actor: &Actor) -> Result<Vec<Check>, Problem> {
        pending()
    }
    pub async fn templates(&self, actor: &Actor) -> Result<Vec<TemplateInfo>, Problem> {
        pending()
    }
    pub async fn new_agent(&self, actor: &Actor, new: NewAgent) -> Result<Created, Problem> {
        pending()
    }
    pub async fn list(&self, actor: &Actor, trashed: bool) -> Result<Vec<Agent>, Problem> {
        pending()
    }
    pub async fn agent(&self, actor: &Actor, agent: &str) -> Result<Agent, Problem> {
        pending()
    }
    pub async fn show(&self, actor: &Actor, agent: &str) -> Result<Shown, Problem> {
        pending()
    }
    pub async fn explain(&self, actor: &Actor, agent: &str) -> Result<Explanation, Problem> {
        pending()
    }
    /// Returns when the verb has taken effect.
    pub async fn act(&self, actor: &Actor, agent: &str, verb: Verb) -> Result<Agent, Problem> {
        pending()
    }
    pub async fn remove(&self, actor: &Actor, agent: &str, purge: bool) -> Result<Removed, Problem> {
        pending()
    }
    pub async fn prune(&self, actor: &Actor, dry_run: bool) -> Result<Removed, Problem> {
        pending()
    }
    pub async fn wait(
        &self,
        actor: &Actor,
        agent: &str,
        until: &[State],
        timeout: Duration,
    ) -> Result<Agent, Problem> {
        pending()
    }
    /// Rows after `after`; waits up to `wait` for the first one.
    pub async fn events(
        &self,
        actor: &Actor,
        after: u64,
        limit: u32,
        wait: Duration,
    ) -> Result<Vec<Event>, Problem> {
        pending()
    }
    pub async fn ports(&self, actor: &Actor, agent: Option<&str>) -> Result<Vec<AgentPorts>, Problem> {
        pending()
    }
    pub async fn service_act(
        &self,
        actor: &Actor,
        agent: &str,
        service: &str,
        verb: ServiceVerb,
    ) -> Result<Service, Problem> {
        pending()
    }
    /// `service` is a service's name, `setup`, or `None` for the agent's `main` terminal history.
    pub async fn log(
        &self,
        actor: &Actor,
        agent: &str,
        service: Option<&str>,
        from: Option<u64>,
        lines: u32,
    ) -> Result<LogPart, Problem> {
        pending()
    }
    pub async fn send(&self, actor: &Actor, agent: &str, send: Send) -> Result<(), Problem> {
        pending()
    }
    pub async fn capture(
        &self,
        actor: &Actor,
        agent: &str,
        terminal: Option<&str>,
        history_lines: u32,
        styled: bool,
    ) -> Result<Capture, Problem> {
        pending()
    }
    /// A new shell terminal.
    pub async fn open_terminal(
        &self,
        actor: &Actor,
        agent: &str,
        new: NewTerminal,
    ) -> Result<Opened, Problem> {
        pending()
    }
    /// A connection to the shim, hellos exchanged (the shim's is returned as its encoded message,
    /// to be passed on): the edge copies frames both ways. The caller sends `Frame::Attach` itself.
    pub async fn attach(
        &self,
        actor: &Actor,
        agent: &str,
    ) -> Result<(UnixStream, Vec<u8>), Problem> {
        pending()
    }
    /// Starts the command and returns a shim connection on which `Frame::Open` was already sent.
    pub async fn exec(&self, actor: &Actor, agent: &str, exec: Exec) -> Result<UnixStream, Problem> {
        pending()
    }
    pub async fn diff(&self, actor: &Actor, agent: &str) -> Result<Diff, Problem> {
        pending()
    }
    pub async fn merge(&self, actor: &Actor, agent: &str, merge: Merge) -> Result<Merged, Problem> {
        pending()
    }
    pub async fn apply(&self, actor: &Actor, agent: &str) -> Result<Merged, Problem> {
        pending()
    }
}

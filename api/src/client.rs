//! Typed client of the API over the daemon's Unix socket, or a way of the caller's: one method per route.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use crate::agent::{Agent, DryRun, Explanation, NewAgent, Removed, Shown, State};
use crate::event::Event;
use crate::host::{Check, Status};
use crate::policy::{AgentPolicy, PolicyAnswer, PolicyChange};
use crate::problem::Problem;
use crate::review::{Diff, Merge, Merged};
use crate::secret::{NewSecret, Secret, SecretRemoved, SecretTicket};
use crate::service::{AgentPorts, LogPart, Service};
use crate::terminal::{Capture, Exec, NewTerminal, NewTicket, Opened, Send};

mod audit;
mod handoff;
mod invite;
mod notify;
mod people;
mod presence;
mod question;
mod repositories;
mod usage;
mod way;
mod wire;

pub use audit::AuditQuery;
use way::Way;
pub use way::{Connection, Dial, Promise};
pub use wire::Socket;
use wire::{Target, decode};

/// Name of the daemon's socket in the run directory.
pub const SOCKET_NAME: &str = "wsm.sock";

/// Why there is no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers {place}: {source}")]
    Unreachable {
        /// Where it was looked for: `in DIRECTORY`, `at URL`.
        place: String,
        /// What connecting failed with.
        source: std::io::Error,
    },
    /// The connection broke, or what came is not HTTP and JSON as agreed.
    #[error("the daemon broke off: {0}")]
    Broken(String),
    /// The daemon said no.
    #[error(transparent)]
    Problem(#[from] Problem),
}

/// Result of every method.
pub type Result<T> = std::result::Result<T, ClientError>;

/// Answer to a request for a new agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is being made.
    Agent(Box<Agent>),
    /// What would be made.
    DryRun(Box<DryRun>),
}

/// What can be asked of an agent.
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

impl Verb {
    /// Last part of its path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Restore => "restore",
        }
    }
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

impl ServiceVerb {
    /// Last part of its path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceVerb::Start => "start",
            ServiceVerb::Stop => "stop",
            ServiceVerb::Restart => "restart",
        }
    }
}

/// A daemon, and the way to it. Holds no connection; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    way: Way,
}

impl Client {
    /// The daemon whose socket lies in `run`.
    #[must_use]
    pub fn new(run: &Path) -> Client {
        Client {
            way: Way::Here(run.to_owned()),
        }
    }

    /// A daemon on another machine.
    #[must_use]
    pub fn through(dial: Arc<dyn Dial>) -> Client {
        Client {
            way: Way::There(dial),
        }
    }

    /// What runs there, and who the caller is.
    ///
    /// # Errors
    /// See [`ClientError`]; so for every method below.
    pub async fn status(&self) -> Result<Status> {
        self.get(Target::new("/v1/status")).await
    }

    /// What the host can enforce.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn doctor(&self) -> Result<Vec<Check>> {
        self.get(Target::new("/v1/doctor")).await
    }

    /// Agents, the trash too if asked for.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn agents(&self, trashed: bool) -> Result<Vec<Agent>> {
        self.get(Target::new("/v1/agents").query("trashed", &trashed))
            .await
    }

    /// Makes an agent, or tells what would be made.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn new_agent(&self, new: &NewAgent) -> Result<Created> {
        let target = Target::new("/v1/agents");
        let (status, body) = self
            .call(Method::POST, target, Some(wire::encode(new)))
            .await?;
        if status == hyper::StatusCode::ACCEPTED {
            Ok(Created::Agent(decode(&body)?))
        } else {
            Ok(Created::DryRun(decode(&body)?))
        }
    }

    /// One agent.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn agent(&self, agent: &str) -> Result<Agent> {
        self.get(Target::agent(agent)).await
    }

    /// The agent and what the kernel enforces on it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn show(&self, agent: &str) -> Result<Shown> {
        self.get(Target::agent(agent).then("show")).await
    }

    /// Why its state is what it is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn explain(&self, agent: &str) -> Result<Explanation> {
        self.get(Target::agent(agent).then("explain")).await
    }

    /// Answers when it is in one of the states.
    ///
    /// # Errors
    /// See [`ClientError`]; a problem with the code `timed-out` after `timeout`.
    pub async fn wait(
        &self,
        agent: &str,
        until: &[State],
        timeout: Option<Duration>,
    ) -> Result<Agent> {
        let until: Vec<_> = until.iter().map(|state| state.as_str()).collect();
        let timeout_ms = timeout.map(|timeout| timeout.as_millis());
        let target = Target::agent(agent)
            .then("wait")
            .query("until", &until.join(","));
        self.get(target.maybe("timeout_ms", timeout_ms.as_ref()))
            .await
    }

    /// Asks it to start, stop and so on; returns when that has taken effect.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn act(&self, agent: &str, verb: Verb) -> Result<Agent> {
        self.post(Target::agent(agent).then(verb.as_str()), None)
            .await
    }

    /// Puts it into the trash, or removes it for good.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn remove(&self, agent: &str, purge: bool) -> Result<Removed> {
        let target = Target::agent(agent).query("purge", &purge);
        let (_, body) = self.call(Method::DELETE, target, None).await?;
        decode(&body)
    }

    /// Empties the trash of what is merged.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn prune(&self, dry_run: bool) -> Result<Removed> {
        self.post(Target::new("/v1/prune").query("dry_run", &dry_run), None)
            .await
    }

    /// Journal rows after `after`; waits up to `wait` for the first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self, after: u64, limit: u32, wait: Duration) -> Result<Vec<Event>> {
        let target = Target::new("/v1/events")
            .query("after", &after)
            .query("limit", &limit);
        self.get(target.query("wait_ms", &wait.as_millis())).await
    }

    /// Ports of all agents.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ports(&self) -> Result<Vec<AgentPorts>> {
        self.get(Target::new("/v1/ports")).await
    }

    /// Ports of one agent.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn agent_ports(&self, agent: &str) -> Result<AgentPorts> {
        self.get(Target::agent(agent).then("ports")).await
    }

    /// What it may reach, and what it did.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn policy(&self, agent: &str) -> Result<AgentPolicy> {
        self.get(Target::agent(agent).then("policy")).await
    }

    /// Changes what it may reach, from now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn policy_change(&self, agent: &str, change: &PolicyChange) -> Result<AgentPolicy> {
        let body = Some(wire::encode(change));
        self.post(Target::agent(agent).then("policy"), body).await
    }

    /// Whether it may reach `HOST[:PORT]`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn policy_check(&self, agent: &str, target: &str) -> Result<PolicyAnswer> {
        let check = Target::agent(agent).then("policy").then("check");
        self.get(check.query("target", &target)).await
    }

    /// Secrets that the caller's agents may use, without their values.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn secrets(&self) -> Result<Vec<Secret>> {
        self.get(Target::new("/v1/secrets")).await
    }

    /// A ticket to set a secret.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn secret_ticket(&self, name: &str, new: &NewSecret) -> Result<SecretTicket> {
        let target = Target::new("/v1/secrets").then(name);
        self.post(target, Some(wire::encode(new))).await
    }

    /// Forgets a secret.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn secret_remove(&self, name: &str, everyone: bool) -> Result<SecretRemoved> {
        let target = Target::new("/v1/secrets").then(name);
        let target = target.query("everyone", &everyone);
        let (_, body) = self.call(Method::DELETE, target, None).await?;
        decode(&body)
    }

    /// Its services.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn services(&self, agent: &str) -> Result<Vec<Service>> {
        self.get(Target::agent(agent).then("services")).await
    }

    /// Asks a service to start, stop or restart.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn service_act(
        &self,
        agent: &str,
        service: &str,
        verb: ServiceVerb,
    ) -> Result<Service> {
        let target = Target::agent(agent)
            .then("services")
            .then(service)
            .then(verb.as_str());
        self.post(target, None).await
    }

    /// Part of a log: a service's, `setup`'s, `egress`'s, or without `service` the main terminal's history.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn log(
        &self,
        agent: &str,
        service: Option<&str>,
        from: Option<u64>,
        lines: u32,
    ) -> Result<LogPart> {
        let target = Target::agent(agent).then("log").query("lines", &lines);
        self.get(
            target
                .maybe("service", service.as_ref())
                .maybe("from", from.as_ref()),
        )
        .await
    }

    /// What the agent changed.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn diff(&self, agent: &str) -> Result<Diff> {
        self.get(Target::agent(agent).then("diff")).await
    }

    /// Merges its commits into the main checkout's branch.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn merge(&self, agent: &str, merge: &Merge) -> Result<Merged> {
        let target = Target::agent(agent).then("merge");
        self.post(target, Some(wire::encode(merge))).await
    }

    /// Stages its changes in the main checkout.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn apply(&self, agent: &str) -> Result<Merged> {
        self.post(Target::agent(agent).then("apply"), None).await
    }

    /// Opens a shell in a terminal of its own.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn open_terminal(&self, agent: &str, new: &NewTerminal) -> Result<Opened> {
        self.post(
            Target::agent(agent).then("terminals"),
            Some(wire::encode(new)),
        )
        .await
    }

    /// Types text into a terminal.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn send(&self, agent: &str, send: &Send) -> Result<()> {
        self.post(Target::agent(agent).then("send"), Some(wire::encode(send)))
            .await
    }

    /// A screen as text.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn capture(
        &self,
        agent: &str,
        terminal: Option<&str>,
        history_lines: u32,
        styled: bool,
    ) -> Result<Capture> {
        let target = Target::agent(agent)
            .then("capture")
            .maybe("terminal", terminal.as_ref());
        self.get(
            target
                .query("history_lines", &history_lines)
                .query("styled", &styled),
        )
        .await
    }

    /// The run directory of a daemon on this machine, where the sockets of shims lie as well.
    #[must_use]
    pub fn run_dir(&self) -> Option<&Path> {
        match &self.way {
            Way::Here(run) => Some(run),
            Way::There(_) => None,
        }
    }

    /// A WebSocket to a terminal: the shim's hello comes first, then the caller sends its attach.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn attach(&self, agent: &str, new: &NewTicket) -> Result<Socket> {
        let target = Target::agent(agent).then("attach");
        let target = target.query("terminal", &new.terminal);
        self.upgrade(target.query("read_only", &new.read_only))
            .await
    }

    /// A WebSocket to a command that is being started.
    ///
    /// # Errors
    /// See [`ClientError`]; a command that can't be started comes as a text message (a problem).
    pub async fn exec(&self, agent: &str, exec: &Exec) -> Result<Socket> {
        let mut socket = self.upgrade(Target::agent(agent).then("exec")).await?;
        wire::say(&mut socket, exec).await?;
        Ok(socket)
    }
}

//! What the edges (HTTP, CLI wiring) may ask of the daemon: one method per verb of the API.

mod access;
#[cfg(any(debug_assertions, feature = "fuzz"))]
mod alone;
mod audit;
mod create;
mod device;
pub mod feed;
mod grants;
mod handoff;
mod invite;
mod kept;
mod link;
mod notify;
mod pairing;
mod passkey;
mod people;
mod policy;
mod presence;
pub mod preview;
mod question;
mod recordings;
mod remove;
mod repositories;
mod review;
mod secret;
mod session;
mod share;
mod sources;
mod standing;
mod terminal;
mod token;
mod usage;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wsm_api::agent::{Agent, DryRun, Explanation, Shown, State};
use wsm_api::event::Event;
use wsm_api::host::{Check, Status};
use wsm_api::problem::{Code, Problem};
use wsm_api::service::{AgentPorts, Service};
use wsm_sandbox::protocol::{Listed, Reply as BrokerReply, Request as BrokerRequest};

use crate::actor::Actor;
use crate::agent::driver::Driver;
use crate::agent::handle::{Handle, Message, Published};
use crate::agent::ledger::Unrecorded;
use crate::agent::request::Decision;
use crate::egress;
use crate::engine::{Config, Engine, row, store_problem};
use crate::role::{Subject, Verb as May};
use crate::store::{Change, rfc3339};
pub use pairing::PairingBegun;
pub use passkey::Passkey;
pub use session::SessionMade;
pub use standing::Standing;
pub use terminal::Running;
use view::{shown_agent, shown_event, shown_services, shown_to};

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
pub struct Daemon {
    engine: Arc<Engine>,
}

/// How long one agent may hold up the start of the daemon: connecting takes milliseconds.
const RECOVERY_MAX: Duration = Duration::from_secs(5);

/// Rows that `explain` shows.
const EVIDENCE_ROWS: u32 = 20;

/// Longest wait of one request; the caller asks again.
const WAIT_MAX: Duration = Duration::from_secs(300);

impl Daemon {
    /// Opens the state, and takes up every agent where the last daemon left it.
    ///
    /// # Errors
    /// The database can't be opened or the broker is not there.
    pub async fn start(config: &Config) -> Result<Daemon, Problem> {
        let engine = Arc::new(Engine::open(config)?);
        let listed = match engine.broker.ask(BrokerRequest::List).await {
            Ok(BrokerReply::Listed { sandboxes }) => sandboxes,
            Ok(other) => return Err(crate::broker::odd_reply(&other)),
            Err(e) => return Err(crate::broker::problem(&e)),
        };
        let mut listed: BTreeMap<_, Listed> = listed
            .into_iter()
            .map(|one| (one.agent.clone(), one))
            .collect();
        for record in engine.store.agents().map_err(|e| store_problem(&e))? {
            let found = listed.remove(&record.id);
            Driver::spawn(&engine, record, found);
        }
        // What no record knows was being removed when the last daemon ended.
        for agent in listed.into_keys() {
            let message = format!("take down the sandbox {agent}, which no agent owns");
            let change = Change::new(row(crate::engine::WSM, "sandbox.orphan", "host", message));
            if let Err(error) = engine.store.commit(&change) {
                // A full disk is no reason not to serve; the next daemon finds it again.
                tracing::error!(%agent, %error, "a sandbox that no agent owns stays");
                continue;
            }
            let deleted = engine.broker.ask(BrokerRequest::Delete { agent }).await;
            deleted.map_err(|e| crate::broker::problem(&e))?;
        }
        // Requests are answered from what runs, not from what was written: it is looked up first.
        for handle in engine.handles() {
            let recovered = until(&handle, |published| published.recovered, RECOVERY_MAX).await;
            if let Err(problem) = recovered {
                tracing::warn!(%problem, "an agent is not taken up yet");
            }
        }
        egress::follow_config(&engine);
        engine.keep_checkpoints();
        engine.watch_usage();
        engine.watch_disks();
        crate::notify::worker::start(&engine);
        engine.keep_rights();
        Ok(Daemon { engine })
    }

    /// `status`.
    ///
    /// # Errors
    /// The database said no.
    pub async fn status(&self, actor: &Actor) -> Result<Status, Problem> {
        self.may(actor, May::Status, &Subject::Host)?;
        let mut agents = BTreeMap::new();
        for handle in self.all(actor, May::See)? {
            let record = &handle.now().record;
            if record.trashed_ms.is_none() {
                *agents.entry(record.state.to_string()).or_insert(0) += 1;
            }
        }
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: rfc3339(self.engine.started_ms),
            user: actor.user.clone(),
            broker: self.engine.broker.answers().await,
            agents,
            web: None,
        })
    }

    /// `doctor`: what the broker finds on this host.
    ///
    /// # Errors
    /// The broker is not there.
    pub async fn doctor(&self, actor: &Actor) -> Result<Vec<Check>, Problem> {
        self.may(actor, May::Doctor, &Subject::Host)?;
        match self.engine.broker.ask(BrokerRequest::Host).await {
            Ok(BrokerReply::Host { checks }) => Ok(checks.into_iter().map(view::check).collect()),
            Ok(other) => Err(crate::broker::odd_reply(&other)),
            Err(e) => Err(crate::broker::problem(&e)),
        }
    }

    /// Agents that the actor may see, by name.
    ///
    /// # Errors
    /// The database said no.
    pub async fn list(&self, actor: &Actor, trashed: bool) -> Result<Vec<Agent>, Problem> {
        self.may(actor, May::List, &Subject::Host)?;
        let mut agents: Vec<Agent> = self
            .all(actor, May::See)?
            .iter()
            .map(Handle::now)
            .filter(|p| trashed || p.record.trashed_ms.is_none())
            .map(|p| shown_to(actor, &p))
            .collect();
        agents.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(agents)
    }

    /// One agent, by name or id.
    ///
    /// # Errors
    /// There is none, or it is somebody else's.
    pub async fn agent(&self, actor: &Actor, agent: &str) -> Result<Agent, Problem> {
        Ok(shown_to(actor, &self.find(actor, agent, May::See)?.now()))
    }

    /// `show`.
    ///
    /// # Errors
    /// There is no such agent, or the broker can't read the kernel.
    pub async fn show(&self, actor: &Actor, agent: &str) -> Result<Shown, Problem> {
        let published = self.find(actor, agent, May::Show)?.now();
        let record = &published.record;
        let (mut layers, probes) = if published.shim.is_some() {
            let request = BrokerRequest::Inspect {
                agent: record.id.clone(),
            };
            match self.engine.broker.ask(request).await {
                Ok(BrokerReply::Inspected { layers, probes }) => (layers, probes),
                Ok(other) => return Err(crate::broker::odd_reply(&other)),
                Err(e) => return Err(crate::broker::problem(&e)),
            }
        } else {
            (Vec::new(), Vec::new())
        };
        egress::annotate(record, &mut layers);
        let mut shown = view::shown(&published, layers, probes);
        shown.credentials = self.credentials(record).await;
        Ok(shown)
    }

    /// `explain`.
    ///
    /// # Errors
    /// There is no such agent.
    pub async fn explain(&self, actor: &Actor, agent: &str) -> Result<Explanation, Problem> {
        let published = self.find(actor, agent, May::Explain)?.now();
        let record = &published.record;
        let rows = self.engine.store.about(record.id.as_str(), EVIDENCE_ROWS);
        let rows = rows.map_err(|e| store_problem(&e))?;
        Ok(Explanation {
            state: record.state,
            reason: record.reason.clone(),
            since: rfc3339(record.since_ms),
            confidence: view::confidence(record),
            heard: published.heard.iter().rev().map(view::heard).collect(),
            evidence: rows.into_iter().map(shown_event).collect(),
        })
    }

    /// Does it, and returns when it has taken effect.
    ///
    /// # Errors
    /// There is no such agent, or its state does not allow it.
    pub async fn act(&self, actor: &Actor, agent: &str, verb: Verb) -> Result<Agent, Problem> {
        let may = match verb {
            Verb::Start | Verb::Stop | Verb::Restart => May::Run,
            Verb::Pause | Verb::Resume => May::Freeze,
            Verb::Restore => May::Remove,
        };
        let handle = self.find(actor, agent, may)?;
        let user = actor.who();
        let asked = handle
            .ask(|reply| Message::Verb {
                actor: user,
                verb,
                reply,
            })
            .await?;
        if asked == Decision::Accept {
            let reached = until(&handle, |p| settled(p, verb), WAIT_MAX).await?;
            if let Some(beyond) = reached.unrecorded.as_ref().filter(|beyond| beyond.held) {
                return Err(not_yet(agent, beyond));
            }
            return Ok(shown_agent(&reached));
        }
        Ok(shown_agent(&handle.now()))
    }

    /// Waits until the agent is in one of the states.
    ///
    /// # Errors
    /// There is no such agent, it is removed meanwhile, or it takes too long.
    pub async fn wait(
        &self,
        actor: &Actor,
        agent: &str,
        states: &[State],
        timeout: Duration,
    ) -> Result<Agent, Problem> {
        let handle = self.find(actor, agent, May::Wait)?;
        let standing = self.standing(actor, agent, May::Wait);
        let reached = until(&handle, |p| states.contains(&p.record.state), timeout);
        tokio::select! {
            // Whose right has ended is told nothing more.
            biased;
            problem = standing.ended() => Err(problem),
            reached = reached => Ok(shown_agent(&*reached?)),
        }
    }

    /// Rows after `after`; waits up to `wait` for the first one.
    ///
    /// # Errors
    /// The database said no.
    pub async fn events(
        &self,
        actor: &Actor,
        after: u64,
        limit: u32,
        wait: Duration,
    ) -> Result<Vec<Event>, Problem> {
        self.may(actor, May::Events, &Subject::Host)?;
        let mut newest = self.engine.store.newest();
        let deadline = tokio::time::Instant::now() + wait.min(WAIT_MAX);
        let mut after = after;
        loop {
            // A timeout is an empty answer.
            let waited = tokio::time::timeout_at(deadline, newest.wait_for(|seq| *seq > after));
            if !matches!(waited.await, Ok(Ok(_))) {
                return Ok(Vec::new());
            }
            let rows = self.engine.store.journal(after, limit);
            let rows = rows.map_err(|e| store_problem(&e))?;
            let Some(last) = rows.last() else {
                return Ok(Vec::new());
            };
            after = last.seq;
            // It may have waited for long.
            let (actor, _) = self.again(actor)?;
            self.may(&actor, May::Events, &Subject::Host)?;
            let own: Vec<String> = self
                .all(&actor, May::See)?
                .iter()
                .map(|handle| handle.now().record.id.to_string())
                .collect();
            let seen = |subject: &String| actor.is_admin() || own.contains(subject);
            let rows: Vec<Event> = rows
                .into_iter()
                .filter(|row| seen(&row.subject))
                .map(shown_event)
                .collect();
            // Rows of others alone: those after them are looked at, or waited for.
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    /// Ports of one agent or of all.
    ///
    /// # Errors
    /// There is no such agent.
    pub async fn ports(
        &self,
        actor: &Actor,
        agent: Option<&str>,
    ) -> Result<Vec<AgentPorts>, Problem> {
        self.may(actor, May::Ports, &Subject::Host)?;
        let agents = match agent {
            Some(agent) => vec![self.agent(actor, agent).await?],
            None => self.list(actor, false).await?,
        };
        let ports = |a: Agent| AgentPorts {
            name: a.name,
            id: a.id,
            ports: a.ports,
        };
        Ok(agents.into_iter().map(ports).collect())
    }

    /// Starts, stops or restarts a service; answers when it was taken.
    ///
    /// # Errors
    /// There is no such agent or service, or the agent does not run.
    pub async fn service_act(
        &self,
        actor: &Actor,
        agent: &str,
        service: &str,
        verb: ServiceVerb,
    ) -> Result<Service, Problem> {
        let handle = self.find(actor, agent, May::ServiceRun)?;
        let (user, name) = (actor.who(), service.to_owned());
        let asked = handle.ask(|reply| Message::Service {
            actor: user,
            service: name,
            verb,
            reply,
        });
        asked.await?;
        let services = shown_services(&handle.now().record);
        services
            .into_iter()
            .find(|s| s.name == service)
            .ok_or_else(|| {
                Problem::new(
                    Code::NotFound,
                    format!("{agent} has no service {service}"),
                    "",
                )
            })
    }
}

/// Waits for the published state.
async fn until(
    handle: &Handle,
    reached: impl Fn(&Published) -> bool,
    timeout: Duration,
) -> Result<Arc<Published>, Problem> {
    let mut follow = handle.follow();
    let waited = follow.wait_for(|published| published.erased || reached(published));
    let published = match tokio::time::timeout(timeout, waited).await {
        Ok(Ok(published)) => Arc::clone(&published),
        // The driver ended: what it published last is the truth.
        Ok(Err(_)) => handle.now(),
        Err(_) => {
            let record = &handle.now().record;
            let (state, reason) = (record.state, &record.reason);
            let message = format!(
                "{} is still {state} after {timeout:?}: {reason}",
                record.name
            );
            let hint = format!("see `wsm explain {}`", record.name);
            return Err(Problem::new(Code::TimedOut, message, hint));
        }
    };
    Ok(published)
}

fn resting(state: State) -> bool {
    matches!(state, State::Stopped | State::Failed | State::Lost)
}

/// Whether a verb has taken effect.
fn settled(published: &Published, verb: Verb) -> bool {
    if published
        .unrecorded
        .as_ref()
        .is_some_and(|beyond| beyond.held)
    {
        return true;
    }
    let state = published.state();
    let begins = matches!(
        state,
        State::Creating | State::SettingUp | State::Starting | State::Stopping
    );
    match verb {
        Verb::Start | Verb::Restart => !begins,
        Verb::Stop => resting(state),
        Verb::Pause => state == State::Paused,
        Verb::Resume => state != State::Paused,
        Verb::Restore => !published.trashed(),
    }
}

/// What was asked for is begun when there is room to write it down.
fn not_yet(agent: &str, beyond: &Unrecorded) -> Problem {
    let mut problem = beyond.why.clone();
    let (state, reason) = (beyond.state, &beyond.reason);
    problem.message = format!(
        "{agent} waits ({state}: {reason}): {}; it goes on when that can be written",
        problem.message
    );
    problem
}

//! Who looks at an agent's terminals, and who may type.

use wsm_api::presence::{Lease, LeaseAct, LeaseChange, Presence, Viewer};
use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::{self, Person, Reply, Request};

use super::Daemon;
use super::terminal::no_terminal;
use crate::actor::{Actor, Way};
use crate::agent::run::MAIN;
use crate::engine::{row, store_problem};
use crate::role::Verb;
use crate::shim::{LEASES, Shim, odd, shim_problem};
use crate::store::{Change, rfc3339};

/// Who that is to a shim.
pub(super) fn person(actor: &Actor) -> Person {
    Person {
        user: actor.user.clone(),
        device: match &actor.way {
            Way::Local { .. } => "this machine".to_owned(),
            Way::Device { id, name, .. } if name.is_empty() => format!("device {id}"),
            Way::Device { name, .. } => name.clone(),
            Way::Token { id } => format!("token {id}"),
            Way::Link { .. } => "a link".to_owned(),
        },
    }
}

impl Daemon {
    /// `who`.
    ///
    /// # Errors
    /// The agent does not run, or was started by an older wsm.
    pub async fn who(&self, actor: &Actor, agent: &str) -> Result<Presence, Problem> {
        let (shim, _) = self.running(actor, agent, Verb::Who)?;
        knows_leases(&shim, agent)?;
        let request = Request::Who { terminal: None };
        match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Who {
                viewers, leases, ..
            } => Ok(Presence {
                viewers: viewers.into_iter().map(viewer).collect(),
                leases: leases
                    .into_iter()
                    .map(|(name, it)| lease(name, it))
                    .collect(),
            }),
            other => Err(odd(&other)),
        }
    }

    /// `lease`. Taking it is written down before it is done.
    ///
    /// # Errors
    /// It is not the actor's to do, the agent does not run, or was started by an older wsm.
    pub async fn lease(
        &self,
        actor: &Actor,
        agent: &str,
        change: LeaseChange,
    ) -> Result<Lease, Problem> {
        let verb = match change.act {
            LeaseAct::Take => Verb::LeaseTake,
            LeaseAct::Request | LeaseAct::Release | LeaseAct::Grant => Verb::Lease,
        };
        let (shim, published) = self.running(actor, agent, verb)?;
        knows_leases(&shim, agent)?;
        let terminal = change.terminal.unwrap_or_else(|| MAIN.to_owned());
        let act = match (change.act, change.to) {
            (LeaseAct::Request, None) => protocol::LeaseAct::Request,
            (LeaseAct::Release, None) => protocol::LeaseAct::Release,
            (LeaseAct::Take, None) => protocol::LeaseAct::Take,
            (LeaseAct::Grant, Some(to)) if !protocol::is_name(&to) => {
                // Shims of an older wsm tell it to everybody as it is.
                return Err(invalid("that is no name of a user"));
            }
            (LeaseAct::Grant, Some(to)) => protocol::LeaseAct::Grant { to },
            (LeaseAct::Grant, None) => return Err(invalid("grant it to whom?")),
            (_, Some(_)) => return Err(invalid("only a grant names somebody else")),
        };
        let owns = self.find(actor, agent, Verb::LeaseTake).is_ok();
        if act == protocol::LeaseAct::Take {
            self.write_taking(actor, published.record.id.as_str(), &terminal, &shim)
                .await?;
        }
        let request = Request::Lease {
            terminal: terminal.clone(),
            act,
            person: person(actor),
            over: owns,
        };
        match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Lease { lease: now } => {
                let holder = now.holder.as_ref().map(|holder| holder.user.clone());
                let asks = change.act == LeaseAct::Request;
                if let Some(holder) = holder.filter(|it| asks && *it != actor.user) {
                    // Whoever has it is told, wherever that one looks.
                    let message = format!("asks for the keyboard of {terminal}");
                    let told = row(actor, "lease.asked", published.record.id.as_str(), message);
                    self.write(&[], &Change::new(told.changed(&holder, &actor.user)))?;
                }
                Ok(lease(terminal, now))
            }
            Reply::NotFound => Err(no_terminal(agent, &terminal)),
            Reply::Refused { reason } => Err(held(agent, reason)),
            other => Err(odd(&other)),
        }
    }

    async fn write_taking(
        &self,
        actor: &Actor,
        agent: &str,
        terminal: &str,
        shim: &Shim,
    ) -> Result<(), Problem> {
        let wanted = Some(terminal.to_owned());
        let request = Request::Who { terminal: wanted };
        let from = match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Who { leases, .. } => leases.into_iter().find_map(|(_, it)| it.holder),
            other => return Err(odd(&other)),
        };
        let Some(from) = from.filter(|from| from.user != actor.user) else {
            return Ok(());
        };
        let message = format!(
            "takes the keyboard of {terminal} from {} by force",
            from.user
        );
        let told = row(actor, "lease.taken", agent, message);
        let change = Change::new(told.changed(&from.user, &actor.user));
        let written = self.engine.store.commit(&change);
        written.map(|_| ()).map_err(|e| store_problem(&e))
    }
}

/// Somebody else has the keyboard.
pub(super) fn held(agent: &str, reason: String) -> Problem {
    let hint = format!("`wsm who {agent}` shows who; `wsm lease {agent} request` asks for it");
    Problem::new(Code::Conflict, reason, hint)
}

/// A shim that was started before there were leases does not understand the question.
fn knows_leases(shim: &Shim, agent: &str) -> Result<(), Problem> {
    if shim.speaks() >= LEASES {
        return Ok(());
    }
    let message = format!("{agent} was started by an older wsm: its terminals have no leases");
    let hint = format!("`wsm restart {agent}` when it may be interrupted");
    Err(Problem::new(Code::NotAvailable, message, hint))
}

fn invalid(why: &str) -> Problem {
    Problem::new(Code::Invalid, format!("lease: {why}"), "")
}

fn viewer(it: protocol::Presence) -> Viewer {
    Viewer {
        terminal: it.terminal,
        user: it.person.user,
        device: it.person.device,
        since: rfc3339(it.since_ms),
        visible: it.visible,
        read_only: it.read_only,
        holds: it.holds,
        cols: it.size.0,
        rows: it.size.1,
    }
}

fn lease(terminal: String, it: protocol::Lease) -> Lease {
    let (holder, device) = match it.holder {
        Some(person) => (Some(person.user), person.device),
        None => (None, String::new()),
    };
    Lease {
        terminal,
        epoch: it.epoch,
        holder,
        device,
        asked: it.asked,
        recorded: it.recorded,
    }
}

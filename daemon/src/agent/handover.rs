//! Handing an agent over: an offer stands until it is taken, declined or too old; taking it moves
//! ownership, and with it whose secrets egress puts in, in the row that tells of it.
//!
//! ```text
//! none ── offer ──► offered ── accept ──► none, another owner; login files are due for removal
//!                      └── decline, withdraw, time ──► none, nothing changed
//! ```

use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::{Reply as BrokerReply, Request as BrokerRequest};
use wsm_terminal::protocol::{LeaseAct, Person, Reply, Request};

use super::driver::{Driver, Next};
use crate::actor::Who;
use crate::engine::{Engine, WSM, row};
use crate::record::{Inside, Offer, Record};
use crate::shim::LEASES;
use crate::store::now_ms;

impl Driver {
    /// Writes an offer down; one at a time.
    pub(super) fn on_offer(&mut self, actor: &Who, offer: Offer) -> Result<(), Problem> {
        if let Some(other) = self.record.offered(now_ms()) {
            let message = format!("{} is offered to {} already", self.record.name, other.to);
            let hint = format!("`wsm decline {}` takes that back", self.record.name);
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        self.can_be_closed()?;
        let before = self.record.clone();
        let note = match offer.note.as_str() {
            "" => String::new(),
            note => format!(": {note}"),
        };
        let message = format!("{} to {}{note}", self.record.name, offer.to);
        let told = row(actor, "handoff.offered", self.record.id.as_str(), message);
        self.record.offer = Some(offer);
        self.try_commit(before, told)
    }

    /// The offer to `to` is taken, or is none any more.
    pub(super) async fn on_answer(
        &mut self,
        actor: &Who,
        to: &str,
        accept: bool,
    ) -> Result<(), Problem> {
        let before = self.record.clone();
        let Some(offer) = before.offered(now_ms()).filter(|offer| offer.to == to) else {
            let message = format!("{} is not offered to {to} any more", before.name);
            return Err(Problem::new(Code::NotFound, message, ""));
        };
        if accept {
            self.can_be_closed()?;
        }
        let id = before.id.as_str();
        if !accept {
            self.record.offer = None;
            let message = format!("{} to {to}", before.name);
            return self.try_commit(before.clone(), row(actor, "handoff.declined", id, message));
        }
        // The receiver did not ask for it. A shim that does not answer would leave the giver its
        // windows as well.
        if let Err(problem) = self.record_input(actor, false).await {
            return Err(self.cant_be_taken(&problem));
        }
        self.record.offer = None;
        self.record.owner.clone_from(&offer.to);
        let email = format!("{to}@{}", self.engine.host.hostname);
        self.record.author = (offer.to.clone(), email);
        self.record.logins_due = true;
        // What the giver let it see goes into nothing that starts from now on.
        self.record.inside = Inside::default();
        let message = format!("{} from {} to {to}", before.name, before.owner);
        let told = row(actor, "handoff.accepted", id, message).changed(&before.owner, to);
        self.try_commit(before.clone(), told)?;
        // First of all: the giver's secrets are not the receiver's to use.
        let served = match self.shim {
            Some(_) => self.serve_receiver().await,
            None => Ok(()), // egress is told when it is started
        };
        // Before the giver is closed, which would leave it to anybody.
        self.pass_on(&before.owner, to).await;
        self.engine.store.rights_changed();
        self.clean_logins().await;
        served
    }

    async fn serve_receiver(&self) -> Result<(), Problem> {
        let egress = &self.engine.egress;
        let served = egress.serve(&self.engine.etc_dir, &self.record).await;
        if served.is_err() {
            // Rather no way out than the giver's secrets on it.
            egress.forget(&self.record).await;
        }
        served
    }

    /// A sandbox that was being built when the agent was handed over is the giver's, with what the
    /// giver let it see, and maybe with login files again.
    pub(super) async fn built_for_another(&mut self, owner: &str) -> bool {
        if self.record.owner == owner {
            return false;
        }
        self.record.logins_due = true;
        let message = format!("it was built for {owner}, and is built anew");
        let id = self.record.id.as_str();
        self.commit(row(WSM, "sandbox.outdated", id, message));
        self.clean_logins().await;
        self.close(Next::Restart);
        true
    }

    /// A shim that was started before there were leases closes nobody's window: the giver would go
    /// on typing.
    fn can_be_closed(&self) -> Result<(), Problem> {
        if self.shim.as_ref().is_none_or(|it| it.speaks() >= LEASES) {
            return Ok(());
        }
        let name = &self.record.name;
        let message =
            format!("{name} was started by an older wsm: it can't be taken from who looks at it");
        let hint = format!("`wsm restart {name}` when it may be interrupted, then hand it over");
        Err(Problem::new(Code::NotAvailable, message, hint))
    }

    fn cant_be_taken(&self, why: &Problem) -> Problem {
        let name = &self.record.name;
        let message = format!(
            "{name} stays as it is, its terminals do not answer: {}",
            why.message
        );
        let hint = format!("`wsm restart {name}` ends them, then accept it again");
        Problem::new(Code::Failed, message, hint)
    }

    /// The keyboards that the giver has are the receiver's. What fails is logged: they are free then.
    async fn pass_on(&self, giver: &str, to: &str) {
        let Some(shim) = self.shim.as_ref().filter(|it| it.speaks() >= LEASES) else {
            return;
        };
        let asked = shim.request(Request::Who { terminal: None }).await;
        let Ok(Reply::Who { leases, .. }) = asked else {
            return;
        };
        for (terminal, lease) in leases {
            if lease.holder.is_none_or(|holder| holder.user != giver) {
                continue;
            }
            let person = Person {
                user: giver.to_owned(),
                device: String::new(),
            };
            let request = Request::Lease {
                terminal,
                act: LeaseAct::Grant { to: to.to_owned() },
                person,
                over: true,
            };
            if let Err(error) = shim.request(request).await {
                tracing::warn!(%error, agent = %self.record.name, "pass a keyboard on");
            }
        }
    }

    /// Removes the login files that the giver's agent left; again after a crash.
    pub(super) async fn clean_logins(&mut self) {
        if !self.record.logins_due {
            return;
        }
        let (verb, message) = match logins(&self.engine, &self.record, true).await {
            Ok(files) if files.is_empty() => ("handoff.logins", "there are none".to_owned()),
            Ok(files) => ("handoff.logins", format!("removed: {}", files.join(", "))),
            Err(problem) => ("handoff.logins-stay", problem.message),
        };
        self.record.logins_due = verb == "handoff.logins-stay";
        let told = row(WSM, verb, self.record.id.as_str(), message);
        self.commit(told);
    }
}

/// Login files in the agent's private home; removed if asked for.
pub(crate) async fn logins(
    engine: &Engine,
    record: &Record,
    remove: bool,
) -> Result<Vec<String>, Problem> {
    let agent = record.id.clone();
    let asked = engine.broker.ask(BrokerRequest::Logins { agent, remove });
    match asked.await.map_err(|e| crate::broker::problem(&e))? {
        BrokerReply::Logins { files, stay } if stay.is_empty() => Ok(files),
        BrokerReply::Logins { stay, .. } => {
            let message = format!("login files that can't be removed: {}", stay.join(", "));
            let hint = "they lie in the agent's private home: remove them by `wsm exec`";
            Err(Problem::new(Code::Failed, message, hint))
        }
        other => Err(crate::broker::odd_reply(&other)),
    }
}

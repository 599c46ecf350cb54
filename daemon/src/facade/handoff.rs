//! Handing an agent over to another user.

use std::time::Duration;

use wsm_api::handoff::{NewOffer, Offer as Shown};
use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::{Reply, Request};

use super::Daemon;
use super::people::{invalid, subject};
use super::share;
use crate::actor::Actor;
use crate::agent::handle::{Handle, Message};
use crate::agent::handover::logins;
use crate::engine::row;
use crate::record::{Offer, Phase, Record};
use crate::role::{Subject, Verb};
use crate::store::{Change, now_ms, rfc3339};

/// How long an offer stands, unless told otherwise, and at most.
const OFFER_SECONDS: u64 = 86_400;
const OFFER_SECONDS_MAX: u64 = 30 * 86_400;

/// Longest note.
const NOTE_CHARACTERS_MAX: usize = 500;

/// Lines of the last screen that travel along.
const SCREEN_LINES: usize = 24;

/// Longest summary in characters.
const SUMMARY_CHARACTERS_MAX: usize = 8_000;

/// How long the changes may take to be counted.
const DIFF_TIMEOUT: Duration = Duration::from_secs(10);

impl Daemon {
    /// `handoff`: nothing changes until the other accepts.
    ///
    /// # Errors
    /// There is no such agent or user, it is not the actor's, or is offered already.
    pub async fn offer(&self, actor: &Actor, agent: &str, new: NewOffer) -> Result<Shown, Problem> {
        let handle = self.find(actor, agent, Verb::Handoff)?;
        let record = handle.now().record.clone();
        let to = self.known(&new.to)?.name;
        if to == record.owner {
            return Err(invalid(format!("{agent} is {to}'s already")));
        }
        let long = new.note.chars().count() > NOTE_CHARACTERS_MAX;
        if long || new.note.chars().any(char::is_control) {
            let most = NOTE_CHARACTERS_MAX;
            return Err(invalid(format!(
                "a note has at most {most} characters, none of control"
            )));
        }
        let seconds = new.expires_s.unwrap_or(OFFER_SECONDS);
        if seconds == 0 || seconds > OFFER_SECONDS_MAX {
            return Err(invalid(
                "an offer stands a second at least, and 30 days at most",
            ));
        }
        let now = now_ms();
        let offer = Offer {
            to: to.clone(),
            by: actor.user.clone(),
            note: new.note,
            made_ms: now,
            expires_ms: now.saturating_add(seconds * 1000),
            summary: self.summary(actor, agent, &record).await,
        };
        // What comes with it took its time to count.
        self.stands(actor)?;
        let who = actor.who();
        let asked = handle.ask(|reply| Message::Offer {
            actor: who,
            offer: Box::new(offer.clone()),
            reply,
        });
        asked.await?;
        // The receiver, who may not see the agent yet, is told where it looks.
        let message = format!("{} offers {}", actor.user, record.name);
        let told = row(actor, "handoff.offered", &subject(&to), message);
        self.write(&[], &Change::new(told))?;
        Ok(self.shown_offer(&record, &offer).await)
    }

    /// Offers to the actor, and those of the actor's agents.
    ///
    /// # Errors
    /// None now.
    pub async fn offers(&self, actor: &Actor) -> Result<Vec<Shown>, Problem> {
        self.may(actor, Verb::Offers, &Subject::Host)?;
        let whole = actor.agents.is_none();
        let mut offers = Vec::new();
        for handle in self.engine.handles() {
            let record = handle.now().record.clone();
            let Some(offer) = record.offered(now_ms()).filter(|_| whole) else {
                continue;
            };
            if offer.to == actor.user || record.owner == actor.user || actor.is_admin() {
                offers.push(self.shown_offer(&record, offer).await);
            }
        }
        offers.sort_by(|a, b| a.agent.cmp(&b.agent));
        Ok(offers)
    }

    /// `accept`: the agent is the actor's from now on.
    ///
    /// # Errors
    /// It is not offered to the actor.
    pub async fn accept(&self, actor: &Actor, agent: &str) -> Result<Shown, Problem> {
        let (handle, record, offer) = self.offered(agent, |_, offer| offer.to == actor.user)?;
        self.may(actor, Verb::Answer, &Subject::Person(&offer.to))?;
        let shown = self.shown_offer(&record, &offer).await;
        self.answer(actor, &handle, &offer, true).await?;
        self.engine.enforce(&handle.now(), &record.owner).await;
        Ok(shown)
    }

    /// `decline`: by whom it was offered to, or its owner, who takes the offer back.
    ///
    /// # Errors
    /// It is not offered to the actor, nor the actor's.
    pub async fn decline(&self, actor: &Actor, agent: &str) -> Result<Shown, Problem> {
        let party = |record: &Record, offer: &Offer| {
            offer.to == actor.user || record.owner == actor.user || actor.is_admin()
        };
        let (handle, record, offer) = self.offered(agent, party)?;
        self.may(actor, Verb::Answer, &Subject::Person(&actor.user))?;
        let shown = self.shown_offer(&record, &offer).await;
        self.answer(actor, &handle, &offer, false).await?;
        Ok(shown)
    }

    async fn answer(
        &self,
        actor: &Actor,
        handle: &Handle,
        offer: &Offer,
        accept: bool,
    ) -> Result<(), Problem> {
        let (actor, to) = (actor.who(), offer.to.clone());
        let asked = handle.ask(|reply| Message::Answer {
            actor,
            to,
            accept,
            reply,
        });
        asked.await
    }

    /// The agent that is offered, if the actor is a party; else it is not there.
    fn offered(
        &self,
        agent: &str,
        party: impl Fn(&Record, &Offer) -> bool,
    ) -> Result<(Handle, Record, Offer), Problem> {
        for handle in self.engine.handles() {
            let record = Record::clone(&handle.now().record);
            let named = record.name.as_str() == agent || record.id.as_str() == agent;
            let offer = record.offered(now_ms()).filter(|_| named).cloned();
            if let Some(offer) = offer.filter(|offer| party(&record, offer)) {
                return Ok((handle, record, offer));
            }
        }
        let message = format!("no agent {agent:?} is offered to you");
        Err(Problem::new(Code::NotFound, message, "see `wsm handoff`"))
    }

    /// An offer with what its receiver has to know before accepting.
    async fn shown_offer(&self, record: &Record, offer: &Offer) -> Shown {
        let mut as_receiver = record.clone();
        as_receiver.owner.clone_from(&offer.to);
        let credentials = self.credentials(&as_receiver).await;
        let (mut uses, missing): (Vec<_>, Vec<_>) =
            credentials.into_iter().partition(|found| found.ready);
        for own in &mut uses {
            // When the receiver used it last is nobody else's to know.
            own.used.clear();
        }
        let shares = self.engine.store.shares(record.id.as_str());
        let shares = shares.unwrap_or_default().into_iter().map(share::shown);
        Shown {
            agent: record.name.to_string(),
            id: record.id.to_string(),
            from: record.owner.clone(),
            to: offer.to.clone(),
            by: offer.by.clone(),
            note: offer.note.clone(),
            made: rfc3339(offer.made_ms),
            expires: rfc3339(offer.expires_ms),
            account: record.account.clone(),
            summary: offer.summary.clone(),
            missing: missing.into_iter().map(|found| found.secret).collect(),
            uses,
            shares: shares.filter(|share| !share.expired).collect(),
            logins: logins(&self.engine, record, false)
                .await
                .unwrap_or_default(),
        }
    }

    /// When one of its terminals wrote something last.
    async fn last_output(&self, actor: &Actor, agent: &str) -> Option<u64> {
        let (shim, _) = self.running(actor, agent, Verb::See).ok()?;
        let listed = shim.request(Request::List).await.ok()?;
        let Reply::Listed { processes } = listed else {
            return None;
        };
        let shown = processes.iter().filter(|it| it.terminal.is_some());
        shown.filter_map(|it| it.output_ms).max()
    }

    /// What the receiver should know: state, last activity, what it changed, what it shows.
    async fn summary(&self, actor: &Actor, agent: &str, record: &Record) -> String {
        let since = rfc3339(record.since_ms);
        let mut text = format!("{} since {since}: {}\n", record.state, record.reason);
        if let Some(at) = self.last_output(actor, agent).await {
            text.push_str(&format!("last output {}\n", rfc3339(at)));
        }
        text.push_str(&format!(
            "branch {} of {}\n",
            record.branch, record.repository
        ));
        if record.phase >= Phase::Setup {
            let counted = tokio::time::timeout(DIFF_TIMEOUT, self.diff(actor, agent)).await;
            if let Ok(Ok(diff)) = counted {
                let added: u64 = diff.files.iter().map(|file| u64::from(file.added)).sum();
                let removed: u64 = diff.files.iter().map(|file| u64::from(file.removed)).sum();
                let (commits, files) = (diff.commits, diff.files.len());
                text.push_str(&format!(
                    "{commits} commits, {files} files, +{added} -{removed}\n"
                ));
            }
        }
        if let Ok(screen) = self.capture(actor, agent, None, 0, false).await {
            let lines: Vec<_> = screen.text.trim_end().lines().collect();
            let last = &lines[lines.len().saturating_sub(SCREEN_LINES)..];
            text.push_str(&format!("\n{}\n", last.join("\n")));
        }
        text.chars().take(SUMMARY_CHARACTERS_MAX).collect()
    }
}

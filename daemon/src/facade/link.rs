//! Links to watch an agent by: who has one looks at its terminals, and does nothing else.

use std::sync::PoisonError;
use std::time::Instant;

use wsm_api::link::{Link, LinkOpened, NewLink, PREFIX, SECONDS_MAX};
use wsm_api::problem::{Code, Problem};

use super::Daemon;
use super::people::invalid;
use super::token::{TOKEN_CHARACTERS, USED_EVERY_MS, digest};
use crate::actor::Actor;
use crate::agent::assemble::random_text;
use crate::agent::pace::Pace;
use crate::engine::{row, store_problem};
use crate::role::Verb;
use crate::store::{Change, LinkRow, People, now_ms, rfc3339};

/// How long a link is good, unless told otherwise.
const LINK_SECONDS: u64 = 86_400;

/// Links of one agent: more than anybody tells apart.
const LINKS_MAX: usize = 20;

/// Links whose rows are counted.
const PACES_MAX: usize = 4_096;

impl Daemon {
    /// Links of an agent.
    ///
    /// # Errors
    /// There is no such agent, or it is not the actor's to share.
    pub async fn links(&self, actor: &Actor, agent: &str) -> Result<Vec<Link>, Problem> {
        let record = self.find(actor, agent, Verb::Links)?.now().record.clone();
        let links = self.engine.store.links(record.id.as_str());
        let mut good = Vec::new();
        for link in links.map_err(|e| store_problem(&e))? {
            let holds = self.engine.holds(&link, &record);
            if holds.map_err(|e| store_problem(&e))? {
                good.push(shown(link));
            }
        }
        Ok(good)
    }

    /// `share --link`: the link and its value, which is told once.
    ///
    /// # Errors
    /// There is no such agent, or it is not the actor's to share.
    pub async fn link_new(
        &self,
        actor: &Actor,
        agent: &str,
        new: NewLink,
    ) -> Result<(Link, String), Problem> {
        let record = self.find(actor, agent, Verb::LinkNew)?.now().record.clone();
        let seconds = new.expires_s.unwrap_or(LINK_SECONDS);
        if seconds == 0 || seconds > SECONDS_MAX {
            return Err(invalid(
                "a link ends after a second at least, and 30 days at most",
            ));
        }
        let links = self.engine.store.links(record.id.as_str());
        if links.map_err(|e| store_problem(&e))?.len() >= LINKS_MAX {
            let message = format!("{agent} has {LINKS_MAX} links");
            let hint = format!("end one first: `wsm unshare {agent} --link ID`");
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        let failed =
            |e: std::io::Error| Problem::new(Code::Failed, format!("draw a link: {e}"), "");
        let value = PREFIX.to_owned() + &random_text(TOKEN_CHARACTERS).map_err(failed)?;
        let now = now_ms();
        let link = LinkRow {
            id: random_text(10).map_err(failed)?,
            agent: record.id.to_string(),
            owner: record.owner.clone(),
            hash: digest(&value),
            made_by: actor.user.clone(),
            created_ms: now,
            expires_ms: now.saturating_add(seconds * 1000),
            used_ms: None,
            address: String::new(),
        };
        let until = rfc3339(link.expires_ms);
        let message = format!("{} by link {}, until {until}", record.name, link.id);
        let told = row(actor, "agent.linked", record.id.as_str(), message);
        self.write(
            &[actor],
            &Change::new(told).people(People::Link(link.clone())),
        )?;
        Ok((shown(link), value))
    }

    /// `unshare --link`: it is good for nothing from now on, and who watches by it is closed.
    ///
    /// # Errors
    /// There is no such agent or link, or it is not the actor's to share.
    pub async fn link_remove(&self, actor: &Actor, agent: &str, id: &str) -> Result<Link, Problem> {
        let published = self.find(actor, agent, Verb::Links)?.now();
        let record = &published.record;
        let link = self.engine.store.link(id).map_err(|e| store_problem(&e))?;
        let Some(link) = link.filter(|link| link.agent == record.id.as_str()) else {
            let message = format!("{agent} has no link {id:?}");
            return Err(Problem::new(
                Code::NotFound,
                message,
                format!("see `wsm share {agent}`"),
            ));
        };
        let message = format!("{} by link {id}", record.name);
        let told = row(actor, "agent.unlinked", record.id.as_str(), message);
        self.write(
            &[actor],
            &Change::new(told).people(People::LinkGone(id.to_owned())),
        )?;
        let user = Actor::by_link(id, &link.agent, "").user;
        self.engine.enforce(&published, &user).await;
        Ok(shown(link))
    }

    /// Somebody opens a link. Told once a minute from each address: it may be many.
    ///
    /// # Errors
    /// It is none, or has ended.
    pub async fn link_open(&self, value: &str, address: &str) -> Result<LinkOpened, Problem> {
        let known = self.link(value)?;
        let actor = self.authenticate_link(value, address)?;
        let record = self
            .find(&actor, &known.agent, Verb::Watch)?
            .now()
            .record
            .clone();
        if news(&known, address, now_ms()) && self.pays_for_a_row(&known.id) {
            let message = format!("{} by link {}", record.name, known.id);
            let told = row(&actor, "agent.link-opened", record.id.as_str(), message);
            self.write(&[&actor], &Change::new(told))?;
        }
        Ok(LinkOpened {
            agent: record.name.to_string(),
            id: record.id.to_string(),
            expires: rfc3339(known.expires_ms),
        })
    }

    /// Whether a link may cause one more row: whoever has it may come from as many addresses as it
    /// likes, and rows of people are kept.
    fn pays_for_a_row(&self, link: &str) -> bool {
        let paces = self.engine.link_rows.lock();
        let mut paces = paces.unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= PACES_MAX {
            paces.clear();
        }
        let pace = paces.entry(link.to_owned()).or_insert_with(Pace::new);
        let now = Instant::now();
        let pays = pace.open_at(now).is_none();
        if pays {
            pace.spend(1, now);
        }
        pays
    }

    /// Whom a link's value brings.
    ///
    /// # Errors
    /// It is none, or has ended.
    pub fn authenticate_link(&self, value: &str, address: &str) -> Result<Actor, Problem> {
        let link = self.link(value)?;
        let now = now_ms();
        if news(&link, address, now)
            && let Err(error) = self.engine.store.link_used(&link.id, now, address)
        {
            // A full disk keeps nobody out.
            tracing::warn!(%error, link = %link.id, "can't note that a link was used");
        }
        Ok(Actor::by_link(&link.id, &link.agent, address))
    }

    fn link(&self, value: &str) -> Result<LinkRow, Problem> {
        let found = self.engine.store.link_by_hash(&digest(value));
        let found = found.map_err(|e| store_problem(&e))?;
        let link = match found {
            Some(link) => self.good_link(&link.id)?,
            None => None,
        };
        link.ok_or_else(|| {
            let message = "this link is not good (any more)";
            Problem::new(Code::Unknown, message, "ask who gave it to you for another")
        })
    }

    /// The link of this id, if it is good.
    pub(super) fn good_link(&self, id: &str) -> Result<Option<LinkRow>, Problem> {
        let link = self.engine.store.link(id).map_err(|e| store_problem(&e))?;
        let Some(link) = link else { return Ok(None) };
        let handles = self.engine.handles();
        let agent = handles
            .iter()
            .map(|handle| handle.now().record.clone())
            .find(|record| record.id.as_str() == link.agent);
        let Some(record) = agent else { return Ok(None) };
        let holds = self.engine.holds(&link, &record);
        Ok(holds.map_err(|e| store_problem(&e))?.then_some(link))
    }
}

/// Whether this use is not noted yet, as exactly as uses are.
fn news(link: &LinkRow, address: &str, now: u64) -> bool {
    let fresh = |used: u64| used.saturating_add(USED_EVERY_MS) > now;
    link.address != address || !link.used_ms.is_some_and(fresh)
}

fn shown(link: LinkRow) -> Link {
    Link {
        id: link.id,
        by: link.made_by,
        created: rfc3339(link.created_ms),
        expires: rfc3339(link.expires_ms),
        used: link.used_ms.map(rfc3339).unwrap_or_default(),
        address: link.address,
    }
}

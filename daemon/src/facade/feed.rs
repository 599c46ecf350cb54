//! The live feed: what changed since the caller was told last, never a queue of it.
//!
//! A client that is slow finds the newest state when it comes back; the journal keeps the rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use wsm_api::agent::Agent;
use wsm_api::event::Event;
use wsm_api::feed::{Gone, Skipped};
use wsm_api::problem::Problem;

use super::Daemon;
use super::people::subject;
use super::view::{shown_agent, shown_event};
use crate::actor::Actor;
use crate::agent::handle::Published;
use crate::engine::store_problem;
use crate::role::{Subject, Verb};
use crate::store::Stored;

/// Changes come in groups (a state, its services, its terminals): they are told together.
const GATHER: Duration = Duration::from_millis(10);

/// Not more often than this.
const PAUSE: Duration = Duration::from_millis(100);

/// Rows that are looked at for one answer.
const ROWS_MAX: u32 = 500;

/// A client that was away for more rows than this is told that it was.
const BEHIND_MAX: u64 = 5_000;

/// Something that a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// All agents there are to see: what comes first.
    Agents(Vec<Agent>),
    /// One that is new or changed.
    Agent(Box<Agent>),
    /// One that is not there any more.
    Gone(Gone),
    /// A journal row.
    Journal(Event),
    /// Rows that are not told.
    Skipped(Skipped),
}

/// Agents by their id.
type Agents = HashMap<String, Arc<Published>>;

/// What one client was told.
#[derive(Debug)]
pub struct Feed {
    daemon: Daemon,
    trashed: bool,
    /// As they were told last; none before the first time.
    told: Option<Agents>,
    /// Rows up to this number were looked at.
    after: u64,
    changed: watch::Receiver<u64>,
    newest: watch::Receiver<u64>,
    last: Option<Instant>,
}

impl Daemon {
    /// Begins a feed. Rows after `after` are told, or those that are new from now on.
    ///
    /// # Errors
    /// It is not the actor's to ask.
    pub fn feed(&self, actor: &Actor, after: Option<u64>, trashed: bool) -> Result<Feed, Problem> {
        self.may(actor, Verb::Events, &Subject::Host)?;
        let newest = self.engine.store.newest();
        let now = *newest.borrow();
        Ok(Feed {
            daemon: self.clone(),
            trashed,
            told: None,
            // A number of another database says nothing about this one.
            after: after.map_or(now, |after| after.min(now)),
            changed: self.engine.changed(),
            newest,
            last: None,
        })
    }
}

impl Feed {
    /// Number of the journal row up to which all was told.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.after
    }

    /// Waits until there may be something to tell, or for `patience`.
    pub async fn wait(&mut self, patience: Duration) {
        let Some(last) = self.last else {
            return;
        };
        if self.after >= *self.newest.borrow_and_update() {
            tokio::select! {
                _ = self.changed.changed() => {}
                _ = self.newest.changed() => {}
                () = tokio::time::sleep(patience) => {}
            }
        }
        tokio::time::sleep_until((Instant::now() + GATHER).max(last + PAUSE)).await;
    }

    /// What is new for the actor, whose rights are those of now.
    ///
    /// # Errors
    /// It is not the actor's to ask, or the database said no.
    pub fn news(&mut self, actor: &Actor) -> Result<Vec<News>, Problem> {
        self.daemon.may(actor, Verb::Events, &Subject::Host)?;
        self.last = Some(Instant::now());
        self.changed.mark_unchanged();
        let (rows, skipped) = self.rows()?;
        let now = self.agents(actor)?;
        let before = self.told.take();
        let seen = |row: &Stored| self.seen(actor, row, before.as_ref(), &now);
        let mut rows: Vec<News> = rows
            .into_iter()
            .filter(seen)
            .map(|row| News::Journal(shown_event(row)))
            .collect();
        let mut news = changes(before.as_ref(), &now, self.trashed);
        news.extend(skipped.map(|through| News::Skipped(Skipped { through })));
        news.append(&mut rows);
        self.told = Some(now);
        Ok(news)
    }

    /// All that the actor may see, the trash included.
    fn agents(&self, actor: &Actor) -> Result<Agents, Problem> {
        let handles = self.daemon.all(actor, Verb::See)?;
        let agents = handles.iter().map(|handle| handle.now());
        let id = |published: Arc<Published>| (published.record.id.to_string(), published);
        Ok(agents.filter(|agent| !agent.erased).map(id).collect())
    }

    /// The next rows, and the number of the last one that is passed over.
    fn rows(&mut self) -> Result<(Vec<Stored>, Option<u64>), Problem> {
        let newest = *self.newest.borrow_and_update();
        let first = newest.saturating_sub(BEHIND_MAX);
        let skipped = (self.after < first).then_some(first);
        let after = skipped.unwrap_or(self.after);
        let rows = self.daemon.engine.store.journal(after, ROWS_MAX);
        let rows = rows.map_err(|e| store_problem(&e))?;
        self.after = rows.last().map_or(newest.max(after), |row| row.seq);
        Ok((rows, skipped))
    }

    /// Whether a row is the actor's to see: of an agent that it sees, or saw until it was gone.
    fn seen(&self, actor: &Actor, row: &Stored, before: Option<&Agents>, now: &Agents) -> bool {
        let own = actor.agents.is_none() && row.subject == subject(&actor.user);
        if actor.is_admin() || own || now.contains_key(&row.subject) {
            return true;
        }
        before.is_some_and(|before| before.contains_key(&row.subject)) && self.erased(&row.subject)
    }

    fn erased(&self, id: &str) -> bool {
        let lives = |published: &Published| !published.erased && published.record.id.as_str() == id;
        let handles = self.daemon.engine.handles();
        !handles.iter().any(|handle| lives(&handle.now()))
    }
}

/// What leads from the list before to the list of now. `trashed`: the trash is listed too.
fn changes(before: Option<&Agents>, now: &Agents, trashed: bool) -> Vec<News> {
    let listed = |agent: &Published| trashed || agent.record.trashed_ms.is_none();
    let Some(before) = before else {
        let now = now.values().filter(|agent| listed(agent));
        let mut all: Vec<Agent> = now.map(|agent| shown_agent(agent)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        return vec![News::Agents(all)];
    };
    let mut news = Vec::new();
    for (id, _) in before.iter().filter(|(_, old)| listed(old)) {
        if !now.get(id).is_some_and(|agent| listed(agent)) {
            news.push(News::Gone(Gone { id: id.clone() }));
        }
    }
    for (id, published) in now.iter().filter(|(_, agent)| listed(agent)) {
        let old = before.get(id).filter(|old| listed(old));
        if old.is_some_and(|old| Arc::ptr_eq(old, published)) {
            continue;
        }
        let agent = shown_agent(published);
        // Much of what is published is not shown.
        if old.is_none_or(|old| shown_agent(old) != agent) {
            news.push(News::Agent(Box::new(agent)));
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use wsm_api::agent::State;

    use super::*;
    use crate::record::Record;
    use crate::record::tests::record;

    fn published(id: &str, change: impl FnOnce(&mut Record)) -> Arc<Published> {
        let mut record = record();
        record.id = id.to_owned().try_into().unwrap();
        change(&mut record);
        Arc::new(Published {
            record: Arc::new(record),
            unrecorded: None,
            terminals: Vec::new(),
            shim: None,
            heard: Vec::new(),
            recovered: true,
            erased: false,
        })
    }

    fn list(all: &[&Arc<Published>]) -> Agents {
        let id = |p: &Arc<Published>| (p.record.id.to_string(), Arc::clone(p));
        all.iter().map(|p| id(p)).collect()
    }

    #[test]
    fn all_first_then_only_what_changed() {
        let (a, b) = (
            published("aaaaaaaaaaaa", |_| ()),
            published("bbbbbbbbbbbb", |_| ()),
        );
        let first = changes(None, &list(&[&a, &b]), false);
        assert!(matches!(&first[..], [News::Agents(all)] if all.len() == 2));
        assert_eq!(changes(Some(&list(&[&a])), &list(&[&a]), false), []);
        // Published again, and the same to whoever looks.
        let same = published("aaaaaaaaaaaa", |_| ());
        assert_eq!(changes(Some(&list(&[&a])), &list(&[&same]), false), []);
        let idle = published("aaaaaaaaaaaa", |record| record.state = State::Idle);
        let news = changes(Some(&list(&[&a, &b])), &list(&[&idle]), false);
        let [News::Gone(gone), News::Agent(agent)] = &news[..] else {
            panic!("{news:?}");
        };
        assert_eq!(gone.id, "bbbbbbbbbbbb");
        assert_eq!(agent.state, State::Idle);
    }

    #[test]
    fn the_trash_is_gone_unless_it_is_asked_for() {
        let here = published("aaaaaaaaaaaa", |_| ());
        let trashed = published("aaaaaaaaaaaa", |record| record.trashed_ms = Some(1));
        let (before, now) = (list(&[&here]), list(&[&trashed]));
        assert_eq!(changes(None, &now, false), [News::Agents(Vec::new())]);
        let news = changes(Some(&before), &now, false);
        assert!(matches!(&news[..], [News::Gone(_)]), "{news:?}");
        let news = changes(Some(&now), &before, false);
        assert!(matches!(&news[..], [News::Agent(_)]), "{news:?}");
        let news = changes(Some(&before), &now, true);
        assert!(
            matches!(&news[..], [News::Agent(agent)] if agent.trashed),
            "{news:?}"
        );
    }
}

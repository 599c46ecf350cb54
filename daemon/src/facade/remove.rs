//! `rm` and `prune`: nothing that is not merged is lost without being asked for.

use wsm_api::agent::{Removed, RemovedAgent};
use wsm_api::problem::{Code, Problem};

use super::{Daemon, EVIDENCE_ROWS, WAIT_MAX, resting, review, until};
use crate::actor::Actor;
use crate::agent::handle::{Handle, Message};
use crate::agent::stage::TEARDOWN_FAILED;
use crate::record::{Record, Wanted};
use crate::role::{Subject, Verb};

impl Daemon {
    /// To the trash, or gone for good.
    ///
    /// # Errors
    /// There is no such agent, or its files can't be removed.
    pub async fn remove(
        &self,
        actor: &Actor,
        agent: &str,
        purge: bool,
    ) -> Result<Removed, Problem> {
        let handle = self.find(actor, agent, Verb::Remove)?;
        Ok(Removed {
            agents: vec![self.remove_one(actor, &handle, purge).await?],
        })
    }

    /// Purges what lies in the trash and holds no work that is not merged.
    ///
    /// # Errors
    /// An agent can't be removed.
    pub async fn prune(&self, actor: &Actor, dry_run: bool) -> Result<Removed, Problem> {
        let mut removed = Removed::default();
        self.may(actor, Verb::Prune, &Subject::Host)?;
        for handle in self.all(actor, Verb::Remove)? {
            let record = &handle.now().record;
            if record.trashed_ms.is_none() {
                continue;
            }
            // What is being removed already can't be looked at any more.
            let unmerged = match record.wanted {
                Wanted::Erased => String::new(),
                _ => review::unmerged(&self.engine, record)
                    .await
                    .unwrap_or_else(|problem| format!("can't be told: {}", problem.message)),
            };
            if dry_run || !unmerged.is_empty() {
                let (name, purged) = (record.name.clone(), unmerged.is_empty());
                removed.agents.push(RemovedAgent {
                    id: record.id.to_string(),
                    name,
                    purged,
                    unmerged,
                    failed: Vec::new(),
                });
            } else {
                removed
                    .agents
                    .push(self.remove_one(actor, &handle, true).await?);
            }
        }
        removed.agents.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(removed)
    }

    async fn remove_one(
        &self,
        actor: &Actor,
        handle: &Handle,
        purge: bool,
    ) -> Result<RemovedAgent, Problem> {
        let record = Record::clone(&handle.now().record);
        // A last look before it goes; a repository that is gone can't say.
        drop(handle.ask(|reply| Message::Import { reply }).await);
        let unmerged = review::unmerged(&self.engine, &record)
            .await
            .unwrap_or_default();
        let user = actor.who();
        handle
            .ask(|reply| Message::Remove {
                actor: user,
                purge,
                reply,
            })
            .await?;
        // A purge that failed rests in `failed`: what is being removed is `stopping` meanwhile.
        let gone = until(handle, |p| p.gone() || resting(p.state()), WAIT_MAX).await?;
        if purge && !gone.gone() {
            return Err(Problem::new(Code::Failed, gone.reason(), "try it again"));
        }
        let rows = self.engine.store.about(record.id.as_str(), EVIDENCE_ROWS);
        let mut failed = rows.unwrap_or_default();
        failed.retain(|row| row.verb == TEARDOWN_FAILED);
        Ok(RemovedAgent {
            id: record.id.to_string(),
            name: record.name,
            purged: purge,
            unmerged,
            failed: failed.into_iter().rev().map(|row| row.message).collect(),
        })
    }
}

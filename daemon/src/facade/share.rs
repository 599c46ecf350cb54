//! Sharing an agent: who may see it, answer for it, drive it, and how long.

use wsm_api::problem::{Code, Problem};
use wsm_api::user::{NewShare, Share};

use super::Daemon;
use super::people::invalid;
use crate::actor::Actor;
use crate::engine::{row, store_problem};
use crate::role::{AgentRole, Verb};
use crate::store::{Change, People, ShareRow, now_ms, rfc3339};

/// Users that one agent is shared with.
const SHARES_MAX: usize = 100;

impl Daemon {
    /// `who`, in part: the owner, and whom it is shared with.
    ///
    /// # Errors
    /// There is no such agent.
    pub async fn shares(&self, actor: &Actor, agent: &str) -> Result<Vec<Share>, Problem> {
        let record = self.find(actor, agent, Verb::Shares)?.now().record.clone();
        let shares = self.engine.store.shares(record.id.as_str());
        let owner = Share {
            user: record.owner.clone(),
            role: AgentRole::Owner.to_string(),
            by: String::new(),
            since: rfc3339(record.created_ms),
            expires: String::new(),
            expired: false,
        };
        let shares = shares.map_err(|e| store_problem(&e))?;
        Ok(std::iter::once(owner)
            .chain(shares.into_iter().map(shown))
            .collect())
    }

    /// `share`.
    ///
    /// # Errors
    /// There is no such agent or user, or it is not the actor's to share.
    pub async fn share(&self, actor: &Actor, agent: &str, new: NewShare) -> Result<Share, Problem> {
        let published = self.find(actor, agent, Verb::Share)?.now();
        let record = published.record.clone();
        let role: AgentRole = new
            .role
            .parse()
            .map_err(|why| invalid(format!("role: {why}")))?;
        if role == AgentRole::Owner {
            let hint = format!(
                "`wsm handoff {agent} --to {}` makes another owner",
                new.user
            );
            let message = "an agent has one owner";
            return Err(Problem::new(Code::Invalid, message, hint));
        }
        let user = self.known(&new.user)?;
        if user.name == record.owner {
            return Err(invalid(format!("{agent} is {}'s already", user.name)));
        }
        let now = now_ms();
        let expires_ms = match new.expires_s {
            None => None,
            Some(seconds) => {
                let at = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(now));
                let at = at.filter(|at| seconds > 0 && i64::try_from(*at).is_ok());
                Some(at.ok_or_else(|| invalid("no time to end at"))?)
            }
        };
        let shares = self.engine.store.shares(record.id.as_str());
        let shares = shares.map_err(|e| store_problem(&e))?;
        let before = shares.iter().find(|share| share.user == user.name);
        if before.is_none() && shares.len() >= SHARES_MAX {
            let message = format!("{agent} is shared with {SHARES_MAX} users");
            return Err(Problem::new(Code::Conflict, message, "end a share first"));
        }
        let share = ShareRow {
            agent: record.id.to_string(),
            user: user.name.clone(),
            role,
            made_by: actor.user.clone(),
            created_ms: now,
            expires_ms,
        };
        let until = expires_ms.map(|at| format!(", until {}", rfc3339(at)));
        let message = format!(
            "{} with {}: {role}{}",
            record.name,
            user.name,
            until.unwrap_or_default()
        );
        let told = row(actor, "agent.shared", record.id.as_str(), message).changed(
            before.map_or("", |share| share.role.as_str()),
            role.as_str(),
        );
        let change = Change::new(told).people(People::Known(user));
        self.write(&[actor], &change.people(People::Share(share.clone())))?;
        // It may be less than it was.
        self.engine.enforce(&published, &share.user).await;
        Ok(shown(share))
    }

    /// `unshare`: the owner's to do, or that user's own.
    ///
    /// # Errors
    /// There is no such agent, or it is not shared with that user.
    pub async fn unshare(&self, actor: &Actor, agent: &str, user: &str) -> Result<Share, Problem> {
        let own = user == actor.user;
        let verb = if own { Verb::Leave } else { Verb::Share };
        let published = self.find(actor, agent, verb)?.now();
        let record = published.record.clone();
        let shares = self.engine.store.shares(record.id.as_str());
        let shares = shares.map_err(|e| store_problem(&e))?;
        let Some(share) = shares.into_iter().find(|share| share.user == user) else {
            let message = format!("{agent} is not shared with {user}");
            return Err(Problem::new(
                Code::NotFound,
                message,
                format!("see `wsm share {agent}`"),
            ));
        };
        let message = format!("{} with {user}", record.name);
        let told = row(actor, "agent.unshared", record.id.as_str(), message)
            .changed(share.role.as_str(), "");
        let ended = People::Unshare(record.id.to_string(), user.to_owned());
        self.write(&[actor], &Change::new(told).people(ended))?;
        self.engine.enforce(&published, user).await;
        Ok(shown(share))
    }
}

pub(super) fn shown(share: ShareRow) -> Share {
    Share {
        user: share.user,
        role: share.role.to_string(),
        by: share.made_by,
        since: rfc3339(share.created_ms),
        expires: share.expires_ms.map(rfc3339).unwrap_or_default(),
        expired: share.expires_ms.is_some_and(|at| at <= now_ms()),
    }
}

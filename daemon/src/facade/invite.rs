//! Invitations: an admin lets somebody come who is no user yet.

use std::collections::HashSet;

use wsm_api::invite::{Invitation, InvitationClaim, InvitedTo, NewInvitation};
use wsm_api::problem::{Code, Problem};

use super::pairing::{drawn, not_good};
use super::people::{check_name, invalid, role, subject};
use super::session::Plan;
use super::token::digest;
use super::{Daemon, SessionMade};
use crate::account;
use crate::actor::{Actor, Who};
use crate::engine::{row, store_problem};
use crate::role::{AgentRole, HostRole, Scope, Subject, Verb};
use crate::store::{
    Change, InviteRow, People, Row, ShareRow, StoreError, UserRow, now_ms, rfc3339,
};

/// Characters of a code, five random bits each.
const CODE_CHARACTERS: usize = 52;

/// How long an invitation is good, unless told otherwise, and at most.
const INVITE_SECONDS: u64 = 7 * 86_400;
const INVITE_SECONDS_MAX: u64 = 30 * 86_400;

/// Invitations that are good at once.
const INVITES_MAX: usize = 200;

/// Agents that come with one.
const SHARES_MAX: usize = 50;

impl Daemon {
    /// Whether the actor may invite anybody at all.
    ///
    /// # Errors
    /// It is no admin.
    pub fn may_invite(&self, actor: &Actor) -> Result<(), Problem> {
        self.may(actor, Verb::Invite, &Subject::Host)
    }

    /// `invite`: tells the code, once.
    ///
    /// # Errors
    /// The actor is no admin, or there is such a user or no such agent.
    pub async fn invite(
        &self,
        actor: &Actor,
        new: NewInvitation,
    ) -> Result<(Invitation, String), Problem> {
        self.may_invite(actor)?;
        let role = role(new.role.as_deref().unwrap_or("member"))?;
        let user = new.user.unwrap_or_default();
        if !user.is_empty() {
            self.is_free(&user)?;
        }
        let seconds = new.expires_s.unwrap_or(INVITE_SECONDS);
        if seconds == 0 || seconds > INVITE_SECONDS_MAX {
            let message = "an invitation ends after a second at least, and 30 days at most";
            return Err(invalid(message));
        }
        if new.shares.len() > SHARES_MAX {
            let message = format!("an invitation shares {SHARES_MAX} agents at most");
            return Err(invalid(message));
        }
        let share = |to: &InvitedTo| self.invited_to(actor, to);
        let shares = new.shares.iter().map(share).collect::<Result<_, _>>()?;
        let now = now_ms();
        let invites = self.engine.store.invites().map_err(|e| store_problem(&e))?;
        let good = invites.iter().filter(|one| state(one, now) == "good");
        if good.count() >= INVITES_MAX {
            let message = format!("{INVITES_MAX} invitations stand already");
            let hint = "take some back: `wsm invite --ls`, `wsm invite --rm ID`";
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        let code = drawn(CODE_CHARACTERS)?;
        let invite = InviteRow {
            id: drawn(10)?,
            hash: digest(&code),
            user,
            role,
            made_by: actor.user.clone(),
            created_ms: now,
            expires_ms: now.saturating_add(seconds * 1000),
            used_ms: None,
            revoked_ms: None,
            shares,
        };
        let message = format!(
            "{} {:?}: {role}, {} agents, until {}",
            invite.id,
            invite.user,
            invite.shares.len(),
            rfc3339(invite.expires_ms)
        );
        let change = Change::new(row(actor, "invite.made", "host", message));
        self.write(&[actor], &change.people(People::Invite(invite.clone())))?;
        Ok((shown(invite, now), code))
    }

    /// Every invitation.
    ///
    /// # Errors
    /// The actor is no admin.
    pub async fn invitations(&self, actor: &Actor) -> Result<Vec<Invitation>, Problem> {
        self.may_invite(actor)?;
        let invites = self.engine.store.invites().map_err(|e| store_problem(&e))?;
        let now = now_ms();
        Ok(invites.into_iter().map(|one| shown(one, now)).collect())
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// The actor is no admin, or there is none that is good.
    pub async fn invite_revoke(&self, actor: &Actor, id: &str) -> Result<Invitation, Problem> {
        self.may_invite(actor)?;
        let invites = self.engine.store.invites().map_err(|e| store_problem(&e))?;
        let found = invites.into_iter().find(|one| one.id == id);
        let Some(mut invite) = found else {
            let message = format!("there is no invitation {id:?}");
            return Err(Problem::new(Code::NotFound, message, ""));
        };
        let now = now_ms();
        if invite.used_ms.is_none() && invite.revoked_ms.is_none() {
            let change = Change::new(row(actor, "invite.revoked", "host", id));
            self.write(
                &[actor],
                &change.people(People::InviteRevoked(id.to_owned(), now)),
            )?;
            invite.revoked_ms = Some(now);
        }
        Ok(shown(invite, now))
    }

    /// Somebody comes with one: it is a user from now on, and has a session.
    ///
    /// # Errors
    /// The code is not good (any more), or the name is none to have.
    pub async fn invite_claim(
        &self,
        claim: InvitationClaim,
        address: &str,
    ) -> Result<SessionMade, Problem> {
        let store = &self.engine.store;
        let found = store.invite_by_hash(&digest(&claim.code));
        let now = now_ms();
        let invite = found
            .map_err(|e| store_problem(&e))?
            .filter(|one| state(one, now) == "good")
            .ok_or_else(not_good)?;
        let name = match (invite.user.as_str(), claim.user) {
            ("", Some(name)) => {
                // Who was not meant by name becomes nobody whom this machine knows.
                if account::uid(&name).is_some() {
                    return Err(taken(&name));
                }
                name
            }
            ("", None) => return Err(invalid("say what you want to be called: `user`")),
            (name, _) => name.to_owned(),
        };
        self.is_free(&name)?;
        let user = UserRow {
            uid: account::uid(&name),
            name,
            role: invite.role,
            created_ms: now,
        };
        let plan = Plan {
            user: user.clone(),
            fresh: true,
            label: claim.device_name,
            scope: Scope::Admin,
            agents: None,
            token: None,
            passkey: None,
            until_ms: None,
            how: format!("by invitation {}", invite.id),
        };
        let (mut change, made) = self.session(plan, address)?;
        let who = Who {
            user: user.name.clone(),
            via: format!("device:{}", made.entered.device.id),
            address: address.to_owned(),
        };
        change = change.people(People::InviteUsed(invite.id.clone(), now));
        let message = format!("{} of {}", invite.id, invite.made_by);
        change = change.row(row(who.clone(), "invite.claimed", "host", message));
        let message = format!(
            "{}: {}, invited by {}",
            user.name, user.role, invite.made_by
        );
        change = change.row(row(
            who.clone(),
            "user.added",
            &subject(&user.name),
            message,
        ));
        for (share, told) in self.shares_of(&invite, &user.name, &who, now) {
            change = change.people(People::Share(share)).row(told);
        }
        match store.commit(&change) {
            Ok(_) => Ok(made),
            // Somebody else was quicker: with the same invitation, or to this name.
            Err(StoreError::Gone) => Err(not_good()),
            Err(error) => Err(store_problem(&error)),
        }
    }

    /// What it shares, of the agents that are still there.
    fn shares_of(
        &self,
        invite: &InviteRow,
        user: &str,
        who: &Who,
        now: u64,
    ) -> Vec<(ShareRow, Row)> {
        let there: HashSet<String> = self
            .engine
            .handles()
            .iter()
            .map(|handle| handle.now().record.id.to_string())
            .collect();
        let shares = invite.shares.iter().filter(|(id, _)| there.contains(id));
        shares
            .map(|(id, role)| {
                let message = format!("{user}: {role}, by invitation of {}", invite.made_by);
                let told = row(who.clone(), "agent.shared", id, message).changed("", role.as_str());
                let share = ShareRow {
                    agent: id.clone(),
                    user: user.to_owned(),
                    role: *role,
                    made_by: invite.made_by.clone(),
                    created_ms: now,
                    expires_ms: None,
                };
                (share, told)
            })
            .collect()
    }

    fn invited_to(&self, actor: &Actor, to: &InvitedTo) -> Result<(String, AgentRole), Problem> {
        let record = self
            .find(actor, &to.agent, Verb::Share)?
            .now()
            .record
            .clone();
        let role: AgentRole = to
            .role
            .parse()
            .map_err(|why| invalid(format!("role: {why}")))?;
        if role == AgentRole::Owner {
            return Err(invalid("an agent has one owner; `wsm handoff` changes it"));
        }
        Ok((record.id.to_string(), role))
    }

    /// Nobody has this name, and somebody may.
    fn is_free(&self, name: &str) -> Result<(), Problem> {
        check_name(name)?;
        let known = self.engine.store.user(name);
        if known.map_err(|e| store_problem(&e))?.is_some() || account::uid(name) == Some(0) {
            return Err(taken(name));
        }
        Ok(())
    }
}

fn taken(name: &str) -> Problem {
    let message = format!("there is a user {name} already");
    let hint = "another name; who is one already pairs a device: `wsm pair`";
    Problem::new(Code::Conflict, message, hint)
}

fn state(invite: &InviteRow, now_ms: u64) -> &'static str {
    if invite.used_ms.is_some() {
        "claimed"
    } else if invite.revoked_ms.is_some() {
        "revoked"
    } else if invite.expires_ms <= now_ms {
        "expired"
    } else {
        "good"
    }
}

fn shown(invite: InviteRow, now_ms: u64) -> Invitation {
    let to = |(agent, role): (String, AgentRole)| InvitedTo {
        agent,
        role: role.to_string(),
    };
    Invitation {
        state: state(&invite, now_ms).to_owned(),
        id: invite.id,
        user: invite.user,
        role: HostRole::to_string(&invite.role),
        shares: invite.shares.into_iter().map(to).collect(),
        by: invite.made_by,
        created: rfc3339(invite.created_ms),
        expires: rfc3339(invite.expires_ms),
    }
}

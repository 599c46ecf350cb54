//! Users: who there is.

use std::sync::PoisonError;

use wsm_api::problem::{Code, Problem};
use wsm_api::user::{NewUser, User, UserRemoved, Whoami};

use super::Daemon;
use crate::account;
use crate::actor::{Actor, Way};
use crate::engine::{row, store_problem};
use crate::role::{HostRole, Subject, Verb};
use crate::store::{Change, People, UserRow, now_ms, rfc3339};

/// Longest name of a user; that of Linux' accounts.
const NAME_CHARACTERS_MAX: usize = 32;

/// Users: a team, not a city.
const USERS_MAX: usize = 2_000;

impl Daemon {
    /// `whoami`.
    ///
    /// # Errors
    /// None now.
    pub async fn whoami(&self, actor: &Actor) -> Result<Whoami, Problem> {
        self.may(actor, Verb::Whoami, &Subject::Host)?;
        let who = actor.who();
        Ok(Whoami {
            user: who.user,
            role: actor.role.to_string(),
            device: match &actor.way {
                Way::Device { name, .. } => name.clone(),
                Way::Local { .. } | Way::Token { .. } | Way::Link { .. } => String::new(),
            },
            via: who.via,
            address: who.address,
            scope: actor.scope.to_string(),
            agents: actor.agents.iter().flatten().cloned().collect(),
        })
    }

    /// `user ls`: those that something is written down of, and who owns an agent.
    ///
    /// # Errors
    /// The actor is no admin.
    pub async fn users(&self, actor: &Actor) -> Result<Vec<User>, Problem> {
        self.may(actor, Verb::UserList, &Subject::Host)?;
        let store = &self.engine.store;
        let mut users = store.users().map_err(|e| store_problem(&e))?;
        for handle in self.engine.handles() {
            let owner = &handle.now().record.owner;
            if !users.iter().any(|user| user.name == *owner) {
                users.push(UserRow {
                    name: owner.clone(),
                    role: HostRole::Member,
                    uid: account::uid(owner),
                    created_ms: 0,
                });
            }
        }
        users.sort_by(|a, b| a.name.cmp(&b.name));
        users
            .into_iter()
            .map(|user| self.shown_user(user))
            .collect()
    }

    /// `user add`.
    ///
    /// # Errors
    /// There is one already, or the name or account can't be.
    pub async fn user_add(&self, actor: &Actor, new: NewUser) -> Result<User, Problem> {
        self.may(actor, Verb::UserChange, &Subject::Host)?;
        check_name(&new.name)?;
        let role = role(&new.role)?;
        let store = &self.engine.store;
        let users = store.users().map_err(|e| store_problem(&e))?;
        if users.iter().any(|user| user.name == new.name) {
            let message = format!("there is a user {} already", new.name);
            let hint = format!("`wsm user role {} ROLE` changes the role", new.name);
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        if users.len() >= USERS_MAX {
            return Err(Problem::new(
                Code::Conflict,
                format!("there are {USERS_MAX} users"),
                "",
            ));
        }
        let uid = match &new.account {
            Some(name) => Some(account::uid(name).ok_or_else(|| {
                let message = format!("this machine has no account {name:?}");
                Problem::new(Code::NotFound, message, "")
            })?),
            None => account::uid(&new.name),
        };
        if uid == Some(0) && new.name != "root" {
            let message = "no other user has the account root";
            return Err(Problem::new(Code::Refused, message, ""));
        }
        let user = UserRow {
            name: new.name,
            role,
            uid,
            created_ms: now_ms(),
        };
        let files = uid.map(|uid| format!(", account {}", account::name(uid)));
        let message = format!("{}: {role}{}", user.name, files.unwrap_or_default());
        let change = Change::new(row(actor, "user.added", &subject(&user.name), message));
        self.write(&[actor], &change.people(People::User(user.clone())))?;
        self.shown_user(user)
    }

    /// `user role`.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn user_role(&self, actor: &Actor, name: &str, new: &str) -> Result<User, Problem> {
        self.may(actor, Verb::UserChange, &Subject::Host)?;
        let role = role(new)?;
        let before = self.known(name)?;
        let user = UserRow {
            role,
            ..before.clone()
        };
        let message = format!("{name}: {role}, was {}", before.role);
        let mut change = Change::new(
            row(actor, "user.role", &subject(name), message)
                .changed(before.role.as_str(), role.as_str()),
        );
        if role < HostRole::Admin {
            change = change
                .people(People::InvitesRevoked(name.to_owned(), now_ms()))
                .people(People::LinksOfOthersGone(name.to_owned()));
        }
        self.write(&[actor], &change.people(People::User(user.clone())))?;
        self.engine.enforce_everywhere(name).await;
        self.shown_user(user)
    }

    /// `user rm`: with all tokens, devices and shares.
    ///
    /// # Errors
    /// There is no such user, or it owns agents.
    pub async fn user_remove(&self, actor: &Actor, name: &str) -> Result<UserRemoved, Problem> {
        self.may(actor, Verb::UserChange, &Subject::Host)?;
        // A local account that nothing is written down of stays who it is.
        let stored = self
            .engine
            .store
            .user(name)
            .map_err(|e| store_problem(&e))?;
        if stored.is_none() {
            return Err(no_user(name));
        }
        let owned = self.owned(name);
        if owned > 0 {
            let message = format!("{name} owns {owned} agents");
            let hint = "hand them over or remove them first; see `wsm ls -a`";
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        let change = Change::new(row(actor, "user.removed", &subject(name), name));
        self.write(&[actor], &change.people(People::UserGone(name.to_owned())))?;
        self.engine.enforce_everywhere(name).await;
        Ok(UserRemoved {
            name: name.to_owned(),
        })
    }

    /// The user of this name: written down, or an account of this machine.
    pub(super) fn known(&self, name: &str) -> Result<UserRow, Problem> {
        let found = self
            .engine
            .store
            .user(name)
            .map_err(|e| store_problem(&e))?;
        let local = || {
            account::uid(name).map(|uid| UserRow {
                name: name.to_owned(),
                role: HostRole::Member,
                uid: Some(uid),
                created_ms: now_ms(),
            })
        };
        found.or_else(local).ok_or_else(|| no_user(name))
    }

    /// Writes it, if all stand by whom it is; what was done already is by nobody. One at a time:
    /// nothing is made with what ends at that moment.
    pub(super) fn write(&self, by: &[&Actor], change: &Change<'_>) -> Result<(), Problem> {
        let writing = self.engine.writing.lock();
        let _writing = writing.unwrap_or_else(PoisonError::into_inner);
        for actor in by {
            self.stands(actor)?;
        }
        let written = self.engine.store.commit(change);
        written.map(drop).map_err(|e| store_problem(&e))
    }

    fn owned(&self, name: &str) -> u32 {
        let handles = self.engine.handles();
        let owned = handles
            .iter()
            .filter(|h| h.now().record.owner == name)
            .count();
        u32::try_from(owned).unwrap_or(u32::MAX)
    }

    fn shown_user(&self, user: UserRow) -> Result<User, Problem> {
        let store = &self.engine.store;
        let now = now_ms();
        let tokens = store
            .tokens(Some(&user.name))
            .map_err(|e| store_problem(&e))?;
        let tokens = tokens
            .iter()
            .filter(|t| t.revoked_ms.is_none() && t.expires_ms > now);
        let devices = store
            .devices(Some(&user.name))
            .map_err(|e| store_problem(&e))?;
        let devices = devices
            .iter()
            .filter(|d| d.revoked_ms.is_none() && d.expires_ms.is_none_or(|at| at > now));
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(User {
            role: user.role.to_string(),
            uid: user.uid,
            since: match user.created_ms {
                0 => String::new(),
                at => rfc3339(at),
            },
            agents: self.owned(&user.name),
            tokens: small(tokens.count()),
            devices: small(devices.count()),
            name: user.name,
        })
    }
}

/// What the journal calls a user.
pub(super) fn subject(user: &str) -> String {
    format!("user:{user}")
}

pub(super) fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(Code::Invalid, message, "")
}

fn no_user(name: &str) -> Problem {
    let message = format!("there is no user {name:?}");
    Problem::new(
        Code::NotFound,
        message,
        "an admin adds one: `wsm user add NAME`",
    )
}

pub(super) fn role(text: &str) -> Result<HostRole, Problem> {
    text.parse().map_err(|why| invalid(format!("role: {why}")))
}

/// Names of users stand in file names, messages and commits: the letters of accounts, no others.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let other = |c: char| first(c) || c.is_ascii_digit() || c == '-' || c == '.';
    let shaped = name.starts_with(first) && name.chars().all(other);
    if !shaped || name.len() > NAME_CHARACTERS_MAX {
        let message = format!("{name:?} is no name for a user");
        let hint = "a-z, 0-9, _ - . with a letter first, at most 32";
        return Err(Problem::new(Code::Invalid, message, hint));
    }
    if [crate::engine::WSM, "everyone", "host"].contains(&name) {
        return Err(invalid(format!("{name} means something else to wsm")));
    }
    Ok(())
}

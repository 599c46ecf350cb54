//! Tokens: made, looked up, ended.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use wsm_api::link::PREFIX as LINK_PREFIX;
use wsm_api::problem::{Code, Problem};
use wsm_api::user::{NewToken, Token, TokenMade};

use super::Daemon;
use super::people::{invalid, subject};
use crate::actor::{Actor, Way};
use crate::agent::assemble::random_text;
use crate::engine::{row, store_problem};
use crate::role::{HostRole, Scope, Subject, Verb};
use crate::store::{Change, People, TokenRow, now_ms, rfc3339};

/// What a token's value begins with, so that scanners of leaked secrets know it.
const TOKEN_PREFIX: &str = "wsm_";

/// Characters of its value, five random bits each: 256 bits and four.
pub(super) const TOKEN_CHARACTERS: usize = 52;

/// How long a token is good, unless told otherwise, and at most.
const TOKEN_SECONDS: u64 = 90 * 86_400;
const TOKEN_SECONDS_MAX: u64 = 366 * 86_400;

/// Tokens of one user that are kept, those that have ended too: more than anybody tells apart.
const TOKENS_MAX: usize = 200;

/// Agents that a token names.
const TOKEN_AGENTS_MAX: usize = 100;

/// Longest label.
const LABEL_CHARACTERS_MAX: usize = 80;

/// How exact "last used" is; a busy token shall not write at every request.
pub(super) const USED_EVERY_MS: u64 = 60_000;

impl Daemon {
    /// Who a token's value belongs to.
    ///
    /// # Errors
    /// Nobody: it is none, has ended, or its user is gone.
    pub fn authenticate_token(&self, value: &str, address: &str) -> Result<Actor, Problem> {
        if value.starts_with(LINK_PREFIX) {
            return self.authenticate_link(value, address);
        }
        let unknown = || {
            let hint = "ask for a new one: `wsm token new`";
            Problem::new(Code::Unknown, "this token is not good (any more)", hint)
        };
        let store = &self.engine.store;
        let found = store.token_by_hash(&digest(value));
        let token = found.map_err(|e| store_problem(&e))?.ok_or_else(unknown)?;
        let now = now_ms();
        if token.revoked_ms.is_some() || token.expires_ms <= now {
            return Err(unknown());
        }
        let user = store.user(&token.user).map_err(|e| store_problem(&e))?;
        let user = user.ok_or_else(unknown)?;
        let fresh = |used: u64| used.saturating_add(USED_EVERY_MS) > now;
        if token.address != address || !token.used_ms.is_some_and(fresh) {
            let noted = store.token_used(&token.id, now, address);
            if let Err(error) = noted {
                // A full disk keeps nobody out.
                tracing::warn!(%error, token = %token.id, "can't note that a token was used");
            }
        }
        Ok(Actor {
            user: user.name,
            way: Way::Token { id: token.id },
            address: address.to_owned(),
            role: user.role,
            scope: token.scope,
            agents: token.agents,
            account: user.uid,
        })
    }

    /// `token ls`: one's own; an admin sees all.
    ///
    /// # Errors
    /// The database said no.
    pub async fn tokens(&self, actor: &Actor) -> Result<Vec<Token>, Problem> {
        self.may(actor, Verb::TokenList, &Subject::Person(&actor.user))?;
        let of = (!actor.is_admin()).then_some(&*actor.user);
        let tokens = self
            .engine
            .store
            .tokens(of)
            .map_err(|e| store_problem(&e))?;
        let now = now_ms();
        Ok(tokens
            .into_iter()
            .map(|token| shown_token(token, now))
            .collect())
    }

    /// `token new`: tells its value, once.
    ///
    /// # Errors
    /// It is not the actor's to make, or would reach further than the actor does.
    pub async fn token_new(&self, actor: &Actor, new: NewToken) -> Result<TokenMade, Problem> {
        let of = new.user.unwrap_or_else(|| actor.user.clone());
        self.may(actor, Verb::TokenNew, &Subject::Person(&of))?;
        let user = self.known(&of)?;
        let scope: Scope = new
            .scope
            .parse()
            .map_err(|why| invalid(format!("scope: {why}")))?;
        if scope == Scope::Admin && user.role != HostRole::Admin {
            return Err(invalid(format!("{of} is no admin: use the scope own")));
        }
        let seconds = new.expires_s.unwrap_or(TOKEN_SECONDS);
        if seconds == 0 || seconds > TOKEN_SECONDS_MAX {
            return Err(invalid(
                "a token ends after a second at least, and a year at most",
            ));
        }
        check_label(&new.label)?;
        let agents = self.token_agents(actor, &new.agents)?;
        let tokens = self
            .engine
            .store
            .tokens(Some(&of))
            .map_err(|e| store_problem(&e))?;
        if tokens.len() >= TOKENS_MAX {
            let message = format!("{of} has had {TOKENS_MAX} tokens");
            return Err(Problem::new(
                Code::Conflict,
                message,
                "use fewer, for longer",
            ));
        }
        let failed =
            |e: std::io::Error| Problem::new(Code::Failed, format!("draw a token: {e}"), "");
        let value = TOKEN_PREFIX.to_owned() + &random_text(TOKEN_CHARACTERS).map_err(failed)?;
        let now = now_ms();
        let token = TokenRow {
            id: random_text(10).map_err(failed)?,
            user: of,
            label: new.label,
            hash: digest(&value),
            scope,
            agents,
            created_ms: now,
            expires_ms: now.saturating_add(seconds * 1000),
            revoked_ms: None,
            used_ms: None,
            address: String::new(),
        };
        let message = format!(
            "{} {:?}: {scope}, until {}",
            token.id,
            token.label,
            rfc3339(token.expires_ms)
        );
        let change = Change::new(row(actor, "token.made", &subject(&token.user), message));
        let change = change.people(People::Known(user));
        self.write(&[actor], &change.people(People::Token(token.clone())))?;
        Ok(TokenMade {
            token: shown_token(token, now),
            value,
        })
    }

    /// `token rm`: it is good for nothing from now on.
    ///
    /// # Errors
    /// There is none, or it is another user's.
    pub async fn token_remove(&self, actor: &Actor, id: &str) -> Result<Token, Problem> {
        let tokens = self
            .engine
            .store
            .tokens(None)
            .map_err(|e| store_problem(&e))?;
        let may =
            |token: &TokenRow| self.may(actor, Verb::TokenRemove, &Subject::Person(&token.user));
        let found = tokens.into_iter().find(|token| token.id == id);
        let mine = found.filter(|token| token.user == actor.user || actor.is_admin());
        let Some(mut token) = mine else {
            let message = format!("there is no token {id:?}");
            return Err(Problem::new(Code::NotFound, message, "see `wsm token ls`"));
        };
        may(&token)?;
        let now = now_ms();
        if token.revoked_ms.is_none() {
            let message = format!("{id} {:?}", token.label);
            let change = Change::new(row(actor, "token.revoked", &subject(&token.user), message));
            self.write(
                &[actor],
                &change.people(People::TokenRevoked(id.to_owned(), now)),
            )?;
            token.revoked_ms = Some(now);
        }
        Ok(shown_token(token, now))
    }

    /// Ids of the agents that a token shall be good for.
    fn token_agents(
        &self,
        actor: &Actor,
        names: &[String],
    ) -> Result<Option<BTreeSet<String>>, Problem> {
        if names.is_empty() {
            return Ok(None);
        }
        if names.len() > TOKEN_AGENTS_MAX {
            return Err(invalid(format!(
                "a token names {TOKEN_AGENTS_MAX} agents at most"
            )));
        }
        let id = |name: &String| {
            let handle = self.find(actor, name, Verb::See)?;
            Ok(handle.now().record.id.to_string())
        };
        names.iter().map(id).collect::<Result<_, _>>().map(Some)
    }
}

pub(super) fn digest(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}

pub(super) fn check_label(label: &str) -> Result<(), Problem> {
    if label.chars().count() > LABEL_CHARACTERS_MAX || label.chars().any(char::is_control) {
        let most = LABEL_CHARACTERS_MAX;
        return Err(invalid(format!(
            "a label has at most {most} characters, none of control"
        )));
    }
    Ok(())
}

fn shown_token(token: TokenRow, now_ms: u64) -> Token {
    let state = if token.revoked_ms.is_some() {
        "revoked"
    } else if token.expires_ms <= now_ms {
        "expired"
    } else {
        "good"
    };
    Token {
        id: token.id,
        user: token.user,
        label: token.label,
        scope: token.scope.to_string(),
        agents: token.agents.into_iter().flatten().collect(),
        created: rfc3339(token.created_ms),
        expires: rfc3339(token.expires_ms),
        used: token.used_ms.map(rfc3339).unwrap_or_default(),
        address: token.address,
        state: state.to_owned(),
    }
}

//! From an actor and a name to what may be done: every method of the facade asks here first.

use wsm_api::problem::{Code, Problem};

use super::Daemon;
use crate::actor::Actor;
use crate::agent::handle::Handle;
use crate::engine::store_problem;
use crate::role::{Denial, HostRole, Scope, Subject, Verb, allows};
use crate::store::now_ms;

impl Daemon {
    /// Who a local account is: the user of its name.
    ///
    /// # Errors
    /// Its name is that of a user who has another account, or none.
    pub fn local_actor(&self, uid: u32, name: &str) -> Result<Actor, Problem> {
        let admin = self.engine.rules(uid);
        let known = self
            .engine
            .store
            .user(name)
            .map_err(|e| store_problem(&e))?;
        let role = match &known {
            Some(user) if user.uid != Some(uid) => {
                let message =
                    format!("the user {name} of wsm is not this machine's account {name}");
                let hint = "ask an admin of this host: `wsm user add NAME --account ACCOUNT`";
                return Err(Problem::new(Code::Refused, message, hint));
            }
            _ if admin => HostRole::Admin,
            Some(user) => user.role,
            None => HostRole::Member,
        };
        Ok(Actor::local(name, uid, role))
    }

    /// The actor as it is now. What asks is judged by its head and acts when the rest of it has
    /// come, or when it has waited: what was good then may be over.
    ///
    /// # Errors
    /// Its way in has ended, or it was more than it is: what follows asks `actor` too what it is.
    pub(super) fn stands(&self, actor: &Actor) -> Result<Actor, Problem> {
        let (now, _) = self.again(actor)?;
        if now.role < actor.role {
            let message = "you are no admin of this host any more";
            return Err(Problem::new(Code::Refused, message, "ask one of them"));
        }
        Ok(now)
    }

    /// What is not asked of an agent.
    pub(super) fn may(
        &self,
        actor: &Actor,
        verb: Verb,
        subject: &Subject<'_>,
    ) -> Result<(), Problem> {
        let actor = &self.stands(actor)?;
        allows(actor, verb, subject).map_err(|denial| refused(actor, denial, "this", ""))
    }

    /// The agent, if the actor may do this to it.
    pub(super) fn find(&self, actor: &Actor, agent: &str, verb: Verb) -> Result<Handle, Problem> {
        let actor = &self.stands(actor)?;
        // An id is an agent's for good, so it goes before a name that looks like one.
        let handles = self.engine.handles();
        let by_id = |handle: &&Handle| handle.now().record.id.as_str() == agent;
        let by_name = |handle: &&Handle| handle.now().record.name.as_str() == agent;
        let found = handles.iter().find(by_id);
        let Some(handle) = found.or_else(|| handles.iter().find(by_name)).cloned() else {
            return Err(no_agent(agent));
        };
        let record = &handle.now().record;
        let shared = if actor.user == record.owner || actor.is_admin() {
            None
        } else if let Some(role) = actor.brings(record.id.as_str()) {
            Some(role)
        } else {
            let store = &self.engine.store;
            let shared = store.shared(record.id.as_str(), &actor.user, now_ms());
            shared.map_err(|e| store_problem(&e))?
        };
        let subject = Subject::Agent {
            id: record.id.as_str(),
            owner: &record.owner,
            shared,
        };
        match allows(actor, verb, &subject) {
            Ok(()) => Ok(handle.judged(&record.owner)),
            Err(denial) => Err(refused(actor, denial, agent, &record.owner)),
        }
    }

    /// Every agent that the actor may do this to.
    pub(super) fn all(&self, actor: &Actor, verb: Verb) -> Result<Vec<Handle>, Problem> {
        let actor = &self.stands(actor)?;
        let shared = self.engine.store.shared_with(&actor.user, now_ms());
        let shared = shared.map_err(|e| store_problem(&e))?;
        let mut handles = self.engine.handles();
        handles.retain(|handle| {
            let record = &handle.now().record;
            let subject = Subject::Agent {
                id: record.id.as_str(),
                owner: &record.owner,
                shared: (shared.get(record.id.as_str()).copied())
                    .or_else(|| actor.brings(record.id.as_str())),
            };
            allows(actor, verb, &subject).is_ok()
        });
        Ok(handles)
    }
}

fn no_agent(agent: &str) -> Problem {
    let message = format!("there is no agent {agent:?}");
    Problem::new(Code::NotFound, message, "see `wsm ls -a`")
}

/// What is told of a denial: of what is hidden no more than of what is not there.
fn refused(actor: &Actor, denial: Denial, what: &str, owner: &str) -> Problem {
    let (message, hint) = match denial {
        Denial::Hidden => return no_agent(what),
        // Who only looks is told no names.
        _ if actor.scope == Scope::Watch => (
            "what you came in with is good to look at terminals, and for nothing else".to_owned(),
            "ask who gave it to you".to_owned(),
        ),
        Denial::Role(role) => (
            format!("{what} belongs to {owner}, and this takes the role {role}"),
            format!("ask {owner}, or an admin of this host"),
        ),
        Denial::Scope(scope) => (
            format!(
                "this takes the scope {scope}; what you came in with has {}",
                actor.scope
            ),
            "use another token, or come in yourself".to_owned(),
        ),
        Denial::Token => (
            "this token is not good for that".to_owned(),
            "do it where you are yourself: on the machine, or from a device".to_owned(),
        ),
        Denial::Person => (
            "it is another user's".to_owned(),
            "ask that user, or an admin of this host".to_owned(),
        ),
        Denial::Admin => (
            "this is for admins of this host".to_owned(),
            "ask one of them".to_owned(),
        ),
    };
    Problem::new(Code::Refused, message, hint)
}

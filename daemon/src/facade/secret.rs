//! Secrets: who may set, see and remove which. Their values are never here.

use wsm_api::agent::Credential;
use wsm_api::problem::{Code, Problem};
use wsm_api::secret::{NewSecret, Secret, SecretRemoved, SecretTicket};
use wsm_egress::credential::{CredentialSpec, Place};
use wsm_egress::secret::{About, check_name};
use wsm_template::resolved::Credential as OfTemplate;

use super::Daemon;
use crate::actor::{Actor, Way};
use crate::agent::credentials;
use crate::engine::{row, store_problem};
use crate::record::Record;
use crate::role::{Subject, Verb};
use crate::store::{Change, now_ms, rfc3339};

impl Daemon {
    /// `secret ls`: the actor's own and everybody's; an admin sees all.
    ///
    /// # Errors
    /// Egress does not answer.
    pub async fn secrets(&self, actor: &Actor) -> Result<Vec<Secret>, Problem> {
        self.may(actor, Verb::SecretList, &Subject::Host)?;
        let all = self.engine.egress.secrets().await?;
        let own = |about: &About| match &about.owner {
            Some(owner) => actor.is_admin() || *owner == actor.user,
            None => true,
        };
        Ok(all.into_iter().filter(own).map(shown).collect())
    }

    /// `secret set`: the row is written, then the ticket given out.
    ///
    /// # Errors
    /// It is not the actor's to set, or egress does not answer.
    pub async fn secret_ticket(
        &self,
        actor: &Actor,
        name: &str,
        new: &NewSecret,
    ) -> Result<SecretTicket, Problem> {
        let owner = self.whose(actor, new.everyone)?;
        let Way::Local { uid } = actor.way else {
            // Its value is given to egress itself, by a socket of that machine.
            let message = "a secret's value does not go over the network";
            let hint = "run `wsm secret set` on the machine itself";
            return Err(Problem::new(Code::NotAvailable, message, hint));
        };
        check_name(name).map_err(|bad| Problem::new(Code::Invalid, bad.to_string(), ""))?;
        let expires_ms = match new.expires_s {
            None => None,
            Some(seconds) => {
                let at = seconds
                    .checked_mul(1000)
                    .and_then(|ms| ms.checked_add(now_ms()));
                let at = at.filter(|_| seconds > 0);
                let bad = || Problem::new(Code::Invalid, "no time to expire at", "");
                Some(at.ok_or_else(bad)?)
            }
        };
        let until = expires_ms.map(|at| format!(", until {}", rfc3339(at)));
        let message = format!("{name} of {}{}", whose(&owner), until.unwrap_or_default());
        self.write_secret_row(actor, "secret.set", message)?;
        let egress = &self.engine.egress;
        let name = name.to_owned();
        let ticket = egress.expect(uid, owner, name, expires_ms).await?;
        Ok(SecretTicket { ticket })
    }

    /// `secret rm`.
    ///
    /// # Errors
    /// There is none, or it is not the actor's to remove.
    pub async fn secret_remove(
        &self,
        actor: &Actor,
        name: &str,
        everyone: bool,
    ) -> Result<SecretRemoved, Problem> {
        let owner = self.whose(actor, everyone)?;
        let all = self.engine.egress.secrets().await?;
        let named = |about: &About| about.owner == owner && about.name == name;
        if !all.iter().any(named) {
            let message = format!("there is no secret {name:?} of {}", whose(&owner));
            return Err(Problem::new(Code::NotFound, message, "see `wsm secret ls`"));
        }
        let message = format!("{name} of {}", whose(&owner));
        self.write_secret_row(actor, "secret.removed", message)?;
        let name = name.to_owned();
        self.engine
            .egress
            .remove_secret(owner, name.clone())
            .await?;
        Ok(SecretRemoved { name })
    }

    /// What of an agent's requests is put in, as far as egress tells.
    pub(super) async fn credentials(&self, record: &Record) -> Vec<Credential> {
        let specs = credentials::specs(record);
        let seen: Vec<_> = credentials::visible(record).collect();
        if specs.is_empty() && seen.is_empty() {
            return Vec::new();
        }
        let all = self.engine.egress.secrets().await;
        let shown = |spec: CredentialSpec| injected(record, spec, all.as_deref());
        let seen = seen
            .into_iter()
            .map(|(name, own)| visible(record, name, own, all.as_deref()));
        specs.into_iter().map(shown).chain(seen).collect()
    }

    /// Whose secret is meant; one for everybody is an admin's to change.
    fn whose(&self, actor: &Actor, everyone: bool) -> Result<Option<String>, Problem> {
        if everyone {
            self.may(actor, Verb::SecretEveryone, &Subject::Host)?;
            return Ok(None);
        }
        self.may(actor, Verb::SecretChange, &Subject::Person(&actor.user))?;
        Ok(Some(actor.user.clone()))
    }

    fn write_secret_row(
        &self,
        actor: &Actor,
        verb: &'static str,
        message: String,
    ) -> Result<(), Problem> {
        let change = Change::new(row(actor, verb, "host", message));
        let written = self.engine.store.commit(&change);
        written.map(|_| ()).map_err(|e| store_problem(&e))
    }
}

fn injected(record: &Record, spec: CredentialSpec, all: Result<&[About], &Problem>) -> Credential {
    let found = all.map(|all| credentials::secret(all, &spec.owner, &spec.secret));
    let status = match (found, spec.login.map(|kind| kind.facts().name)) {
        (Ok(Some(about)), None) => format!("secret of {}", whose(&about.owner)),
        (Ok(None), None) => format!("not set: `wsm secret set {}`", spec.secret),
        (Ok(Some(about)), Some(kind)) => match about.login.as_ref().map(|l| &l.refused) {
            Some(Some(why)) => format!(
                "login of {} not renewed, {why}: {}",
                record.owner,
                again(kind)
            ),
            _ => format!("{kind} login of {}", record.owner),
        },
        (Ok(None), Some(kind)) => format!("no login: {}", again(kind)),
        (Err(problem), _) => problem.message.clone(),
    };
    let built_with = record.credentials.get(&spec.name).is_some_and(|c| c.ready);
    let found = found.ok().flatten();
    let late = found.is_some() && !built_with;
    let of_template = record.resolved.credentials.get(&spec.name);
    Credential {
        places: spec.places.iter().map(place).collect(),
        env: of_template.map(|c| c.env.clone()).unwrap_or_default(),
        status: if late {
            format!("{status}, set since it was started: restart it")
        } else {
            status
        },
        ready: found.is_some(),
        used: found
            .and_then(|about| about.used_ms)
            .map(rfc3339)
            .unwrap_or_default(),
        name: spec.name,
        secret: spec.secret,
        hosts: spec.hosts,
        visible: false,
    }
}

fn again(kind: &str) -> String {
    format!("`wsm secret login {kind}`")
}

/// A secret that the agent has itself.
fn visible(
    record: &Record,
    name: &str,
    own: &OfTemplate,
    all: Result<&[About], &Problem>,
) -> Credential {
    let found = all.map(|all| credentials::secret(all, &record.owner, &own.secret));
    let inside = record.inside.values.contains_key(name);
    let set = format!("`wsm secret set {} --visible`", own.secret);
    let status = match &found {
        Ok(Some(about)) if inside => format!("VISIBLE: secret of {}", whose(&about.owner)),
        Ok(Some(about)) if about.visible => "set since it was started: restart it".to_owned(),
        Ok(Some(_)) => format!("not set to be visible: {set}"),
        Ok(None) => format!("not set: {set}"),
        Err(problem) => problem.message.clone(),
    };
    let found = found.ok().flatten();
    Credential {
        name: name.to_owned(),
        secret: own.secret.clone(),
        hosts: own.hosts.clone(),
        places: vec!["inside, the value itself".to_owned()],
        env: own.env.clone(),
        status,
        ready: inside,
        used: found
            .and_then(|about| about.used_ms)
            .map(rfc3339)
            .unwrap_or_default(),
        visible: true,
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::Header { name, .. } => format!("header {name}"),
        Place::Basic => "basic authentication".to_owned(),
        Place::Body { field } => format!("body member {field}"),
    }
}

fn whose(owner: &Option<String>) -> &str {
    owner.as_deref().unwrap_or("everyone")
}

fn shown(about: About) -> Secret {
    let time = |ms: Option<u64>| ms.map(rfc3339).unwrap_or_default();
    let login = about.login.as_ref();
    Secret {
        visible: about.visible,
        login: login
            .map(|l| l.kind.facts().name.to_owned())
            .unwrap_or_default(),
        token_until: time(login.map(|l| l.until_ms)),
        refused: login.and_then(|l| l.refused.clone()).unwrap_or_default(),
        name: about.name,
        owner: about.owner.unwrap_or_default(),
        hosts: about.hosts,
        set: rfc3339(about.set_ms),
        expires: time(about.expires_ms),
        expired: about.expires_ms.is_some_and(|at| at <= now_ms()),
        used: time(about.used_ms),
    }
}

//! From a grant, or the name of a registered repository, to what a new agent may be made of.

use std::collections::BTreeMap;

use wsm_api::agent::NewAgent;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::{Account, Reply as BrokerReply, Request as BrokerRequest};
use wsm_sandbox::spec::GrantId;
use wsm_template::resolved::Resolved;

use super::repositories::no_repository;
use crate::actor::Actor;
use crate::engine::{Engine, store_problem};

/// A grant of the caller.
pub(super) struct Granted {
    pub(super) id: GrantId,
    pub(super) account: Account,
    pub(super) path: String,
    pub(super) git_dir: String,
}

/// The repository that a request means: by a grant of just now, or by a name.
pub(super) async fn repository(
    engine: &Engine,
    actor: &Actor,
    new: &NewAgent,
) -> Result<Granted, Problem> {
    let wrong = |why| Problem::new(Code::Invalid, why, "");
    match (&*new.grant, &new.repository) {
        ("", None) => Err(wrong("a grant, or the name of a repository, is missing")),
        (grant, None) => granted(engine, actor, grant).await,
        ("", Some(name)) => named(engine, actor, name).await,
        (_, Some(_)) => Err(wrong("either a grant or a name says which repository")),
    }
}

/// One that was registered for the actor.
pub(super) async fn named(engine: &Engine, actor: &Actor, name: &str) -> Result<Granted, Problem> {
    let found = engine.store.repository(&actor.user, name);
    let row = found.map_err(|e| store_problem(&e))?;
    let row = row.ok_or_else(|| no_repository(name))?;
    granted(engine, actor, &row.grant).await
}

/// What a grant of a repository stands for, if the actor's account gave it.
pub(super) async fn granted(
    engine: &Engine,
    actor: &Actor,
    grant: &str,
) -> Result<Granted, Problem> {
    let id = GrantId(grant.to_owned());
    let asked = engine
        .broker
        .ask(BrokerRequest::LookUp { grant: id.clone() })
        .await;
    let reply = asked.map_err(|e| crate::broker::problem(&e))?;
    let BrokerReply::Granted {
        account,
        path,
        git_dir: Some(git_dir),
        ..
    } = reply
    else {
        return Err(Problem::new(
            Code::Invalid,
            "the grant is not that of a repository",
            "",
        ));
    };
    if path.contains('\n') || git_dir.contains('\n') {
        // Git writes paths of worktrees line by line.
        let message = format!("the path {path:?} holds a line break, which worktrees can't have");
        return Err(Problem::new(Code::Invalid, message, "rename the directory"));
    }
    if Some(account.uid) != actor.account {
        let message = format!("the grant of {path} is another account's");
        return Err(Problem::new(
            Code::Refused,
            message,
            "grant the repository yourself",
        ));
    }
    Ok(Granted {
        id,
        account,
        path,
        git_dir,
    })
}

/// The grants for `filesystem.write`: each directory must have been granted by the caller.
pub(super) async fn writable(
    engine: &Engine,
    actor: &Actor,
    resolved: &Resolved,
    grants: &[String],
) -> Result<Vec<GrantId>, Problem> {
    let mut granted = BTreeMap::new();
    for grant in grants {
        let id = GrantId(grant.clone());
        let asked = engine
            .broker
            .ask(BrokerRequest::LookUp { grant: id.clone() })
            .await;
        match asked.map_err(|e| crate::broker::problem(&e))? {
            BrokerReply::Granted { account, path, .. } if Some(account.uid) == actor.account => {
                granted.insert(path, id);
            }
            _ => {
                let message = "a grant is another account's";
                return Err(Problem::new(Code::Refused, message, "grant it yourself"));
            }
        }
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for path in &resolved.filesystem.write {
        match granted.remove(path.trim_end_matches('/')) {
            Some(id) => found.push(id),
            None => missing.push(path.clone()),
        }
    }
    if missing.is_empty() {
        let Some(path) = granted.keys().next() else {
            return Ok(found);
        };
        let message = format!(
            "--grant {path}: template {} does not write there",
            resolved.name
        );
        let hint = "leave it out, or name it in the template's filesystem.write";
        return Err(Problem::new(Code::Invalid, message, hint));
    }
    let message = "the template writes to directories that were not granted";
    Err(Problem {
        details: missing,
        ..Problem::new(
            Code::Ungranted,
            message,
            "agree with --grant DIR for each of them",
        )
    })
}

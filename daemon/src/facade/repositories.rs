//! Repositories that were registered: whoever is not on the machine names one, and passes nothing.

use wsm_api::problem::{Code, Problem};
use wsm_api::repository::{NewRepository, Repository};
use wsm_api::template::TemplateInfo;
use wsm_sandbox::protocol::HelperRights;

use super::create::{HEAD, brought};
use super::people::{invalid, subject};
use super::{Daemon, grants, sources, view};
use crate::actor::Actor;
use crate::agent::make;
use crate::engine::{row, store_problem};
use crate::role::{Subject, Verb};
use crate::store::{Change, People, RepositoryChange, RepositoryRow, now_ms, rfc3339};

/// Repositories of one user.
const REPOSITORIES_MAX: usize = 200;

/// Longest name.
const NAME_CHARACTERS_MAX: usize = 64;

impl Daemon {
    /// Templates of the built-in and the host layer, and those that a registered repository brings.
    ///
    /// # Errors
    /// The host's templates can't be read, or there is no such repository.
    pub async fn templates(
        &self,
        actor: &Actor,
        repository: Option<&str>,
    ) -> Result<Vec<TemplateInfo>, Problem> {
        self.may(actor, Verb::Templates, &Subject::Host)?;
        let engine = &self.engine;
        let mut sources = sources::host(engine).await?;
        if let Some(name) = repository {
            self.may(actor, Verb::New, &Subject::Host)?;
            let granted = grants::named(engine, actor, name).await?;
            let mut helper = make::helper(engine, &granted.id, None, HelperRights::Read).await?;
            let git_dir = std::path::Path::new(&granted.git_dir);
            sources.repository = brought(&mut helper, git_dir, HEAD).await?;
        }
        Ok(wsm_template::forms(&sources)
            .into_iter()
            .map(view::template)
            .collect())
    }

    /// `repo ls`: those that the actor may use, and those that it registered; an admin sees all.
    ///
    /// # Errors
    /// The database said no.
    pub async fn repositories(&self, actor: &Actor) -> Result<Vec<Repository>, Problem> {
        self.may(actor, Verb::RepositoryList, &Subject::Host)?;
        let rows = self.engine.store.repositories();
        let rows = rows.map_err(|e| store_problem(&e))?.into_iter();
        let mine = |row: &RepositoryRow| {
            actor.is_admin() || row.user == actor.user || row.made_by == actor.user
        };
        Ok(rows.filter(mine).map(shown).collect())
    }

    /// `repo add`: the actor's account has just granted it.
    ///
    /// # Errors
    /// It is another account's, for a user who has another, or the name is taken.
    pub async fn repository_add(
        &self,
        actor: &Actor,
        new: NewRepository,
    ) -> Result<Repository, Problem> {
        self.may(actor, Verb::RepositoryChange, &Subject::Person(&actor.user))?;
        let granted = grants::granted(&self.engine, actor, &new.grant).await?;
        let of = new.user.as_deref().unwrap_or(&actor.user);
        let user = self.known(of)?;
        if user.uid != Some(granted.account.uid) {
            let message = format!("the files of {} are not {of}'s to change", granted.path);
            let hint = "the user's account (`wsm user add NAME --account ACCOUNT`) must own them";
            return Err(Problem::new(Code::Refused, message, hint));
        }
        let name = match new.name {
            Some(name) => name,
            None => last_part(&granted.path).to_owned(),
        };
        check_name(&name)?;
        let rows = self.engine.store.repositories();
        let rows = rows.map_err(|e| store_problem(&e))?;
        let mut own = rows.iter().filter(|row| row.user == user.name);
        if let Some(known) = own.clone().find(|row| row.name == name) {
            if known.grant == granted.id.0 {
                return Ok(shown(known.clone()));
            }
            let message = format!("{of} has a repository {name} already: {}", known.path);
            return Err(Problem::new(
                Code::Conflict,
                message,
                "choose another --name",
            ));
        }
        if own.nth(REPOSITORIES_MAX - 1).is_some() {
            let message = format!("{of} has {REPOSITORIES_MAX} repositories");
            return Err(Problem::new(
                Code::Conflict,
                message,
                "remove one: `wsm repo rm`",
            ));
        }
        let added = RepositoryRow {
            user: user.name.clone(),
            name,
            grant: granted.id.0,
            path: granted.path,
            made_by: actor.user.clone(),
            created_ms: now_ms(),
        };
        let message = format!("{}: {}", added.name, added.path);
        let told = row(actor, "repository.added", &subject(&user.name), message);
        let change = Change::new(told).people(People::Known(user));
        self.write(
            &[actor],
            &change.repository(RepositoryChange::Added(added.clone())),
        )?;
        Ok(shown(added))
    }

    /// `repo rm`: agents that were made of it stay. `of`: whose; the actor's own without.
    ///
    /// # Errors
    /// There is none of this name, or it is another user's.
    pub async fn repository_remove(
        &self,
        actor: &Actor,
        name: &str,
        of: Option<&str>,
    ) -> Result<Repository, Problem> {
        self.may(actor, Verb::RepositoryChange, &Subject::Person(&actor.user))?;
        let of = of.unwrap_or(&actor.user);
        let found = self.engine.store.repository(of, name);
        let found = found
            .map_err(|e| store_problem(&e))?
            .filter(|row| actor.is_admin() || row.user == actor.user || row.made_by == actor.user);
        let found = found.ok_or_else(|| no_repository(name))?;
        let message = format!("{name}: {}", found.path);
        let told = row(actor, "repository.removed", &subject(of), message);
        let gone = RepositoryChange::Removed(of.to_owned(), name.to_owned());
        self.write(&[actor], &Change::new(told).repository(gone))?;
        Ok(shown(found))
    }
}

pub(super) fn no_repository(name: &str) -> Problem {
    let message = format!("there is no repository {name:?} for you");
    let hint = "`wsm repo ls` lists them; `wsm repo add PATH`, on the machine itself, adds one";
    Problem::new(Code::NotFound, message, hint)
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= NAME_CHARACTERS_MAX && name.chars().all(plain) {
        return Ok(());
    }
    let most = NAME_CHARACTERS_MAX;
    Err(invalid(format!(
        "{name:?} is no name of a repository: letters, digits, . _ -, {most} at most; see --name"
    )))
}

fn shown(row: RepositoryRow) -> Repository {
    Repository {
        name: row.name,
        user: row.user,
        path: row.path,
        by: row.made_by,
        created: rfc3339(row.created_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["shop", "Shop-2", "a.b_c", "9"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", ".git", "-x", "a b", "a/b", "..", "ä", "a\n", &long] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(last_part("/home/ann/shop"), "shop");
    }
}

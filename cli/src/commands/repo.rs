//! `wsm repo`: repositories that one may make agents of from elsewhere.

use std::path::PathBuf;

use wsm_api::repository::{NewRepository, Repository};

use crate::commands::Context;
use crate::commands::user::told;
use crate::failure::{Exit, Outcome};
use crate::grant;
use crate::render::{self, clean};

/// What to do with repositories.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Register a repository, so that agents can be made of it over the network, by its name.
    Add {
        /// The repository, or a directory in it.
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Its name. Left out: that of its directory.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// For another user, whose account the files belong to.
        #[arg(long = "for", value_name = "USER")]
        user: Option<String>,
    },
    /// List registered repositories.
    #[command(visible_alias = "list")]
    Ls,
    /// Take one out; agents that were made of it stay.
    Rm {
        /// Name.
        name: String,
        /// Another user's.
        #[arg(long = "for", value_name = "USER")]
        user: Option<String>,
    },
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    let client = &context.client;
    match verb {
        Verb::Add { path, name, user } => {
            let hint = "a repository is passed to wsm as an open directory: do it on that machine";
            context.place.only_here("`repo add`", hint)?;
            let granted = grant::grant_repository(&context.place.run(), path)?;
            let new = NewRepository {
                grant: granted.id,
                name: name.clone(),
                user: user.clone(),
            };
            let added = client.repository_add(&new).await?;
            let what = format!("is {}, for {}", added.path, added.user);
            told(context, &added, &added.name, &what)
        }
        Verb::Ls => list(context, &client.repositories().await?),
        Verb::Rm { name, user } => {
            let removed = client.repository_remove(name, user.as_deref()).await?;
            told(
                context,
                &removed,
                &removed.name,
                "is not registered any more",
            )
        }
    }
}

fn list(context: &Context, repositories: &[Repository]) -> Outcome {
    let text = if context.output.json {
        render::json(&repositories)
    } else if context.output.quiet {
        let names = repositories.iter().map(|one| clean(&one.name) + "\n");
        names.collect()
    } else {
        let row = |one: &Repository| {
            let (name, user) = (one.name.clone(), one.user.clone());
            vec![
                name,
                user,
                one.path.clone(),
                one.by.clone(),
                one.created.clone(),
            ]
        };
        let rows: Vec<_> = repositories.iter().map(row).collect();
        render::table(&["NAME", "FOR", "PATH", "BY", "SINCE"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

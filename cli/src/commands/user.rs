//! `wsm user`: who may come to this host, and as what.

use wsm_api::user::{NewUser, User};

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// What to do with users.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Add a user. Accounts of this machine need none: they come in by themselves, as members.
    Add {
        /// Name: a-z, 0-9, _ - .
        name: String,
        /// `member` or `admin`.
        #[arg(long, default_value = "member", value_name = "ROLE")]
        role: String,
        /// Account of this machine that the files of this user's agents belong to. Left out: the
        /// one of the same name.
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// List users.
    #[command(visible_alias = "list")]
    Ls,
    /// Remove a user, with all tokens, devices and shares.
    Rm {
        /// Name.
        name: String,
    },
    /// Change a user's role on this host.
    Role {
        /// Name.
        name: String,
        /// `member` or `admin`.
        role: String,
    },
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    let client = &context.client;
    match verb {
        Verb::Add {
            name,
            role,
            account,
        } => {
            let new = NewUser {
                name: name.clone(),
                role: role.clone(),
                account: account.clone(),
            };
            let user = client.user_add(&new).await?;
            told(context, &user, &user.name, &format!("is a {}", user.role))
        }
        Verb::Role { name, role } => {
            let user = client.user_role(name, role).await?;
            told(context, &user, &user.name, &format!("is a {}", user.role))
        }
        Verb::Rm { name } => {
            let removed = client.user_remove(name).await?;
            told(context, &removed, &removed.name, "is no user any more")
        }
        Verb::Ls => list(context, &client.users().await?),
    }
}

/// What became of one: a document, its name, or a sentence.
pub(super) fn told(
    context: &Context,
    document: &impl serde::Serialize,
    name: &str,
    what: &str,
) -> Outcome {
    let text = if context.output.json {
        render::json(document)
    } else if context.output.quiet {
        clean(name) + "\n"
    } else {
        clean(&format!("{name} {what}")) + "\n"
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn list(context: &Context, users: &[User]) -> Outcome {
    let text = if context.output.json {
        render::json(&users)
    } else if context.output.quiet {
        users.iter().map(|user| clean(&user.name) + "\n").collect()
    } else {
        let row = |user: &User| {
            let uid = user
                .uid
                .map_or_else(|| "-".to_owned(), |uid| uid.to_string());
            let counts = [user.agents, user.tokens, user.devices].map(|n| n.to_string());
            let mut row = vec![user.name.clone(), user.role.clone(), uid];
            row.extend(counts);
            row
        };
        let rows: Vec<_> = users.iter().map(row).collect();
        let head = ["NAME", "ROLE", "UID", "AGENTS", "TOKENS", "DEVICES"];
        render::table(&head, &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

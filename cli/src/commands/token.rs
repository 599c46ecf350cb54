//! `wsm token`: ways in for programs and other machines.

use wsm_api::user::{NewToken, Token};

use crate::commands::Context;
use crate::commands::secret::lifetime;
use crate::commands::user::told;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Make a token; its value is told once, on standard output.
    New {
        /// What it is for.
        #[arg(default_value = "")]
        label: String,
        /// How far it reaches: view, approve, drive, own, or admin; each includes those before it.
        #[arg(long, default_value = "view", value_name = "SCOPE")]
        scope: String,
        /// Good for this agent alone; may be given several times.
        #[arg(long = "agent", value_name = "AGENT")]
        agents: Vec<String>,
        /// Good for so long (90d, 12h, 30m); a year at most.
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        expires: Option<u64>,
        /// For another user (an admin's to make).
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// List tokens.
    #[command(visible_alias = "list")]
    Ls,
    /// End a token at once.
    Rm {
        /// Id.
        id: String,
    },
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    let client = &context.client;
    match verb {
        Verb::New {
            label,
            scope,
            agents,
            expires,
            user,
        } => {
            let new = NewToken {
                user: user.clone(),
                label: label.clone(),
                scope: scope.clone(),
                agents: agents.clone(),
                expires_s: *expires,
            };
            let made = client.token_new(&new).await?;
            if context.output.json {
                render::print(&render::json(&made))?;
            } else {
                if !context.output.quiet {
                    let (id, until) = (clean(&made.token.id), clean(&made.token.expires));
                    render::say(&format!(
                        "token {id}, good until {until}; it is not told again:"
                    ));
                }
                render::print(&(clean(&made.value) + "\n"))?;
            }
            Ok(Exit::DONE)
        }
        Verb::Ls => list(context, &client.tokens().await?),
        Verb::Rm { id } => {
            let token = client.token_remove(id).await?;
            told(context, &token, &token.id, "is good for nothing any more")
        }
    }
}

fn list(context: &Context, tokens: &[Token]) -> Outcome {
    let text = if context.output.json {
        render::json(&tokens)
    } else if context.output.quiet {
        tokens.iter().map(|token| clean(&token.id) + "\n").collect()
    } else {
        let row = |token: &Token| {
            let mut reach = token.scope.clone();
            if !token.agents.is_empty() {
                reach.push_str(&format!(" on {}", token.agents.join(" ")));
            }
            let used = match (token.used.as_str(), token.address.as_str()) {
                ("", _) => "never".to_owned(),
                (used, "") => used.to_owned(),
                (used, from) => format!("{used} from {from}"),
            };
            let state = match token.state.as_str() {
                "good" => format!("until {}", token.expires),
                other => other.to_owned(),
            };
            let (id, user, label) = (token.id.clone(), token.user.clone(), token.label.clone());
            vec![id, user, label, reach, state, used]
        };
        let rows: Vec<_> = tokens.iter().map(row).collect();
        let head = ["ID", "OF", "FOR", "SCOPE", "STATE", "LAST USED"];
        render::table(&head, &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

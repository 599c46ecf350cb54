//! `wsm notify`: what one is told, by which channels, and what became of it.

mod rules;

use std::io::{IsTerminal, Read};

use wsm_api::notify::{Channel, Delivery, NewChannel, TestRequest};
use wsm_api::problem::Code;

use crate::commands::Context;
use crate::commands::user::told;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};
use crate::screen;

/// Longest token that is read.
const TOKEN_BYTES_MAX: usize = 4096;

/// What to do with notifications.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List the channels that you are told by.
    #[command(visible_alias = "list")]
    Ls,
    /// Add a channel; a browser adds itself.
    #[command(
        after_help = "A webhook's messages are signed as standardwebhooks.com says; what they are \
        signed with is printed once. A token stands in no command line: it is read from standard \
        input, or asked for."
    )]
    Add {
        /// ntfy, webhook, or email.
        kind: String,
        /// https://SERVER/TOPIC, https://…, PERSON@HOST
        address: String,
        /// A name for it.
        #[arg(long, default_value = "", value_name = "TEXT")]
        label: String,
        /// The ntfy server wants an access token.
        #[arg(long)]
        token: bool,
    },
    /// Remove a channel.
    Rm {
        /// Id.
        id: String,
    },
    /// Send a test by one channel, or by all.
    Test {
        /// Id.
        id: Option<String>,
    },
    /// Show what was told, where, and what became of it; newest first.
    Deliveries {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
        lines: u32,
    },
    /// Show or change what you are told about, and when not.
    Rules(rules::Args),
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    let client = &context.client;
    match verb {
        Verb::Ls => list(context, &client.channels().await?),
        Verb::Add {
            kind,
            address,
            label,
            token,
        } => {
            let new = NewChannel {
                kind: kind.clone(),
                address: address.clone(),
                label: label.clone(),
                token: token.then(|| read_token(context)).transpose()?,
            };
            add(context, &new).await
        }
        Verb::Rm { id } => {
            let channel = client.channel_remove(id).await?;
            told(context, &channel, &channel.id, "is removed")
        }
        Verb::Test { id } => {
            let channel = id.clone();
            let sent = client.notify_test(&TestRequest { channel }).await?;
            if context.output.json || context.output.quiet {
                return list(context, &sent);
            }
            let names: Vec<_> = sent.iter().map(|one| clean(&one.id)).collect();
            let typed = context.typed("notify deliveries");
            let text = format!(
                "a test is on its way to {}; {typed} tells what became of it\n",
                names.join(", ")
            );
            render::print(&text)?;
            Ok(Exit::DONE)
        }
        Verb::Deliveries { lines } => deliveries(context, &client.deliveries(*lines).await?),
        Verb::Rules(args) => rules::run(context, args).await,
    }
}

async fn add(context: &Context, new: &NewChannel) -> Outcome {
    let made = context.client.channel_new(new).await?;
    if context.output.json {
        render::print(&render::json(&made))?;
        return Ok(Exit::DONE);
    }
    if !made.signing_secret.is_empty() {
        if !context.output.quiet {
            let id = clean(&made.channel.id);
            render::say(&format!(
                "channel {id}; its messages are signed with this, which is not told again:"
            ));
        }
        render::print(&(clean(&made.signing_secret) + "\n"))?;
        return Ok(Exit::DONE);
    }
    told(context, &made, &made.channel.id, "is added")
}

/// From standard input, or asked for.
fn read_token(context: &Context) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        if !context.input {
            let message = "the token comes from standard input";
            return Err(Failure::new(Code::Invalid, message, ""));
        }
        let asked = screen::ask_hidden("access token: ", TOKEN_BYTES_MAX);
        let failed = |e| Failure::new(Code::Failed, format!("ask for it: {e}"), "");
        return asked.map(|token| token.trim().to_owned()).map_err(failed);
    }
    let mut text = String::new();
    let mut input = std::io::stdin().take(TOKEN_BYTES_MAX as u64);
    let read = input.read_to_string(&mut text);
    read.map_err(|e| Failure::new(Code::Failed, format!("read standard input: {e}"), ""))?;
    Ok(text.trim().to_owned())
}

fn list(context: &Context, channels: &[Channel]) -> Outcome {
    let text = if context.output.json {
        render::json(&channels)
    } else if context.output.quiet {
        channels.iter().map(|one| clean(&one.id) + "\n").collect()
    } else {
        let row = |one: &Channel| {
            let last = match one.last.as_str() {
                "" => "never".to_owned(),
                last => format!("{last} {}", one.outcome),
            };
            vec![
                one.id.clone(),
                one.kind.clone(),
                one.label.clone(),
                one.address.clone(),
                last,
            ]
        };
        let rows: Vec<_> = channels.iter().map(row).collect();
        render::table(&["ID", "KIND", "NAME", "WHERE", "LAST"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn deliveries(context: &Context, told: &[Delivery]) -> Outcome {
    let text = if context.output.json {
        render::json(&told)
    } else if context.output.quiet {
        told.iter().map(|one| format!("{}\n", one.id)).collect()
    } else {
        let row = |one: &Delivery| {
            let channel = match (one.kind.as_str(), one.label.as_str()) {
                ("", _) => "-".to_owned(),
                (kind, "") => kind.to_owned(),
                (kind, label) => format!("{kind} {label}"),
            };
            vec![
                one.at.clone(),
                channel,
                one.title.clone(),
                one.status.clone(),
                one.outcome.clone(),
            ]
        };
        let rows: Vec<_> = told.iter().map(row).collect();
        render::table(&["AT", "BY", "WHAT", "STATUS", "WHY"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

//! `wsm send`.

use wsm_api::terminal::Send;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};

/// Options of `send`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// What to type.
    text: String,
    /// Don't press Enter after it.
    #[arg(long)]
    no_enter: bool,
    /// Another terminal than the agent's own.
    #[arg(long, value_name = "TERMINAL")]
    terminal: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let send = Send {
        text: args.text.clone(),
        enter: !args.no_enter,
        terminal: args.terminal.clone(),
    };
    context.client.send(&args.agent, &send).await?;
    Ok(Exit::DONE)
}

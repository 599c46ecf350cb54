//! `wsm shell`.

use wsm_api::terminal::NewTerminal;

use crate::commands::Context;
use crate::commands::attach::{Detach, watch};
use crate::failure::Outcome;
use crate::screen;
use crate::viewer::Wish;

/// Options of `shell`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    #[command(flatten)]
    detach: Detach,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let mut wish = Wish {
        agent: args.agent.clone(),
        terminal: "shell".to_owned(),
        read_only: false,
        history_lines: 0,
        detach: args.detach.key,
    };
    if !screen::is_interactive() {
        // Says what to do instead, and opens nothing that nobody would close.
        return watch(context, &wish).await;
    }
    let (cols, rows) = screen::size();
    let opened = context
        .client
        .open_terminal(&args.agent, &NewTerminal { cols, rows })
        .await?;
    wish.terminal = opened.terminal;
    watch(context, &wish).await
}

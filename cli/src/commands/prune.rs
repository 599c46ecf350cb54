//! `wsm prune`.

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

/// Options of `prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tell what would be removed.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let removed = context.client.prune(args.dry_run).await?;
    let plain = !context.output.json && !context.output.quiet;
    if plain && removed.agents.is_empty() {
        render::say("the trash holds nothing that can go");
    } else if plain && args.dry_run {
        render::say("these would be removed:");
    }
    render::print(&super::rm::text(context, &removed))?;
    Ok(Exit::DONE)
}

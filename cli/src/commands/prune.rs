//! `wsm prune`.

use wsm_api::agent::Removed;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tell what would be removed.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let removed = context.client.prune(args.dry_run).await?;
    render::print(&text(context, &removed, args.dry_run))?;
    if !context.output.json && removed.agents.is_empty() {
        render::say("the trash is empty");
    }
    Ok(Exit::DONE)
}

/// What went or would go, and what stays because of work that would be lost.
fn text(context: &Context, removed: &Removed, dry_run: bool) -> String {
    if context.output.json {
        return render::json(removed);
    }
    let mut text = String::new();
    for agent in &removed.agents {
        let line = match (agent.purged, context.output.quiet) {
            (true, true) => clean(&agent.id),
            (false, true) => continue,
            (true, false) if dry_run => format!("{}: would be removed for good", agent.name),
            (true, false) => format!("{}: removed for good", agent.name),
            (false, false) => format!(
                "{}: stays, not merged: {}; remove it with {}",
                agent.name,
                clean(&agent.unmerged),
                context.typed(&format!("rm --purge {}", agent.name))
            ),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

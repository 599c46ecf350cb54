//! `wsm rm`.

use wsm_api::agent::Removed;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names or ids.
    #[arg(required = true)]
    agents: Vec<String>,
    /// For good, with work that is not merged.
    #[arg(long)]
    purge: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let mut all = Removed::default();
    for agent in &args.agents {
        match context.client.remove(agent, args.purge).await {
            Ok(removed) => all.agents.extend(removed.agents),
            Err(error) => {
                // What is done is told, although the verb fails.
                render::print(&text(context, &all))?;
                return Err(error.into());
            }
        }
    }
    render::print(&text(context, &all))?;
    Ok(Exit::DONE)
}

/// What was removed, and what of it can come back.
pub(crate) fn text(context: &Context, removed: &Removed) -> String {
    if context.output.json {
        return render::json(removed);
    }
    let mut text = String::new();
    for agent in &removed.agents {
        let name = &agent.name;
        if context.output.quiet {
            text.push_str(&format!("{}\n", clean(&agent.id)));
            continue;
        }
        let fate = if agent.purged {
            "removed for good".to_owned()
        } else {
            format!(
                "in the trash; back with: {}",
                context.typed(&format!("restore {name}"))
            )
        };
        text.push_str(&format!("{name}: {fate}\n"));
        for failed in &agent.failed {
            text.push_str(&format!("  failed: {}\n", clean(failed)));
        }
        if !agent.unmerged.is_empty() {
            text.push_str(&format!("  not merged: {}\n", clean(&agent.unmerged)));
        }
    }
    text
}

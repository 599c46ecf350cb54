//! `wsm merge` and `wsm apply`.

use wsm_api::review::{Merge, Merged};

use crate::commands::{Context, act};
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};

/// Options of `merge`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// One commit instead of all.
    #[arg(long)]
    squash: bool,
    /// Message of the merge or squash commit.
    #[arg(short, long)]
    message: Option<String>,
    /// Merge the commits although there is uncommitted work, which stays where it is.
    #[arg(long)]
    leave_uncommitted: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let merge = Merge {
        squash: args.squash,
        message: args.message.clone(),
        leave_uncommitted: args.leave_uncommitted,
    };
    tell(
        context,
        &args.agent,
        &context.client.merge(&args.agent, &merge).await?,
    )
}

/// `wsm apply`.
pub(crate) async fn apply(context: &Context, args: &act::Args) -> Outcome {
    tell(
        context,
        &args.agent,
        &context.client.apply(&args.agent).await?,
    )
}

fn tell(context: &Context, agent: &str, merged: &Merged) -> Result<Exit, Failure> {
    let commit: String = merged.commit.chars().take(12).collect();
    let (agent, into, commit) = (clean(agent), clean(&merged.into), clean(&commit));
    let files = render::count(merged.files as usize, "file");
    let commits = render::count(merged.commits as usize, "commit");
    let text = if context.output.json {
        render::json(merged)
    } else if context.output.quiet {
        format!("{}\n", clean(&merged.commit))
    } else {
        match merged.how.as_str() {
            "nothing" => format!("{agent} has nothing to bring that the main checkout lacks\n"),
            "staged" => format!("{files} of {agent} staged on {into}; commit when you like\n"),
            how => {
                let how = clean(how);
                format!("{agent}: {commits}, {files} into {into} ({how}, {commit})\n")
            }
        }
    };
    render::print(&text)?;
    if !context.output.json && !merged.left.is_empty() {
        render::say(&format!("left behind: {}", clean(&merged.left)));
    }
    Ok(Exit::DONE)
}

//! `wsm explain`.

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let why = context.client.explain(&args.agent).await?;
    let text = if context.output.json {
        render::json(&why)
    } else {
        let (agent, reason) = (clean(&args.agent), clean(&why.reason));
        let (since, sure) = (clean(&why.since), clean(&why.confidence));
        let mut text = format!(
            "{agent} is {} since {since}: {reason} ({sure})\n",
            why.state
        );
        for event in &why.evidence {
            let (at, actor) = (clean(&event.at), clean(&event.actor));
            text.push_str(&format!("  {at}  {actor}  {}\n", clean(&event.message)));
        }
        text
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

//! `wsm start`, `stop`, `restart`, `pause`, `resume`, `restore`.

use wsm_api::agent::{Agent, State};
use wsm_api::client::Verb;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of a verb on one agent.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    pub(crate) agent: String,
}

pub(crate) async fn run(context: &Context, args: &Args, verb: Verb) -> Outcome {
    let agent = context.client.act(&args.agent, verb).await?;
    let failed = agent.state == State::Failed;
    if failed && !context.output.json && !context.output.quiet {
        render::say(outcome(context, &agent).trim_end());
    } else {
        render::print(&outcome(context, &agent))?;
    }
    if !agent.unrecorded.is_empty() {
        render::say(&format!(
            "{} is in fact {}; it is written down as soon as there is room",
            agent.name,
            clean(&agent.unrecorded)
        ));
    }
    Ok(if failed { Exit(1) } else { Exit::DONE })
}

/// The agent after a change: its document, its id, or a sentence.
pub(crate) fn outcome(context: &Context, agent: &Agent) -> String {
    if context.output.json {
        render::json(agent)
    } else if context.output.quiet {
        format!("{}\n", clean(&agent.id))
    } else {
        let line = format!(
            "{} is {}: {}\n",
            agent.name,
            agent.state,
            clean(&agent.reason)
        );
        let (name, rest) = line.split_at(agent.name.as_str().len());
        format!(
            "{name}{}",
            render::paint_state(rest, agent.state, context.output.color)
        )
    }
}

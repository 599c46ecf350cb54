//! `wsm send`.

use std::time::Duration;

use wsm_api::agent::{Agent, State};
use wsm_api::terminal::Send;

use super::wait;
use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

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
    /// Return when it has begun to work on it and is done, or needs somebody.
    #[arg(long, conflicts_with_all = ["terminal", "no_enter"])]
    wait: bool,
    /// With `--wait`: give up after this long (30s, 10m, 2h); exit code 5 then.
    #[arg(long, value_name = "DURATION", value_parser = wait::duration, requires = "wait")]
    timeout: Option<Duration>,
}

/// An agent that works begins within this time; one that says nothing of itself may be done by then.
const BEGINS: Duration = Duration::from_secs(5);

/// It works no more.
const RESTS: [State; 6] = [
    State::Idle,
    State::Blocked,
    State::Stopped,
    State::Failed,
    State::Lost,
    State::Paused,
];

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let send = Send {
        text: args.text.clone(),
        enter: !args.no_enter,
        terminal: args.terminal.clone(),
    };
    context.client.send(&args.agent, &send).await?;
    if args.wait {
        let agent = done(context, args).await?;
        render::print(&super::act::outcome(context, &agent))?;
    }
    Ok(Exit::DONE)
}

async fn done(context: &Context, args: &Args) -> Result<Agent, crate::failure::Failure> {
    let begins = args.timeout.map_or(BEGINS, |timeout| timeout.min(BEGINS));
    // Where it does not, it rests as it did before.
    drop(wait::reach(context, &args.agent, &[State::Working], Some(begins)).await);
    wait::reach(context, &args.agent, &RESTS, args.timeout).await
}

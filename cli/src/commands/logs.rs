//! `wsm logs` and `wsm svc logs`.

use std::time::Duration;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

/// Pause between two looks at a log that is followed; it doubles while nothing comes.
const FOLLOW_FIRST: Duration = Duration::from_millis(50);
const FOLLOW_LONGEST: Duration = Duration::from_millis(500);

/// Options of `logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// A service, `setup` or `egress`. Left out: the main terminal.
    service: Option<String>,
    #[command(flatten)]
    how: How,
}

/// How much of a log.
#[derive(Debug, clap::Args)]
pub(crate) struct How {
    /// Go on printing what comes.
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines.
    #[arg(short = 'n', long, default_value_t = 100, value_name = "LINES")]
    lines: u32,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    log(context, &args.agent, args.service.as_deref(), &args.how).await
}

/// Prints a log.
pub(crate) async fn log(
    context: &Context,
    agent: &str,
    service: Option<&str>,
    how: &How,
) -> Outcome {
    let mut part = context.client.log(agent, service, None, how.lines).await?;
    if context.output.json && !how.follow {
        render::print(&render::json(&part))?;
        return Ok(Exit::DONE);
    }
    let mut pause = FOLLOW_FIRST;
    loop {
        if context.output.json {
            // A document for each part, so that a script can follow as well.
            render::print(&render::json(&part))?;
        } else {
            render::print(&render::clean_lines(&part.text))?;
        }
        if !how.follow || !part.live {
            return Ok(Exit::DONE);
        }
        loop {
            tokio::time::sleep(pause).await;
            let from = Some(part.next);
            part = context.client.log(agent, service, from, how.lines).await?;
            if !part.text.is_empty() || !part.live {
                pause = FOLLOW_FIRST;
                break;
            }
            pause = (pause * 2).min(FOLLOW_LONGEST);
        }
    }
}

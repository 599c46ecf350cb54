//! `wsm approve` and `wsm deny`.

use wsm_api::question::{Approve, Deny};

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

/// Options of `approve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    /// Name or id.
    agent: String,
    /// Which of several questions (`wsm explain` lists them).
    #[arg(long, value_name = "ID")]
    question: Option<String>,
    /// For the journal.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Options of `deny`.
#[derive(Debug, clap::Args)]
pub(crate) struct DenyArgs {
    /// Name or id.
    agent: String,
    /// Which of several questions (`wsm explain` lists them).
    #[arg(long, value_name = "ID")]
    question: Option<String>,
    /// What the agent is told.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

pub(crate) async fn approve(context: &Context, args: &ApproveArgs) -> Outcome {
    let answer = Approve {
        question: args.question.clone(),
        note: args.note.clone(),
    };
    let agent = context.client.approve(&args.agent, &answer).await?;
    render::print(&super::act::outcome(context, &agent))?;
    Ok(Exit::DONE)
}

pub(crate) async fn deny(context: &Context, args: &DenyArgs) -> Outcome {
    let answer = Deny {
        question: args.question.clone(),
        message: args.message.clone(),
    };
    let agent = context.client.deny(&args.agent, &answer).await?;
    render::print(&super::act::outcome(context, &agent))?;
    Ok(Exit::DONE)
}

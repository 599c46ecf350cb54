//! `wsm approve` and `wsm deny`.

use std::io::{self, BufRead, IsTerminal};

use wsm_api::problem::Code;
use wsm_api::question::{Approve, Deny};

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};

/// Options of `approve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    /// Name or id.
    agent: String,
    /// The question that you saw (`wsm explain` lists them). Left out: it is shown and asked for on
    /// the terminal.
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
    let question = match &args.question {
        Some(id) => id.clone(),
        None => seen(context, &args.agent).await?,
    };
    let answer = Approve {
        question: Some(question),
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

/// Shows the question there is, and asks: a yes is to what was seen.
async fn seen(context: &Context, name: &str) -> Result<String, Failure> {
    let agent = context.client.agent(name).await?;
    let name = clean(agent.name.as_str());
    let conflict = |message: String, hint: String| Failure::new(Code::Conflict, message, hint);
    let [question] = agent.questions.as_slice() else {
        return Err(match agent.questions.as_slice() {
            [] => conflict(format!("{name} asks nothing"), String::new()),
            [..] => {
                let hint = format!("`wsm explain {name}` lists them: name one with --question");
                conflict(format!("{name} asks several things"), hint)
            }
        });
    };
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !context.input || !terminal || context.output.json {
        let message = "a yes names the question that was seen".to_owned();
        let id = clean(&question.id);
        let hint = format!("`wsm explain {name}` shows it: --question {id}");
        return Err(conflict(message, hint));
    }
    render::say(super::explain::asked(&name, question).trim_end());
    render::say("Approve this? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|e| Failure::new(Code::Failed, format!("read the answer: {e}"), ""))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(question.id.clone()),
        _ => Err(Failure::new(Code::Refused, "it was not approved", "")),
    }
}

//! `wsm explain`.

use std::fmt::Write as _;

use wsm_api::agent::{Agent, Explanation};
use wsm_api::question::Question;

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
        let agent = context.client.agent(&args.agent).await?;
        words(&args.agent, &why, &agent)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn words(name: &str, why: &Explanation, agent: &Agent) -> String {
    let (name, reason) = (clean(name), clean(&why.reason));
    let (since, sure) = (clean(&why.since), clean(&why.confidence));
    let mut text = format!("{name} is {} since {since}: {reason} ({sure})\n", why.state);
    for question in &agent.questions {
        text.push_str(&asked(&name, question));
    }
    let mut line = |words: String| {
        writeln!(text, "{words}").expect("a String takes all");
    };
    if !why.heard.is_empty() {
        line("heard:".to_owned());
    }
    for told in &why.heard {
        let (at, sure) = (clean(&told.at), clean(&told.confidence));
        line(format!("  {at}  {sure}  {}", clean(&told.what)));
    }
    line("journal:".to_owned());
    for event in &why.evidence {
        let (at, actor) = (clean(&event.at), clean(&event.actor));
        line(format!("  {at}  {actor}  {}", clean(&event.message)));
    }
    text
}

/// A question, whole, and how it is answered. `name`: of its agent, clean.
pub(super) fn asked(name: &str, question: &Question) -> String {
    let (id, tool) = (clean(&question.id), clean(&question.tool));
    let mut text = format!("question {id}: {tool} (since {})\n", clean(&question.since));
    let mut line = |words: String| {
        writeln!(text, "    {words}").expect("a String takes all");
    };
    let parts = [&question.command, &question.detail, &question.diff];
    for part in parts.into_iter().flat_map(|part| part.lines()) {
        line(clean(part));
    }
    if question.answerable {
        line(format!(
            "`wsm approve {name} --question {id}`, or `wsm deny` likewise"
        ));
    } else {
        line(format!("answered in its terminal: `wsm attach {name}`"));
    }
    text
}

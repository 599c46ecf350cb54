//! `wsm ls`.

use wsm_api::agent::Agent;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, Output};

/// Options of `ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The trash too.
    #[arg(short, long)]
    all: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let agents = context.client.agents(args.all).await?;
    let text = if context.output.json {
        render::json(&agents)
    } else if context.output.quiet {
        agents
            .iter()
            .map(|agent| format!("{}\n", render::clean(&agent.id)))
            .collect()
    } else if agents.is_empty() {
        render::say(&format!(
            "no agents yet; make one: {}",
            context.typed("new --template shell")
        ));
        String::new()
    } else {
        listing(&agents, context.output)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn listing(agents: &[Agent], output: Output) -> String {
    let now = jiff::Timestamp::now();
    let row = |agent: &Agent| {
        let state = if agent.trashed {
            "trashed".to_owned()
        } else {
            agent.state.to_string()
        };
        vec![
            agent.name.to_string(),
            state,
            render::age(&agent.since, now),
            agent.owner.clone(),
            agent.template.clone(),
            reason(agent),
        ]
    };
    let rows: Vec<_> = agents.iter().map(row).collect();
    let text = render::table(
        &["NAME", "STATE", "SINCE", "OWNER", "TEMPLATE", "REASON"],
        &rows,
    );
    let mut lines = text.lines();
    let mut painted: Vec<String> = lines.by_ref().take(1).map(str::to_owned).collect();
    painted.extend(lines.zip(agents).map(|(line, agent)| {
        // The name comes first and may hold a state's word.
        let (name, rest) = line.split_at(agent.name.as_str().len());
        format!(
            "{name}{}",
            render::paint_state(rest, agent.state, output.color)
        )
    }));
    painted.join("\n") + "\n"
}

/// The reason, and what else wants attention.
fn reason(agent: &Agent) -> String {
    let mut reason = agent.reason.clone();
    if !agent.unrecorded.is_empty() {
        reason.push_str(&format!(" [unrecorded: {}]", agent.unrecorded));
    }
    let ill: Vec<_> = agent
        .services
        .iter()
        .filter(|service| !render::service_is_well(service.state))
        .map(|service| format!("{} {}", service.name, service.state.as_str()))
        .collect();
    if !ill.is_empty() {
        reason.push_str(&format!(" [{}]", ill.join(", ")));
    }
    if agent.sync.diverged {
        reason.push_str(" [diverged]");
    }
    reason
}

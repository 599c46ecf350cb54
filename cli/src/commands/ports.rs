//! `wsm ports`.

use wsm_api::service::Port;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

/// Options of `ports`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id. Left out: those of every agent.
    agent: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    // One kind of document, whether for one agent or for all.
    let found = match &args.agent {
        Some(agent) => vec![context.client.agent_ports(agent).await?],
        None => context.client.ports().await?,
    };
    let text = if context.output.json {
        render::json(&found)
    } else if context.output.quiet {
        found
            .iter()
            .map(|agent| format!("{}\n", render::clean(&agent.id)))
            .collect()
    } else {
        let rows: Vec<_> = found
            .iter()
            .flat_map(|agent| {
                agent
                    .ports
                    .iter()
                    .map(|port| row(agent.name.as_str(), port))
            })
            .collect();
        render::table(&HEAD, &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

const HEAD: [&str; 5] = ["AGENT", "PORT", "INSIDE", "OUTSIDE", "URL"];

fn row(agent: &str, port: &Port) -> Vec<String> {
    let outside = port
        .outside
        .map_or_else(|| "-".to_owned(), |outside| outside.to_string());
    vec![
        agent.to_owned(),
        port.name.clone(),
        port.inside.to_string(),
        outside,
        port.url.clone(),
    ]
}

/// Ports of one agent for people.
pub(crate) fn table(agent: &str, ports: &[Port]) -> String {
    let rows: Vec<_> = ports.iter().map(|port| row(agent, port)).collect();
    render::table(&HEAD, &rows)
}

//! `wsm status` and `wsm version`.

use serde::Serialize;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

pub(crate) async fn run(context: &Context) -> Outcome {
    let status = context.client.status().await?;
    let text = if context.output.json {
        render::json(&status)
    } else {
        let agents: Vec<_> = status
            .agents
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        let agents = if agents.is_empty() {
            "none".to_owned()
        } else {
            agents.join(", ")
        };
        let broker = if status.broker {
            "answers"
        } else {
            "does not answer"
        };
        format!(
            "daemon  {} (pid {}), up {}\nbroker  {broker}\nplace   {}\nyou     {}\nagents  {}\n",
            render::clean(&status.version),
            status.pid,
            render::age(&status.since, jiff::Timestamp::now()),
            render::clean(&context.place.told()),
            render::clean(&status.user),
            render::clean(&agents),
        )
    };
    render::print(&text)?;
    if let Some(web) = status.web.as_ref().filter(|_| !context.output.json) {
        let text = match (
            web.url.as_str(),
            web.problem.as_str(),
            web.certificate.as_str(),
        ) {
            ("", problem, _) => format!("network off: {}\n", render::clean(problem)),
            (url, "", "") => format!("network {}\n", render::clean(url)),
            (url, "", more) => network(url, &format!("certificate {more}")),
            (url, more, _) => network(url, more),
        };
        render::print(&text)?;
    }
    Ok(if status.broker { Exit::DONE } else { Exit(1) })
}

fn network(url: &str, more: &str) -> String {
    let (url, more) = (render::clean(url), render::clean(more));
    format!("network {url}\n        {more}\n")
}

/// What `version --json` prints.
#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

pub(crate) fn version(context: &Context) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let text = if context.output.json {
        render::json(&Version { version })
    } else {
        format!("wsm {version}\n")
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

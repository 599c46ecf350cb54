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
        let text = match (web.problem.as_str(), web.certificate.as_str()) {
            ("", "") => format!("network {}\n", render::clean(&web.url)),
            ("", pin) => format!(
                "network {}\n        certificate {}\n",
                render::clean(&web.url),
                render::clean(pin)
            ),
            (problem, _) => format!("network off: {}\n", render::clean(problem)),
        };
        render::print(&text)?;
    }
    Ok(if status.broker { Exit::DONE } else { Exit(1) })
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

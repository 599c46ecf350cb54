//! `wsm svc`.

use clap::Subcommand;
use wsm_api::client::ServiceVerb;
use wsm_api::problem::Code;
use wsm_api::service::Service;

use crate::commands::{Context, logs};
use crate::failure::{Exit, Failure, Outcome};
use crate::render;

/// Verbs on services.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the services of an agent.
    Ls {
        /// Name or id.
        agent: String,
    },
    /// Start a service, and what it depends on.
    Start(One),
    /// Stop a service.
    Stop(One),
    /// Stop a service and start it again.
    Restart(One),
    /// Print the log of a service.
    Logs {
        /// Name or id of the agent.
        agent: String,
        /// Name of the service. Left out: the agent's only one.
        service: Option<String>,
        #[command(flatten)]
        how: logs::How,
    },
}

/// One service.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// Name or id of the agent.
    agent: String,
    /// Name of the service.
    service: String,
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    match verb {
        Verb::Ls { agent } => list(context, agent).await,
        Verb::Start(one) => act(context, one, ServiceVerb::Start).await,
        Verb::Stop(one) => act(context, one, ServiceVerb::Stop).await,
        Verb::Restart(one) => act(context, one, ServiceVerb::Restart).await,
        Verb::Logs {
            agent,
            service: Some(service),
            how,
        } => logs::log(context, agent, Some(service), how).await,
        Verb::Logs {
            agent,
            service: None,
            how,
        } => {
            let services = context.client.services(agent).await?;
            logs::log(context, agent, Some(only(&services)?), how).await
        }
    }
}

/// The service that is meant where none was named.
fn only(services: &[Service]) -> Result<&str, Failure> {
    let names: Vec<_> = services
        .iter()
        .map(|one| render::clean(&one.name))
        .collect();
    match services {
        [one] => Ok(&one.name),
        [] => {
            let hint = "`wsm logs` shows what its terminal said";
            Err(Failure::new(
                Code::NotFound,
                "the agent has no services",
                hint,
            ))
        }
        _ => {
            let hint = format!("name one: {}", names.join(", "));
            let message = "the agent has several services";
            Err(Failure::new(Code::Invalid, message, hint))
        }
    }
}

async fn list(context: &Context, agent: &str) -> Outcome {
    let services = context.client.services(agent).await?;
    let text = if context.output.json {
        render::json(&services)
    } else if context.output.quiet {
        services
            .iter()
            .map(|service| format!("{}\n", render::clean(&service.name)))
            .collect()
    } else {
        table(&services)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

async fn act(context: &Context, one: &One, verb: ServiceVerb) -> Outcome {
    let service = context
        .client
        .service_act(&one.agent, &one.service, verb)
        .await?;
    let text = if context.output.json {
        render::json(&service)
    } else if context.output.quiet {
        format!("{}\n", render::clean(&service.name))
    } else {
        let (name, reason) = (render::clean(&service.name), render::clean(&service.reason));
        format!("{name} is {}: {reason}\n", service.state.as_str())
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

/// Services for people.
pub(crate) fn table(services: &[Service]) -> String {
    let now = jiff::Timestamp::now();
    let row = |service: &Service| {
        vec![
            service.name.clone(),
            service.state.as_str().to_owned(),
            render::age(&service.since, now),
            service.restarts.to_string(),
            service.reason.clone(),
        ]
    };
    let rows: Vec<_> = services.iter().map(row).collect();
    render::table(&["SERVICE", "STATE", "SINCE", "RESTARTS", "REASON"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsm_api::service::ServiceState;

    #[test]
    fn one_is_meant_where_there_is_one() {
        let service = |name: &str| Service {
            name: name.into(),
            state: ServiceState::Ready,
            reason: String::new(),
            since: String::new(),
            restarts: 0,
        };
        let said = |names: &[&str]| {
            let services: Vec<_> = names.iter().map(|name| service(name)).collect();
            only(&services).map(str::to_owned).map_err(|failure| {
                let problem = failure.problem.expect("it says why");
                (failure.code, problem.hint)
            })
        };
        assert_eq!(said(&["web"]), Ok("web".to_owned()));
        let two = (2, "name one: db, web".to_owned());
        assert_eq!(said(&["db", "web"]), Err(two));
        assert_eq!(said(&[]).map_err(|(code, _)| code), Err(4));
    }
}

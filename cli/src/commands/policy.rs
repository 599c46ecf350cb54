//! `wsm policy`: what an agent may reach.

use wsm_api::policy::{AgentPolicy, PolicyChange};

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// What to ask of it.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Show what an agent may reach, and what it did.
    Show {
        /// Name or id.
        agent: String,
    },
    /// Let an agent reach more, from now on.
    Allow {
        /// Name or id.
        agent: String,
        /// HOST, HOST:PORT, *.SUFFIX or @GROUP; the port is 443 where none is named.
        #[arg(required = true)]
        rules: Vec<String>,
    },
    /// Take rules away; connections that they allowed are closed.
    Deny {
        /// Name or id.
        agent: String,
        /// Rules as they are written in the list.
        #[arg(required = true)]
        rules: Vec<String>,
    },
    /// Tell whether an agent may reach a host, and by which line.
    #[command(after_help = "Exit codes: 0 allowed, 3 denied.")]
    Check {
        /// Name or id.
        agent: String,
        /// HOST or HOST:PORT; the port is 443 where none is named.
        target: String,
    },
}

/// Exit code of a check whose answer is no: refused by policy.
const DENIED: Exit = Exit(3);

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    match verb {
        Verb::Show { agent } => show(context, &context.client.policy(agent).await?),
        Verb::Allow { agent, rules } => {
            let change = PolicyChange {
                allow: rules.clone(),
                ..PolicyChange::default()
            };
            show(
                context,
                &context.client.policy_change(agent, &change).await?,
            )
        }
        Verb::Deny { agent, rules } => {
            let change = PolicyChange {
                deny: rules.clone(),
                ..PolicyChange::default()
            };
            show(
                context,
                &context.client.policy_change(agent, &change).await?,
            )
        }
        Verb::Check { agent, target } => check(context, agent, target).await,
    }
}

fn show(context: &Context, policy: &AgentPolicy) -> Outcome {
    if context.output.json {
        render::print(&render::json(policy))?;
        return Ok(Exit::DONE);
    }
    let mut text = format!("egress {}", clean(&policy.egress));
    if !policy.line.is_empty() {
        text.push_str(&format!("  ({})", clean(&policy.line)));
    }
    text.push('\n');
    for rule in &policy.rules {
        let group = rule
            .group
            .as_deref()
            .map(|group| format!("  @{}", clean(group)));
        text.push_str(&format!(
            "  {}{}\n",
            clean(&rule.rule),
            group.unwrap_or_default()
        ));
    }
    for expose in &policy.exposes {
        let (name, host) = (clean(&expose.name), clean(&expose.host));
        text.push_str(&format!("  127.0.0.1:{} is {name} at {host}\n", expose.at));
    }
    if !policy.traffic.is_empty() {
        let rows = policy.traffic.iter().map(|of| {
            let numbers = [of.allowed, of.denied, of.sent, of.received].map(|n| n.to_string());
            let [allowed, denied, sent, received] = numbers;
            vec![of.target.clone(), allowed, denied, sent, received]
        });
        text.push_str(&render::table(&HEAD, &rows.collect::<Vec<_>>()));
    }
    render::print(&text)?;
    Ok(Exit::DONE)
}

const HEAD: [&str; 5] = ["TARGET", "ALLOWED", "DENIED", "SENT", "RECEIVED"];

async fn check(context: &Context, agent: &str, target: &str) -> Outcome {
    let answer = context.client.policy_check(agent, target).await?;
    let text = if context.output.json {
        render::json(&answer)
    } else {
        let verdict = if answer.allowed { "allow" } else { "deny" };
        let mut text = format!(
            "{verdict} {}: {}",
            clean(&answer.target),
            clean(&answer.why)
        );
        if !answer.line.is_empty() {
            text.push_str(&format!(" ({})", clean(&answer.line)));
        }
        text.push('\n');
        if let Some(missing) = &answer.missing {
            text.push_str(&format!(
                "the rule that is missing in network.allow: {}\n",
                clean(missing)
            ));
        }
        text
    };
    render::print(&text)?;
    Ok(if answer.allowed { Exit::DONE } else { DENIED })
}

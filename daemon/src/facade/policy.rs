//! What an agent may reach: shown, and asked.

use wsm_api::policy::{AgentPolicy, Exposed, HostTraffic, PolicyAnswer, PolicyChange, PolicyRule};
use wsm_api::problem::{Code, Problem};
use wsm_egress::host::Host;
use wsm_egress::policy::{Ask, Decision, Policy};
use wsm_egress::rule::PORT_DEFAULT;

use super::Daemon;
use super::view::word;
use crate::actor::Actor;
use crate::agent::handle::Message;
use crate::egress;
use crate::record::Record;
use crate::role::Verb;

impl Daemon {
    /// `policy show`.
    ///
    /// # Errors
    /// There is no such agent, or its policy can't be used.
    pub async fn policy(&self, actor: &Actor, agent: &str) -> Result<AgentPolicy, Problem> {
        let published = self.find(actor, agent, Verb::Policy)?.now();
        let record = &published.record;
        let policy = egress::in_force(&self.engine.etc_dir, record)?;
        let traffic = self.engine.egress.traffic(&record.id).await?;
        let rules = policy.rules.into_iter().map(|written| PolicyRule {
            rule: written.rule,
            group: written.group,
        });
        let exposes = policy.exposes.into_iter().map(|expose| Exposed {
            name: expose.name,
            host: expose.host.to_string(),
            at: expose.at,
        });
        let traffic = traffic.into_iter().map(|(target, of)| HostTraffic {
            target,
            allowed: of.allowed,
            denied: of.denied,
            sent: of.sent,
            received: of.received,
        });
        Ok(AgentPolicy {
            egress: word(&policy.mode),
            rules: rules.collect(),
            exposes: exposes.collect(),
            line: line(record, "network.allow"),
            traffic: traffic.collect(),
        })
    }

    /// `policy allow`, `policy deny`.
    ///
    /// # Errors
    /// There is no such agent, it has no network, or a rule is none.
    pub async fn policy_change(
        &self,
        actor: &Actor,
        agent: &str,
        change: PolicyChange,
    ) -> Result<AgentPolicy, Problem> {
        let handle = self.find(actor, agent, Verb::PolicyChange)?;
        let user = actor.who();
        let asked = handle.ask(|reply| Message::Policy {
            actor: user,
            change,
            reply,
        });
        asked.await?;
        self.policy(actor, agent).await
    }

    /// `policy check`.
    ///
    /// # Errors
    /// There is no such agent, or the target is no host.
    pub async fn policy_check(
        &self,
        actor: &Actor,
        agent: &str,
        target: &str,
    ) -> Result<PolicyAnswer, Problem> {
        let published = self.find(actor, agent, Verb::Policy)?.now();
        let record = &published.record;
        let spec = egress::in_force(&self.engine.etc_dir, record)?;
        let policy = Policy::compile(&spec)
            .map_err(|bad| Problem::new(Code::Invalid, bad.to_string(), ""))?;
        let (host, port) = Host::parse_with_port(target).map_err(|bad| {
            let message = format!("{target:?} is no HOST or HOST:PORT: {bad}");
            Problem::new(Code::Invalid, message, "")
        })?;
        let port = port.unwrap_or(PORT_DEFAULT);
        let target = format!("{host}:{port}");
        let written = match line(record, "network.allow") {
            none if none.is_empty() => line(record, "network.egress"),
            written => written,
        };
        Ok(match policy.decide(&Ask::Reach { host, port }) {
            Decision::Allow { rule, group } => PolicyAnswer {
                target,
                allowed: true,
                why: match group {
                    Some(group) => format!("{rule} of @{group}"),
                    None => rule,
                },
                line: written,
                missing: None,
            },
            Decision::Deny(denial) => PolicyAnswer {
                target,
                allowed: false,
                why: denial.why,
                line: written,
                missing: denial.missing,
            },
        })
    }
}

/// Where a key was set: `FILE:LINE`.
fn line(record: &Record, key: &str) -> String {
    let origin = record.resolved.provenance.get(key);
    origin.map_or_else(String::new, |origin| match origin.line {
        0 => origin.file.clone(),
        line => format!("{}:{line}", origin.file),
    })
}

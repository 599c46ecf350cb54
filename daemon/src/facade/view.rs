//! From records to what the API shows.

use wsm_api::agent::{Agent, Heard, Layer, Probe, Shown, Sync};
use wsm_api::event::Event;
use wsm_api::host::Check;
use wsm_api::problem::{Code, Problem};
use wsm_api::question::{Question, Spent};
use wsm_api::service::{Port, Service, ServiceState};
use wsm_api::template::{Param, TemplateInfo};
use wsm_sandbox::protocol::HostCheck;
use wsm_sandbox::spec::{LayerReport, ProbeReport};

use crate::actor::Actor;
use crate::agent::assemble;
use crate::agent::driver::way_out;
use crate::agent::evidence::{self, Trust};
use crate::agent::handle::Published;
use crate::agent::hear::Told;
use crate::record::Record;
use crate::role::Scope;
use crate::store::{Stored, rfc3339};

/// As far as this actor sees it: who may only watch learns its state, and which terminals it has.
pub(super) fn shown_to(actor: &Actor, published: &Published) -> Agent {
    let agent = shown_agent(published);
    if actor.scope > Scope::Watch {
        return agent;
    }
    // Each by name: what is added to an agent is not told unless it is listed here.
    Agent {
        reason: agent.state.to_string(),
        name: agent.name,
        id: agent.id,
        state: agent.state,
        since: agent.since,
        template: agent.template,
        kind: agent.kind,
        created: agent.created,
        trashed: agent.trashed,
        terminals: agent.terminals,
        confidence: agent.confidence,
        unrecorded: String::new(),
        owner: String::new(),
        account: String::new(),
        workspace: String::new(),
        branch: String::new(),
        repository: String::new(),
        base: String::new(),
        ports: Vec::new(),
        services: Vec::new(),
        sync: Sync::default(),
        questions: Vec::new(),
        usage: Spent::default(),
    }
}

/// That it does not run, as far as this actor sees it.
pub(super) fn at_rest(actor: &Actor, agent: &str, record: &Record) -> Problem {
    let (state, reason) = (record.state, &record.reason);
    let message = match actor.scope {
        // A reason says who it was.
        Scope::Watch => format!("{agent} does not run: {state}"),
        _ => format!("{agent} does not run: {state}, {reason}"),
    };
    Problem::new(Code::Conflict, message, way_out(record))
}

pub(super) fn shown_agent(published: &Published) -> Agent {
    let record = &published.record;
    let unrecorded = published.unrecorded.as_ref().map(|beyond| {
        let gone = if beyond.erased { "gone; " } else { "" };
        let (state, reason) = (beyond.state, &beyond.reason);
        format!("{gone}{state}: {reason} ({})", beyond.why.message)
    });
    Agent {
        unrecorded: unrecorded.unwrap_or_default(),
        name: record.name.clone(),
        id: record.id.to_string(),
        state: record.state,
        reason: record.reason.clone(),
        since: rfc3339(record.since_ms),
        owner: record.owner.clone(),
        account: record.account.clone(),
        template: record.resolved.name.clone(),
        kind: word(&record.resolved.agent.kind),
        workspace: record
            .paths
            .as_ref()
            .map(|p| p.workspace.clone())
            .unwrap_or_default(),
        branch: record.branch.clone(),
        repository: record.repository.clone(),
        base: record.base.clone(),
        created: rfc3339(record.created_ms),
        trashed: record.trashed_ms.is_some(),
        ports: shown_ports(record),
        services: shown_services(record),
        terminals: published.terminals.clone(),
        sync: Sync {
            diverged: record.sync.diverged,
            head: record.sync.head.clone(),
            problem: record.sync.problem.clone(),
        },
        confidence: confidence(record),
        questions: record.heard.questions.iter().map(question).collect(),
        usage: spent(record),
    }
}

/// How sure wsm is of the state.
pub(super) fn confidence(record: &Record) -> String {
    let trust = record.heard.trust.unwrap_or(Trust::Certain);
    trust.as_str().to_owned()
}

fn question(asked: &evidence::Question) -> Question {
    let asking = &asked.asking;
    let (permission, doubtful) = (asking.permission, asked.doubtful);
    Question {
        id: asked.id.clone(),
        kind: if permission { "permission" } else { "question" }.to_owned(),
        tool: asking.tool.clone(),
        command: asking.command.clone(),
        detail: asking.detail.clone(),
        diff: asking.diff.clone(),
        since: rfc3339(asked.since_ms),
        answerable: asking.answerable,
        confidence: if doubtful { "guess" } else { "reported" }.to_owned(),
    }
}

fn spent(record: &Record) -> Spent {
    let spent = record.heard.spent;
    let dollars = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    Spent {
        tokens_in: spent.tokens_in,
        tokens_out: spent.tokens_out,
        cost_usd: spent.cost_micros.map(dollars).unwrap_or_default(),
    }
}

pub(super) fn heard(told: &Told) -> Heard {
    Heard {
        at: rfc3339(told.at_ms),
        confidence: told.trust.as_str().to_owned(),
        what: told.what.clone(),
    }
}

fn shown_ports(record: &Record) -> Vec<Port> {
    let shown = record.ports.iter().map(|port| Port {
        name: port.name.clone(),
        inside: port.inside,
        outside: port.outside,
        url: assemble::url(record, &port.name).unwrap_or_default(),
    });
    shown.collect()
}

pub(super) fn shown_services(record: &Record) -> Vec<Service> {
    let shown = record
        .resolved
        .services
        .keys()
        .map(|name| match record.services.get(name) {
            Some(service) => Service {
                name: name.clone(),
                state: service.state,
                reason: service.reason.clone(),
                since: rfc3339(service.since_ms),
                restarts: service.restarts,
            },
            None => Service {
                name: name.clone(),
                state: ServiceState::Stopped,
                reason: "not started yet".to_owned(),
                since: rfc3339(record.created_ms),
                restarts: 0,
            },
        });
    shown.collect()
}

pub(super) fn shown(
    published: &Published,
    layers: Vec<LayerReport>,
    probes: Vec<ProbeReport>,
) -> Shown {
    let record = &published.record;
    let layer = |report: LayerReport| Layer {
        layer: report.layer,
        status: word(&report.status),
        detail: report.detail,
    };
    let probes = probes.into_iter().map(|probe| Probe {
        layer: probe.layer,
        tried: probe.tried,
        saw: probe.saw,
        held: probe.held,
    });
    let provenance = record.resolved.provenance.iter().map(|(key, origin)| {
        let layer = word(&origin.layer);
        (
            key.clone(),
            format!("{layer} {}:{}", origin.file, origin.line),
        )
    });
    Shown {
        agent: shown_agent(published),
        layers: layers.into_iter().map(layer).collect(),
        probes: probes.collect(),
        credentials: Vec::new(),
        provenance: provenance.collect(),
    }
}

pub(super) fn shown_event(row: Stored) -> Event {
    Event {
        seq: row.seq,
        at: rfc3339(row.at_ms),
        actor: row.actor,
        verb: row.verb,
        subject: row.subject,
        message: row.message,
    }
}

pub(super) fn check(check: HostCheck) -> Check {
    Check {
        name: check.name,
        ok: check.ok,
        fatal: check.fatal,
        found: check.found,
        fix: check.fix,
    }
}

pub(super) fn template(
    (info, form): (wsm_template::TemplateInfo, wsm_template::Form),
) -> TemplateInfo {
    let param = |param: wsm_template::ParamInfo| Param {
        name: param.name,
        description: param.description,
        prompt: param.prompt,
        kind: param.kind,
        default: param.default,
        choices: param.choices,
        pattern: param.pattern,
        required: param.required,
    };
    TemplateInfo {
        name: info.name,
        description: info.description,
        layer: word(&info.layer),
        file: info.file,
        extends: info.extends,
        kind: form.kind,
        prompt: form.prompt,
        params: form.params.into_iter().map(param).collect(),
    }
}

/// The word that serde writes for a plain enum.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wsm_api::agent::State;
    use wsm_terminal::protocol::Asking;

    use super::*;
    use crate::agent::ledger::Unrecorded;
    use crate::record::tests::record;

    #[test]
    fn who_may_only_watch_is_told_no_name_and_nothing_that_was_done() {
        const NAME: &str = "nadia";
        let mut record = record();
        record.owner = NAME.into();
        record.account = NAME.into();
        record.state = State::Stopped;
        record.reason = format!("stopped by {NAME}");
        record.branch = format!("wsm/{NAME}");
        record.repository = format!("/home/{NAME}/project");
        record.sync.problem = format!("/home/{NAME}: no room");
        record.heard.questions = vec![evidence::Question {
            id: "1".into(),
            seq: 1,
            session: String::new(),
            since_ms: 1,
            doubtful: false,
            asking: Asking {
                detail: format!("mail {NAME}"),
                ..Asking::default()
            },
        }];
        let published = Published {
            unrecorded: Some(Unrecorded {
                state: State::Stopped,
                reason: format!("stopped by {NAME}"),
                erased: false,
                trashed: false,
                held: false,
                why: Problem::new(Code::Failed, "the disk is full", ""),
            }),
            record: Arc::new(record),
            terminals: vec!["main".into()],
            shim: None,
            heard: Vec::new(),
            recovered: true,
            erased: false,
        };
        let guest = Actor::by_link("l", published.record.id.as_str(), "");
        let shown = shown_to(&guest, &published);
        assert_eq!(
            (&*shown.reason, &shown.terminals[..]),
            ("stopped", &["main".to_owned()][..])
        );
        let told = serde_json::to_string(&shown).unwrap();
        let problem = at_rest(&guest, "anns", &published.record).to_string();
        for told in [told, problem] {
            assert!(!told.contains(NAME), "{told}");
        }
        // Who may see it learns why.
        let person = Actor {
            scope: Scope::View,
            ..guest
        };
        assert_eq!(shown_to(&person, &published), shown_agent(&published));
        let problem = at_rest(&person, "anns", &published.record).to_string();
        assert!(problem.contains(NAME), "{problem}");
    }
}

//! From records to what the API shows.

use wsm_api::agent::{Agent, Layer, Probe, Shown, Sync};
use wsm_api::event::Event;
use wsm_api::host::Check;
use wsm_api::service::{Port, Service, ServiceState};
use wsm_api::template::TemplateInfo;
use wsm_sandbox::protocol::HostCheck;
use wsm_sandbox::spec::{LayerReport, ProbeReport};

use crate::agent::assemble;
use crate::agent::handle::Published;
use crate::record::Record;
use crate::store::{Stored, rfc3339};

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

pub(super) fn template(info: wsm_template::TemplateInfo) -> TemplateInfo {
    TemplateInfo {
        name: info.name,
        description: info.description,
        layer: word(&info.layer),
        file: info.file,
        extends: info.extends,
    }
}

/// The word that serde writes for a plain enum.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

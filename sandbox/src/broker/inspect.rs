//! What the kernel enforces now, read back from it and not from the plan.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::create::layers_at_start;
use super::runaway::Runaways;
use super::setup::Host;
use crate::fail::{Context, failure};
use crate::protocol::{Failure, FailureKind, Reply};
use crate::spec::{AgentId, LayerReport, LayerStatus};

/// The pid of an agent's shim.
pub(super) fn shim(host: &Host, agent: &AgentId) -> Result<i32, Failure> {
    let found = host
        .tree
        .list()?
        .into_iter()
        .find(|(other, _)| other == agent);
    let what = || format!("find the sandbox of {agent}");
    match found {
        Some((_, pids)) => pids.first().copied().ok_or_else(|| {
            failure(
                FailureKind::NotFound,
                what(),
                "its shim is gone: it is lost",
                "delete it",
            )
        }),
        None => Err(failure(FailureKind::NotFound, what(), "there is none", "")),
    }
}

/// Reads every layer back.
pub(super) fn inspect(
    host: &Host,
    runaways: &Runaways,
    agent: &AgentId,
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let what = || format!("inspect {agent}");
    let shim = shim(host, agent)?;
    let init = child_of(shim).what(what)?;
    let launcher = child_of(init).what(what)?;
    let mut layers = namespaces(init).what(what)?;
    layers.push(user_map(init).what(what)?);
    layers.extend(status(launcher).what(what)?);
    layers.extend(mounts(launcher).what(what)?);
    layers.extend(host.inspect_extras(agent, launcher).what(what)?);
    layers.extend(host.tree.inspect(agent)?);
    runaways.explain(agent, &mut layers);
    let last = host.made(agent);
    let mut probes = Vec::new();
    if let Some(made) = last {
        // Limits were just read back; the rest the kernel tells nobody.
        let stored = layers_at_start(&made).into_iter().take(2);
        layers.extend(stored);
        probes = made.probes();
    }
    // At the end: what this worker reads afterwards it would read there.
    super::requests::enter_network_of(host, agent)?;
    layers.push(crate::network::look().what(what)?.report());
    Ok((Reply::Inspected { layers, probes }, Vec::new()))
}

fn report(layer: &str, holds: bool, detail: impl Into<String>) -> LayerReport {
    let status = if holds {
        LayerStatus::Enforced
    } else {
        LayerStatus::Absent
    };
    LayerReport {
        layer: layer.into(),
        status,
        detail: detail.into(),
    }
}

/// First child of a process: the shim's is init, init's is the launcher.
fn child_of(pid: i32) -> io::Result<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let first = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    first.ok_or_else(|| io::Error::other(format!("process {pid} has no child: it is ending")))
}

fn namespaces(init: i32) -> io::Result<Vec<LayerReport>> {
    let mut reports = Vec::new();
    for (name, layer) in [
        ("mnt", "mount namespace"),
        ("pid", "pid namespace"),
        ("net", "network namespace"),
        ("ipc", "ipc namespace"),
        ("uts", "uts namespace"),
        ("cgroup", "cgroup namespace"),
    ] {
        let inside = std::fs::read_link(format!("/proc/{init}/ns/{name}"))?;
        let own = inside != std::fs::read_link(format!("/proc/self/ns/{name}"))?;
        reports.push(report(layer, own, inside.to_string_lossy()));
    }
    Ok(reports)
}

fn user_map(init: i32) -> io::Result<LayerReport> {
    let inside = std::fs::read_link(format!("/proc/{init}/ns/user"))?;
    let own = inside != std::fs::read_link("/proc/self/ns/user")?;
    let map = std::fs::read_to_string(format!("/proc/{init}/uid_map"))?;
    let words: Vec<&str> = map.split_whitespace().collect();
    let detail = match words.as_slice() {
        [inside, outside, count] => format!("{count} ids, {inside} inside is {outside} outside"),
        _ => format!("map {map:?}"),
    };
    Ok(report("user namespace", own && words.len() == 3, detail))
}

/// Capabilities, `no_new_privs` and seccomp of the launcher, which everything inherits.
fn status(launcher: i32) -> io::Result<Vec<LayerReport>> {
    let text = std::fs::read_to_string(format!("/proc/{launcher}/status"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("", |rest| rest.trim_start_matches(':').trim())
    };
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|name| (name, field(name)));
    let none = sets
        .iter()
        .all(|(_, set)| !set.is_empty() && set.bytes().all(|b| b == b'0'));
    let held: Vec<String> = sets
        .iter()
        .map(|(name, set)| format!("{name} {set}"))
        .collect();
    let detail = if none {
        "none in any set".to_owned()
    } else {
        held.join(", ")
    };
    let filters = field("Seccomp_filters");
    Ok(vec![
        report("capabilities", none, detail),
        report(
            "no_new_privs",
            field("NoNewPrivs") == "1",
            field("NoNewPrivs"),
        ),
        report(
            "seccomp",
            field("Seccomp") == "2",
            format!("{filters} filter(s)"),
        ),
    ])
}

/// The root, and the mounts whose owners are mapped.
fn mounts(launcher: i32) -> io::Result<Vec<LayerReport>> {
    let text = std::fs::read_to_string(format!("/proc/{launcher}/mountinfo"))?;
    let mut root = None;
    let (mut mapped, mut writable, mut careless) = (0, 0, Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(at), Some(options)) = (fields.get(4), fields.get(5)) else {
            continue;
        };
        let has = |option: &str| options.split(',').any(|word| word == option);
        if *at == "/" {
            root = Some((has("ro"), (*options).to_owned()));
        }
        mapped += usize::from(has("idmapped"));
        writable += usize::from(has("rw"));
        if !has("nosuid") && !Path::new(at).starts_with("/proc") {
            careless.push(*at);
        }
    }
    let (read_only, options) = root.unwrap_or((false, "no root mount".into()));
    let detail = format!(
        "{} mounts, {writable} writable; root {options}",
        text.lines().count()
    );
    Ok(vec![
        report("root file system", read_only, detail),
        report(
            "file owners",
            mapped > 0,
            format!("{mapped} idmapped mounts"),
        ),
        report(
            "nosuid",
            careless.is_empty(),
            format!("missing on {} mounts", careless.len()),
        ),
    ])
}

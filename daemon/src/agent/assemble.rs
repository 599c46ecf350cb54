//! From the record to what is built and run: pure.

use std::collections::BTreeMap;

pub use wsm_sandbox::launch::SETUP_LOG;
use wsm_sandbox::launch::{Command, Leaf};
use wsm_sandbox::spec::{
    AgentId, Extras, Guard, INSIDE_HOME, INSIDE_STATE, INSIDE_USER, Limits, Network, Requirement,
    SPEC_VERSION, SandboxSpec,
};
use wsm_template::resolved;
use wsm_template::{ExpandError, Quoting, Vars, expand, expand_all};

use super::{adapter, credentials};
use crate::record::Record;

/// Searched for programs inside, after the home's and the workspace's own.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the pure functions need to know of this host.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// Name of the host.
    pub hostname: String,
    /// Directories with programs outside PATH that people expect (`/usr/lib/postgresql/15/bin`).
    pub extra_path: Vec<String>,
}

/// The spec for the broker.
#[must_use]
pub fn spec(record: &Record) -> SandboxSpec {
    let resolved = &record.resolved;
    let services = resolved
        .services
        .iter()
        .map(|(name, s)| (name.clone(), limits(&s.limits)));
    SandboxSpec {
        version: SPEC_VERSION,
        agent: record.id.clone(),
        repository: record.grant.clone(),
        hostname: record.name.to_string(),
        read: resolved.filesystem.read.clone(),
        write: record.write.clone(),
        services: services.collect(),
        limits: limits(&resolved.limits),
        network: match resolved.network.egress {
            resolved::Egress::None if resolved.network.expose.is_empty() => Network::Loopback,
            _ => Network::Egress,
        },
        landlock: match resolved.sandbox.landlock {
            resolved::Requirement::Required => Requirement::Required,
            resolved::Requirement::BestEffort => Requirement::BestEffort,
        },
        debug: resolved.sandbox.debug,
        extras: Extras {
            guards: guards(&resolved.filesystem),
            tools: resolved.tools.clone(),
            devices: resolved.sandbox.devices.clone(),
            reports: adapter::reports(resolved.agent.kind),
            settings: adapter::settings(record),
        },
        authority: record.authority.clone(),
    }
}

fn guards(files: &resolved::Filesystem) -> Vec<Guard> {
    let guard = |path: &String, hide| Guard {
        path: path.trim_end_matches('/').to_owned(),
        hide,
        directory: path.ends_with('/'),
    };
    let protect = files.protect.iter().map(|path| guard(path, false));
    let hide = files.hide.iter().map(|path| guard(path, true));
    protect.chain(hide).collect()
}

/// Names in the workspace that the agent may not change.
#[must_use]
pub fn guarded(record: &Record) -> Vec<String> {
    let guards = guards(&record.resolved.filesystem).into_iter();
    let paths = guards.map(|guard| guard.path);
    paths.filter(|path| !path.starts_with('/')).collect()
}

/// What is hidden in the workspace.
#[must_use]
pub fn hidden(record: &Record) -> Vec<String> {
    let guards = guards(&record.resolved.filesystem).into_iter();
    let hidden = guards.filter(|guard| guard.hide && !guard.path.starts_with('/'));
    hidden.map(|guard| guard.path).collect()
}

/// Whether the agent can't write this path below the workspace.
fn is_guarded(record: &Record, path: &str) -> bool {
    let guards = guards(&record.resolved.filesystem);
    let mut above = guards.iter();
    above.any(|guard| std::path::Path::new(path).starts_with(&guard.path))
}

/// `[files]` that the agent can't write, because they are guarded: path below the workspace, and
/// content. They are written from outside, before there is a sandbox.
///
/// # Errors
/// A placeholder without a value.
pub fn guarded_files(
    record: &Record,
    host: &HostFacts,
) -> Result<Vec<(String, String)>, ExpandError> {
    let vars = vars(record, host);
    let files = record.resolved.files.iter();
    files
        .filter(|(path, _)| is_guarded(record, path))
        .map(|(path, text)| Ok((path.clone(), expand(text, &vars, Quoting::Raw)?)))
        .collect()
}

fn limits(limits: &resolved::Limits) -> Limits {
    Limits {
        cpu_milli: limits.cpu_milli,
        memory_bytes: limits.memory_bytes,
        pids: limits.pids,
        disk_bytes: limits.disk_bytes,
    }
}

/// What the placeholders stand for.
#[must_use]
pub fn vars(record: &Record, host: &HostFacts) -> Vars {
    let ports = &record.ports;
    let urls = ports
        .iter()
        .filter_map(|port| Some((port.name.clone(), url(record, &port.name)?)));
    Vars {
        agent: record.name.to_string(),
        owner: record.owner.clone(),
        repo: last_name(&record.repository).to_owned(),
        host: host.hostname.clone(),
        state: None,
        workspace: record
            .paths
            .as_ref()
            .map(|p| p.workspace.clone())
            .unwrap_or_default(),
        home: INSIDE_HOME.to_owned(),
        ports: ports
            .iter()
            .map(|port| (port.name.clone(), port.inside))
            .collect(),
        urls: urls.collect(),
        params: record.resolved.params.clone(),
        credentials: credentials::texts(record),
    }
}

/// URL of a published port, from the host.
#[must_use]
pub fn url(record: &Record, port: &str) -> Option<String> {
    let outside = record.ports.iter().find(|p| p.name == port)?.outside?;
    let scheme = match record.resolved.ports.get(port)?.protocol {
        resolved::Protocol::Http => "http",
        resolved::Protocol::Https => "https",
        resolved::Protocol::Tcp => "tcp",
    };
    Some(format!("{scheme}://127.0.0.1:{outside}"))
}

/// The environment, built from nothing: our own words, then ports and URLs, then the template's.
///
/// # Errors
/// A placeholder without a value.
pub fn environment(
    record: &Record,
    host: &HostFacts,
) -> Result<Vec<(String, String)>, ExpandError> {
    let vars = vars(record, host);
    let mut path = format!(
        "{INSIDE_HOME}/.local/bin:{}/node_modules/.bin",
        vars.workspace
    );
    for part in std::iter::once(SYSTEM_PATH).chain(host.extra_path.iter().map(String::as_str)) {
        path.push(':');
        path.push_str(part);
    }
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let fixed = [
        ("HOME", INSIDE_HOME),
        ("USER", INSIDE_USER),
        ("LOGNAME", INSIDE_USER),
        ("SHELL", "/bin/bash"),
        ("PATH", &path),
        ("LANG", "C.UTF-8"),
        ("TERM", "xterm-256color"),
        ("COLORTERM", "truecolor"),
        // git never asks at a terminal that nobody watches.
        ("GIT_TERMINAL_PROMPT", "0"),
        ("WSM_AGENT", record.name.as_str()),
        ("WSM_WORKSPACE", &vars.workspace),
        ("WSM_BRANCH", &record.branch),
    ];
    env.extend(fixed.map(|(key, value)| (key.to_owned(), value.to_owned())));
    for (name, port) in &vars.ports {
        env.insert(format!("WSM_PORT_{}", shouted(name)), port.to_string());
    }
    for (name, url) in &vars.urls {
        env.insert(format!("WSM_URL_{}", shouted(name)), url.clone());
    }
    credentials::environment(record, &mut env);
    adapter::environment(record, &mut env);
    let env_of_template = record.resolved.env.iter();
    for (key, value) in env_of_template.filter(|(_, value)| !credentials::lacks(record, value)) {
        env.insert(key.clone(), expand(value, &vars, Quoting::Raw)?);
    }
    Ok(env.into_iter().collect())
}

/// The agent's own command.
///
/// # Errors
/// A placeholder without a value.
pub fn main_command(record: &Record, host: &HostFacts) -> Result<Command, ExpandError> {
    let argv = record
        .resolved
        .agent
        .argv(&vars(record, host), adapter::session(record))?;
    let mut made = command(record, host, argv, Leaf::Agent)?;
    if !record.heard.run.is_empty() {
        let secret = record.heard.run.clone();
        made.env.push((adapter::RUN_VARIABLE.to_owned(), secret));
    }
    Ok(made)
}

/// Any command in the workspace.
///
/// # Errors
/// A placeholder without a value in the environment.
pub fn command(
    record: &Record,
    host: &HostFacts,
    argv: Vec<String>,
    leaf: Leaf,
) -> Result<Command, ExpandError> {
    let cwd = record
        .paths
        .as_ref()
        .map(|p| p.workspace.clone())
        .unwrap_or_default();
    Ok(Command {
        argv,
        env: environment(record, host)?,
        cwd,
        leaf,
    })
}

/// A command of a service: `{state}` is its directory, its own environment comes on top.
///
/// # Errors
/// A placeholder without a value.
pub fn service_command(
    record: &Record,
    host: &HostFacts,
    service: &str,
    argv: &[String],
) -> Result<Command, ExpandError> {
    let mut vars = vars(record, host);
    vars.state = Some(state_dir(service));
    let mut made = command(
        record,
        host,
        expand_all(argv, &vars)?,
        Leaf::Service(service.to_owned()),
    )?;
    if let Some(own) = record.resolved.services.get(service) {
        for (key, value) in &own.env {
            let value = expand(value, &vars, Quoting::Raw)?;
            made.env.retain(|(k, _)| k != key);
            made.env.push((key.clone(), value));
        }
    }
    Ok(made)
}

/// Where a service's state lies inside.
#[must_use]
pub fn state_dir(service: &str) -> String {
    format!("{INSIDE_STATE}/{service}")
}

/// A line of `setup` or `teardown`, for a shell.
///
/// # Errors
/// A placeholder without a value.
pub fn shell_command(
    record: &Record,
    host: &HostFacts,
    line: &str,
) -> Result<Command, ExpandError> {
    let line = expand(line, &vars(record, host), Quoting::Shell)?;
    command(
        record,
        host,
        vec!["/bin/sh".into(), "-ec".into(), line],
        Leaf::Agent,
    )
}

/// `[files]` but those of [`guarded_files`]: absolute path inside, and content. Either those that
/// name `credentials`, which are written at each start, or the others, which are written once.
///
/// # Errors
/// A placeholder without a value.
pub fn files(
    record: &Record,
    host: &HostFacts,
    credentials: bool,
) -> Result<Vec<(String, String)>, ExpandError> {
    let vars = vars(record, host);
    record
        .resolved
        .files
        .iter()
        .filter(|(path, text)| !is_guarded(record, path) && !credentials::lacks(record, text))
        .filter(|(_, text)| credentials::named(text) == credentials)
        .map(|(path, text)| {
            let path = match path.strip_prefix("~/") {
                Some(rest) => format!("{INSIDE_HOME}/{rest}"),
                None => format!("{}/{path}", vars.workspace),
            };
            Ok((path, expand(text, &vars, Quoting::Raw)?))
        })
        .collect()
}

/// A name for a new agent: the repository and the template, numbered until it is free.
#[must_use]
pub fn free_name(repository: &str, template: &str, taken: impl Fn(&str) -> bool) -> String {
    let base = label(&format!("{}-{template}", last_name(repository)));
    if !taken(&base) {
        return base;
    }
    let mut number = 2_u32;
    loop {
        let name = format!("{base}-{number}");
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

/// Makes a host label of any text; 30 characters leave room for a number.
fn label(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() == 30 {
            break;
        }
    }
    let trimmed = out.trim_matches('-');
    if trimmed.is_empty() {
        "agent".to_owned()
    } else {
        trimmed.to_owned()
    }
}

fn last_name(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path)
}

fn shouted(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// A new agent id: 12 letters and digits from the kernel's random numbers.
///
/// # Errors
/// `/dev/urandom` can't be read.
pub fn new_id() -> std::io::Result<AgentId> {
    let text = random_text(12)?;
    Ok(AgentId::try_from(text).expect("12 characters of the alphabet are an id"))
}

/// Letters and digits from the kernel's random numbers, five bits each.
pub(crate) fn random_text(length: usize) -> std::io::Result<String> {
    use std::io::Read;
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0_u8; length];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let characters = bytes
        .iter()
        .map(|b| char::from(ALPHABET[usize::from(b % 32)]));
    Ok(characters.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_name_is_a_host_label() {
        assert_eq!(
            free_name("/home/ada/Shop API", "frontend", |_| false),
            "shop-api-frontend"
        );
        assert_eq!(free_name("/x/__", "", |_| false), "agent");
        let taken = |name: &str| name == "shop-shell" || name == "shop-shell-2";
        assert_eq!(free_name("/x/shop", "shell", taken), "shop-shell-3");
        let long = free_name(&format!("/x/{}", "y".repeat(90)), "shell", |_| false);
        assert!(long.parse::<wsm_api::name::AgentName>().is_ok());
    }

    #[test]
    fn ids_are_agent_ids_and_differ() {
        assert_ne!(new_id().expect("urandom"), new_id().expect("urandom"));
    }
}

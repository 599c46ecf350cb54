//! Merged values to [`Resolved`]: defaults filled in, required keys insisted on.

mod agent;
mod credentials;

pub(crate) use credentials::LOGINS;
pub use credentials::login_hosts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::keys;
use crate::parse::Flat;
use crate::parse::Leaf;
use crate::parse::Path;
use crate::problem::Problem;
use crate::resolved::*;
use crate::value::Value;

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
const HEALTH_INTERVAL: Duration = Duration::from_secs(10);
const HEALTH_FAILURES: u32 = 3;
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Builds the result. After a problem its values are only good for finding more problems.
pub(crate) fn convert(
    flat: &Flat,
    params: BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Resolved {
    let mut reader = Reader { flat, problems };
    let services = reader.services(&params);
    let ports = reader.ports();
    let egress = reader.egress();
    let expose = reader.expose();
    let mut credentials = reader.credentials();
    let mut agent = reader.agent();
    agent.wait_for.retain(|name| services.contains_key(name));
    Resolved {
        name: String::new(),
        description: String::new(),
        params,
        workspace: Workspace {
            branch: reader
                .text(&["workspace", "branch"])
                .unwrap_or("wsm/{agent}")
                .to_owned(),
            base: reader
                .text(&["workspace", "base"])
                .unwrap_or("HEAD")
                .to_owned(),
            copy: reader.list(&["workspace", "copy"]),
            setup: reader.list(&["workspace", "setup"]),
            setup_timeout: reader
                .duration(&["workspace", "setup_timeout"])
                .unwrap_or_else(default_setup_timeout),
            teardown: reader.list(&["workspace", "teardown"]),
            teardown_timeout: reader
                .duration(&["workspace", "teardown_timeout"])
                .unwrap_or_else(default_teardown_timeout),
        },
        agent,
        env: reader.texts(&["env"]),
        files: reader.texts(&["files"]),
        services,
        ports,
        filesystem: Filesystem {
            read: reader.list(&["filesystem", "read"]),
            write: reader.list(&["filesystem", "write"]),
            protect: reader.list(&["filesystem", "protect"]),
            hide: reader.list(&["filesystem", "hide"]),
        },
        network: Network {
            egress,
            allow: reader.allow(egress, &mut credentials),
            expose,
        },
        tools: match reader.value(&["tools", "allow"]) {
            Some(Value::List(list)) => Some(list.clone()),
            _ => None,
        },
        credentials,
        limits: reader.limits(&["limits"]),
        sandbox: Sandbox {
            landlock: match reader.text(&["sandbox", "landlock"]) {
                Some("best-effort") => Requirement::BestEffort,
                _ => Requirement::Required,
            },
            debug: reader.value(&["sandbox", "debug"]) == Some(&Value::Flag(true)),
            devices: reader.list(&["sandbox", "devices"]),
        },
        notify: match reader.value(&["notify", "on"]) {
            Some(Value::List(list)) => list.clone(),
            _ => notify_all(),
        },
        provenance: provenance(flat),
    }
}

/// The names in the table `table` that are declared, with where.
pub(crate) fn declared<'a>(
    flat: &'a Flat,
    table: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Leaf)> {
    flat.iter()
        .filter_map(move |(path, leaf)| match &path.0[..] {
            [first, name] if first == table => Some((name.as_str(), leaf)),
            _ => None,
        })
}

fn provenance(flat: &Flat) -> BTreeMap<String, Origin> {
    flat.iter()
        .filter(|(_, leaf)| !matches!(leaf.value, Value::Present | Value::Invalid))
        .map(|(path, leaf)| (path.to_string(), leaf.origin.clone()))
        .collect()
}

struct Reader<'a> {
    flat: &'a Flat,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn value(&self, path: &[&str]) -> Option<&'a Value> {
        self.flat.get(&Path::of(path)).map(|leaf| &leaf.value)
    }

    fn text(&self, path: &[&str]) -> Option<&'a str> {
        match self.value(path) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn list(&self, path: &[&str]) -> Vec<String> {
        match self.value(path) {
            Some(Value::List(list)) => list.clone(),
            _ => Vec::new(),
        }
    }

    fn duration(&self, path: &[&str]) -> Option<Duration> {
        match self.value(path) {
            Some(Value::Duration(time)) => Some(*time),
            _ => None,
        }
    }

    fn number<T: TryFrom<i64>>(&self, path: &[&str]) -> Option<T> {
        match self.value(path) {
            Some(Value::Integer(number)) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    /// All texts directly below `table`.
    fn texts(&self, table: &[&str]) -> BTreeMap<String, String> {
        let below = self.flat.iter().filter_map(|(path, leaf)| {
            let (name, parents) = path.0.split_last()?;
            match &leaf.value {
                Value::Text(text) if parents == table => Some((name.clone(), text.clone())),
                _ => None,
            }
        });
        below.collect()
    }

    fn limits(&self, table: &[&str]) -> Limits {
        let at = |key| [table, &[key]].concat();
        let size = |key| match self.value(&at(key)) {
            Some(Value::Size(bytes)) => Some(*bytes),
            _ => None,
        };
        Limits {
            cpu_milli: match self.value(&at("cpu")) {
                Some(Value::Cores(milli)) => Some(*milli),
                _ => None,
            },
            memory_bytes: size("memory"),
            pids: self.number(&at("pids")),
            disk_bytes: size("disk"),
        }
    }

    /// Reports a key that must be there.
    fn missing(&mut self, at: &Leaf, key: &str, hint: &str) {
        let hint = Some(hint.to_owned());
        self.problems
            .push(Problem::new(&at.origin, key, "is missing", hint));
    }

    fn services(&mut self, params: &BTreeMap<String, String>) -> BTreeMap<String, Service> {
        let flat = self.flat;
        let mut services = BTreeMap::new();
        for (name, leaf) in declared(flat, "services") {
            let service = self.service(name, leaf);
            let wanted = self.text(&["services", name, "when"]).is_none_or(|param| {
                params
                    .get(param)
                    .is_some_and(|value| !value.is_empty() && value != "false")
            });
            if wanted {
                services.insert(name.to_owned(), service);
            }
        }
        let names: Vec<String> = services.keys().cloned().collect();
        for service in services.values_mut() {
            service.depends_on.retain(|name| names.contains(name));
        }
        services
    }

    fn service(&mut self, name: &str, leaf: &Leaf) -> Service {
        let at = |key| ["services", name, key];
        if self.value(&at("command")).is_none() {
            let key = format!("services.{name}.command");
            self.missing(leaf, &key, "a service needs `command = [\"…\"]`");
        }
        let stop = |key| ["services", name, "stop", key];
        let health = |key| ["services", name, "health", key];
        Service {
            command: self.list(&at("command")),
            init: self.list(&at("init")),
            init_timeout: self
                .duration(&at("init_timeout"))
                .unwrap_or_else(default_init_timeout),
            depends_on: self.list(&at("depends_on")),
            restart: restart(self.text(&at("restart")), Restart::OnFailure),
            ready: self.probe(name, "ready", READY_TIMEOUT),
            health: self
                .probe(name, "health", HEALTH_TIMEOUT)
                .map(|probe| Health {
                    probe,
                    interval: self
                        .duration(&health("interval"))
                        .unwrap_or(HEALTH_INTERVAL),
                    failures: self.number(&health("failures")).unwrap_or(HEALTH_FAILURES),
                }),
            stop: Stop {
                signal: self.text(&stop("signal")).unwrap_or("TERM").to_owned(),
                grace: self.duration(&stop("grace")).unwrap_or(STOP_GRACE),
            },
            limits: self.limits(&at("limits")),
            env: self.texts(&at("env")),
        }
    }

    fn probe(&mut self, service: &str, which: &str, timeout: Duration) -> Option<Probe> {
        let at = |key| ["services", service, which, key];
        let flat = self.flat;
        let first = flat
            .iter()
            .find(|(path, _)| path.parts().starts_with(&["services", service, which]));
        let (_, first) = first?;
        let given: Vec<&str> = keys::CHECKS
            .iter()
            .copied()
            .filter(|check| self.value(&at(check)).is_some())
            .collect();
        let [check] = given[..] else {
            let message = match given.len() {
                0 => "says not what to check".to_owned(),
                _ => format!("has more than one check: {}", given.join(", ")),
            };
            let hint = "give exactly one of tcp, http, exec, log".to_owned();
            let key = format!("services.{service}.{which}");
            self.problems
                .push(Problem::new(&first.origin, key, message, Some(hint)));
            return None;
        };
        let text = || self.text(&at(check)).unwrap_or_default();
        let check = match check {
            "tcp" => Check::Tcp {
                port: text().to_owned(),
            },
            "http" => {
                let (port, path) = http_target(text());
                Check::Http {
                    port: port.to_owned(),
                    path: format!("/{path}"),
                }
            }
            "exec" => Check::Exec {
                command: self.list(&at(check)),
            },
            _ => Check::Log {
                contains: text().to_owned(),
            },
        };
        let timeout = self.duration(&at("timeout")).unwrap_or(timeout);
        Some(Probe { check, timeout })
    }

    fn egress(&mut self) -> Egress {
        let egress = match self.text(&["network", "egress"]) {
            Some("allow") => Egress::Allow,
            Some("open") => Egress::Open,
            _ => Egress::None,
        };
        let path = Path::of(&["network", "allow"]);
        if egress != Egress::Allow
            && let Some(leaf) = self.flat.get(&path)
            && matches!(&leaf.value, Value::List(list) if !list.is_empty())
        {
            // Whoever writes a list means it: one that is not looked at would be a surprise.
            let message = "has no meaning without network.egress = \"allow\"";
            let hint = Some("set it, or leave the list out".to_owned());
            let problem = Problem::new(&leaf.origin, path.to_string(), message, hint);
            self.problems.push(problem);
        }
        egress
    }

    fn expose(&mut self) -> BTreeMap<String, Expose> {
        let flat = self.flat;
        let named = flat
            .iter()
            .filter_map(|(path, leaf)| match &path.parts()[..] {
                ["network", "expose", name, ..] => Some((name.to_string(), leaf)),
                _ => None,
            });
        let names: BTreeMap<String, &Leaf> = named.collect();
        let mut exposes = BTreeMap::new();
        for (name, leaf) in names {
            let key = format!("network.expose.{name}");
            let at = self.number::<u16>(&["network", "expose", &name, "at"]);
            let text = self.text(&["network", "expose", &name, "host"]);
            let said = |part| flat.contains_key(&Path::of(&["network", "expose", &name, part]));
            let (Some(at), Some(text)) = (at, text) else {
                if said("at") && said("host") {
                    continue; // of another type: told where it was read
                }
                self.missing(leaf, &key, "write { host = \"127.0.0.1:5433\", at = 5433 }");
                continue;
            };
            match text.parse() {
                Ok(host) if SocketAddr::ip(&host).is_loopback() => {
                    exposes.insert(name, Expose { host, at });
                }
                Ok(host) => {
                    let message = format!("{host} is not on the host's own loopback");
                    let hint = "name it in network.allow; a private address is permitted in the \
                                host's config.toml";
                    let (key, hint) = (format!("{key}.host"), Some(hint.to_owned()));
                    self.problems
                        .push(Problem::new(&leaf.origin, key, message, hint));
                }
                Err(_) => {
                    let message = format!("{text:?} is not an address with a port");
                    let hint = Some("write it as 127.0.0.1:5433".to_owned());
                    let key = format!("{key}.host");
                    self.problems
                        .push(Problem::new(&leaf.origin, key, message, hint));
                }
            }
        }
        exposes
    }

    fn ports(&mut self) -> BTreeMap<String, Port> {
        let flat = self.flat;
        let mut ports: BTreeMap<String, Port> = BTreeMap::new();
        for (name, leaf) in declared(flat, "ports") {
            let at = |key| ["ports", name, key];
            if self.value(&at("inside")).is_none() {
                let key = format!("ports.{name}.inside");
                self.missing(leaf, &key, "a port needs `inside = NUMBER`");
            }
            let Some(inside) = self.number::<u16>(&at("inside")) else {
                continue;
            };
            if let Some((other, _)) = ports.iter().find(|(_, port)| port.inside == inside) {
                let origin = &flat[&Path::of(&at("inside"))].origin;
                let message = format!("{inside} is also port {other:?}");
                let hint = Some("give each port a number of its own".to_owned());
                let key = format!("ports.{name}.inside");
                self.problems.push(Problem::new(origin, key, message, hint));
            }
            let protocol = match self.text(&at("protocol")) {
                Some("http") => Protocol::Http,
                Some("https") => Protocol::Https,
                _ => Protocol::Tcp,
            };
            let publish = self.value(&at("publish")) != Some(&Value::Flag(false));
            ports.insert(
                name.to_owned(),
                Port {
                    inside,
                    protocol,
                    publish,
                },
            );
        }
        ports
    }
}

/// Port name and path without its leading slash.
pub(crate) fn http_target(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

fn restart(text: Option<&str>, default: Restart) -> Restart {
    match text {
        Some("never") => Restart::Never,
        Some("on-failure") => Restart::OnFailure,
        Some("always") => Restart::Always,
        _ => default,
    }
}

//! What can only be checked once everything was merged: names that must be declared somewhere.

use std::collections::BTreeMap;

use crate::convert;
use crate::convert::declared;
use crate::expand;
use crate::keys;
use crate::keys::Entry;
use crate::keys::Scope;
use crate::parse::Flat;
use crate::parse::Leaf;
use crate::parse::Path;
use crate::problem::Problem;
use crate::problem::choices_hint;
use crate::resolved::Resolved;
use crate::shell;
use crate::value;
use crate::value::Value;

/// Most services of one agent: each has a cgroup, a directory and a supervisor.
pub const SERVICES_MAX: usize = 32;
/// Most ports of one agent: each published one takes a port of the host.
pub const PORTS_MAX: usize = 64;

/// Checks everything that `flat` refers to.
pub(crate) fn check(flat: &Flat, problems: &mut Vec<Problem>) {
    let mut checker = Checker {
        flat,
        params: declared(flat, "params").map(|(name, _)| name).collect(),
        ports: declared(flat, "ports").map(|(name, _)| name).collect(),
        services: declared(flat, "services").map(|(name, _)| name).collect(),
        credentials: named(flat, "credentials"),
        problems,
    };
    checker.counts();
    for (path, leaf) in flat {
        checker.references(path, leaf);
        if let Entry::Key(key) = keys::entry(&path.0)
            && key.scope != Scope::Literal
        {
            for text in texts(&leaf.value) {
                checker.placeholders(key.scope, path, leaf, text);
            }
        }
    }
    checker.circles();
}

/// A prompt must reach the agent: kinds without a way to be given one must use it in the command.
pub(crate) fn check_prompt(
    resolved: &Resolved,
    flat: &Flat,
    from_request: bool,
    problems: &mut Vec<Problem>,
) {
    let agent = &resolved.agent;
    if agent.kind.takes_prompt() || agent.prompt.is_empty() {
        return;
    }
    let wanted = expand::names(&agent.prompt);
    let used = |name: &&str| {
        agent
            .command
            .iter()
            .any(|part| expand::names(part).contains(name))
    };
    if !from_request && !wanted.is_empty() && wanted.iter().all(used) {
        return;
    }
    let path = Path::of(&["agent", "prompt"]);
    let Some(leaf) = flat.get(&path) else { return };
    let message = "this kind of agent has no way to be given a prompt";
    let hint = "use a parameter in agent.command, and --set";
    problems.push(Problem::new(
        &leaf.origin,
        path.to_string(),
        message,
        Some(hint.to_owned()),
    ));
}

/// What the broker would refuse: guarded paths outside of what is shown, and commands whose program
/// `tools.allow` leaves out.
pub(crate) fn check_rights(resolved: &Resolved, flat: &Flat, problems: &mut Vec<Problem>) {
    let mut refuse = |path: Path, message: String, hint: &str| {
        let origin = flat.get(&path).map(|leaf| leaf.origin.clone());
        if let Some(origin) = origin {
            let hint = Some(hint.to_owned());
            problems.push(Problem::new(&origin, path.to_string(), message, hint));
        }
    };
    let files = &resolved.filesystem;
    let (read, write) = (files.read.iter(), files.write.iter());
    for (key, guarded, shown) in [
        ("protect", &files.protect, write.clone().collect::<Vec<_>>()),
        ("hide", &files.hide, write.chain(read).collect()),
    ] {
        for path in guarded.iter().filter(|path| path.starts_with('/')) {
            let inside = |by: &&String| std::path::Path::new(path).starts_with(by.as_str());
            if !shown.iter().any(inside) {
                let message = format!("{} is not shown to the agent", value::shown(path));
                let hint = "name it below the workspace, or below a directory of this table";
                refuse(Path::of(&["filesystem", key]), message, hint);
            }
        }
    }
    for path in resolved.files.keys() {
        let above = |hide: &&String| std::path::Path::new(path).starts_with(hide.as_str());
        if let Some(hide) = files.hide.iter().find(above) {
            let message = format!("{} is written by files.{path:?}", value::shown(hide));
            let hint = "nobody could read it: hide it or write it";
            refuse(Path::of(&["filesystem", "hide"]), message, hint);
        }
    }
    let Some(tools) = &resolved.tools else { return };
    for (path, program) in programs(resolved) {
        let always = ALWAYS_THERE.contains(&program) || program.contains(['/', '{']);
        if !always && !tools.iter().any(|tool| tool == program) {
            let message = format!("{} is started by {path}", value::shown(program));
            let hint = "add it to the list";
            refuse(Path::of(&["tools", "allow"]), message, hint);
        }
    }
}

/// Programs that exist inside whatever `tools.allow` says: shells, and what finds interpreters.
const ALWAYS_THERE: [&str; 3] = ["sh", "bash", "env"];

/// Every program that the template's own commands name, with the command's key.
fn programs(resolved: &Resolved) -> Vec<(String, &str)> {
    use crate::resolved::Check;
    let mut commands = vec![("agent.command".to_owned(), &resolved.agent.command)];
    for (name, service) in &resolved.services {
        let key = |what: &str| format!("services.{name}.{what}");
        commands.push((key("command"), &service.command));
        commands.push((key("init"), &service.init));
        let health = service.health.as_ref().map(|health| &health.probe);
        for (what, probe) in [("ready", service.ready.as_ref()), ("health", health)] {
            if let Some(Check::Exec { command }) = probe.map(|probe| &probe.check) {
                commands.push((key(what), command));
            }
        }
    }
    let named = commands.into_iter();
    named
        .filter_map(|(key, argv)| Some((key, argv.first()?.as_str())))
        .collect()
}

/// The names in a table whose members are no leaves.
fn named<'a>(flat: &'a Flat, table: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> = flat
        .keys()
        .filter_map(|path| match &path.0[..] {
            [first, name, ..] if first == table => Some(name.as_str()),
            _ => None,
        })
        .collect();
    names.dedup();
    names
}

fn texts(value: &Value) -> &[String] {
    match value {
        Value::Text(text) => std::slice::from_ref(text),
        Value::List(list) => list,
        Value::Present
        | Value::Invalid
        | Value::Flag(_)
        | Value::Integer(_)
        | Value::Size(_)
        | Value::Duration(_)
        | Value::Cores(_) => &[],
    }
}

struct Checker<'a> {
    flat: &'a Flat,
    params: Vec<&'a str>,
    ports: Vec<&'a str>,
    services: Vec<&'a str>,
    credentials: Vec<&'a str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn problem(&mut self, path: &Path, leaf: &Leaf, message: String, hint: Option<String>) {
        self.problems
            .push(Problem::new(&leaf.origin, path.to_string(), message, hint));
    }

    fn counts(&mut self) {
        let counted = [
            ("services", self.services.len(), SERVICES_MAX),
            ("ports", self.ports.len(), PORTS_MAX),
        ];
        for (table, count, max) in counted {
            if count > max
                && let Some((_, leaf)) = declared(self.flat, table).last()
            {
                let message = format!("there are {count}, more than {max}");
                self.problems
                    .push(Problem::new(&leaf.origin, table, message, None));
            }
        }
    }

    /// Names of services, ports and parameters in keys that hold nothing else.
    fn references(&mut self, path: &Path, leaf: &Leaf) {
        let (kind, known) = match path.parts()[..] {
            ["agent", "wait_for"] | ["services", _, "depends_on"] => {
                ("service", self.services.clone())
            }
            ["services", _, "ready" | "health", "tcp" | "http"] => ("port", self.ports.clone()),
            ["services", _, "when"] => ("parameter", self.params.clone()),
            _ => return,
        };
        for text in texts(&leaf.value) {
            let (name, _) = convert::http_target(text);
            if !known.contains(&name) {
                let message = format!("there is no {kind} {}", value::shown(name));
                let hint = choices_hint(name, &known);
                self.problem(path, leaf, message, Some(hint));
            }
        }
    }

    fn placeholders(&mut self, scope: Scope, path: &Path, leaf: &Leaf, text: &str) {
        for name in expand::names(text) {
            if let Err((message, hint)) = self.placeholder(scope, name) {
                let shown = value::shown(&format!("{{{name}}}"));
                self.problem(path, leaf, format!("{shown} {message}"), Some(hint));
            }
        }
        if scope == Scope::Shell
            && let Some((name, place)) = shell::misplaced(text)
        {
            let message = format!("placeholder {{{name}}} {place}");
            let hint = "wsm quotes the value itself: let it stand as a word of its own";
            self.problem(path, leaf, message, Some(hint.to_owned()));
        }
    }

    /// Whether the placeholder means something in `scope`; message and hint if not.
    fn placeholder(&self, scope: Scope, name: &str) -> Result<(), (String, String)> {
        let early = scope == Scope::Branch;
        let (known, what): (&[&str], &str) = match name.split_once('.') {
            None if expand::PLAIN.contains(&name) => {
                return match name {
                    "state" if scope != Scope::Service => Err((
                        "is a service's directory".to_owned(),
                        "it can only be used below [services]".to_owned(),
                    )),
                    "workspace" | "home" if early => Err(too_early()),
                    _ => Ok(()),
                };
            }
            None => {
                let hint = if expand::DOTTED.contains(&name) {
                    format!("write {{{name}.NAME}}")
                } else {
                    literal(
                        crate::problem::did_you_mean(name, expand::PLAIN.iter().copied()),
                        name,
                    )
                };
                return Err(("is not a placeholder".to_owned(), hint));
            }
            Some(("port" | "url" | "credential", _)) if early => return Err(too_early()),
            Some(("port" | "url", _)) => (&self.ports, "port"),
            Some(("param", _)) => (&self.params, "parameter"),
            Some(("credential", _)) => (&self.credentials, "credential"),
            Some((space, _)) => {
                let near = crate::problem::did_you_mean(space, expand::DOTTED.iter().copied());
                return Err(("is not a placeholder".to_owned(), literal(near, name)));
            }
        };
        let (space, wanted) = name.split_once('.').unwrap_or_default();
        if !known.contains(&wanted) {
            let hint = choices_hint(wanted, known);
            return Err((format!("is not declared as a {what}"), hint));
        }
        let publish = self.flat.get(&Path::of(&["ports", wanted, "publish"]));
        if space == "url" && publish.is_some_and(|leaf| leaf.value == Value::Flag(false)) {
            let hint =
                format!("remove `publish = false` of port {wanted}, or use {{port.{wanted}}}");
            return Err(("has no URL: the port is not published".to_owned(), hint));
        }
        Ok(())
    }

    /// Services that wait for themselves.
    fn circles(&mut self) {
        let path = |name: &str| Path::of(&["services", name, "depends_on"]);
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in &self.services {
            let list = self
                .flat
                .get(&path(name))
                .map_or(&[][..], |leaf| texts(&leaf.value));
            edges.insert(name, list.iter().map(String::as_str).collect());
        }
        // Take away services without open dependencies until only circles and what waits for
        // them are left.
        loop {
            let before = edges.len();
            let open: Vec<&str> = edges.keys().copied().collect();
            edges.retain(|_, needs| needs.iter().any(|need| open.contains(need)));
            if edges.len() == before {
                break;
            }
        }
        let Some(start) = edges.keys().next().copied() else {
            return;
        };
        let mut walked = vec![start];
        let circle = loop {
            let last = walked[walked.len() - 1];
            let next = edges[last]
                .iter()
                .copied()
                .find(|need| edges.contains_key(need));
            let Some(next) = next else { return };
            if let Some(from) = walked.iter().position(|name| *name == next) {
                walked.push(next);
                break walked.split_off(from);
            }
            walked.push(next);
        };
        if let Some(leaf) = self.flat.get(&path(circle[0])) {
            let message = format!("services wait for each other: {}", circle.join(" -> "));
            let hint = Some("remove one of these dependencies".to_owned());
            self.problem(&path(circle[0]), leaf, message, hint);
        }
    }
}

/// How to write a brace that is only a brace.
fn literal(near: Option<String>, name: &str) -> String {
    let near = near.map_or(String::new(), |near| format!("{near} Or "));
    format!("{near}write {{{{{name}}} for a literal brace")
}

fn too_early() -> (String, String) {
    (
        "is not known yet when the branch is made".to_owned(),
        "use {agent}, {owner}, {repo}, {host} or {param.NAME}".to_owned(),
    )
}

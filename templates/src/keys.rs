//! The one description of the format: every key, its type, default, meaning, where placeholders
//! may stand in it, and what the repository layer may do with it.
//!
//! Parsing, hints, the JSON schema and the reference page are all driven by [`KEYS`].

/// One key. `*` in the path stands for a name that the author chooses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Dotted path, `services.*.ready.tcp`.
    pub(crate) path: &'static str,
    /// What it holds.
    pub(crate) kind: Type,
    /// Default as text for people; empty where there is none.
    pub(crate) default: &'static str,
    /// One sentence or two.
    pub(crate) doc: &'static str,
    /// Which placeholders it may hold.
    pub(crate) scope: Scope,
    /// What the repository layer may do with it.
    pub(crate) repository: Repository,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// `true` or `false`.
    Flag,
    /// A whole number in the range.
    Integer { min: i64, max: i64 },
    /// A number of cores.
    Cores,
    /// A text such as `"512M"`.
    Size,
    /// A text such as `"30s"`.
    Duration,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// The name of a template, port, service or parameter.
    Name,
    /// A branch name or a revision.
    Revision,
    /// A program and its arguments, not empty.
    Argv,
    /// Texts, each read by a shell.
    Commands,
    /// Names.
    Names,
    /// Any texts.
    Texts,
    /// Paths relative to the checkout.
    InsidePaths,
    /// Absolute paths of the host.
    HostPaths,
    /// Paths below the checkout, or absolute ones.
    GuardedPaths,
    /// Names of programs.
    Programs,
    /// What people are told about, some of [`crate::resolved::NOTIFY`].
    Events,
    /// Device nodes of the host.
    Devices,
    /// A port name, then an optional path: `web/health`.
    HttpTarget,
    /// A text, a whole number or a flag.
    Scalar,
    /// Several of those.
    Scalars,
}

/// Which placeholders a value may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// None: braces are just braces.
    Literal,
    /// `{agent} {owner} {repo} {host} {param.NAME}`.
    Branch,
    /// Those and `{workspace} {home} {port.NAME} {url.NAME}`.
    Agent,
    /// As `Agent`, read by a shell, so values are quoted.
    Shell,
    /// As `Agent`, and `{state}`.
    Service,
}

/// What the repository layer may do with a key. The other layers may set every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repository {
    /// Set it.
    Free,
    /// Set it, once the owner trusts it.
    Trust,
    /// Set it to something that allows no more than the layers below.
    Narrow,
    /// Not set it.
    Never,
}

const fn key(path: &'static str, kind: Type, default: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        doc,
        scope: Scope::Literal,
        repository: Repository::Free,
    }
}

impl Key {
    const fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    const fn trust(self) -> Self {
        Self {
            repository: Repository::Trust,
            ..self
        }
    }

    const fn narrow(self) -> Self {
        Self {
            repository: Repository::Narrow,
            ..self
        }
    }

    const fn never(self) -> Self {
        Self {
            repository: Repository::Never,
            ..self
        }
    }
}

/// Agent kinds, as in [`crate::resolved::Kind`].
pub(crate) const KINDS: &[&str] = &[
    "claude", "codex", "gemini", "opencode", "aider", "shell", "command",
];

/// Signals a service may be stopped with.
pub(crate) const SIGNALS: &[&str] = &["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"];

/// The four checks of a probe: a layer that sets one replaces the others.
pub(crate) const CHECKS: &[&str] = &["tcp", "http", "exec", "log"];

/// Every key of the format, in the order of the reference page.
#[rustfmt::skip] // one row per key
pub(crate) const KEYS: &[Key] = &[
    key("schema", Type::Integer { min: 1, max: 1 }, "", "Version of the format. Required."),
    key("name", Type::Name, "the file's name", "What `--template` calls it."),
    key("description", Type::Text, "", "One line for people."),
    key("extends", Type::Names, "[]", "Templates this one builds on, looked up by name through all layers."),
    // params
    key("params.*.type", Type::Choice(&["string", "int", "bool"]), "string", "What the value must be."),
    key("params.*.description", Type::Text, "", "One line for people."),
    key("params.*.default", Type::Scalar, "\"\" or false", "Value when `--set` does not give one. An int needs one, or `required`.").trust(),
    key("params.*.choices", Type::Scalars, "any", "The only values it may have."),
    key("params.*.pattern", Type::Text, "any", "Shell-style pattern the whole value must match: `*`, `?`, `[a-z]`, `[!a-z]`."),
    key("params.*.required", Type::Flag, "false", "Whether `--set` must give it."),
    // workspace
    key("workspace.branch", Type::Revision, "wsm/{agent}", "Branch to create.").scope(Scope::Branch),
    key("workspace.base", Type::Revision, "HEAD", "Revision the branch starts from; `--base` wins.").scope(Scope::Branch),
    key("workspace.copy", Type::InsidePaths, "[]", "Ignored files or directories copied from the source checkout. What is missing there is left out.").trust(),
    key("workspace.warm", Type::InsidePaths, "[]", "Ignored directories given copy-on-write."),
    key("workspace.setup", Type::Commands, "[]", "Shell commands run in the sandbox before services. A failure stops the creation.").scope(Scope::Shell).trust(),
    key("workspace.setup_timeout", Type::Duration, "30m", "How long each of them may take; what takes longer is killed and has failed."),
    key("workspace.teardown", Type::Commands, "[]", "Shell commands run in the sandbox before removal.").scope(Scope::Shell).trust(),
    key("workspace.teardown_timeout", Type::Duration, "5m", "How long each of them may take; what takes longer is killed, and the removal goes on."),
    // agent
    key("agent.kind", Type::Choice(KINDS), "shell", "What kind of program the agent is.").trust(),
    key("agent.command", Type::Argv, "by kind", "Program and arguments. Required for kind `command`.").scope(Scope::Agent).trust(),
    key("agent.prompt", Type::Text, "", "First prompt; `--prompt` wins. The kind decides how it is handed over.").scope(Scope::Agent).trust(),
    key("agent.wait_for", Type::Names, "[]", "Services that must be ready before the agent starts."),
    key("agent.restart", Type::Choice(&["never", "on-failure"]), "never", "When to start it again after it ended."),
    key("agent.resume", Type::Flag, "false", "Continue the conversation when it is started again. Not for `shell` and `command`."),
    key("agent.model", Type::Text, "by kind", "The model, as the kind names it. Not for `shell` and `command`."),
    key("agent.mcp.*.command", Type::Argv, "", "An MCP server that it may use: a program inside. Not for `aider`, `shell` and `command`.").trust(),
    key("agent.mcp.*.url", Type::Text, "", "An MCP server that it may use, at an address that `network` allows. Not for `aider`, `shell` and `command`.").trust(),
    key("agent.mcp.*.env.*", Type::Text, "", "Environment of the program.").trust(),
    key("agent.permissions", Type::Choice(&["ask", "edits", "all"]), "by kind", "The kind's own approval mode: it asks before it edits or runs something, edits without asking, or never asks. Not for `shell` and `command`; `aider` has no `edits`.").never(),
    key("agent.idle_stop", Type::Duration, "never", "Stop when it is idle and watched by nobody for this long."),
    // env, files
    key("env.*", Type::Text, "", "Environment of every process of the agent.").scope(Scope::Agent).trust(),
    key("files.*", Type::Text, "", "Content of a file below the private home (`~/…`) or the workspace.").scope(Scope::Agent).trust(),
    // services
    key("services.*.command", Type::Argv, "", "Program and arguments. Required.").scope(Scope::Service).trust(),
    key("services.*.init", Type::Argv, "none", "Run once, while `{state}` is empty.").scope(Scope::Service).trust(),
    key("services.*.init_timeout", Type::Duration, "10m", "How long it may take; what takes longer is stopped and has failed."),
    key("services.*.when", Type::Text, "always", "Name of a parameter: the service exists only when it is neither empty nor `false`."),
    key("services.*.depends_on", Type::Names, "[]", "Services that must be ready first."),
    key("services.*.restart", Type::Choice(&["never", "on-failure", "always"]), "on-failure", "When to start it again, with backoff and a bound."),
    key("services.*.ready.tcp", Type::Name, "", "Ready when this port accepts a connection."),
    key("services.*.ready.http", Type::HttpTarget, "", "Ready when `GET` on this port, `web` or `web/path`, answers below 400."),
    key("services.*.ready.exec", Type::Argv, "", "Ready when this command ends with 0.").scope(Scope::Service).trust(),
    key("services.*.ready.log", Type::Text, "", "Ready when it printed a line with this text."),
    key("services.*.ready.timeout", Type::Duration, "30s", "How long readiness may take as a whole."),
    key("services.*.health.tcp", Type::Name, "", "As in `ready`."),
    key("services.*.health.http", Type::HttpTarget, "", "As in `ready`."),
    key("services.*.health.exec", Type::Argv, "", "As in `ready`.").scope(Scope::Service).trust(),
    key("services.*.health.timeout", Type::Duration, "5s", "How long one check may take."),
    key("services.*.health.interval", Type::Duration, "10s", "Time between two checks."),
    key("services.*.health.failures", Type::Integer { min: 1, max: 1000 }, "3", "Failed checks in a row that count as down."),
    key("services.*.stop.signal", Type::Choice(SIGNALS), "TERM", "Signal that asks it to end."),
    key("services.*.stop.grace", Type::Duration, "10s", "Time until SIGKILL."),
    key("services.*.limits.cpu", Type::Cores, "the agent's", "Cores, within the agent's."),
    key("services.*.limits.memory", Type::Size, "the agent's", "Memory, within the agent's."),
    key("services.*.limits.pids", Type::Integer { min: 1, max: 4_194_304 }, "the agent's", "Tasks, within the agent's."),
    key("services.*.env.*", Type::Text, "", "Environment on top of the agent's.").scope(Scope::Service).trust(),
    // ports
    key("ports.*.inside", Type::Integer { min: 1024, max: 65535 }, "", "Port inside the sandbox. Required. Every agent has its own 1024 to 65535."),
    key("ports.*.protocol", Type::Choice(&["http", "https", "tcp"]), "tcp", "What is spoken on it; decides its URL."),
    key("ports.*.publish", Type::Flag, "true", "Whether a host port is leased for it.").narrow(),
    // filesystem
    key("filesystem.read", Type::HostPaths, "[]", "Host paths shown read-only.").narrow(),
    key("filesystem.write", Type::HostPaths, "[]", "Host paths shown writable; each must be granted.").narrow(),
    key("filesystem.protect", Type::GuardedPaths, "[]", "Names in the workspace that the agent can't create, change, remove or replace, present or not: `.vscode/`, `.mcp.json`. What is absent appears as an empty file inside, with a trailing `/` as an empty directory. Absolute paths must lie in `write` and exist. A layer's list replaces the one below.").narrow(),
    key("filesystem.hide", Type::GuardedPaths, "[]", "Names that appear empty, present or not, and are protected besides. What is committed can be read from git all the same, so such files are refused. Absolute paths must lie in `read` or `write` and exist.").narrow(),
    // network
    key("network.egress", Type::Choice(&["none", "allow", "open"]), "none", "What may leave the sandbox.").narrow(),
    key("network.allow", Type::Texts, "[]", "Hosts and groups that may be reached.").narrow(),
    key("network.expose.*.host", Type::Text, "", "Where a service of the host listens on its own loopback: `127.0.0.1:5433`. Required.").never(),
    key("network.expose.*.at", Type::Integer { min: 1024, max: 65535 }, "", "Loopback port inside that leads there. Required.").never(),
    // credentials
    key("credentials.*.secret", Type::Text, "", "Name of the secret (`wsm secret set`): the owner's, then everyone's. This or `login` is required.").never(),
    key("credentials.*.login", Type::Choice(crate::convert::LOGINS), "", "The owner's login of this kind (`wsm secret login`) instead of a secret: its kind says where it goes, and the file that the program reads stands inside, with placeholders.").never(),
    key("credentials.*.hosts", Type::Texts, "", "Hosts that get it, over TLS alone: `HOST[:PORT]`, `*.SUFFIX[:PORT]`. Required with `secret`, unless it is visible.").never(),
    key("credentials.*.header", Type::Text, "", "Header that holds it: `x-api-key`, or `authorization: Bearer {secret}`.").never(),
    key("credentials.*.basic", Type::Flag, "false", "Whether it may be user or password of basic authentication, as git sends it.").never(),
    key("credentials.*.body", Type::Text, "", "Member of a JSON object or form that holds it.").never(),
    key("credentials.*.paths", Type::Texts, "every path", "What the path of a request begins with: `/org/repository`.").never(),
    key("credentials.*.websocket", Type::Flag, "false", "Whether a WebSocket may be opened with it.").never(),
    key("credentials.*.env", Type::Text, "", "Variable that holds the placeholder, or the value if it is visible, once the secret is set.").never(),
    key("credentials.*.prefix", Type::Text, "", "What the placeholder begins with, for programs that look at a key's form.").never(),
    key("credentials.*.visible", Type::Flag, "false", "Whether the agent has the secret itself, in `env` and as `{credential.NAME}`, instead of a placeholder: for what can't be put in outside. It must have been set so (`wsm secret set --visible`), and `wsm show` tells.").never(),
    key("tools.allow", Type::Programs, "the host's /usr", "Programs of the host that exist in the sandbox, by name; `sh`, `bash` and `env` always do. What commands of the template start must be among them. Holds for the directories in PATH: what lies below `/usr/lib`, or what the agent brings itself, can be run.").narrow(),
    // limits
    key("limits.cpu", Type::Cores, "the host's", "Cores: 2.0 is two.").narrow(),
    key("limits.memory", Type::Size, "the host's", "Memory, swap included.").narrow(),
    key("limits.pids", Type::Integer { min: 1, max: 4_194_304 }, "the host's", "Tasks.").narrow(),
    key("limits.disk", Type::Size, "the host's", "Disk for workspace, home and state. *Not enforced yet*: `wsm show` lists it as `absent`.").narrow(),
    // sandbox
    key("sandbox.landlock", Type::Choice(&["required", "best-effort"]), "required", "Whether a start is refused when the kernel has no Landlock.").narrow(),
    key("sandbox.debug", Type::Flag, "false", "Let the agent trace its own processes: strace, gdb.").never(),
    key("sandbox.devices", Type::Devices, "[]", "Device nodes of the host, `/dev/kvm`. The host's `ceiling.json` must list each in `devices`.").narrow(),
    key("notify.on", Type::Events, "all of them", "What people are told about: `finished`, `blocked`, `failed`, `service-down`, `limit`, `security`. Whoever is told may have rules of their own instead (`wsm notify rules`)."),
];

/// What stands at a path of the format.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A key.
    Key(&'static Key),
    /// A table of fixed keys.
    Table,
    /// A table whose keys the author names.
    Named,
    /// Nothing.
    Unknown,
}

/// Looks a path up; a part of it matches `*` of the table.
pub(crate) fn entry(path: &[String]) -> Entry {
    let mut found = Entry::Unknown;
    for key in KEYS {
        let mut pattern = key.path.split('.');
        if !path
            .iter()
            .all(|part| pattern.next().is_some_and(|p| p == "*" || p == part))
        {
            continue;
        }
        match pattern.next() {
            None => return Entry::Key(key),
            Some("*") => found = Entry::Named,
            Some(_) => found = Entry::Table,
        }
    }
    found
}

/// The fixed names that may stand directly below `path`.
pub(crate) fn children(path: &[String]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS {
        let mut pattern = key.path.split('.');
        if !path
            .iter()
            .all(|part| pattern.next().is_some_and(|p| p == "*" || p == part))
        {
            continue;
        }
        if let Some(name) = pattern
            .next()
            .filter(|name| *name != "*" && !names.contains(name))
        {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn paths_are_found() {
        assert!(matches!(
            entry(&path("services.db.ready.tcp")),
            Entry::Key(_)
        ));
        assert!(matches!(entry(&path("services.db.ready")), Entry::Table));
        assert!(matches!(entry(&path("services")), Entry::Named));
        assert!(matches!(entry(&path("env")), Entry::Named));
        assert!(matches!(entry(&path("service")), Entry::Unknown));
        assert!(children(&path("agent")).contains(&"wait_for"));
    }

    #[test]
    fn the_list_of_later_features_names_keys_that_exist() {
        for (name, _) in crate::features::LATER {
            let key = name
                .split('=')
                .next()
                .expect("split yields one part at least");
            assert!(!matches!(entry(&path(key)), Entry::Unknown), "{name}");
        }
    }
}

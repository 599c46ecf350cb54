//! `[agent]`: the program, and what it is told in its kind's own way.

use std::collections::BTreeMap;

use super::{Reader, restart};
use crate::parse::{Leaf, Path};
use crate::problem::Problem;
use crate::resolved::{Agent, Kind, McpServer, Permissions, Restart};
use crate::value::Value;

impl Reader<'_> {
    pub(super) fn agent(&mut self) -> Agent {
        let kind = self
            .text(&["agent", "kind"])
            .and_then(Kind::from_name)
            .unwrap_or(Kind::Shell);
        let mut command = self.list(&["agent", "command"]);
        if command.is_empty() {
            command = kind
                .default_command()
                .iter()
                .map(|part| (*part).to_owned())
                .collect();
        }
        if command.is_empty()
            && self.value(&["agent", "command"]).is_none()
            && let Some(leaf) = self.flat.get(&Path::of(&["agent", "kind"]))
        {
            self.missing(
                leaf,
                "agent.command",
                "kind `command` needs `command = [\"…\"]`",
            );
        }
        let model = self.text(&["agent", "model"]).unwrap_or_default();
        let permissions = self.text(&["agent", "permissions"]);
        let agent = Agent {
            kind,
            command,
            prompt: self
                .text(&["agent", "prompt"])
                .unwrap_or_default()
                .to_owned(),
            wait_for: self.list(&["agent", "wait_for"]),
            restart: restart(self.text(&["agent", "restart"]), Restart::Never),
            resume: matches!(self.value(&["agent", "resume"]), Some(Value::Flag(true))),
            model: model.to_owned(),
            permissions: permissions.and_then(Permissions::from_name),
            mcp: self.servers(),
            idle_stop: self.duration(&["agent", "idle_stop"]),
        };
        self.check_kind(&agent);
        agent
    }

    fn servers(&mut self) -> BTreeMap<String, McpServer> {
        let flat = self.flat;
        let names = flat.iter().filter_map(|(path, leaf)| match &path.0[..] {
            [first, second, name, ..] if first == "agent" && second == "mcp" => Some((name, leaf)),
            _ => None,
        });
        let names: BTreeMap<&String, &Leaf> = names.collect();
        let mut servers = BTreeMap::new();
        for (name, leaf) in names {
            let command = self.list(&["agent", "mcp", name, "command"]);
            let url = self.text(&["agent", "mcp", name, "url"]);
            let server = match (command.is_empty(), url) {
                (false, None) => McpServer::Local {
                    command,
                    env: self.texts(&["agent", "mcp", name, "env"]),
                },
                (true, Some(url)) => McpServer::Remote {
                    url: url.to_owned(),
                },
                _ => {
                    let what = "needs either `command` or `url`";
                    self.refuse(leaf, &format!("agent.mcp.{name}"), what, None);
                    continue;
                }
            };
            servers.insert(name.clone(), server);
        }
        servers
    }

    /// What the kind has no way for is refused, not ignored.
    fn check_kind(&mut self, agent: &Agent) {
        let kind = agent.kind;
        let asked = [
            ("resume", agent.resume, kind.resumes()),
            ("model", !agent.model.is_empty(), kind.takes_prompt()),
            (
                "permissions",
                agent.permissions.is_some(),
                agent.permissions.is_some_and(|it| kind.permits(it)),
            ),
            ("mcp", !agent.mcp.is_empty(), kind.takes_mcp()),
        ];
        for (key, asked, able) in asked {
            if !asked || able {
                continue;
            }
            let path = Path::of(&["agent", key]);
            let below = |it: &&Path| it.0.starts_with(&path.0);
            let at = self.flat.keys().find(below).cloned();
            let Some(leaf) = at.and_then(|at| self.flat.get(&at)) else {
                continue;
            };
            let what = format!("an agent of kind `{}` has no way for this", kind.name());
            let hint = "leave it out, and tell the program by `command`, `env` or `files`";
            self.refuse(leaf, &format!("agent.{key}"), &what, Some(hint));
        }
    }

    fn refuse(&mut self, leaf: &Leaf, key: &str, what: &str, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.problems
            .push(Problem::new(&leaf.origin, key, what, hint));
    }
}

//! Codex: requirements of an administrator, whose hooks need no trust of the user's, and a layer of
//! settings below the user's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wsm_sandbox::spec::INSIDE_HOME;
use wsm_template::resolved::McpServer;

use super::{HOOK_SECONDS, QUESTION_SECONDS, hook};
use crate::record::Record;

const REQUIREMENTS: &str = "/etc/codex/requirements.toml";
const SETTINGS: &str = "/etc/codex/config.toml";

/// What is reported.
const EVENTS: [&str; 9] = [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "PreCompact",
    "Stop",
    "Interrupt",
    "SessionEnd",
];

pub(super) fn settings(record: &Record) -> BTreeMap<String, String> {
    let mut text = String::from("[hooks]\nmanaged_dir = \"/etc/wsm\"\n");
    for event in EVENTS {
        let waits = event == "PermissionRequest";
        let timeout = if waits {
            QUESTION_SECONDS
        } else {
            HOOK_SECONDS
        };
        let command = quoted(&hook("codex"));
        write!(
            text,
            "[[hooks.{event}]]\n[[hooks.{event}.hooks]]\ntype = \"command\"\ncommand = {command}\ntimeout = {timeout}\n"
        )
        .expect("a String takes all");
        if waits {
            text.push_str("statusMessage = \"waits for an answer by wsm; a key asks here\"\n");
        }
    }
    let mut texts = BTreeMap::from([(REQUIREMENTS.to_owned(), text)]);
    let servers = &record.resolved.agent.mcp;
    if !servers.is_empty() {
        let text = servers.iter().map(|(name, server)| of_server(name, server));
        texts.insert(SETTINGS.to_owned(), text.collect());
    }
    texts
}

fn of_server(name: &str, server: &McpServer) -> String {
    let table = format!("[mcp_servers.{}]\n", quoted(name));
    match server {
        McpServer::Local { command, env } => {
            let mut words = command.iter().map(|word| quoted(word));
            let program = words.next().unwrap_or_default();
            let arguments = words.collect::<Vec<_>>().join(", ");
            let env = env
                .iter()
                .map(|(k, v)| format!("{} = {}", quoted(k), quoted(v)));
            let env = env.collect::<Vec<_>>().join(", ");
            format!("{table}command = {program}\nargs = [{arguments}]\nenv = {{ {env} }}\n")
        }
        McpServer::Remote { url } => format!("{table}url = {}\n", quoted(url)),
    }
}

/// A basic string of TOML: JSON's escapes are among its own.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The workspace is trusted by whoever made the agent there.
pub(super) fn first_files(record: &Record) -> Vec<(String, String)> {
    let Some(paths) = &record.paths else {
        return Vec::new();
    };
    let workspace = quoted(&paths.workspace);
    let text = format!("[projects.{workspace}]\ntrust_level = \"trusted\"\n");
    vec![(format!("{INSIDE_HOME}/.codex/config.toml"), text)]
}

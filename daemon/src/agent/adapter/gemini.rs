//! Gemini CLI: an administrator's settings.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wsm_template::resolved::McpServer;

use super::{HOOK_SECONDS, hook};
use crate::record::Record;

const SETTINGS: &str = "/etc/gemini-cli/settings.json";

/// What is reported.
const EVENTS: [&str; 8] = [
    "SessionStart",
    "BeforeAgent",
    "BeforeTool",
    "AfterTool",
    "AfterAgent",
    "PreCompress",
    "Notification",
    "SessionEnd",
];

pub(super) fn settings(record: &Record) -> BTreeMap<String, String> {
    let timeout = u64::from(HOOK_SECONDS) * 1000;
    let one = json!([{"matcher": "*", "hooks": [
        {"name": "wsm", "type": "command", "command": hook("gemini"), "timeout": timeout}]}]);
    let hooks: Map<String, Value> = EVENTS
        .iter()
        .map(|event| ((*event).to_owned(), one.clone()))
        .collect();
    let mut all = json!({"hooksConfig": {"enabled": true}, "hooks": hooks});
    let servers = &record.resolved.agent.mcp;
    if !servers.is_empty() {
        let servers = servers
            .iter()
            .map(|(name, it)| (name.clone(), of_server(it)));
        all["mcpServers"] = Value::Object(servers.collect());
    }
    BTreeMap::from([(SETTINGS.to_owned(), all.to_string())])
}

fn of_server(server: &McpServer) -> Value {
    match server {
        McpServer::Local { command, env } => {
            let (program, arguments) = command.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
            json!({"command": program, "args": arguments, "env": env})
        }
        McpServer::Remote { url } => json!({"httpUrl": url}),
    }
}

//! Claude Code: managed settings with hooks.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wsm_sandbox::spec::INSIDE_HOME;
use wsm_template::CLAUDE_MCP;
use wsm_template::resolved::Permissions;

use super::{HOOK_SECONDS, QUESTION_SECONDS, hook};
use crate::record::Record;

const SETTINGS: &str = "/etc/claude-code/managed-settings.json";

/// What is reported. A name that it does not know makes Claude Code ask at its start: none here is
/// newer than 2.1.
pub(super) const EVENTS: [&str; 13] = [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "PostToolUseFailure",
    "Notification",
    "Elicitation",
    "ElicitationResult",
    "PreCompact",
    "Stop",
    "StopFailure",
    "SessionEnd",
];

pub(super) fn settings(record: &Record) -> BTreeMap<String, String> {
    let hooks = EVENTS.map(|event| (event.to_owned(), of(event, "claude")));
    let hooks: Map<String, Value> = hooks.into_iter().collect();
    let mut texts = BTreeMap::from([(SETTINGS.to_owned(), json!({"hooks": hooks}).to_string())]);
    let servers = &record.resolved.agent.mcp;
    if !servers.is_empty() {
        let servers: Map<String, Value> = servers
            .iter()
            .map(|(name, server)| (name.clone(), of_server(server)))
            .collect();
        let text = json!({"mcpServers": servers}).to_string();
        texts.insert(CLAUDE_MCP.to_owned(), text);
    }
    texts
}

/// One event's entry.
pub(super) fn of(event: &str, kind: &str) -> Value {
    let waits = event == "PermissionRequest";
    let timeout = if waits {
        QUESTION_SECONDS
    } else {
        HOOK_SECONDS
    };
    json!([{"hooks": [{"type": "command", "command": hook(kind), "timeout": timeout}]}])
}

fn of_server(server: &wsm_template::resolved::McpServer) -> Value {
    use wsm_template::resolved::McpServer::{Local, Remote};
    match server {
        Local { command, env } => {
            let (program, arguments) = command.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
            json!({"type": "stdio", "command": program, "args": arguments, "env": env})
        }
        Remote { url } => json!({"type": "http", "url": url}),
    }
}

/// Theme, trust in the workspace and the key that stands in the environment: asked by whoever made
/// the agent there, with that key.
pub(super) fn first_files(record: &Record) -> Vec<(String, String)> {
    // Who has no key yet is led to one by those questions.
    if !record.credentials.values().any(|it| it.ready) {
        return Vec::new();
    }
    let workspace = record.paths.as_ref().map(|it| it.workspace.clone());
    let keys = record.credentials.values();
    // Claude Code knows a key by its end.
    let approved: Vec<String> = keys
        .map(|it| {
            let from = it.placeholder.len().saturating_sub(20);
            it.placeholder[from..].to_owned()
        })
        .collect();
    let trusted = json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true});
    let all = record.resolved.agent.permissions == Some(Permissions::All);
    let state = json!({
        "hasCompletedOnboarding": true,
        "bypassPermissionsModeAccepted": all,
        "theme": "dark",
        "projects": {workspace.unwrap_or_default(): trusted},
        "customApiKeyResponses": {"approved": approved, "rejected": []},
    });
    vec![(format!("{INSIDE_HOME}/.claude.json"), state.to_string())]
}

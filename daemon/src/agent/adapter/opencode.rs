//! opencode: a plugin, named by the environment.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wsm_template::resolved::{McpServer, Permissions};

use crate::record::Record;

const PLUGIN: &str = "/etc/wsm/agent/opencode.js";

pub(super) fn settings() -> BTreeMap<String, String> {
    let text = include_str!("opencode.js").to_owned();
    BTreeMap::from([(PLUGIN.to_owned(), text)])
}

/// Settings of its own that come on top of the user's.
pub(super) fn environment(record: &Record, env: &mut BTreeMap<String, String>) {
    let agent = &record.resolved.agent;
    let mut all = json!({"plugin": [format!("file://{PLUGIN}")]});
    all["permission"] = match agent.permissions {
        None => Value::Null,
        Some(Permissions::Ask) => json!({"edit": "ask", "bash": "ask", "webfetch": "ask"}),
        Some(Permissions::Edits) => json!({"edit": "allow", "bash": "ask", "webfetch": "ask"}),
        Some(Permissions::All) => json!({"edit": "allow", "bash": "allow", "webfetch": "allow"}),
    };
    if !agent.mcp.is_empty() {
        let servers = agent
            .mcp
            .iter()
            .map(|(name, it)| (name.clone(), of_server(it)));
        all["mcp"] = Value::Object(servers.collect::<Map<_, _>>());
    }
    if let Value::Object(members) = &mut all {
        members.retain(|_, value| !value.is_null());
    }
    env.insert("OPENCODE_CONFIG_CONTENT".to_owned(), all.to_string());
}

fn of_server(server: &McpServer) -> Value {
    match server {
        McpServer::Local { command, env } => {
            json!({"type": "local", "command": command, "environment": env, "enabled": true})
        }
        McpServer::Remote { url } => json!({"type": "remote", "url": url, "enabled": true}),
    }
}

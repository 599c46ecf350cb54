//! What each kind of agent is given so that it reports what it does: pure.
//!
//! Settings stand where an administrator's do (`/etc/claude-code` …), in the root of the sandbox
//! that is read-only: neither the workspace nor the agent can change them, and the user's own stay
//! as they are. What a user may set as well (model, MCP servers, approvals) goes by arguments.

mod claude;
mod codex;
mod gemini;
mod opencode;

use std::collections::BTreeMap;

use wsm_sandbox::spec::INSIDE_HOOK;
use wsm_template::resolved::Kind;

use crate::record::Record;

/// Variable that holds the secret of a run, for the helper that hooks start.
pub(crate) const RUN_VARIABLE: &str = "WSM_RUN";

/// How long a hook may take whose question waits for a person: longer than anybody waits.
const QUESTION_SECONDS: u32 = 7 * 24 * 3600;
/// How long another hook may take.
const HOOK_SECONDS: u32 = 10;

/// Whether agents of this kind report what they do.
#[must_use]
pub(crate) fn reports(kind: Kind) -> bool {
    match kind {
        Kind::Claude | Kind::Codex | Kind::Gemini | Kind::Opencode => true,
        Kind::Aider | Kind::Shell | Kind::Command => false,
    }
}

/// Read-only texts of its sandbox: path and text.
#[must_use]
pub(crate) fn settings(record: &Record) -> BTreeMap<String, String> {
    match record.resolved.agent.kind {
        Kind::Claude => claude::settings(record),
        Kind::Codex => codex::settings(record),
        Kind::Gemini => gemini::settings(record),
        Kind::Opencode => opencode::settings(),
        Kind::Aider | Kind::Shell | Kind::Command => BTreeMap::new(),
    }
}

/// Adds to the environment of everything in the sandbox.
pub(crate) fn environment(record: &Record, env: &mut BTreeMap<String, String>) {
    if record.resolved.agent.kind == Kind::Opencode {
        opencode::environment(record, env);
    }
}

/// Files of the private home that are made once, where there are none: what the program would ask
/// at its first start, which wsm has asked already by being told to start it there.
#[must_use]
pub(crate) fn first_files(record: &Record) -> Vec<(String, String)> {
    match record.resolved.agent.kind {
        Kind::Claude => claude::first_files(record),
        Kind::Codex => codex::first_files(record),
        Kind::Gemini | Kind::Opencode | Kind::Aider | Kind::Shell | Kind::Command => Vec::new(),
    }
}

/// The conversation that its command goes on with.
#[must_use]
pub(crate) fn session(record: &Record) -> Option<&str> {
    // aider has one conversation for each directory, and no names for them.
    if record.resolved.agent.kind == Kind::Aider {
        return (record.resolved.agent.resume && record.run > 1).then_some("");
    }
    let session = record.heard.session.as_str();
    // It comes from inside and becomes an argument there.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let fits = session.bytes().all(plain) && !session.starts_with('-');
    (record.resolved.agent.resume && !session.is_empty() && fits).then_some(session)
}

/// The line that a hook runs.
fn hook(kind: &str) -> String {
    format!("{INSIDE_HOOK} {kind}")
}

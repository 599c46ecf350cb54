//! Codex's hooks: Claude Code's, but that its prompt is not shown while one of them is asked.

use serde_json::Value;

use super::claude;
use crate::protocol::Said;

/// From one event.
pub(super) fn hear(event: &Value) -> Option<(String, Said)> {
    let (session, mut said) = claude::hear(event)?;
    if let Said::Asks(asking) = &mut said {
        asking.covers = asking.answerable;
    }
    Some((session, said))
}

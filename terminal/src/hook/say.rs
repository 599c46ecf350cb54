//! `hook say STATE [TEXT]`: for programs that have hooks of their own and no adapter here.

use crate::protocol::Said;

/// From arguments.
pub(super) fn hear(arguments: &[String]) -> Option<Said> {
    let (state, text) = arguments.split_first()?;
    let text = text.join(" ");
    Some(match state.as_str() {
        "working" => Said::Working {
            what: text,
            used: String::new(),
        },
        "idle" => Said::Idle {
            what: text,
            background: 0,
        },
        "blocked" => Said::Needs { why: text },
        "failed" => Said::Failed { why: text },
        _ => return None,
    })
}

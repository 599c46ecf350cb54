//! Gemini CLI's hooks. They can't answer for a person: its questions are answered in its terminal.

use serde_json::Value;

use super::{first_line, text};
use crate::protocol::{Asking, EVERYTHING, Said};

/// From one event.
pub(super) fn hear(event: &Value) -> Option<(String, Said)> {
    let said = match text(event, &["hook_event_name"]) {
        "SessionStart" => Said::Started,
        "BeforeAgent" => working("on what it was told", EVERYTHING),
        "BeforeTool" => working(&format!("uses {}", text(event, &["tool_name"])), ""),
        "AfterTool" => {
            let tool = text(event, &["tool_name"]);
            working(&format!("used {tool}"), EVERYTHING)
        }
        "AfterAgent" => Said::Idle {
            what: first_line(text(event, &["prompt_response"])),
            background: 0,
        },
        "PreCompress" => working("makes the conversation shorter", ""),
        "Notification" => asks(event)?,
        "SessionEnd" => Said::Ended,
        _ => return None,
    };
    Some((text(event, &["session_id"]).to_owned(), said))
}

fn working(what: &str, used: &str) -> Said {
    Said::Working {
        what: what.to_owned(),
        used: used.to_owned(),
    }
}

fn asks(event: &Value) -> Option<Said> {
    if text(event, &["notification_type"]) != "ToolPermission" {
        return None;
    }
    let details = &event["details"];
    let command = ["command", "filePath", "fileName", "toolName"].map(|key| text(details, &[key]));
    let command = command.into_iter().find(|text| !text.is_empty());
    Some(Said::Asks(Asking {
        permission: true,
        tool: text(details, &["type"]).to_owned(),
        command: command.unwrap_or_default().to_owned(),
        detail: first_line(text(event, &["message"])),
        diff: text(details, &["fileDiff"]).to_owned(),
        answerable: false,
        covers: false,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_turn_with_a_question() {
        let of = |event: Value| hear(&event).map(|(_, said)| said);
        let before = of(json!({"hook_event_name": "BeforeAgent", "session_id": "s"}));
        assert!(matches!(before, Some(Said::Working { .. })));
        let asked = of(
            json!({"hook_event_name": "Notification", "notification_type": "ToolPermission",
            "message": "Tool Shell requires execution", "details": {"type": "exec", "command": "ls -la"}}),
        );
        let Some(Said::Asks(asking)) = asked else {
            panic!("it asks");
        };
        assert_eq!(
            (asking.command.as_str(), asking.answerable),
            ("ls -la", false)
        );
        let after = of(json!({"hook_event_name": "AfterAgent", "prompt_response": "done"}));
        assert!(matches!(after, Some(Said::Idle { what, .. }) if what == "done"));
        assert_eq!(of(json!({"hook_event_name": "BeforeModel"})), None);
    }
}

//! Claude Code's hooks. Codex took their form over.

use serde_json::{Value, json};

use super::diff;
use super::{first_line, text};
use crate::protocol::{Asking, EVERYTHING, Said, Verdict};

/// From one event.
pub(super) fn hear(event: &Value) -> Option<(String, Said)> {
    let said = match text(event, &["hook_event_name"]) {
        // A conversation that is made shorter goes on.
        "SessionStart" if text(event, &["source"]) == "compact" => return None,
        "SessionStart" => Said::Started,
        "UserPromptSubmit" | "ElicitationResult" => told(),
        // What an agent of the agent's begins says nothing of the agent itself.
        "PreToolUse" if event.get("agent_id").is_some() => return None,
        "PreToolUse" => working(&format!("uses {}", named(event))),
        "PermissionRequest" => asks(event),
        "PermissionDenied" | "PostToolUse" | "PostToolUseFailure" => Said::Working {
            what: format!("used {}", named(event)),
            used: text(event, &["tool_name"]).to_owned(),
        },
        "PreCompact" => working("makes the conversation shorter"),
        "Elicitation" => needs(event, &["message"], "asks something"),
        "Notification" => notified(event)?,
        "Stop" => Said::Idle {
            what: first_line(text(event, &["last_assistant_message"])),
            background: count(event.get("background_tasks")),
        },
        "StopFailure" => Said::Failed {
            why: failure(event),
        },
        "Interrupt" => Said::Interrupted,
        "SessionEnd" => Said::Ended,
        _ => return None,
    };
    Some((text(event, &["session_id"]).to_owned(), said))
}

/// What the hook prints.
pub(super) fn answer(verdict: &Verdict) -> Value {
    let decision = match (verdict.allow, verdict.message.as_str()) {
        (true, _) => json!({"behavior": "allow"}),
        (false, "") => json!({"behavior": "deny", "message": "A person said no."}),
        (false, message) => json!({"behavior": "deny", "message": message}),
    };
    json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}})
}

/// A person said something: whatever was asked before is answered.
fn told() -> Said {
    Said::Working {
        what: "on what it was told".to_owned(),
        used: EVERYTHING.to_owned(),
    }
}

fn working(what: &str) -> Said {
    Said::Working {
        what: what.to_owned(),
        used: String::new(),
    }
}

fn needs(event: &Value, path: &[&str], otherwise: &str) -> Said {
    let why = match first_line(text(event, path)) {
        said if said.is_empty() => otherwise.to_owned(),
        said => said,
    };
    Said::Needs { why }
}

fn notified(event: &Value) -> Option<Said> {
    match text(event, &["notification_type"]) {
        "idle_prompt" => Some(Said::Idle {
            what: String::new(),
            background: 0,
        }),
        "permission_prompt"
        | "elicitation_dialog"
        | "elicitation_url_dialog"
        | "agent_needs_input" => Some(needs(event, &["message"], "needs a person")),
        _ => None,
    }
}

fn failure(event: &Value) -> String {
    let parts = [text(event, &["error"]), text(event, &["error_details"])];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    match parts.join(": ") {
        why if why.is_empty() => "the model gave no answer".to_owned(),
        why => why,
    }
}

fn count(list: Option<&Value>) -> u32 {
    let length = list.and_then(Value::as_array).map_or(0, Vec::len);
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The tool, with what it is used on.
fn named(event: &Value) -> String {
    let tool = text(event, &["tool_name"]);
    match first_line(&command(event)) {
        on if on.is_empty() => tool.to_owned(),
        on => format!("{tool} `{on}`"),
    }
}

/// What is asked before a tool is used.
pub(super) fn asks(event: &Value) -> Said {
    let tool = text(event, &["tool_name"]);
    let input = &event["tool_input"];
    // Its answer is a choice, which a yes is not.
    if tool == "AskUserQuestion" {
        let first = input["questions"].get(0).unwrap_or(&Value::Null);
        return Said::Asks(Asking {
            tool: tool.to_owned(),
            detail: text(first, &["question"]).to_owned(),
            ..Asking::default()
        });
    }
    let detail = match text(input, &["description"]) {
        "" => text(input, &["plan"]),
        said => said,
    };
    Said::Asks(Asking {
        permission: true,
        tool: tool.to_owned(),
        command: command(event),
        detail: detail.to_owned(),
        diff: diff::of_tool(tool, input),
        answerable: true,
        covers: false,
    })
}

/// What names a use of a tool: the command, the file or the address.
const NAMES: [&str; 7] = [
    "command",
    "file_path",
    "notebook_path",
    "url",
    "query",
    "path",
    "pattern",
];

/// What is told elsewhere ([`diff::of_tool`], the detail), or changes nothing about what is done.
const TOLD: [&str; 9] = [
    "description",
    "timeout",
    "old_string",
    "new_string",
    "content",
    "edits",
    "new_source",
    "plan",
    "questions",
];

/// The command, the file or the address, and below it whatever else the tool is given: a yes is to
/// all of it. For a tool that names none all that it is given.
fn command(event: &Value) -> String {
    let input = &event["tool_input"];
    let is_patch = text(event, &["tool_name"]) == "apply_patch";
    let Value::Object(members) = input else {
        return String::new();
    };
    let named = NAMES.into_iter().find(|key| {
        let found = text(input, &[key]);
        !found.is_empty() && !found.starts_with("*** Begin Patch")
    });
    let told = |key: &str| {
        let patch = is_patch && matches!(key, "command" | "input" | "patch");
        Some(key) == named || TOLD.contains(&key) || patch
    };
    let nothing = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
    let rest = members
        .iter()
        .filter(|(key, value)| !told(key) && !nothing(value));
    let rest: serde_json::Map<_, _> = rest.map(|(k, v)| (k.clone(), v.clone())).collect();
    let named = named.map(|key| text(input, &[key])).unwrap_or_default();
    match (named, rest.is_empty()) {
        (named, true) => named.to_owned(),
        ("", false) => Value::Object(rest).to_string(),
        (named, false) => format!("{named}\nwith {}", Value::Object(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(event: &Value) -> Said {
        hear(event).expect("it says something").1
    }

    #[test]
    fn a_turn_from_prompt_to_stop() {
        let prompt =
            json!({"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt": "x"});
        let (session, first) = hear(&prompt).expect("it says something");
        assert_eq!(session, "s");
        assert!(matches!(first, Said::Working { .. }));
        let tool = json!({"hook_event_name": "PreToolUse", "tool_name": "Bash",
            "tool_input": {"command": "npm test\nmore"}});
        assert_eq!(said(&tool), working("uses Bash `npm test`"));
        let stop = json!({"hook_event_name": "Stop", "last_assistant_message": "\nDone.\nAll of it.",
            "background_tasks": [{"id": 1}]});
        let what = "Done.".to_owned();
        assert_eq!(
            said(&stop),
            Said::Idle {
                what,
                background: 1
            }
        );
        let failed = json!({"hook_event_name": "StopFailure", "error": "rate_limit"});
        assert_eq!(
            said(&failed),
            Said::Failed {
                why: "rate_limit".into()
            }
        );
    }

    #[test]
    fn a_permission_tells_command_and_diff() {
        let bash = json!({"hook_event_name": "PermissionRequest", "tool_name": "Bash",
            "tool_input": {"command": "rm -rf x", "description": "removes it"}});
        let Said::Asks(asking) = said(&bash) else {
            panic!("it asks");
        };
        assert!(asking.permission && asking.answerable && !asking.covers);
        assert_eq!(
            (asking.command.as_str(), asking.detail.as_str()),
            ("rm -rf x", "removes it")
        );
        let edit = json!({"hook_event_name": "PermissionRequest", "tool_name": "Edit",
            "tool_input": {"file_path": "/w/a.txt", "old_string": "one\ntwo", "new_string": "one\n2"}});
        let Said::Asks(asking) = said(&edit) else {
            panic!("it asks");
        };
        assert_eq!(asking.command, "/w/a.txt");
        assert!(asking.diff.contains("-two\n+2"), "{}", asking.diff);
    }

    #[test]
    fn what_tells_nothing_is_nothing() {
        for event in [
            json!({}),
            json!([]),
            json!({"hook_event_name": "MessageDisplay"}),
            json!({"hook_event_name": "SessionStart", "source": "compact"}),
            json!({"hook_event_name": "Notification", "notification_type": "auth_success"}),
            json!({"hook_event_name": "PreToolUse", "agent_id": "a", "tool_name": "Bash"}),
        ] {
            assert_eq!(hear(&event), None, "{event}");
        }
    }

    #[test]
    fn a_verdict_is_a_decision() {
        let yes = Verdict {
            allow: true,
            message: "ignored".into(),
        };
        let decision = &answer(&yes)["hookSpecificOutput"]["decision"];
        assert_eq!(decision, &json!({"behavior": "allow"}));
        let no = Verdict {
            allow: false,
            message: "use pnpm".into(),
        };
        let decision = &answer(&no)["hookSpecificOutput"]["decision"];
        assert_eq!(
            decision,
            &json!({"behavior": "deny", "message": "use pnpm"})
        );
    }

    #[test]
    fn nothing_that_a_yes_is_to_is_left_out() {
        let ask = |tool: &str, input: Value| {
            let event = json!({"hook_event_name": "PermissionRequest", "tool_name": tool,
                "tool_input": input});
            match said(&event) {
                Said::Asks(asking) => asking.command,
                other => panic!("{other:?}"),
            }
        };
        let plain = json!({"command": "ls", "description": "d", "timeout": 9,
            "run_in_background": false});
        assert_eq!(ask("Bash", plain), "ls");
        let free = json!({"command": "ls", "dangerouslyDisableSandbox": true});
        assert_eq!(
            ask("Bash", free),
            "ls\nwith {\"dangerouslyDisableSandbox\":true}"
        );
        let all = json!({"file_path": "/w/a", "old_string": "a", "new_string": "b",
            "replace_all": true});
        assert_eq!(ask("Edit", all), "/w/a\nwith {\"replace_all\":true}");
        let other = json!({"path": "/w", "database": "live", "sql": "DROP TABLE x"});
        assert_eq!(
            ask("mcp__db__run", other),
            "/w\nwith {\"database\":\"live\",\"sql\":\"DROP TABLE x\"}"
        );
        let unnamed = json!({"sql": "DROP TABLE x"});
        assert_eq!(ask("mcp__db__run", unnamed), "{\"sql\":\"DROP TABLE x\"}");
        assert_eq!(
            ask("apply_patch", json!({"input": "*** Begin Patch\n"})),
            ""
        );
    }
}

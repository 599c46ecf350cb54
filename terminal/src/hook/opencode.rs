//! opencode's events, as its plugin of ours passes them on.

use serde_json::{Value, json};

use super::{first_line, text};
use crate::protocol::{Asking, Said, Verdict};

/// From one event.
pub(super) fn hear(event: &Value) -> Option<(String, Said)> {
    let properties = &event["properties"];
    let said = match text(event, &["type"]) {
        "session.created" => Said::Started,
        "session.status" => match text(properties, &["status", "type"]) {
            "busy" => working("on what it was told", ""),
            "retry" => working("asks the model again", ""),
            "idle" => idle(),
            _ => return None,
        },
        "session.idle" => idle(),
        "session.error" => failed(&properties["error"]),
        "session.updated" => spent(&properties["info"])?,
        "permission.asked" => asks(properties),
        // The plugin lets go of a question that waits here, and names the others.
        "permission.replied" => working("on what it was told", text(properties, &["permission"])),
        "question.replied" | "question.rejected" => working("on what it was told", "question"),
        "question.asked" => Said::Asks(Asking {
            tool: "question".to_owned(),
            detail: text(&properties["questions"][0], &["question"]).to_owned(),
            ..Asking::default()
        }),
        _ => return None,
    };
    let session = match text(properties, &["sessionID"]) {
        "" => text(properties, &["info", "id"]),
        session => session,
    };
    Some((session.to_owned(), said))
}

/// What the plugin replies with.
pub(super) fn answer(verdict: &Verdict) -> Value {
    let reply = if verdict.allow { "once" } else { "reject" };
    json!({"reply": reply, "message": verdict.message})
}

fn working(what: &str, used: &str) -> Said {
    Said::Working {
        what: what.to_owned(),
        used: used.to_owned(),
    }
}

fn idle() -> Said {
    Said::Idle {
        what: String::new(),
        background: 0,
    }
}

fn failed(error: &Value) -> Said {
    let name = text(error, &["name"]);
    if name == "MessageAbortedError" {
        return Said::Interrupted;
    }
    let why = match first_line(text(error, &["data", "message"])) {
        said if said.is_empty() => name.to_owned(),
        said => said,
    };
    Said::Failed { why }
}

fn asks(properties: &Value) -> Said {
    let metadata = &properties["metadata"];
    let keys = ["command", "filepath", "url", "query"].map(|key| text(metadata, &[key]));
    let mut command = keys
        .into_iter()
        .find(|text| !text.is_empty())
        .map(str::to_owned)
        .unwrap_or_default();
    if command.is_empty() {
        let patterns = properties["patterns"].as_array().into_iter().flatten();
        let patterns: Vec<&str> = patterns.filter_map(Value::as_str).collect();
        command = patterns.join(" ");
    }
    let diff = text(metadata, &["diff"]).to_owned();
    // Of a tool that it does not know itself it does not say what that is given.
    let answerable = !matches!(command.as_str(), "" | "*") || !diff.is_empty();
    Said::Asks(Asking {
        permission: true,
        tool: text(properties, &["permission"]).to_owned(),
        command,
        detail: text(metadata, &["description"]).to_owned(),
        diff,
        answerable,
        covers: false,
    })
}

fn spent(info: &Value) -> Option<Said> {
    let tokens = &info["tokens"];
    let of = |value: &Value| value.as_u64().unwrap_or(0);
    let tokens_in =
        of(&tokens["input"]) + of(&tokens["cache"]["read"]) + of(&tokens["cache"]["write"]);
    let tokens_out = of(&tokens["output"]) + of(&tokens["reasoning"]);
    let dollars = info["cost"]
        .as_f64()
        .filter(|cost| (0.0..1e9).contains(cost));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1e15"
    )]
    let cost_micros = dollars.map(|cost| (cost * 1e6).round() as u64);
    (tokens_in + tokens_out > 0).then_some(Said::Spent {
        tokens_in,
        tokens_out,
        cost_micros,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_with_a_question() {
        let of = |event: Value| hear(&event).expect("it says something");
        let busy = of(
            json!({"type": "session.status", "properties": {"sessionID": "s", "status": {"type": "busy"}}}),
        );
        assert_eq!(busy, ("s".into(), working("on what it was told", "")));
        let asked = of(
            json!({"type": "permission.asked", "properties": {"id": "p", "sessionID": "s",
            "permission": "bash", "patterns": ["git add x"], "metadata": {"command": "git add x && y"}}}),
        );
        let Said::Asks(asking) = asked.1 else {
            panic!("it asks");
        };
        assert_eq!(
            (asking.tool.as_str(), asking.command.as_str()),
            ("bash", "git add x && y")
        );
        let spent = of(
            json!({"type": "session.updated", "properties": {"sessionID": "s", "info":
            {"cost": 0.000_054, "tokens": {"input": 3, "output": 3, "reasoning": 1, "cache": {"read": 2, "write": 0}}}}}),
        );
        assert_eq!(
            spent.1,
            Said::Spent {
                tokens_in: 5,
                tokens_out: 4,
                cost_micros: Some(54)
            }
        );
        let stopped = of(
            json!({"type": "session.error", "properties": {"sessionID": "s",
            "error": {"name": "MessageAbortedError"}}}),
        );
        assert_eq!(stopped.1, Said::Interrupted);
    }

    #[test]
    fn what_it_does_not_tell_is_not_answered_from_here() {
        let ask = |properties: Value| match asks(&properties) {
            Said::Asks(asking) => asking.answerable,
            other => panic!("{other:?}"),
        };
        assert!(!ask(
            json!({"permission": "db_run", "patterns": ["*"], "metadata": {}})
        ));
        assert!(!ask(json!({"permission": "db_run"})));
        assert!(ask(json!({"permission": "read", "patterns": ["/w/a"]})));
        assert!(ask(
            json!({"permission": "edit", "metadata": {"diff": "+x"}})
        ));
    }
}

//! What a conversation has cost, from the file that the agent itself keeps of it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use super::text;
use crate::protocol::Said;

/// Of a longer file nothing is told.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Claude Code: each answer of the model with its usage, written several times.
pub(super) fn claude(event: &Value) -> Option<Said> {
    if text(event, &["hook_event_name"]) != "Stop" {
        return None;
    }
    claude_lines(lines(text(event, &["transcript_path"]))?)
}

/// Codex: the sum so far, again and again.
pub(super) fn codex(event: &Value) -> Option<Said> {
    if text(event, &["hook_event_name"]) != "Stop" {
        return None;
    }
    codex_lines(lines(text(event, &["transcript_path"]))?)
}

fn lines(path: &str) -> Option<impl Iterator<Item = Value>> {
    let file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    let lines = BufReader::new(file.take(FILE_BYTES_MAX)).lines();
    let documents = lines.map_while(Result::ok);
    Some(documents.filter_map(|line| serde_json::from_str(&line).ok()))
}

fn claude_lines(lines: impl Iterator<Item = Value>) -> Option<Said> {
    let mut answers: HashMap<String, (u64, u64)> = HashMap::new();
    for line in lines {
        let usage = &line["message"]["usage"];
        let of = |key: &str| usage[key].as_u64().unwrap_or(0);
        let tokens_in =
            of("input_tokens") + of("cache_creation_input_tokens") + of("cache_read_input_tokens");
        if usage.is_object() {
            let id = text(&line, &["message", "id"]).to_owned();
            answers.insert(id, (tokens_in, of("output_tokens")));
        }
    }
    (!answers.is_empty()).then(|| Said::Spent {
        tokens_in: answers.values().map(|(tokens, _)| tokens).sum(),
        tokens_out: answers.values().map(|(_, tokens)| tokens).sum(),
        cost_micros: None,
    })
}

fn codex_lines(lines: impl Iterator<Item = Value>) -> Option<Said> {
    let totals = lines.filter_map(|line| {
        let total = &line["payload"]["info"]["total_token_usage"];
        Some((
            total["input_tokens"].as_u64()?,
            total["output_tokens"].as_u64()?,
        ))
    });
    let (tokens_in, tokens_out) = totals.last()?;
    Some(Said::Spent {
        tokens_in,
        tokens_out,
        cost_micros: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_counts_once() {
        let line = |id: &str, out: u64| {
            json!({"type": "assistant", "message": {"id": id, "usage":
                {"input_tokens": 2, "cache_read_input_tokens": 8, "output_tokens": out}}})
        };
        let lines = vec![
            line("a", 1),
            line("a", 5),
            json!({"type": "user"}),
            line("b", 7),
        ];
        let spent = claude_lines(lines.into_iter());
        let (tokens_in, tokens_out, cost_micros) = (20, 12, None);
        assert_eq!(
            spent,
            Some(Said::Spent {
                tokens_in,
                tokens_out,
                cost_micros
            })
        );
        assert_eq!(claude_lines(std::iter::empty()), None);
        let total = |tokens: u64| {
            json!({"payload": {"type": "token_count", "info": {"total_token_usage":
                {"input_tokens": tokens, "output_tokens": 1}}}})
        };
        let spent = codex_lines(vec![total(5), json!({}), total(9)].into_iter());
        assert!(matches!(
            spent,
            Some(Said::Spent {
                tokens_in: 9,
                tokens_out: 1,
                ..
            })
        ));
    }
}

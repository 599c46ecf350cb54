//! What people and scripts see. Everything that came from an agent is made harmless here.

use std::io::{self, Write};

use serde::Serialize;
use wsm_api::agent::State;
use wsm_api::problem::Problem;
use wsm_api::service::ServiceState;

use crate::failure::Failure;

/// How output is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON document.
    pub(crate) json: bool,
    /// Ids only.
    pub(crate) quiet: bool,
    /// Colours.
    pub(crate) color: bool,
}

/// Writes to standard output; a closed pipe ends the verb silently.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Failure::output(&e))
}

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    // Without a standard error there is nobody to tell.
    drop(writeln!(io::stderr(), "{line}"));
}

/// One JSON document, safe to look at: control characters that JSON lets through are escaped.
pub(crate) fn json(value: &impl Serialize) -> String {
    let plain = serde_json::to_string_pretty(value).expect("our own types serialize");
    let mut text = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        if c != '\n' && is_hostile(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    text
}

/// Control characters, and those that turn the direction of what follows.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{2029}')
}

/// One line that can't move the cursor, end the line or pose as another.
pub(crate) fn clean(text: &str) -> String {
    cleaned(text, |_| false)
}

/// Text of many lines that can't do more than end lines.
pub(crate) fn clean_lines(text: &str) -> String {
    cleaned(text, |c| matches!(c, '\n' | '\t'))
}

fn cleaned(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) && !keep(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Lines whose only escape sequences are colours and attributes (SGR).
pub(crate) fn clean_styled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&clean_lines(&rest[..at]));
        rest = &rest[at..];
        let sgr = sgr_bytes(rest);
        let taken = sgr.unwrap_or(1);
        if sgr.is_some() {
            out.push_str(&rest[..taken]);
        } else {
            out.push_str("\\u{1b}");
        }
        rest = &rest[taken..];
    }
    out.push_str(&clean_lines(rest));
    out
}

/// Length of the SGR sequence that `text` starts with.
fn sgr_bytes(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\u{1b}[")?;
    let end = body.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'))?;
    body[end..].starts_with('m').then_some(end + 3)
}

/// Rows under a head, columns as wide as they must be; cells are cleaned.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| clean(cell)).collect())
        .collect();
    let width = |column: usize| {
        let cells = std::iter::once(&head)
            .chain(&rows)
            .filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        let padded: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// A problem for people.
pub(crate) fn problem(problem: &Problem, color: bool) -> String {
    let error = if color {
        "\u{1b}[1;31merror\u{1b}[0m"
    } else {
        "error"
    };
    let hint = if color {
        "\u{1b}[1;36mhint\u{1b}[0m"
    } else {
        "hint"
    };
    let mut text = format!("{error}: {}\n", clean(&problem.message));
    for detail in &problem.details {
        for line in detail.lines() {
            text.push_str(&format!("  {}\n", clean(line)));
        }
    }
    if !problem.hint.is_empty() {
        text.push_str(&format!("{hint}: {}\n", clean(&problem.hint)));
    }
    text
}

/// SGR parameters of a state: what needs a person is yellow, what failed red, what runs green.
fn state_color(state: State) -> &'static str {
    match state {
        State::Creating | State::SettingUp | State::Starting | State::Stopping => "36",
        State::Working | State::Idle => "32",
        State::Blocked => "1;33",
        State::Failed | State::Lost => "31",
        State::Paused => "34",
        State::Stopped => "2",
    }
}

/// Puts the colour of `state` around its word in a finished line.
pub(crate) fn paint_state(text: &str, state: State, color: bool) -> String {
    if !color {
        return text.to_owned();
    }
    let word = state.as_str();
    text.replacen(
        word,
        &format!("\u{1b}[{}m{word}\u{1b}[0m", state_color(state)),
        1,
    )
}

/// Whether a service is as it should be, for `ls` and `show`.
pub(crate) fn service_is_well(state: ServiceState) -> bool {
    match state {
        ServiceState::Ready | ServiceState::Stopped => true,
        ServiceState::Waiting
        | ServiceState::Initializing
        | ServiceState::Starting
        | ServiceState::Unhealthy
        | ServiceState::Backoff
        | ServiceState::Failed
        | ServiceState::Stopping => false,
    }
}

/// How long ago `since` (RFC 3339) was, in the largest unit that fits.
pub(crate) fn age(since: &str, now: jiff::Timestamp) -> String {
    let Ok(then) = since.parse::<jiff::Timestamp>() else {
        return clean(since);
    };
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_says_can_not_move_the_cursor() {
        let hostile = "ok\u{1b}]52;c;x\u{7}\n\u{9b}31m\u{202e}fake\r";
        let line = clean(hostile);
        assert!(!line.chars().any(is_hostile), "{line:?}");
        assert_eq!(
            line,
            "ok\\u{1b}]52;c;x\\u{7}\\u{a}\\u{9b}31m\\u{202e}fake\\u{d}"
        );
        assert_eq!(clean_lines("a\tb\nc\r"), "a\tb\nc\\u{d}");
        let text = json(&hostile);
        assert!(!text.trim_end().chars().any(is_hostile), "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn a_styled_screen_keeps_colours_only() {
        let styled = "\u{1b}[1;38:5:4mhi\u{1b}[0m\u{1b}[2J\u{1b}]0;t\u{7}\u{1b}";
        let expected = "\u{1b}[1;38:5:4mhi\u{1b}[0m\\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{1b}";
        assert_eq!(clean_styled(styled), expected);
    }

    #[test]
    fn tables_line_up() {
        let rows = vec![
            vec!["a".into(), "working".into()],
            vec!["long-name".into(), "x\n".into()],
        ];
        let text = table(&["NAME", "STATE"], &rows);
        assert_eq!(
            text,
            "NAME       STATE\na          working\nlong-name  x\\u{a}\n"
        );
    }

    #[test]
    fn problems_are_told_with_their_hint() {
        let mut wrong = Problem::new(wsm_api::problem::Code::Invalid, "read t.toml: no", "fix it");
        wrong
            .details
            .push("t.toml:3: memory: not a size\n  hint: 4G".into());
        let text = problem(&wrong, false);
        assert_eq!(
            text,
            "error: read t.toml: no\n  t.toml:3: memory: not a size\n    hint: 4G\nhint: fix it\n"
        );
    }

    #[test]
    fn ages_are_short() {
        let now: jiff::Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        assert_eq!(age("2026-01-01T23:59:30.5Z", now), "30s");
        assert_eq!(age("2026-01-01T23:00:00Z", now), "1h");
        assert_eq!(age("2025-12-01T00:00:00Z", now), "32d");
        assert_eq!(age("2027-01-01T00:00:00Z", now), "0s");
        assert_eq!(age("?", now), "?");
    }
}

//! What a program inside says of itself, by a helper that its own hooks start.
//!
//! Nobody parses what an agent's hooks say but the helper, which is a process of the agent: what
//! reaches the shim, and through it the daemon, is a [`Report`], whose every field has a bound.

use serde::{Deserialize, Serialize};

/// Longest report as JSON.
pub const REPORT_BYTES_MAX: usize = 128 * 1024;

const RUN_BYTES_MAX: usize = 64;
const SESSION_BYTES_MAX: usize = 128;
const WORD_BYTES_MAX: usize = 80;
const LINE_BYTES_MAX: usize = 300;
const COMMAND_BYTES_MAX: usize = 4 * 1024;
const DETAIL_BYTES_MAX: usize = 1024;
const DIFF_BYTES_MAX: usize = 32 * 1024;

/// Stands for every tool.
pub const EVERYTHING: &str = "*";

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The secret of the run that it comes from, as stands in the environment of that alone.
    pub run: String,
    /// The conversation, as the program names it.
    pub session: String,
    /// What.
    pub said: Said,
}

/// What a program says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// A conversation begins, or is gone on with; nothing is done yet.
    Started,
    /// It works.
    Working {
        /// At what, in a line.
        what: String,
        /// The tool that it has just used, `""` for none: a question about it is answered. All
        /// questions are after [`EVERYTHING`].
        used: String,
    },
    /// It waits for what it is told next.
    Idle {
        /// What it said last, in a line.
        what: String,
        /// What of its own goes on in the background.
        background: u32,
    },
    /// It was interrupted, and waits.
    Interrupted,
    /// It gave up, and waits.
    Failed {
        /// Why.
        why: String,
    },
    /// It waits for the answer to a question.
    Asks(Asking),
    /// It waits for a person, in its terminal.
    Needs {
        /// Why.
        why: String,
    },
    /// What it has used so far.
    Spent {
        /// Tokens that went in.
        tokens_in: u64,
        /// Tokens that came out.
        tokens_out: u64,
        /// Millionths of a dollar, if it tells.
        cost_micros: Option<u64>,
    },
    /// The conversation is over.
    Ended,
}

/// A question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// May it do this (`true`), or does it want to know something.
    pub permission: bool,
    /// The tool.
    pub tool: String,
    /// The command or the file.
    pub command: String,
    /// What it says about it.
    pub detail: String,
    /// What an edit would change.
    pub diff: String,
    /// The connection stays, to bring the answer; otherwise it is answered in the terminal alone.
    pub answerable: bool,
    /// It shows no prompt in its terminal while it waits here: somebody who types there is let
    /// through.
    pub covers: bool,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Yes or no.
    pub allow: bool,
    /// What the agent is told.
    pub message: String,
}

/// A report as the shim took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Counts up from 1 within one incarnation.
    pub seq: u64,
    /// When, milliseconds since the epoch.
    pub at_ms: u64,
    /// Of which process, as the kernel says (host's number).
    pub pid: i32,
    /// What.
    pub report: Report,
}

/// What became of a question that is open no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Waits for an answer.
    Open,
    /// Somebody types in the terminal, where it is asked now.
    Yielded,
}

impl Report {
    /// The same within its bounds, with nothing in it that steers a terminal.
    #[must_use]
    pub fn bounded(mut self) -> Report {
        line(&mut self.run, RUN_BYTES_MAX);
        line(&mut self.session, SESSION_BYTES_MAX);
        match &mut self.said {
            Said::Working { what, used } => {
                line(what, LINE_BYTES_MAX);
                line(used, WORD_BYTES_MAX);
            }
            Said::Idle { what, .. } => line(what, LINE_BYTES_MAX),
            Said::Failed { why } | Said::Needs { why } => line(why, LINE_BYTES_MAX),
            Said::Asks(asking) => {
                line(&mut asking.tool, WORD_BYTES_MAX);
                text(&mut asking.command, COMMAND_BYTES_MAX);
                line(&mut asking.detail, DETAIL_BYTES_MAX);
                text(&mut asking.diff, DIFF_BYTES_MAX);
            }
            Said::Started | Said::Interrupted | Said::Ended | Said::Spent { .. } => {}
        }
        self
    }
}

/// One line, without control characters.
fn line(value: &mut String, most: usize) {
    if value.chars().any(char::is_control) {
        *value = value
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
    }
    cut(value, most);
}

/// Lines, without other control characters.
fn text(value: &mut String, most: usize) {
    let plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if !value.chars().all(plain) {
        *value = value
            .chars()
            .map(|c| if plain(c) { c } else { '\u{fffd}' })
            .collect();
    }
    cut(value, most);
}

fn cut(value: &mut String, most: usize) {
    if value.len() <= most {
        return;
    }
    let end = value.floor_char_boundary(most - '…'.len_utf8());
    value.truncate(end);
    value.push('…');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_bounded_and_steers_no_terminal() {
        let said = Said::Asks(Asking {
            permission: true,
            tool: "Ba\x1b[2Jsh".into(),
            command: "a\nb\x1b]0;x\x07".into(),
            detail: "ä".repeat(5000),
            diff: "x".repeat(100_000),
            answerable: true,
            covers: false,
        });
        let report = Report {
            run: "r".repeat(100),
            session: "a\nb".into(),
            said,
        };
        let report = report.bounded();
        assert_eq!(report.session, "a b");
        assert_eq!(report.run.len(), 64);
        let Said::Asks(asking) = report.said else {
            panic!("it asks");
        };
        assert_eq!(asking.tool, "Ba [2Jsh");
        assert_eq!(asking.command, "a\nb\u{fffd}]0;x\u{fffd}");
        assert!(asking.detail.len() <= 1024 && asking.detail.ends_with('…'));
        assert_eq!(asking.diff.len(), 32 * 1024);
    }
}

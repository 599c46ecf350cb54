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
const COMMAND_BYTES_MAX: usize = 16 * 1024;
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
    /// The connection stays, to bring the answer; otherwise it is answered in the terminal alone, as
    /// what is not here whole is.
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
    /// The same within its bounds, with nothing in it that steers a terminal or turns the direction of
    /// writing. A yes is to what was seen: a question that is cut can't be answered from here.
    #[must_use]
    pub fn bounded(mut self) -> Report {
        line(&mut self.run, RUN_BYTES_MAX);
        line(&mut self.session, SESSION_BYTES_MAX);
        match &mut self.said {
            Said::Working { what, used } => {
                line(what, LINE_BYTES_MAX);
                line(used, WORD_BYTES_MAX);
            }
            Said::Idle { what: words, .. }
            | Said::Failed { why: words }
            | Said::Needs { why: words } => {
                line(words, LINE_BYTES_MAX);
            }
            Said::Asks(asking) => asking.bound(),
            Said::Started | Said::Interrupted | Said::Ended | Said::Spent { .. } => {}
        }
        self
    }
}

impl Asking {
    fn bound(&mut self) {
        let whole = line(&mut self.tool, WORD_BYTES_MAX)
            & text(&mut self.command, COMMAND_BYTES_MAX)
            & text(&mut self.diff, DIFF_BYTES_MAX);
        // What is said about it is no part of it, unless there is nothing else.
        let alone = self.command.is_empty() && self.diff.is_empty();
        let said = line(&mut self.detail, DETAIL_BYTES_MAX);
        self.answerable &= whole && (said || !alone);
        self.covers &= self.answerable;
    }
}

/// One line, without control characters. Whether it is whole.
fn line(value: &mut String, most: usize) -> bool {
    replace(value, |c| c.is_control().then_some(' '));
    cut(value, most)
}

/// Lines, without other control characters. Whether it is whole.
fn text(value: &mut String, most: usize) -> bool {
    let plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    replace(value, |c| (!plain(c)).then_some('\u{fffd}'));
    cut(value, most)
}

/// Puts others in the place of some characters, and in the place of those that nobody sees what
/// they are.
fn replace(value: &mut String, other: impl Fn(char) -> Option<char>) {
    if !value.chars().any(|c| other(c).is_some() || is_unseen(c)) {
        return;
    }
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match other(c) {
            _ if is_unseen(c) => out.extend(c.escape_unicode()),
            Some(other) => out.push(other),
            None => out.push(c),
        }
    }
    *value = out;
}

/// Characters that turn the direction of writing, join and part invisibly, or are blank and no
/// space: by them a command reads otherwise than it runs.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn cut(value: &mut String, most: usize) -> bool {
    if value.len() <= most {
        return true;
    }
    let end = value.floor_char_boundary(most - '…'.len_utf8());
    value.truncate(end);
    value.push('…');
    false
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

    fn asked(command: String, detail: String, diff: String) -> Asking {
        let said = Said::Asks(Asking {
            permission: true,
            tool: "Bash".into(),
            command,
            detail,
            diff,
            answerable: true,
            covers: true,
        });
        let report = Report {
            run: "r".into(),
            session: "s".into(),
            said,
        };
        // The helper bounds it, and the shim does so again.
        match report.bounded().bounded().said {
            Said::Asks(asking) => asking,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_shown_whole_is_not_answered_from_here() {
        let none = String::new;
        let yes = |asking: Asking| asking.answerable && asking.covers;
        let padded = |n: usize| format!("echo {}; rm -rf ~", "x".repeat(n));
        assert!(yes(asked(padded(9_000), none(), none())));
        let cut = asked(padded(20_000), none(), none());
        assert!(!cut.answerable && !cut.covers && cut.command.ends_with('…'));
        assert!(!yes(asked("/w/a".into(), none(), "+x\n".repeat(20_000))));
        // What is said beside it may be cut; a plan is all there is.
        let long = "p".repeat(2_000);
        assert!(yes(asked("ls".into(), long.clone(), none())));
        assert!(!yes(asked(none(), long, none())));
    }

    #[test]
    fn what_nobody_would_see_is_shown() {
        let hidden = "ls \u{202e}fr- mr\u{2066} a\u{200b}b\u{e0041} \u{fffd}é漢🎉";
        let shown = "ls \\u{202e}fr- mr\\u{2066} a\\u{200b}b\\u{e0041} \u{fffd}é漢🎉";
        let asking = asked(hidden.into(), hidden.into(), hidden.into());
        assert_eq!(
            (&*asking.command, &*asking.detail, &*asking.diff),
            (shown, shown, shown)
        );
        assert!(asking.answerable);
    }
}

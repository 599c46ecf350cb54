//! Where a placeholder may stand in a shell command.
//!
//! A value is put in as one single-quoted word. That is safe only where the shell reads plain
//! words: inside quotes, backticks, a comment, a here-document or arithmetic, or after `\` or `$`,
//! the quotes would mean something else, and a value could become a command.

use crate::expand::Piece;
use crate::expand::pieces;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Single,
    Double,
    Backtick,
    Comment,
}

/// The first placeholder that stands where its quotes would not hold, and why.
pub(crate) fn misplaced(command: &str) -> Option<(&str, &'static str)> {
    let mut state = State::Plain;
    let mut previous = ' ';
    let mut escaped = false;
    let mut odd = None;
    for piece in pieces(command) {
        let text = match piece {
            Piece::Brace => "{",
            Piece::Text(text) => text,
            Piece::Name(name) => {
                if let Some(reason) = refusal(state, escaped, previous, odd) {
                    return Some((name, reason));
                }
                previous = 'x';
                continue;
            }
        };
        for c in text.chars() {
            if escaped {
                escaped = false;
            } else {
                (state, escaped) = step(state, previous, c);
                odd = odd.or(match (state, previous, c) {
                    (State::Plain, '<', '<') => Some("after a here-document"),
                    (State::Plain, '(', '(') => Some("after an arithmetic expression"),
                    (_, '$', '\'') => Some("after a $'…' string"),
                    _ => None,
                });
            }
            previous = c;
        }
    }
    None
}

fn refusal(
    state: State,
    escaped: bool,
    previous: char,
    odd: Option<&'static str>,
) -> Option<&'static str> {
    match state {
        State::Single | State::Double => Some("inside quotes"),
        State::Backtick => Some("inside backticks"),
        State::Comment => Some("inside a comment"),
        State::Plain if escaped => Some("after a backslash"),
        State::Plain if previous == '$' => Some("after a `$`"),
        State::Plain => odd,
    }
}

/// The state after `c`, and whether the next character is escaped.
fn step(state: State, previous: char, c: char) -> (State, bool) {
    match (state, c) {
        (State::Plain, '\'') => (State::Single, false),
        (State::Plain, '"') => (State::Double, false),
        (State::Plain, '`') => (State::Backtick, false),
        (State::Plain, '#') if previous.is_whitespace() || ";|&()<>".contains(previous) => {
            (State::Comment, false)
        }
        (State::Single, '\'') | (State::Double, '"') | (State::Backtick, '`') => {
            (State::Plain, false)
        }
        (State::Comment, '\n') => (State::Plain, false),
        (State::Plain | State::Double | State::Backtick, '\\') => (state, true),
        (same, _) => (same, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_may_be_put_in() {
        for good in [
            "echo {param.task}",
            "echo 'a b' \"c\" {agent} # done",
            "x=$(cat {workspace}/f) && echo --p={port.web}",
            "echo a#{agent}",
            "echo it\\'s {agent}",
            "echo \"{{agent}\"",
        ] {
            assert_eq!(misplaced(good), None, "{good}");
        }
        for (bad, reason) in [
            ("echo \"{param.task}\"", "inside quotes"),
            ("sh -c '{param.task}'", "inside quotes"),
            ("echo `ls {param.task}`", "inside backticks"),
            ("true # {param.task}", "inside a comment"),
            ("echo \\{param.task}", "after a backslash"),
            ("echo ${param.task}", "after a `$`"),
            ("cat <<E\n{param.task}\nE", "after a here-document"),
            ("echo $(( {param.task} ))", "after an arithmetic expression"),
            ("echo $'a' {param.task}", "after a $'…' string"),
            ("echo $'a\\'' {param.task}", "inside quotes"),
            ("echo \"a\\\" {param.task}\"", "inside quotes"),
        ] {
            assert_eq!(misplaced(bad).map(|(_, why)| why), Some(reason), "{bad}");
        }
    }
}

//! Placeholders: `{agent}`, `{port.web}`, `{param.task}` …
//!
//! Only `{` + a lower-case name + `}` is a placeholder, so `${HOME}`, `{}`, `{ cmd; }` and JSON are
//! left alone; `{{` is a brace where a placeholder would be read. Values are put in once and never
//! read again, so a value that looks like a placeholder stays what it is.

use std::collections::BTreeMap;

/// Placeholders without a dot.
pub(crate) const PLAIN: &[&str] = &[
    "agent",
    "owner",
    "repo",
    "host",
    "state",
    "workspace",
    "home",
];
/// Placeholders with a name after the dot.
pub(crate) const DOTTED: &[&str] = &["port", "url", "param", "credential"];

/// What the placeholders stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars {
    /// `{agent}`: the agent's name.
    pub agent: String,
    /// `{owner}`: the owner's name.
    pub owner: String,
    /// `{repo}`: the repository's name.
    pub repo: String,
    /// `{host}`: this host's name.
    pub host: String,
    /// `{state}`: the service's private directory; only inside `[services]`.
    pub state: Option<String>,
    /// `{workspace}`: path of the checkout.
    pub workspace: String,
    /// `{home}`: path of the private home.
    pub home: String,
    /// `{port.NAME}`: port inside the sandbox.
    pub ports: BTreeMap<String, u16>,
    /// `{url.NAME}`: URL outside, of published ports.
    pub urls: BTreeMap<String, String>,
    /// `{param.NAME}`.
    pub params: BTreeMap<String, String>,
    /// `{credential.NAME}`: what the agent has instead of the secret.
    pub credentials: BTreeMap<String, String>,
}

/// Who reads the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Nobody: an argv element, a variable, a file.
    Raw,
    /// A shell: every value is quoted as one word.
    Shell,
}

/// A placeholder without a value. [`crate::resolve`] refuses undeclared ones, so this means that
/// the caller asked too early or in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for the placeholder {{{name}}}")]
pub struct ExpandError {
    /// The placeholder's name.
    pub name: String,
}

/// Replaces every placeholder of `text`.
///
/// # Errors
/// When a placeholder has no value in `vars`.
pub fn expand(text: &str, vars: &Vars, quoting: Quoting) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Brace => out.push('{'),
            Piece::Name(name) => {
                let value = lookup(name, vars).ok_or_else(|| ExpandError {
                    name: name.to_owned(),
                })?;
                match quoting {
                    Quoting::Raw => out.push_str(&value),
                    Quoting::Shell => push_quoted(&mut out, &value),
                }
            }
        }
    }
    Ok(out)
}

/// Replaces every placeholder of every element, raw: for an argv.
///
/// # Errors
/// When a placeholder has no value in `vars`.
pub fn expand_all(list: &[String], vars: &Vars) -> Result<Vec<String>, ExpandError> {
    list.iter()
        .map(|text| expand(text, vars, Quoting::Raw))
        .collect()
}

/// The names of the placeholders of `text`, in order, with repetitions.
pub fn names(text: &str) -> Vec<&str> {
    pieces(text)
        .filter_map(|piece| match piece {
            Piece::Name(name) => Some(name),
            Piece::Text(_) | Piece::Brace => None,
        })
        .collect()
}

/// Writes `text` so that [`expand`] gives it back unchanged.
pub fn escape(text: &str) -> String {
    text.replace('{', "{{")
}

/// Quotes `text` as one word of a POSIX shell.
pub fn shell_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

fn push_quoted(out: &mut String, value: &str) {
    out.push('\'');
    out.push_str(&value.replace('\'', r"'\''"));
    out.push('\'');
}

fn lookup(name: &str, vars: &Vars) -> Option<String> {
    match name.split_once('.') {
        Some(("port", port)) => vars.ports.get(port).map(u16::to_string),
        Some(("url", port)) => vars.urls.get(port).cloned(),
        Some(("credential", name)) => vars.credentials.get(name).cloned(),
        Some(("param", param)) => vars.params.get(param).cloned(),
        Some(_) => None,
        None => match name {
            "agent" => Some(vars.agent.clone()),
            "owner" => Some(vars.owner.clone()),
            "repo" => Some(vars.repo.clone()),
            "host" => Some(vars.host.clone()),
            "state" => vars.state.clone(),
            "workspace" => Some(vars.workspace.clone()),
            "home" => Some(vars.home.clone()),
            _ => None,
        },
    }
}

/// A part of a text with placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// `{{`.
    Brace,
    /// A placeholder's name.
    Name(&'a str),
}

/// Splits a text.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix("{{") {
            rest = after;
            return Some(Piece::Brace);
        }
        if let Some((name, after)) = placeholder(rest) {
            rest = after;
            return Some(Piece::Name(name));
        }
        // Not a placeholder here: take at least one character, up to the next brace.
        let skip = usize::from(rest.starts_with('{'));
        let end = rest[skip..].find('{').map_or(rest.len(), |at| at + skip);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(text))
    })
}

fn placeholder(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{')?;
    let end = inner.find(|c: char| {
        !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-'))
    })?;
    let (name, after) = inner.split_at(end);
    let after = after.strip_prefix('}')?;
    name.starts_with(|c: char| c.is_ascii_lowercase())
        .then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> Vars {
        Vars {
            agent: "fix-login".to_owned(),
            workspace: "/w".to_owned(),
            ports: BTreeMap::from([("web".to_owned(), 5173)]),
            params: BTreeMap::from([("task".to_owned(), "it's {agent}; $(id)".to_owned())]),
            ..Vars::default()
        }
    }

    #[test]
    fn placeholders_are_replaced_once() {
        let raw = |text| expand(text, &vars(), Quoting::Raw);
        assert_eq!(raw("wsm/{agent}").as_deref(), Ok("wsm/fix-login"));
        assert_eq!(raw("--port={port.web}").as_deref(), Ok("--port=5173"));
        assert_eq!(raw("{param.task}").as_deref(), Ok("it's {agent}; $(id)"));
        assert_eq!(raw("{{agent}").as_deref(), Ok("{agent}"));
        for text in [
            "${HOME}",
            "{}",
            "{ cd x; }",
            "{\"a\": {\"b\": 1}}",
            "{a,b}",
            "{",
            "{agent",
            "a}b",
        ] {
            assert_eq!(raw(text).as_deref(), Ok(text));
        }
        assert_eq!(raw("{state}").unwrap_err().name, "state");
        assert_eq!(
            raw("{port.db}").unwrap_err().to_string(),
            "no value for the placeholder {port.db}"
        );
    }

    #[test]
    fn a_shell_reads_one_word() {
        let text = expand("echo {param.task}", &vars(), Quoting::Shell).unwrap();
        assert_eq!(text, r"echo 'it'\''s {agent}; $(id)'");
        assert_eq!(shell_quote(""), "''");
    }

    #[test]
    fn escaped_text_comes_back() {
        for text in ["{agent}", "{{x}}", "plain", "{{{"] {
            assert_eq!(
                expand(&escape(text), &vars(), Quoting::Raw).as_deref(),
                Ok(text)
            );
            assert!(names(&escape(text)).is_empty());
        }
    }
}

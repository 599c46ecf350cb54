//! Keys whose feature does not exist yet. They are refused, never ignored.
//!
//! This is the one list: a feature is turned on by deleting its line (and reading the key in
//! `convert.rs`). A key covers everything below it; `key=value` covers one choice of a key.

/// Key, or `key=choice`, and what it would do.
pub(crate) const LATER: &[(&str, &str)] = &[("workspace.warm", "copy-on-write directories")];

/// What the feature behind `key` is, when it does not exist yet.
pub(crate) fn later(key: &str) -> Option<&'static str> {
    LATER
        .iter()
        .find(|(name, _)| {
            let mut parts = key.split('.');
            name.split('.')
                .all(|name| parts.next().is_some_and(|part| name == "*" || name == part))
        })
        .map(|(_, what)| *what)
}

/// What the feature behind one choice of `key` is, when it does not exist yet.
pub(crate) fn later_choice(key: &str, choice: &str) -> Option<&'static str> {
    LATER
        .iter()
        .find(|(name, _)| name.split_once('=') == Some((key, choice)))
        .map(|(_, what)| *what)
}

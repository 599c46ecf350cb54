//! Secrets: what they are called, whose they are, where they may go. Their values are kept by
//! `wsm egress` alone ([`crate::engine`]); whoever sets one gives it to egress itself.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::host::Host;
use crate::login;
use crate::rule::Pattern;

/// Longest name.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest value: tokens are below 4 KiB, and it must fit a header.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;
/// Most hosts that one secret is bound to.
pub const HOSTS_MAX: usize = 64;

/// A value. It is wiped when dropped, and can't be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Zeroizing<String>);

impl Value {
    /// Takes a text that may stand in a header: visible ASCII, spaces within.
    ///
    /// # Errors
    /// It is empty, too long, or holds something else; the text is not repeated.
    pub fn new(text: Zeroizing<String>) -> Result<Value, BadSecret> {
        let plain = text.bytes().all(|b| matches!(b, b' '..=b'~'));
        if text.is_empty() || text.len() > VALUE_BYTES_MAX {
            return Err(BadSecret::Length);
        }
        if !plain || text.starts_with(' ') || text.ends_with(' ') {
            return Err(BadSecret::Characters);
        }
        Ok(Value(text))
    }

    /// The value itself: for the request that it belongs into, and for nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(…)")
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Value::new(text).map_err(serde::de::Error::custom)
    }
}

/// Why a secret can't be kept as it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Name.
    #[error("{0:?} is no name of a secret (a-z, 0-9, - . _, at most {NAME_BYTES_MAX})")]
    Name(String),
    /// Value.
    #[error("the value is empty, or longer than {VALUE_BYTES_MAX} bytes")]
    Length,
    /// Value.
    #[error(
        "the value holds something else than visible ASCII characters, or begins or ends with a space"
    )]
    Characters,
    /// Hosts.
    #[error("{0}")]
    Hosts(String),
    /// Login.
    #[error("{0}")]
    Login(String),
}

/// Checks a name.
///
/// # Errors
/// It is none.
pub fn check_name(name: &str) -> Result<(), BadSecret> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let plain = name
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
    if fits && begins && plain {
        Ok(())
    } else {
        Err(BadSecret::Name(name.to_owned()))
    }
}

/// Hosts that a secret is bound to.
///
/// # Errors
/// One of them is no host or `*.SUFFIX`, or there are too many.
pub fn check_hosts(hosts: &[String]) -> Result<Vec<Pattern>, BadSecret> {
    if hosts.len() > HOSTS_MAX {
        return Err(BadSecret::Hosts(format!("more than {HOSTS_MAX} hosts")));
    }
    let parsed = hosts.iter().map(|host| Pattern::parse(host));
    let parsed: Result<_, _> = parsed.collect();
    parsed.map_err(|bad| BadSecret::Hosts(bad.to_string()))
}

/// Whether a secret that is bound to `hosts` may go to `host`; bound to none it may go anywhere
/// that a rule of its owner names.
#[must_use]
pub fn may_go(hosts: &[Pattern], host: &Host) -> bool {
    hosts.is_empty() || hosts.iter().any(|pattern| pattern.means(host))
}

/// What may be told of a secret: everything but its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Whose it is; `None`: the host's.
    pub owner: Option<String>,
    /// Its name.
    pub name: String,
    /// Where alone it may go; empty: wherever a rule of its owner's says.
    pub hosts: Vec<String>,
    /// When it was set, milliseconds since the epoch.
    pub set_ms: u64,
    /// From when it is not used any more.
    pub expires_ms: Option<u64>,
    /// When it was put into a request last.
    pub used_ms: Option<u64>,
    /// Whether an agent may have the value itself, where its template says so.
    #[serde(default)]
    pub visible: bool,
    /// If it is a login.
    #[serde(default)]
    pub login: Option<login::About>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Value, BadSecret> {
        Value::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn a_value_is_never_printed() {
        let kept = value("sk-ant-very-secret").unwrap();
        assert_eq!(format!("{kept:?} {kept:#?}"), "Value(…) Value(…)");
        let bad = serde_json::from_str::<Value>("\"sk-very\\u0000secret\"").unwrap_err();
        assert!(!bad.to_string().contains("secret\u{0}"), "{bad}");
        assert!(!bad.to_string().contains("sk-very"), "{bad}");
    }

    #[test]
    fn what_no_header_can_hold_is_no_value() {
        for bad in ["", " a", "a ", "a\r\nx: y", "ä", "a\tb", "\u{7f}"] {
            assert!(value(bad).is_err(), "{bad:?}");
        }
        assert!(value(&"x".repeat(VALUE_BYTES_MAX)).is_ok());
        assert!(value(&"x".repeat(VALUE_BYTES_MAX + 1)).is_err());
        assert_eq!(value("a b").unwrap().reveal(), "a b");
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "anthropic-api-key", "gh.token_2"] {
            check_name(good).unwrap();
        }
        for bad in ["", "-a", "A", "a b", "../x", "ä", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bound_secret_goes_to_its_hosts_alone() {
        let bound = check_hosts(&["api.example.com".into(), "*.example.org".into()]).unwrap();
        let host = |name: &str| Host::parse(name).unwrap();
        assert!(may_go(&bound, &host("api.example.com")));
        assert!(may_go(&bound, &host("a.b.example.org")));
        assert!(!may_go(&bound, &host("example.com")));
        assert!(!may_go(&bound, &host("api.example.com.evil.net")));
        assert!(may_go(&[], &host("anything.net")));
        assert!(check_hosts(&["*.com".into()]).is_err());
    }
}

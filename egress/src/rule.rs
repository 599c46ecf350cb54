//! Rules of an allow list: `HOST`, `HOST:PORT`, `*.SUFFIX`, `*.SUFFIX:PORT`. The port is 443 where
//! none is written.

use std::fmt;

use crate::host::{BadHost, Host};

/// The port of a rule that names none.
pub const PORT_DEFAULT: u16 = 443;

/// Which hosts a rule means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// This one.
    Exact(Host),
    /// One label or more before this suffix; not the suffix itself.
    Below(String),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which hosts.
    pub pattern: Pattern,
    /// Which port.
    pub port: u16,
    /// The group it came by (`npm`), if it did.
    pub group: Option<String>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {why}")]
pub struct BadRule {
    /// The rule.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Pattern {
    /// Reads a host or `*.SUFFIX`.
    ///
    /// # Errors
    /// It is neither, or the suffix is everybody's (`*.com`, `*.co.uk`).
    pub fn parse(text: &str) -> Result<Pattern, BadRule> {
        let bad = |why: String| BadRule {
            text: text.to_owned(),
            why,
        };
        let Some(suffix) = text.strip_prefix("*.") else {
            if text.contains('*') {
                return Err(bad(
                    "a wildcard stands first and alone: *.example.com".into()
                ));
            }
            let host = Host::parse(text).map_err(|e: BadHost| bad(e.to_string()))?;
            return Ok(Pattern::Exact(host));
        };
        match Host::parse(suffix) {
            Ok(Host::Name(name)) if is_public_suffix(&name) => Err(bad(format!(
                "everybody can have a name below {name}; name the hosts"
            ))),
            Ok(Host::Name(name)) => Ok(Pattern::Below(name)),
            Ok(Host::Ip(_)) => Err(bad("an address has nothing below it".into())),
            Err(why) => Err(bad(why.to_string())),
        }
    }

    /// Whether it means this host.
    #[must_use]
    pub fn means(&self, host: &Host) -> bool {
        match (self, host) {
            (Pattern::Exact(wanted), host) => wanted == host,
            (Pattern::Below(suffix), Host::Name(name)) => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            (Pattern::Below(_), Host::Ip(_)) => false,
        }
    }
}

/// Whether nothing registrable is in a name: a top-level domain, or what a registry or a hoster
/// gives names below to anybody (the Public Suffix List, its private part too).
fn is_public_suffix(name: &str) -> bool {
    psl::domain_str(name).is_none()
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Rule, BadRule> {
        let bad = |why: &str| BadRule {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        let (host, port) = match split(text) {
            (host, None) => (host, PORT_DEFAULT),
            (host, Some(port)) => {
                let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
                let number = port.parse().ok().filter(|port| digits && *port > 0);
                let number: u16 = number.ok_or_else(|| bad("the port is not 1 to 65535"))?;
                (host, number)
            }
        };
        if text.contains("//") {
            return Err(bad("it is an address of a page; write the host alone"));
        }
        let pattern = Pattern::parse(host).map_err(|problem| BadRule {
            text: text.to_owned(),
            why: problem.why,
        })?;
        Ok(Rule {
            pattern,
            port,
            group: None,
        })
    }

    /// The same rule as a member of a group.
    #[must_use]
    pub fn of_group(mut self, group: &str) -> Rule {
        self.group = Some(group.to_owned());
        self
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
    match text[after_bracket..].split_once(':') {
        // An address of IPv6 without brackets has more colons, and no port.
        Some((_, rest)) if after_bracket == 0 && rest.contains(':') => (text, None),
        Some((host, port)) => (&text[..after_bracket + host.len()], Some(port)),
        None => (text, None),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(host) => write!(f, "{host}"),
            Pattern::Below(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.port == PORT_DEFAULT {
            write!(f, "{}", self.pattern)
        } else {
            write!(f, "{}:{}", self.pattern, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_443_where_none_is_written() {
        for (text, shown, port) in [
            ("Example.com", "example.com", 443),
            ("example.com:443", "example.com", 443),
            ("git.example.com:22", "git.example.com:22", 22),
            ("*.cdn.example.com", "*.cdn.example.com", 443),
            ("*.cdn.example.com:8443", "*.cdn.example.com:8443", 8443),
            ("192.0.2.1:5432", "192.0.2.1:5432", 5432),
            ("[2001:db8::1]:5432", "[2001:db8::1]:5432", 5432),
            ("2001:db8::1", "[2001:db8::1]", 443),
        ] {
            let rule = Rule::parse(text).unwrap();
            assert_eq!((rule.to_string().as_str(), rule.port), (shown, port));
            assert_eq!(Rule::parse(&rule.to_string()).unwrap(), rule);
        }
    }

    #[test]
    fn what_means_too_much_is_refused() {
        for text in [
            "*",
            "*.",
            "**.a.com",
            "a.*.com",
            "*a.com",
            "*.com",
            "*.co.uk",
            "*.github.io",
            "*.localhost",
            "*.192.0.2.1",
            "",
            ":443",
            "a.com:",
            "a.com:0",
            "a.com:65536",
            "a.com:http",
            "a.com:-1",
            "https://a.com",
            "a.com/path",
            "127.1",
            "0x7f.1",
            "a.com:80:80",
            "a b.com",
        ] {
            assert!(Rule::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn suffixes_are_whole_labels() {
        let below = Pattern::parse("*.allowed.com").unwrap();
        for (host, means) in [
            ("a.allowed.com", true),
            ("a.b.allowed.com", true),
            ("allowed.com", false),
            ("evilallowed.com", false),
            ("allowed.com.evil.com", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(below.means(&Host::parse(host).unwrap()), means, "{host}");
        }
    }
}

//! The host's configuration: `config.toml`, tables `[egress]`, `[recordings]` and `[notify]`
//! ([`notify`]). Root writes it.
//!
//! ```toml
//! [egress]
//! permit = [{ names = ["registry.internal.example"], cidr = "10.1.0.0/16" }]
//!
//! [egress.groups]
//! npm = ["registry.example.org"]
//!
//! [egress.hosts]                      # names that this host answers for itself
//! "registry.internal.example" = ["10.1.2.3"]
//!
//! [recordings]                        # of what terminals show; these are the defaults
//! enabled = true
//! mebibytes = 16                      # per terminal
//! days = 30
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use serde::Deserialize;

use crate::address::Permit;
use crate::host::Host;
use crate::policy::Written;
use crate::rule::{Pattern, Rule};

pub mod notify;

/// Name of the file in the configuration directory.
pub const CONFIG_FILE: &str = "config.toml";

/// Longest file.
const BYTES_MAX: u64 = 1 << 20;

/// What the host says about egress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// Addresses that are permitted although they are not public.
    pub permits: Vec<Permit>,
    /// Members of `@NAME`.
    pub groups: BTreeMap<String, Vec<Rule>>,
    /// Names that the host answers for itself.
    pub hosts: BTreeMap<Host, Vec<IpAddr>>,
    /// What is kept of terminals; no concern of egress, but of the same file.
    pub recordings: Recordings,
    /// Where notifications may go; likewise.
    pub notify: notify::Notify,
}

/// What the host keeps of what terminals show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recordings {
    /// Whether anything is.
    pub enabled: bool,
    /// Bound of one terminal's recording.
    pub mebibytes: u32,
    /// What is older is given back.
    pub days: u32,
}

impl Default for Recordings {
    fn default() -> Recordings {
        Recordings {
            enabled: true,
            mebibytes: 16,
            days: 30,
        }
    }
}

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// It can't be read.
    #[error("read {CONFIG_FILE}: {0}")]
    Unreadable(#[source] io::Error),
    /// It is no TOML, or has unknown keys.
    #[error("{CONFIG_FILE}: {0}")]
    Malformed(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    egress: Table,
    recordings: Recordings,
    notify: notify::Table,
    /// Of `wsm-web`, which reads it by itself.
    #[serde(rename = "web")]
    _web: Option<toml::Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    permit: Vec<PermitTable>,
    groups: BTreeMap<String, Vec<String>>,
    hosts: BTreeMap<String, Vec<IpAddr>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PermitTable {
    names: Vec<String>,
    cidr: IpNet,
}

impl PermitTable {
    fn read(self) -> Result<Permit, crate::rule::BadRule> {
        let names = self.names.iter().map(|name| Pattern::parse(name));
        Ok(Permit {
            names: names.collect::<Result<_, _>>()?,
            cidr: self.cidr,
        })
    }
}

impl HostConfig {
    /// Reads the file of a configuration directory; a missing one says nothing.
    ///
    /// # Errors
    /// It is there and can't be used.
    pub fn load(etc: &Path) -> Result<HostConfig, BadConfig> {
        let path = etc.join(CONFIG_FILE);
        let found = match fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(HostConfig::default()),
            found => found.map_err(BadConfig::Unreadable)?,
        };
        if found.len() > BYTES_MAX {
            let why = format!("it is longer than {BYTES_MAX} bytes");
            return Err(BadConfig::Malformed(why));
        }
        let text = fs::read_to_string(&path).map_err(BadConfig::Unreadable)?;
        HostConfig::parse(&text)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is no configuration.
    pub fn parse(text: &str) -> Result<HostConfig, BadConfig> {
        let malformed = |why: String| BadConfig::Malformed(why);
        let File {
            egress,
            recordings,
            notify,
            ..
        } = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let mut config = HostConfig {
            recordings,
            notify: notify.read().map_err(malformed)?,
            ..HostConfig::default()
        };
        for permit in egress.permit {
            let permit = permit.read();
            let permit = permit.map_err(|bad| malformed(format!("egress.permit: {bad}")))?;
            config.permits.push(permit);
        }
        for (name, members) in egress.groups {
            let rules = members
                .iter()
                .map(|member| Ok(Rule::parse(member)?.of_group(&name)));
            let rules = rules
                .collect::<Result<_, crate::rule::BadRule>>()
                .map_err(|bad| malformed(format!("egress.groups.{name}: {bad}")))?;
            config.groups.insert(name, rules);
        }
        for (name, addresses) in egress.hosts {
            let host = Host::parse(&name)
                .map_err(|bad| malformed(format!("egress.hosts: {name:?}: {bad}")))?;
            config.hosts.insert(host, addresses);
        }
        Ok(config)
    }

    /// An allow list with groups replaced by their members, or all that is wrong with it.
    ///
    /// # Errors
    /// Entries that are no rules, or groups that this host does not have.
    pub fn expand(&self, allow: &[String]) -> Result<Vec<Written>, Vec<String>> {
        let (mut rules, mut wrong) = (Vec::new(), Vec::new());
        for entry in allow {
            let Some(group) = entry.strip_prefix('@') else {
                match Rule::parse(entry) {
                    Ok(rule) => rules.push(written(&rule)),
                    Err(bad) => wrong.push(bad.to_string()),
                }
                continue;
            };
            match self.groups.get(group) {
                Some(members) => rules.extend(members.iter().map(written)),
                None => {
                    let known: Vec<_> = self.groups.keys().map(|name| format!("@{name}")).collect();
                    let known = if known.is_empty() {
                        "this host has none".to_owned()
                    } else {
                        format!("this host has {}", known.join(", "))
                    };
                    wrong.push(format!(
                        "{entry:?}: no such group in {CONFIG_FILE} [egress.groups]; {known}"
                    ));
                }
            }
        }
        if wrong.is_empty() {
            Ok(rules)
        } else {
            Err(wrong)
        }
    }
}

fn written(rule: &Rule) -> Written {
    Written {
        rule: rule.to_string(),
        group: rule.group.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [egress]
        permit = [{ names = ["*.internal.example"], cidr = "10.1.0.0/16" }]
        [egress.groups]
        npm = ["packages.example.org", "files.example.org:8443"]
        [egress.hosts]
        "A.internal.example" = ["10.1.2.3"]
    "#;

    #[test]
    fn groups_become_their_members() {
        let config = HostConfig::parse(TEXT).unwrap();
        let allow = ["@npm".to_owned(), "b.example.com:22".to_owned()];
        let rules = config.expand(&allow).unwrap();
        let shown: Vec<_> = rules
            .iter()
            .map(|rule| (rule.rule.as_str(), rule.group.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("packages.example.org", Some("npm")),
                ("files.example.org:8443", Some("npm")),
                ("b.example.com:22", None)
            ]
        );
        assert_eq!(config.permits.len(), 1);
        assert!(
            config
                .hosts
                .contains_key(&Host::Name("a.internal.example".into()))
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let config = HostConfig::parse(TEXT).unwrap();
        let allow = ["@pypi", "*.com", "a.com"].map(str::to_owned);
        let wrong = config.expand(&allow).unwrap_err();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("@npm"), "{wrong:?}");
    }

    #[test]
    fn a_misspelt_key_is_no_silence() {
        for text in [
            "[egress]\npermits = []",
            "[egres]",
            "[egress.groups]\nnpm = [\"*.com\"]",
            "[egress]\npermit = [{ names = [\"a.com\"], cidr = \"10.0.0.0/33\" }]",
        ] {
            assert!(HostConfig::parse(text).is_err(), "{text}");
        }
        assert_eq!(HostConfig::parse("").unwrap(), HostConfig::default());
    }
}

//! The one decision: may this agent reach this host? Every way in asks here and nowhere else.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::rule::{BadRule, PORT_DEFAULT, Rule};

/// Most rules of one agent, those of groups included.
pub const RULES_MAX: usize = 1024;
/// Most exposed services of one agent.
pub const EXPOSES_MAX: usize = 16;

/// How much may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing.
    None,
    /// What a rule names.
    Allow,
    /// TCP to every public address.
    Open,
}

/// One service of the host that the agent may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expose {
    /// Its name, for people.
    pub name: String,
    /// Where it listens, seen from the host.
    pub host: SocketAddr,
    /// The agent's loopback port that leads there.
    pub at: u16,
}

/// A rule as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// `HOST[:PORT]` or `*.SUFFIX[:PORT]`.
    pub rule: String,
    /// The group it came by.
    pub group: Option<String>,
}

/// A policy as it is written down and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// How much.
    pub mode: Mode,
    /// The allow list, groups replaced by their members.
    pub rules: Vec<Written>,
    /// Services of the host.
    pub exposes: Vec<Expose>,
}

/// A policy whose rules were read: made from a [`PolicySpec`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    mode: Mode,
    rules: Vec<Rule>,
    exposes: Vec<Expose>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A connection to a host.
    Reach {
        /// Which.
        host: Host,
        /// Its port.
        port: u16,
    },
    /// Whether a name exists: does any port of it.
    Resolve {
        /// Which.
        host: Host,
    },
    /// A connection to a loopback port of the agent that was led here.
    Exposed {
        /// Which port.
        at: u16,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow {
        /// By which rule, as it is written.
        rule: String,
        /// The group it came by.
        group: Option<String>,
    },
    /// No.
    Deny(Denial),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Denial {
    /// One sentence.
    pub why: String,
    /// The rule that would allow it, where one can.
    pub missing: Option<String>,
}

impl Decision {
    /// Whether it is yes.
    #[must_use]
    pub fn is_allow(&self) -> bool {
        matches!(self, Decision::Allow { .. })
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// A rule is none, or there are too many.
    pub fn compile(spec: &PolicySpec) -> Result<Policy, BadRule> {
        let count = |what: &str, found: usize, most: usize| {
            if found > most {
                return Err(BadRule {
                    text: format!("{found} {what}"),
                    why: format!("{most} are the most"),
                });
            }
            Ok(())
        };
        count("rules", spec.rules.len(), RULES_MAX)?;
        count("exposed services", spec.exposes.len(), EXPOSES_MAX)?;
        let rules = spec.rules.iter().map(|written| {
            let mut rule = Rule::parse(&written.rule)?;
            rule.group.clone_from(&written.group);
            Ok(rule)
        });
        Ok(Policy {
            mode: spec.mode,
            rules: rules.collect::<Result<_, BadRule>>()?,
            exposes: spec.exposes.clone(),
        })
    }

    /// How much may leave.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The service that a loopback port leads to.
    #[must_use]
    pub fn exposed(&self, at: u16) -> Option<&Expose> {
        self.exposes.iter().find(|expose| expose.at == at)
    }

    /// Loopback ports that lead out.
    pub fn exposed_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.exposes.iter().map(|expose| expose.at)
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, ask: &Ask) -> Decision {
        match ask {
            Ask::Exposed { at } => match self.exposed(*at) {
                Some(expose) => Decision::Allow {
                    rule: format!("expose {}", expose.name),
                    group: None,
                },
                None => deny(format!("nothing is exposed at port {at}"), None),
            },
            Ask::Reach { host, port } => self.reach(host, Some(*port)),
            Ask::Resolve { host } => self.reach(host, None),
        }
    }

    fn reach(&self, host: &Host, port: Option<u16>) -> Decision {
        let target = target(host, port);
        match self.mode {
            Mode::None => deny(
                "this agent has no network (network.egress = \"none\")".into(),
                Some(target),
            ),
            Mode::Open => Decision::Allow {
                rule: "network.egress = \"open\"".into(),
                group: None,
            },
            Mode::Allow => {
                let fits = |rule: &&Rule| {
                    port.is_none_or(|port| port == rule.port) && rule.pattern.means(host)
                };
                match self.rules.iter().find(fits) {
                    Some(rule) => Decision::Allow {
                        rule: rule.to_string(),
                        group: rule.group.clone(),
                    },
                    None => deny(format!("no rule allows {target}"), Some(target)),
                }
            }
        }
    }
}

fn deny(why: String, missing: Option<String>) -> Decision {
    Decision::Deny(Denial { why, missing })
}

/// A host and port as a rule writes them.
fn target(host: &Host, port: Option<u16>) -> String {
    match port {
        Some(port) if port != PORT_DEFAULT => format!("{host}:{port}"),
        _ => host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Mode, rules: &[&str]) -> Policy {
        let rules = rules.iter().map(|rule| Written {
            rule: (*rule).into(),
            group: None,
        });
        Policy::compile(&PolicySpec {
            mode,
            rules: rules.collect(),
            exposes: vec![Expose {
                name: "db".into(),
                host: "127.0.0.1:5433".parse().unwrap(),
                at: 5434,
            }],
        })
        .unwrap()
    }

    fn reach(policy: &Policy, text: &str) -> Decision {
        let (host, port) = Host::parse_with_port(text).unwrap();
        let port = port.unwrap_or(443);
        policy.decide(&Ask::Reach { host, port })
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        for mode in [Mode::None, Mode::Allow] {
            for target in ["example.com", "example.com:80", "8.8.8.8", "[2606:4700::1]"] {
                assert!(!reach(&policy(mode, &[]), target).is_allow(), "{target}");
            }
        }
    }

    #[test]
    fn without_network_no_rule_helps() {
        assert!(!reach(&policy(Mode::None, &["example.com"]), "example.com").is_allow());
    }

    #[test]
    fn ports_are_part_of_a_rule() {
        let policy = policy(Mode::Allow, &["a.com", "b.com:22", "*.c.com:80"]);
        for (target, allowed) in [
            ("a.com", true),
            ("a.com:80", false),
            ("A.COM.", true),
            ("b.com", false),
            ("b.com:22", true),
            ("x.c.com:80", true),
            ("x.c.com", false),
            ("c.com:80", false),
        ] {
            assert_eq!(reach(&policy, target).is_allow(), allowed, "{target}");
        }
    }

    #[test]
    fn a_denial_names_the_rule_that_is_missing() {
        let policy = policy(Mode::Allow, &["a.com"]);
        for (target, missing) in [("b.com", "b.com"), ("a.com:22", "a.com:22")] {
            let Decision::Deny(denial) = reach(&policy, target) else {
                panic!("{target} is allowed");
            };
            assert_eq!(denial.missing.as_deref(), Some(missing));
            assert!(Rule::parse(missing).is_ok());
        }
    }

    #[test]
    fn open_is_tcp_to_anywhere_by_name() {
        assert!(reach(&policy(Mode::Open, &[]), "example.com:8080").is_allow());
    }

    #[test]
    fn an_exposed_port_is_the_only_one() {
        let policy = policy(Mode::None, &[]);
        assert!(policy.decide(&Ask::Exposed { at: 5434 }).is_allow());
        assert!(!policy.decide(&Ask::Exposed { at: 5433 }).is_allow());
    }
}

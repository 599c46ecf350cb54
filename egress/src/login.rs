//! Logins (OAuth): what the programs of a few kinds keep in a file of the home, kept by egress
//! instead. The agent has a file of the same form without anything of value; egress puts the access
//! token in where it belongs, and gets a new one when that runs out ([`crate::engine`]).

#[cfg(feature = "engine")]
pub mod forms;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::secret::Value;

/// Most facts about an account.
const ACCOUNT_MAX: usize = 8;
/// Longest of them.
const FACT_BYTES_MAX: usize = 512;

/// Whose login it is: each kind is of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Claude Code, with an account of claude.ai.
    Claude,
    /// Codex, with an account of ChatGPT.
    Codex,
}

/// What is known of a kind.
#[derive(Debug)]
pub struct Facts {
    /// As templates and people write it.
    pub name: &'static str,
    /// Name of its secret: no other secret is called so by chance.
    pub secret: &'static str,
    /// Where its program keeps it, below the home.
    pub file: &'static str,
    /// How a person gets one.
    pub how: &'static str,
    /// Hosts that get the access token, in `authorization: Bearer`, port 443.
    pub hosts: &'static [&'static str],
    /// What paths there begin with. A login may do more than a key, such as make keys, or read what
    /// its owner wrote elsewhere: the program gets what it needs to work.
    pub paths: &'static [&'static str],
    /// Host of the endpoint that gives new tokens …
    pub token_host: &'static str,
    /// … and its path.
    pub token_path: &'static str,
    /// What the program calls itself there; public.
    pub client: &'static str,
    /// What the access token begins with.
    pub access_prefix: &'static str,
    /// What the refresh token begins with.
    pub refresh_prefix: &'static str,
}

const CLAUDE: Facts = Facts {
    name: "claude",
    secret: "claude-login",
    file: ".claude/.credentials.json",
    how: "CLAUDE_CONFIG_DIR=DIR claude /login",
    hosts: &["api.anthropic.com"],
    paths: &[
        "/v1/messages",
        "/v1/models",
        "/v1/files",
        "/api/claude_cli",
        "/api/claude_code",
        "/api/event_logging",
        "/api/oauth/account/settings",
        "/api/oauth/claude_cli/client_data",
        "/api/oauth/claude_cli/roles",
        "/api/oauth/profile",
        "/api/oauth/usage",
    ],
    token_host: "platform.claude.com",
    token_path: "/v1/oauth/token",
    client: "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    access_prefix: "sk-ant-oat01-",
    refresh_prefix: "sk-ant-ort01-",
};

const CODEX: Facts = Facts {
    name: "codex",
    secret: "codex-login",
    file: ".codex/auth.json",
    how: "CODEX_HOME=DIR codex login",
    hosts: &["chatgpt.com"],
    paths: &[
        "/backend-api/codex",
        "/backend-api/wham/accounts/check",
        "/backend-api/wham/settings/user",
        "/backend-api/wham/usage",
    ],
    token_host: "auth.openai.com",
    token_path: "/oauth/token",
    client: "app_EMoamEEZ73f0CkXaXp7hrann",
    access_prefix: "",
    refresh_prefix: "rt_",
};

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 2] = [Kind::Claude, Kind::Codex];

    /// What is known of it.
    #[must_use]
    pub fn facts(self) -> &'static Facts {
        match self {
            Kind::Claude => &CLAUDE,
            Kind::Codex => &CODEX,
        }
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.facts().name == name)
    }
}

/// A login, as it was brought or renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Whose.
    pub kind: Kind,
    /// What requests carry.
    pub access: Value,
    /// What a new access token is got with; good once with some. Without it the login ends with the
    /// access token.
    pub refresh: Option<Value>,
    /// Since when it is had, milliseconds since the epoch.
    pub since_ms: u64,
    /// Until when the access token is good.
    pub until_ms: u64,
    /// What its program wants to know of the account: scopes, plan, number. No secrets.
    pub account: BTreeMap<String, String>,
}

/// Why something is no login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadLogin(pub String);

impl Login {
    /// Whether it is one that can be kept: it may have come from anybody.
    ///
    /// # Errors
    /// Facts about the account that are none.
    pub fn check(&self) -> Result<(), BadLogin> {
        let plain = |text: &String| {
            text.len() <= FACT_BYTES_MAX && text.bytes().all(|b| matches!(b, b' '..=b'~'))
        };
        let mut facts = self.account.iter();
        if self.account.len() > ACCOUNT_MAX || !facts.all(|(k, v)| plain(k) && plain(v)) {
            let why = "what it says of the account is too long, or not visible ASCII";
            return Err(BadLogin(why.to_owned()));
        }
        Ok(())
    }

    /// When a new access token is asked for: before the old one ends, by a share of its life that
    /// clocks and requests under way need.
    #[must_use]
    pub fn renew_at_ms(&self) -> u64 {
        let life = self.until_ms.saturating_sub(self.since_ms);
        self.until_ms - LEAD_MS_MAX.min(life / 4).min(self.until_ms)
    }
}

/// So long before its end an access token is renewed, if it lives long enough.
const LEAD_MS_MAX: u64 = 5 * 60 * 1000;

/// What may be told of a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its kind.
    pub kind: Kind,
    /// Until when the access token is good, milliseconds since the epoch.
    pub until_ms: u64,
    /// Whether egress gets a new one by itself.
    pub renewable: bool,
    /// Why the server gives no new ones any more: its user must log in again.
    pub refused: Option<String>,
}

/// A file that an agent has instead of a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stand {
    /// Below the home.
    pub path: String,
    /// Placeholders, and facts about the account.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(since_ms: u64, until_ms: u64) -> Login {
        let value = |text: &str| Value::new(text.to_owned().into()).unwrap();
        Login {
            kind: Kind::Claude,
            access: value("access"),
            refresh: Some(value("refresh")),
            since_ms,
            until_ms,
            account: BTreeMap::new(),
        }
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for kind in Kind::ALL {
            let facts = kind.facts();
            assert_eq!(Kind::named(facts.name), Some(kind));
            crate::secret::check_name(facts.secret).unwrap();
            assert_eq!(
                serde_json::to_value(kind).unwrap(),
                serde_json::Value::from(facts.name)
            );
        }
        assert_eq!(Kind::named("Claude"), None);
    }

    #[test]
    fn it_is_renewed_before_its_end_and_not_from_its_beginning() {
        let hours = 8 * 3_600_000;
        assert_eq!(login(0, hours).renew_at_ms(), hours - LEAD_MS_MAX);
        assert_eq!(login(1_000, 5_000).renew_at_ms(), 4_000);
        // A clock that was set back, and an end that is long past.
        assert_eq!(login(9_000, 5_000).renew_at_ms(), 5_000);
        assert_eq!(login(0, 0).renew_at_ms(), 0);
    }

    #[test]
    fn facts_are_bounded() {
        let mut login = login(0, 1);
        login.check().unwrap();
        login.account.insert("plan".into(), "x\ny".into());
        assert!(login.check().is_err());
        login
            .account
            .insert("plan".into(), "x".repeat(FACT_BYTES_MAX + 1));
        assert!(login.check().is_err());
    }
}

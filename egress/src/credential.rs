//! Credentials: which host gets which secret, and in which place of a request. The agent has a
//! placeholder; egress puts the value in ([`crate::engine`]) where the placeholder stands in its
//! declared place, on the way to a host of the rule, over TLS that was verified, and nowhere else.

use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::login::Kind;
use crate::rule::{BadRule, Rule};
use crate::secret;

/// Most credentials of one agent.
pub const CREDENTIALS_MAX: usize = 32;
/// Most hosts of one credential.
pub const HOSTS_MAX: usize = 64;
/// Most places, and path prefixes, of one credential.
pub const PLACES_MAX: usize = 16;
/// A placeholder is at least so long, so that nothing is one by chance …
pub const PLACEHOLDER_BYTES_MIN: usize = 20;
/// … and at most.
pub const PLACEHOLDER_BYTES_MAX: usize = 512;
/// Where the value goes in a header's text.
pub const SECRET_MARK: &str = "{secret}";

/// A place of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Place {
    /// The whole value of a header.
    Header {
        /// Its name, lower case: `x-api-key`, `authorization`.
        name: String,
        /// Its value with one [`SECRET_MARK`]: `{secret}`, `Bearer {secret}`. What stands before is
        /// compared without case.
        value: String,
    },
    /// User or password of `Authorization: Basic`, as git sends it.
    Basic,
    /// A member of a JSON object, or of a form: `refresh_token`. Only bodies of at most
    /// [`BODY_BYTES_MAX`] are looked into.
    Body {
        /// Its name, at the top level.
        field: String,
    },
}

/// Longest body that is kept to find a placeholder in its declared member.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A credential as it is written down and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialSpec {
    /// Its name in the template.
    pub name: String,
    /// Whose secret is used before the host's.
    pub owner: String,
    /// Name of the secret.
    pub secret: String,
    /// `HOST[:PORT]` or `*.SUFFIX[:PORT]`; each must be allowed by the policy too.
    pub hosts: Vec<String>,
    /// Where its placeholder may stand; one at least.
    pub places: Vec<Place>,
    /// What a path begins with, in whole segments: `/org/repo`. Empty: every path.
    #[serde(default)]
    pub paths: Vec<String>,
    /// What the agent has instead of the value: letters, digits, `-` and `_`, by chance.
    pub placeholder: String,
    /// Whether a WebSocket may be opened with it.
    #[serde(default)]
    pub websocket: bool,
    /// A login of this kind instead of a secret: see [`CredentialSpec::of_login`].
    #[serde(default)]
    pub login: Option<Kind>,
}

impl CredentialSpec {
    /// Where a login goes is what its kind says, and nobody else.
    #[must_use]
    pub fn of_login(name: &str, owner: &str, kind: Kind, placeholder: &str) -> CredentialSpec {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let facts = kind.facts();
        CredentialSpec {
            name: name.to_owned(),
            owner: owner.to_owned(),
            secret: facts.secret.to_owned(),
            hosts: owned(facts.hosts),
            places: vec![Place::Header {
                name: "authorization".to_owned(),
                value: format!("Bearer {SECRET_MARK}"),
            }],
            paths: owned(facts.paths),
            placeholder: placeholder.to_owned(),
            websocket: false,
            login: Some(kind),
        }
    }
}

/// A credential whose parts were read: made from a [`CredentialSpec`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    spec: CredentialSpec,
    rules: Vec<Rule>,
    /// Host of the token endpoint, for a login.
    tokens: Option<Rule>,
}

/// All credentials of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials(Vec<Credential>);

/// Why a credential can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credential {name:?}: {why}")]
pub struct BadCredential {
    /// Which.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

impl Credential {
    fn compile(spec: &CredentialSpec) -> Result<Credential, String> {
        secret::check_name(&spec.secret).map_err(|bad| bad.to_string())?;
        let tokens = spec.login.map(|kind| {
            let own = CredentialSpec {
                websocket: spec.websocket,
                ..CredentialSpec::of_login(&spec.name, &spec.owner, kind, &spec.placeholder)
            };
            if own != *spec {
                return Err("a login goes where its kind says".to_owned());
            }
            Rule::parse(kind.facts().token_host).map_err(|bad| bad.to_string())
        });
        if spec.hosts.is_empty() || spec.hosts.len() > HOSTS_MAX {
            return Err(format!("it has one host to {HOSTS_MAX}"));
        }
        let rules = spec.hosts.iter().map(|host| Rule::parse(host));
        let rules: Result<_, BadRule> = rules.collect();
        if spec.places.is_empty() || spec.places.len().max(spec.paths.len()) > PLACES_MAX {
            return Err(format!("it has one place to {PLACES_MAX}"));
        }
        spec.places.iter().try_for_each(check_place)?;
        if let Some(path) = spec.paths.iter().find(|path| !is_plain_path(path)) {
            return Err(format!(
                "{path:?} is no path; it begins with / and has no . or .. segments, % or query"
            ));
        }
        check_placeholder(&spec.placeholder)?;
        Ok(Credential {
            rules: rules.map_err(|bad| bad.to_string())?,
            tokens: tokens.transpose()?,
            spec: spec.clone(),
        })
    }

    /// As it was written.
    #[must_use]
    pub fn spec(&self) -> &CredentialSpec {
        &self.spec
    }

    /// Whether it belongs to this host and port.
    #[must_use]
    pub fn is_for(&self, host: &Host, port: u16) -> bool {
        self.rules.iter().any(|rule| fits(rule, host, port))
    }

    /// Whether new tokens of its login come from here.
    #[must_use]
    pub fn gives_tokens(&self, host: &Host, port: u16, path: &str) -> bool {
        let here = |rule: &Rule| fits(rule, host, port);
        let its = |kind: Kind| kind.facts().token_path == path;
        self.tokens.as_ref().is_some_and(here) && self.spec.login.is_some_and(its)
    }

    fn all_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().chain(&self.tokens)
    }

    /// Whether it may be used for this path (without the query).
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        let below = |prefix: &String| {
            let rest = path.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')
            })
        };
        self.spec.paths.is_empty() || (is_plain_path(path) && self.spec.paths.iter().any(below))
    }
}

impl Credentials {
    /// Reads the credentials of an agent.
    ///
    /// # Errors
    /// One can't be used, or they can't be told apart.
    pub fn compile(specs: &[CredentialSpec]) -> Result<Credentials, BadCredential> {
        let bad = |spec: &CredentialSpec, why: String| BadCredential {
            name: spec.name.clone(),
            why,
        };
        let mut all: Vec<Credential> = Vec::with_capacity(specs.len());
        for spec in specs {
            let credential = Credential::compile(spec).map_err(|why| bad(spec, why))?;
            let apart = |other: &Credential| {
                let (one, two) = (&other.spec.placeholder, &spec.placeholder);
                other.spec.name != spec.name && !one.contains(two) && !two.contains(one)
            };
            if !all.iter().all(apart) {
                return Err(bad(spec, "another has the same name or placeholder".into()));
            }
            if all.len() == CREDENTIALS_MAX {
                return Err(bad(spec, format!("{CREDENTIALS_MAX} are the most")));
            }
            all.push(credential);
        }
        Ok(Credentials(all))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether TLS to this host is terminated.
    #[must_use]
    pub fn any_for(&self, host: &Host, port: u16) -> bool {
        self.rules().any(|rule| fits(rule, host, port))
    }

    /// Rules of all hosts that TLS is terminated for.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().flat_map(Credential::all_rules)
    }
}

fn fits(rule: &Rule, host: &Host, port: u16) -> bool {
    rule.port == port && rule.pattern.means(host)
}

/// Headers that are about the connection or the target: no place for a secret.
const NO_PLACE: [&str; 12] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn check_place(place: &Place) -> Result<(), String> {
    match place {
        Place::Basic => Ok(()),
        Place::Header { name, value } => {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
                return Err(format!("{name:?} is no name of a header in lower case"));
            }
            if NO_PLACE.contains(&name.as_str()) || name.starts_with("sec-websocket-") {
                return Err(format!("a secret has no place in the header {name}"));
            }
            let visible = value.bytes().all(|b| matches!(b, b' '..=b'~'));
            if !visible || value.len() > 256 || value.matches(SECRET_MARK).count() != 1 {
                return Err(format!(
                    "{value:?} is no value of a header with one {SECRET_MARK} in it"
                ));
            }
            Ok(())
        }
        Place::Body { field } => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            if field.is_empty() || field.len() > 64 || !field.bytes().all(plain) {
                return Err(format!("{field:?} is no name of a member"));
            }
            Ok(())
        }
    }
}

fn check_placeholder(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let fits = (PLACEHOLDER_BYTES_MIN..=PLACEHOLDER_BYTES_MAX).contains(&text.len());
    if fits && text.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "a placeholder has {PLACEHOLDER_BYTES_MIN} to {PLACEHOLDER_BYTES_MAX} letters, digits, - and _"
    ))
}

/// A path that every server reads alike.
fn is_plain_path(path: &str) -> bool {
    let plain = |b: u8| matches!(b, b'!'..=b'~') && !b"%\\?#;".contains(&b);
    let mut segments = path.split('/').skip(1).peekable();
    path.starts_with('/')
        && path.bytes().all(plain)
        && std::iter::from_fn(|| segments.next().map(|s| (s, segments.peek().is_none())))
            .all(|(segment, last)| !matches!(segment, "." | "..") && (last || !segment.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> CredentialSpec {
        CredentialSpec {
            name: "model".into(),
            owner: "ann".into(),
            secret: "model-key".into(),
            hosts: vec!["api.example.com".into(), "*.eu.example.com:8443".into()],
            places: vec![
                Place::Header {
                    name: "x-api-key".into(),
                    value: "{secret}".into(),
                },
                Place::Basic,
            ],
            paths: Vec::new(),
            placeholder: "sk-placeholder-0123456789".into(),
            websocket: false,
            login: None,
        }
    }

    fn compiled(change: impl Fn(&mut CredentialSpec)) -> Result<Credentials, BadCredential> {
        let mut spec = spec();
        change(&mut spec);
        Credentials::compile(&[spec])
    }

    #[test]
    fn hosts_and_ports_are_those_of_the_rules() {
        let credentials = compiled(|_| {}).unwrap();
        for (host, port, whose) in [
            ("api.example.com", 443, true),
            ("api.example.com", 8443, false),
            ("a.eu.example.com", 8443, true),
            ("eu.example.com", 8443, false),
            ("api.example.com.evil.net", 443, false),
        ] {
            let host = Host::parse(host).unwrap();
            assert_eq!(credentials.any_for(&host, port), whose, "{host}:{port}");
        }
    }

    #[test]
    fn paths_are_whole_plain_segments() {
        let credentials = compiled(|spec| spec.paths = vec!["/org/repo".into()]).unwrap();
        let credential = credentials.iter().next().unwrap();
        for (path, covered) in [
            ("/org/repo", true),
            ("/org/repo/info/refs", true),
            ("/org/repository", false),
            ("/org/repo/../other", false),
            ("/org/repo/%2e%2e/other", false),
            ("/org//repo", false),
            ("/org/repo//x", false),
            ("/other", false),
            ("/org/repo/x\\..\\..", false),
        ] {
            assert_eq!(credential.covers(path), covered, "{path}");
        }
    }

    #[test]
    fn what_can_not_be_kept_apart_is_refused() {
        type Change = fn(&mut CredentialSpec);
        let bad: [Change; 12] = [
            |spec| spec.hosts.clear(),
            |spec| spec.hosts.push("*.com".into()),
            |spec| spec.places.clear(),
            |spec| spec.placeholder = "short".into(),
            |spec| spec.placeholder = "with a space in it, and long".into(),
            |spec| spec.secret = "../x".into(),
            |spec| spec.paths.push("no/slash".into()),
            |spec| spec.places.push(header("host", "{secret}")),
            |spec| spec.places.push(header("X-Key", "{secret}")),
            |spec| spec.places.push(header("x-key", "no mark")),
            |spec| spec.places.push(header("x-key", "{secret}{secret}")),
            |spec| {
                spec.places.push(Place::Body {
                    field: "a b".into(),
                });
            },
        ];
        for (number, change) in bad.into_iter().enumerate() {
            assert!(compiled(change).is_err(), "{number}");
        }
        assert!(Credentials::compile(&[spec(), spec()]).is_err());
        let mut longer = spec();
        longer.name = "other".into();
        longer.placeholder.push('x');
        assert!(Credentials::compile(&[spec(), longer]).is_err());
    }

    #[test]
    fn a_login_goes_where_its_kind_says() {
        let login = CredentialSpec::of_login("login", "ann", Kind::Claude, "0123456789abcdef0123");
        let all = Credentials::compile(std::slice::from_ref(&login)).unwrap();
        let own = all.iter().next().unwrap();
        let host = |name: &str| Host::parse(name).unwrap();
        let (api, tokens) = (host("api.anthropic.com"), host("platform.claude.com"));
        assert!(own.is_for(&api, 443) && own.covers("/v1/messages/count_tokens"));
        // Where an account could be given a key that is good for ever.
        assert!(!own.covers("/api/oauth/claude_cli/create_api_key"));
        assert!(!own.is_for(&tokens, 443) && all.any_for(&tokens, 443));
        assert!(own.gives_tokens(&tokens, 443, "/v1/oauth/token"));
        assert!(!own.gives_tokens(&tokens, 443, "/v1/oauth/token/revoke"));
        assert!(!own.gives_tokens(&api, 443, "/v1/oauth/token"));
        type Change = fn(&mut CredentialSpec);
        let bad: [Change; 4] = [
            |spec| spec.hosts.push("evil.example.net".into()),
            |spec| spec.paths.clear(),
            |spec| spec.places.push(Place::Basic),
            |spec| spec.secret = "model-key".into(),
        ];
        for (number, change) in bad.into_iter().enumerate() {
            let mut spec = login.clone();
            change(&mut spec);
            assert!(Credentials::compile(&[spec]).is_err(), "{number}");
        }
    }

    fn header(name: &str, value: &str) -> Place {
        Place::Header {
            name: name.into(),
            value: value.into(),
        }
    }
}

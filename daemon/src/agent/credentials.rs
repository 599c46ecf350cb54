//! Credentials: what an agent has instead of secrets, and what egress is told of them. Pure, but
//! for the random numbers of a placeholder.

use std::collections::BTreeMap;

use wsm_egress::credential::{CredentialSpec, Credentials, Place};
use wsm_egress::login::Kind;
use wsm_egress::secret::About;
use wsm_sandbox::spec::{INSIDE_AUTHORITIES, INSIDE_HOME, INSIDE_KEY_STORE, Network};
use wsm_template::ExpandError;
use wsm_template::resolved::{Credential, Egress, Resolved};

use super::assemble::{self, HostFacts};
use crate::record::{CredentialRecord, Record};
use crate::store::now_ms;

/// Random characters of a placeholder: nobody finds one by trying.
const RANDOM_CHARS: usize = 32;

/// Variables by which programs are told whom to trust; each holds [`INSIDE_AUTHORITIES`].
const AUTHORITY_VARIABLES: [&str; 12] = [
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "CODEX_CA_CERTIFICATE",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PERL_LWP_SSL_CA_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];

/// Placeholders for everything that a template puts in.
///
/// # Errors
/// `/dev/urandom` can't be read.
pub fn placeholders(resolved: &Resolved) -> std::io::Result<BTreeMap<String, CredentialRecord>> {
    let made = resolved.credentials.iter().map(|(name, credential)| {
        let random = assemble::random_text(RANDOM_CHARS)?;
        let placeholder = format!("{}wsm-placeholder-{random}", credential.prefix);
        let record = CredentialRecord {
            placeholder,
            ready: false,
        };
        Ok((name.clone(), record))
    });
    made.collect()
}

/// What egress is told. Nothing for an agent that can't leave.
#[must_use]
pub fn specs(record: &Record) -> Vec<CredentialSpec> {
    if assemble::spec(record).network != Network::Egress {
        return Vec::new();
    }
    let specs = record.resolved.credentials.iter();
    specs
        .filter(|(_, credential)| !credential.visible)
        .filter_map(|(name, credential)| {
            let own = record.credentials.get(name)?;
            if let Some(kind) = Kind::named(&credential.login) {
                return Some(CredentialSpec {
                    websocket: credential.websocket,
                    ..CredentialSpec::of_login(name, &record.owner, kind, &own.placeholder)
                });
            }
            Some(CredentialSpec {
                name: name.clone(),
                owner: record.owner.clone(),
                secret: credential.secret.clone(),
                hosts: credential.hosts.clone(),
                places: places(credential),
                paths: credential.paths.clone(),
                placeholder: own.placeholder.clone(),
                websocket: credential.websocket,
                login: None,
            })
        })
        .collect()
}

fn places(credential: &Credential) -> Vec<Place> {
    let mut places = Vec::new();
    if let Some(header) = &credential.header {
        let header = |value: &str| Place::Header {
            name: header.name.clone(),
            value: value.to_owned(),
        };
        let value = credential.header.as_ref().map_or("", |h| &h.value);
        places.push(header(value));
        // GitHub's own programs call the same scheme by its older name.
        if value == "Bearer {secret}" {
            places.push(header("token {secret}"));
        }
    }
    if credential.basic {
        places.push(Place::Basic);
    }
    if !credential.body.is_empty() {
        places.push(Place::Body {
            field: credential.body.clone(),
        });
    }
    places
}

/// Whether egress would take them; in words if not.
///
/// # Errors
/// What is wrong with one.
pub fn check(record: &Record) -> Result<(), String> {
    let compiled = Credentials::compile(&specs(record));
    compiled.map(|_| ()).map_err(|bad| bad.to_string())
}

/// The secret that a credential of this owner's agent gets, if there is one now.
#[must_use]
pub fn secret<'a>(all: &'a [About], owner: &str, name: &str) -> Option<&'a About> {
    let of = |whose: Option<&str>| {
        let named = |about: &&About| about.owner.as_deref() == whose && about.name == name;
        all.iter().find(named)
    };
    let found = of(Some(owner)).or_else(|| of(None))?;
    (found.expires_ms.is_none_or(|at| at > now_ms())).then_some(found)
}

/// Variables: placeholders of secrets that are set, and whom to trust.
pub fn environment(record: &Record, env: &mut BTreeMap<String, String>) {
    if record.authority.is_some() {
        for name in AUTHORITY_VARIABLES {
            env.insert(name.to_owned(), INSIDE_AUTHORITIES.to_owned());
        }
        // Java has a way of its own. Without a password: it holds no key.
        let options = env.entry("JAVA_TOOL_OPTIONS".to_owned()).or_default();
        let own = format!(
            "-Djavax.net.ssl.trustStore={INSIDE_KEY_STORE} -Djavax.net.ssl.trustStoreType=JKS"
        );
        *options = format!("{options} {own}").trim_start().to_owned();
    }
    for (name, credential) in &record.resolved.credentials {
        let own = record.credentials.get(name).filter(|own| own.ready);
        let text = if credential.visible {
            record.inside.values.get(name).map(|value| value.reveal())
        } else {
            own.map(|own| own.placeholder.as_str())
        };
        if let (Some(text), false) = (text, credential.env.is_empty()) {
            env.insert(credential.env.clone(), text.to_owned());
        }
    }
}

/// What `{credential.NAME}` stands for.
#[must_use]
pub fn texts(record: &Record) -> BTreeMap<String, String> {
    let own = record.credentials.iter();
    let own = own.map(|(name, own)| (name.clone(), own.placeholder.clone()));
    let shown = record.inside.values.iter();
    own.chain(shown.map(|(name, value)| (name.clone(), value.reveal().to_owned())))
        .collect()
}

/// Names of the credentials that the agent itself sees, as its template says, and of their secrets.
pub fn visible(record: &Record) -> impl Iterator<Item = (&str, &Credential)> {
    let all = record.resolved.credentials.iter();
    all.filter(|(_, credential)| credential.visible)
        .map(|(name, credential)| (name.as_str(), credential))
}

/// Hosts that may be reached because there is a login.
pub fn login_hosts(record: &Record) -> impl Iterator<Item = String> {
    let allow = record.resolved.network.egress == Egress::Allow;
    let ready = |name: &String| record.credentials.get(name).is_some_and(|own| own.ready);
    let logins = record.resolved.credentials.iter();
    logins
        .filter(move |(name, own)| allow && !own.login.is_empty() && ready(name))
        .flat_map(|(_, own)| own.hosts.iter().cloned())
}

/// In words, where a value is seen.
#[must_use]
pub fn seen(name: &str, credential: &Credential) -> String {
    let place = match credential.env.as_str() {
        "" => format!("where {{credential.{name}}} stands"),
        env => format!("in {env}"),
    };
    format!(
        "the agent sees the secret {} itself, {place}",
        credential.secret
    )
}

/// What a start does besides what the sandbox is built of.
#[must_use]
pub fn planned(record: &Record, steps: Vec<String>) -> Vec<String> {
    let shown = visible(record).map(|(name, credential)| {
        let seen = seen(name, credential);
        format!("{seen} (credentials.{name}.visible): it can send it anywhere that it can reach")
    });
    let logins = record.resolved.credentials.values();
    let logins = logins.filter_map(|credential| Kind::named(&credential.login));
    let logins = logins.map(|kind| {
        let facts = kind.facts();
        let (file, name) = (facts.file, facts.name);
        format!("write ~/{file} with placeholders, if there is a login (`wsm secret login {name}`)")
    });
    steps.into_iter().chain(logins).chain(shown).collect()
}

/// What is written at each start: files that name a credential, then those instead of logins.
///
/// # Errors
/// A placeholder without a value.
pub fn files(record: &Record, host: &HostFacts) -> Result<Vec<(String, String)>, ExpandError> {
    let mut files = assemble::files(record, host, true)?;
    for stand in record.inside.stands.values() {
        files.push((format!("{INSIDE_HOME}/{}", stand.path), stand.text.clone()));
    }
    Ok(files)
}

/// Whether a text names a credential.
#[must_use]
pub fn named(text: &str) -> bool {
    let names = wsm_template::names(text);
    names.iter().any(|name| name.starts_with("credential."))
}

/// Whether a text names a credential whose secret is not set: what it would say helps nobody.
#[must_use]
pub fn lacks(record: &Record, text: &str) -> bool {
    let ready = |name: &str| match record.resolved.credentials.get(name) {
        Some(credential) if credential.visible => record.inside.values.contains_key(name),
        _ => record.credentials.get(name).is_some_and(|own| own.ready),
    };
    wsm_template::names(text)
        .into_iter()
        .filter_map(|name| name.strip_prefix("credential."))
        .any(|name| !ready(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsm_template::{Request, Source, Sources, resolve};

    fn record(text: &str) -> Record {
        let sources = Sources {
            user: vec![Source::new("t.toml", text.as_bytes())],
            ..Sources::default()
        };
        let request = Request {
            template: "t".into(),
            ..Request::default()
        };
        let resolved = resolve(&sources, &request).expect("it resolves").resolved;
        Record {
            credentials: placeholders(&resolved).expect("urandom"),
            resolved,
            ..crate::record::tests::record()
        }
    }

    const TEXT: &str = r#"
        schema = 1
        [network]
        egress = "allow"
        [credentials.model]
        secret = "model-key"
        hosts = ["api.example.com:8443"]
        header = "authorization: Bearer {secret}"
        basic = true
        env = "MODEL_KEY"
        prefix = "sk-"
        [files]
        "~/.model" = "{credential.model}"
        "~/.other" = "x"
        [env]
        OTHER = "<{credential.model}>"
    "#;

    #[test]
    fn egress_is_told_the_placeholder_and_the_name_of_the_secret() {
        let record = record(TEXT);
        check(&record).expect("egress takes it");
        let spec = specs(&record).pop().expect("one");
        assert_eq!((&*spec.owner, &*spec.secret), ("ada", "model-key"));
        assert_eq!(spec.hosts, ["api.example.com:8443"]);
        assert_eq!(spec.places.len(), 3);
        assert!(spec.placeholder.starts_with("sk-wsm-placeholder-"));
        let none = Record {
            resolved: Resolved {
                network: wsm_template::resolved::Network {
                    egress: wsm_template::resolved::Egress::None,
                    ..record.resolved.network.clone()
                },
                ..record.resolved.clone()
            },
            ..record
        };
        assert!(specs(&none).is_empty());
    }

    #[test]
    fn an_agent_has_the_placeholder_once_the_secret_is_set() {
        let mut record = record(TEXT);
        let host = HostFacts::default();
        let env = |record: &Record| -> BTreeMap<String, String> {
            let env = assemble::environment(record, &host).expect("it expands");
            env.into_iter().collect()
        };
        let files = |record: &Record| {
            let once = assemble::files(record, &host, false).expect("they expand");
            let each = super::files(record, &host).expect("they expand");
            let paths = once.into_iter().chain(each).map(|(path, _)| path);
            paths.collect::<Vec<_>>()
        };
        let before = env(&record);
        assert!(!before.contains_key("MODEL_KEY") && !before.contains_key("OTHER"));
        assert!(!before.contains_key("SSL_CERT_FILE"));
        assert_eq!(files(&record), ["/home/agent/.other"]);
        let own = record.credentials.get_mut("model").expect("one");
        own.ready = true;
        let placeholder = own.placeholder.clone();
        record.authority = Some("PEM".into());
        let after = env(&record);
        assert_eq!(after["MODEL_KEY"], placeholder);
        assert_eq!(after["OTHER"], format!("<{placeholder}>"));
        assert_eq!(after["NODE_EXTRA_CA_CERTS"], INSIDE_AUTHORITIES);
        assert!(after["JAVA_TOOL_OPTIONS"].contains(INSIDE_KEY_STORE));
        assert_eq!(files(&record).len(), 2);
    }

    #[test]
    fn what_is_visible_is_inside_and_not_put_in() {
        let text = r#"
        schema = 1
        [network]
        egress = "allow"
        [credentials.seen]
        secret = "key"
        visible = true
        env = "KEY"
        [files]
        "~/.key" = "{credential.seen}"
    "#;
        let mut record = record(text);
        let host = HostFacts::default();
        assert!(specs(&record).is_empty());
        record.credentials.get_mut("seen").expect("one").ready = true;
        let env = |record: &Record| -> BTreeMap<String, String> {
            let env = assemble::environment(record, &host).expect("it expands");
            env.into_iter().collect()
        };
        assert!(!env(&record).contains_key("KEY"));
        assert!(super::files(&record, &host).expect("none").is_empty());
        let value = wsm_egress::secret::Value::new("the-value".to_owned().into()).expect("one");
        record.inside.values.insert("seen".into(), value);
        assert_eq!(env(&record)["KEY"], "the-value");
        let files = super::files(&record, &host).expect("they expand");
        assert_eq!(files, [("/home/agent/.key".into(), "the-value".into())]);
        let written = serde_json::to_string(&record).expect("JSON");
        assert!(!written.contains("the-value") && !format!("{record:?}").contains("the-value"));
        let plan = planned(&record, Vec::new()).join("\n");
        assert!(
            plan.contains("sees the secret key itself, in KEY"),
            "{plan}"
        );
    }

    #[test]
    fn a_login_goes_where_its_kind_says() {
        let text =
            "schema = 1\n[network]\negress = \"allow\"\n[credentials.me]\nlogin = \"claude\"\n";
        let mut record = record(text);
        check(&record).expect("egress takes it");
        let spec = specs(&record).pop().expect("one");
        assert_eq!(spec.login, Some(Kind::Claude));
        assert_eq!(login_hosts(&record).count(), 0);
        record.credentials.get_mut("me").expect("one").ready = true;
        assert_eq!(login_hosts(&record).count(), 2);
        // Two crates say it: one resolves templates, the other puts it in.
        for kind in Kind::ALL {
            let facts = kind.facts();
            let hosts = [facts.hosts, &[facts.token_host]].concat();
            assert_eq!(wsm_template::login_hosts(facts.name), hosts);
        }
        let stand = wsm_egress::login::Stand {
            path: ".claude/.credentials.json".into(),
            text: "{}".into(),
        };
        record.inside.stands.insert("me".into(), stand);
        let files = super::files(&record, &HostFacts::default()).expect("they expand");
        assert_eq!(files[0].0, "/home/agent/.claude/.credentials.json");
    }

    #[test]
    fn the_owners_secret_comes_first_and_an_expired_one_is_none() {
        let about = |owner: Option<&str>, expires_ms| About {
            owner: owner.map(str::to_owned),
            name: "key".into(),
            hosts: Vec::new(),
            set_ms: 1,
            expires_ms,
            used_ms: None,
            visible: false,
            login: None,
        };
        let all = [about(None, None), about(Some("ada"), None)];
        let found = |all: &[About], owner| secret(all, owner, "key").map(|a| a.owner.clone());
        assert_eq!(found(&all, "ada"), Some(Some("ada".into())));
        assert_eq!(found(&all, "eve"), Some(None));
        assert_eq!(secret(&all, "eve", "other"), None);
        // As egress has it: the owner's is in the way of everyone's, also when it has expired.
        let all = [about(None, None), about(Some("ada"), Some(1))];
        assert_eq!(found(&all, "ada"), None);
    }
}

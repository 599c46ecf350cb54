//! Credentials: what an agent has instead of secrets, and what egress is told of them. Pure, but
//! for the random numbers of a placeholder.

use std::collections::BTreeMap;

use wsm_egress::credential::{CredentialSpec, Credentials, Place};
use wsm_egress::secret::About;
use wsm_sandbox::spec::{INSIDE_AUTHORITIES, Network};
use wsm_template::resolved::{Credential, Resolved};

use super::assemble;
use crate::record::{CredentialRecord, Record};
use crate::store::now_ms;

/// Random characters of a placeholder: nobody finds one by trying.
const RANDOM_CHARS: usize = 32;

/// Variables by which programs are told whom to trust; each holds [`INSIDE_AUTHORITIES`]. Java has
/// none that takes PEM, and is not covered.
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
        .filter_map(|(name, credential)| {
            let own = record.credentials.get(name)?;
            Some(CredentialSpec {
                name: name.clone(),
                owner: record.owner.clone(),
                secret: credential.secret.clone(),
                hosts: credential.hosts.clone(),
                places: places(credential),
                paths: credential.paths.clone(),
                placeholder: own.placeholder.clone(),
                websocket: credential.websocket,
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
    }
    for (name, credential) in &record.resolved.credentials {
        let own = record.credentials.get(name).filter(|own| own.ready);
        if let (Some(own), false) = (own, credential.env.is_empty()) {
            env.insert(credential.env.clone(), own.placeholder.clone());
        }
    }
}

/// Whether a text names a credential whose secret is not set: what it would say helps nobody.
#[must_use]
pub fn lacks(record: &Record, text: &str) -> bool {
    let ready = |name: &str| record.credentials.get(name).is_some_and(|own| own.ready);
    wsm_template::names(text)
        .into_iter()
        .filter_map(|name| name.strip_prefix("credential."))
        .any(|name| !ready(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::assemble::HostFacts;
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
            let files = assemble::files(record, &host).expect("they expand");
            files.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
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
        assert_eq!(files(&record).len(), 2);
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

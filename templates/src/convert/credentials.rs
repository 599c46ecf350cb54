//! `[credentials.NAME]`: which secret is put where, outside the sandbox.

use std::collections::BTreeMap;

use super::Reader;
use crate::parse::Leaf;
use crate::parse::Path;
use crate::problem::Problem;
use crate::resolved::Credential;
use crate::resolved::Egress;
use crate::resolved::Header;
use crate::resolved::Layer;
use crate::value;
use crate::value::Value;

/// Where the value goes in a header's text.
const SECRET_MARK: &str = "{secret}";

impl Reader<'_> {
    pub(super) fn credentials(&mut self) -> BTreeMap<String, Credential> {
        let flat = self.flat;
        let named = flat
            .iter()
            .filter_map(|(path, leaf)| match &path.parts()[..] {
                ["credentials", name, ..] => Some((name.to_string(), leaf)),
                _ => None,
            });
        let names: BTreeMap<String, &Leaf> = named.collect();
        let read = |(name, leaf): (String, &Leaf)| {
            let credential = self.credential(&name, leaf);
            (name, credential)
        };
        names.into_iter().map(read).collect()
    }

    /// The allow list. Whoever says that a host gets a secret says that it may be reached; the
    /// repository may say less.
    pub(super) fn allow(
        &self,
        egress: Egress,
        credentials: &BTreeMap<String, Credential>,
    ) -> Vec<String> {
        let path = ["network", "allow"];
        let mut allow = self.list(&path);
        let set = self.flat.get(&Path::of(&path));
        let narrowed = set.is_some_and(|leaf| leaf.origin.layer == Layer::Repository);
        if egress == Egress::Allow && !narrowed {
            for host in credentials
                .values()
                .flat_map(|credential| &credential.hosts)
            {
                if !allow.contains(host) {
                    allow.push(host.clone());
                }
            }
        }
        allow
    }

    fn credential(&mut self, name: &str, leaf: &Leaf) -> Credential {
        let flat = self.flat;
        let at = |key: &'static str| ["credentials", name, key];
        for (key, hint) in [
            ("secret", "the name that `wsm secret set` is given"),
            ("hosts", "where it goes: hosts = [\"api.example.com\"]"),
        ] {
            if self.value(&at(key)).is_none() {
                self.missing(leaf, &format!("credentials.{name}.{key}"), hint);
            }
        }
        let header = self.text(&at("header")).map(header);
        let credential = Credential {
            secret: self.text(&at("secret")).unwrap_or_default().to_owned(),
            hosts: self.list(&at("hosts")),
            header: header.clone().and_then(Result::ok),
            basic: self.value(&at("basic")) == Some(&Value::Flag(true)),
            body: self.text(&at("body")).unwrap_or_default().to_owned(),
            paths: self.list(&at("paths")),
            websocket: self.value(&at("websocket")) == Some(&Value::Flag(true)),
            env: self.text(&at("env")).unwrap_or_default().to_owned(),
            prefix: self.text(&at("prefix")).unwrap_or_default().to_owned(),
        };
        let mut wrong = |key: &'static str, message: String, hint: &str| {
            let set = flat.get(&Path::of(&at(key))).unwrap_or(leaf);
            let key = format!("credentials.{name}.{key}");
            let problem = Problem::new(&set.origin, key, message, Some(hint.to_owned()));
            self.problems.push(problem);
        };
        if let Some(Err(why)) = header {
            let hint = "write \"x-api-key\", or \"authorization: Bearer {secret}\"";
            wrong("header", why, hint);
        }
        let env = &credential.env;
        if !env.is_empty() && value::env_name(env).is_err() {
            let message = format!("{} is no name of a variable", value::shown(env));
            wrong("env", message, "write it as ANTHROPIC_API_KEY");
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if credential.prefix.len() > 32 || !credential.prefix.bytes().all(plain) {
            let message = "is not up to 32 letters, digits, - and _".to_owned();
            wrong("prefix", message, "what its values begin with: \"sk-\"");
        }
        let placed = credential.header.is_some() || credential.basic || !credential.body.is_empty();
        if !placed && self.text(&at("header")).is_none() {
            self.missing(
                leaf,
                &format!("credentials.{name}.header"),
                "say where it stands in a request: header, basic or body",
            );
        }
        credential
    }
}

/// Name in lower case, and value with its mark.
fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').unwrap_or((text, SECRET_MARK));
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("{} is no name of a header", value::shown(&name)));
    }
    if value.matches(SECRET_MARK).count() != 1 {
        return Err(format!(
            "{} has not one {SECRET_MARK}",
            value::shown(&value)
        ));
    }
    Ok(Header { name, value })
}

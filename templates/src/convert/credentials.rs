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

/// Kinds of logins.
pub(crate) const LOGINS: &[&str] = &["claude", "codex"];

/// Hosts that a login of this kind goes to, and new tokens come from.
#[must_use]
pub fn login_hosts(kind: &str) -> &'static [&'static str] {
    match kind {
        "claude" => &["api.anthropic.com", "platform.claude.com"],
        "codex" => &["chatgpt.com", "auth.openai.com"],
        _ => &[],
    }
}

/// What a login says by itself.
const OF_LOGIN: [&str; 9] = [
    "secret", "hosts", "header", "basic", "body", "paths", "env", "prefix", "visible",
];
/// What is said of a value that is put in outside.
const OF_PLACE: [&str; 6] = ["header", "basic", "body", "paths", "websocket", "prefix"];

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
    /// repository may say less. Those of a login are allowed while there is one, so they stay
    /// with it, as far as the repository has them.
    pub(super) fn allow(
        &self,
        egress: Egress,
        credentials: &mut BTreeMap<String, Credential>,
    ) -> Vec<String> {
        let path = ["network", "allow"];
        let mut allow = self.list(&path);
        let set = self.flat.get(&Path::of(&path));
        let narrowed = set.is_some_and(|leaf| leaf.origin.layer == Layer::Repository);
        for credential in credentials.values_mut() {
            if !credential.login.is_empty() {
                credential
                    .hosts
                    .retain(|host| !narrowed || allow.contains(host));
            } else if egress == Egress::Allow && !narrowed {
                for host in &credential.hosts {
                    if !allow.contains(host) {
                        allow.push(host.clone());
                    }
                }
            }
        }
        allow
    }

    fn credential(&mut self, name: &str, leaf: &Leaf) -> Credential {
        let flat = self.flat;
        let at = |key: &'static str| ["credentials", name, key];
        let flag = |reader: &Self, key| reader.value(&at(key)) == Some(&Value::Flag(true));
        if let Some(kind) = self.text(&at("login")).map(str::to_owned) {
            let websocket = flag(self, "websocket");
            return self.login(name, kind, websocket);
        }
        let visible = flag(self, "visible");
        for (key, hint) in [
            (
                "secret",
                "the name that `wsm secret set` is given, or `login`",
            ),
            ("hosts", "where it goes: hosts = [\"api.example.com\"]"),
        ] {
            if self.value(&at(key)).is_none() && !(visible && key == "hosts") {
                self.missing(leaf, &format!("credentials.{name}.{key}"), hint);
            }
        }
        if visible {
            let why = "the agent has the value itself (visible), and puts it in itself";
            self.too_much(name, &OF_PLACE, why, "leave it out, or `visible`");
        }
        let header = self.text(&at("header")).map(header);
        let credential = Credential {
            secret: self.text(&at("secret")).unwrap_or_default().to_owned(),
            hosts: self.list(&at("hosts")),
            header: header.clone().and_then(Result::ok),
            basic: flag(self, "basic"),
            body: self.text(&at("body")).unwrap_or_default().to_owned(),
            paths: self.list(&at("paths")),
            websocket: flag(self, "websocket"),
            login: String::new(),
            visible,
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
        if !placed && !visible && self.text(&at("header")).is_none() {
            self.missing(
                leaf,
                &format!("credentials.{name}.header"),
                "say where it stands in a request: header, basic or body",
            );
        }
        credential
    }

    fn login(&mut self, name: &str, kind: String, websocket: bool) -> Credential {
        let hint = "leave it out: its kind says where it goes, and in what";
        self.too_much(name, &OF_LOGIN, "a login says that by itself", hint);
        let hosts = login_hosts(&kind).iter().map(|host| (*host).to_owned());
        Credential {
            hosts: hosts.collect(),
            login: kind,
            websocket,
            secret: String::new(),
            visible: false,
            header: None,
            basic: false,
            body: String::new(),
            paths: Vec::new(),
            env: String::new(),
            prefix: String::new(),
        }
    }

    /// Keys that mean nothing beside what else is said.
    fn too_much(&mut self, name: &str, keys: &[&'static str], why: &str, hint: &str) {
        for key in keys {
            if let Some(set) = self.flat.get(&Path::of(&["credentials", name, key])) {
                let shown = format!("credentials.{name}.{key}");
                let problem = Problem::new(&set.origin, &shown, why, Some(hint.to_owned()));
                self.problems.push(problem);
            }
        }
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

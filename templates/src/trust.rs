//! What a repository's own templates bring that would run, and the one-time consent to it.

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::keys::Repository;
use crate::layer::Catalog;
use crate::merge;
use crate::parse::Flat;
use crate::parse::Template;
use crate::resolved::Layer;
use crate::value::Value;

/// What the owner must agree to before an agent is made from a repository's template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRequest {
    /// SHA-256 over everything listed, hex: consent is stored for it and asked again when it
    /// changes.
    pub digest: String,
    /// One line each, for people; control and direction characters are escaped.
    pub what: Vec<String>,
}

/// What needs trust in `flat`, which was merged from `chain`, made for template `name`.
pub(crate) fn request(
    catalog: &Catalog,
    name: &str,
    chain: &[&Template],
    flat: &Flat,
) -> Option<TrustRequest> {
    let mut what = Vec::new();
    for (path, leaf) in flat {
        if leaf.origin.layer == Layer::Repository && merge::rule(path) == Repository::Trust {
            what.push(format!("{path} = {}", shown(&leaf.value)));
        }
    }
    what.extend(drawn_in(catalog, name, chain, flat));
    if what.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    for line in &what {
        hash.update((line.len() as u64).to_le_bytes());
        hash.update(line.as_bytes());
    }
    let digest = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(TrustRequest { digest, what })
}

/// What comes from other templates only because the repository extends them: their rights, and (by
/// key alone, since values may be secrets) what those of host and user run and put into the
/// environment.
fn drawn_in(catalog: &Catalog, name: &str, chain: &[&Template], flat: &Flat) -> Vec<String> {
    let mut what = Vec::new();
    let without = catalog
        .chain(name, Some(Layer::Repository))
        .unwrap_or_default();
    for template in chain {
        let theirs = template.extends_at.layer < Layer::Repository;
        if !theirs || without.iter().any(|other| std::ptr::eq(*other, *template)) {
            continue;
        }
        let from = &template.name;
        for (path, leaf) in &template.values {
            if flat.get(path).is_none_or(|held| held.origin != leaf.origin) {
                continue;
            }
            match merge::rule(path) {
                Repository::Narrow | Repository::Never => {
                    what.push(format!("extends {from:?}: {path} = {}", shown(&leaf.value)));
                }
                // What is built in is known.
                Repository::Trust if template.extends_at.layer == Layer::Builtin => {}
                Repository::Trust => what.push(format!("extends {from:?}: {path}")),
                Repository::Free => {}
            }
        }
    }
    what
}

/// Exact, and without characters that could mislead on a screen.
fn shown(value: &Value) -> String {
    match value {
        Value::Present | Value::Invalid => "…".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(list) => format!("{list:?}"),
        Value::Size(bytes) => format!("{bytes} bytes"),
        Value::Duration(time) => format!("{time:?}"),
        Value::Cores(milli) => format!("{milli} thousandths"),
    }
}

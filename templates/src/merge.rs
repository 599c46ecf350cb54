//! Merging: tables by key, everything else replaces. The repository layer is held to
//! [`crate::keys::Repository`]: it may narrow rights, never widen them.

use crate::keys;
use crate::keys::Entry;
use crate::keys::Repository;
use crate::parse::Flat;
use crate::parse::Leaf;
use crate::parse::Path;
use crate::parse::Template;
use crate::problem::Problem;
use crate::resolved::Layer;
use crate::resolved::Limits;
use crate::value::Value;

/// Merges `chain`, in order. A value that the repository may not set is a problem and left out.
pub(crate) fn merge(chain: &[&Template], defaults: &Limits) -> (Flat, Vec<Problem>) {
    let mut flat = Flat::new();
    let mut problems = Vec::new();
    let lower = chain
        .iter()
        .filter(|template| template.extends_at.layer < Layer::Repository);
    for template in lower {
        put(&mut flat, template, &mut |_, _| None);
    }
    let above = flat.clone();
    let repository = chain
        .iter()
        .filter(|template| template.extends_at.layer == Layer::Repository);
    for template in repository {
        put(&mut flat, template, &mut |path, leaf| {
            let (message, hint) = forbidden(path, leaf, &above, defaults)?;
            problems.push(Problem::new(&leaf.origin, path.to_string(), message, hint));
            Some(())
        });
    }
    (flat, problems)
}

/// What the repository layer may do with the key at `path`.
pub(crate) fn rule(path: &Path) -> Repository {
    match keys::entry(&path.0) {
        Entry::Key(key) => key.repository,
        Entry::Table | Entry::Named => Repository::Free,
        Entry::Unknown => Repository::Never,
    }
}

fn put(flat: &mut Flat, template: &Template, refused: &mut impl FnMut(&Path, &Leaf) -> Option<()>) {
    // The checks of a probe exclude each other, so one of them replaces what was inherited.
    for path in template.values.keys() {
        if let [services, name, probe @ ("ready" | "health"), check] = path.parts()[..]
            && keys::CHECKS.contains(&check)
        {
            for other in keys::CHECKS {
                flat.remove(&Path::of(&[services, name, probe, other]));
            }
        }
    }
    for (path, leaf) in &template.values {
        if refused(path, leaf).is_some()
            || (leaf.value == Value::Present && flat.contains_key(path))
        {
            continue;
        }
        flat.insert(path.clone(), leaf.clone());
    }
}

/// Message and hint when the repository may not set `path` to this.
fn forbidden(
    path: &Path,
    leaf: &Leaf,
    above: &Flat,
    defaults: &Limits,
) -> Option<(String, Option<String>)> {
    let hint = "a repository may narrow what an agent may do, never widen it; \
                put this into a template of your own";
    let message = match rule(path) {
        Repository::Free | Repository::Trust => None,
        Repository::Never => (!matches!(leaf.value, Value::Present | Value::Invalid))
            .then(|| "may not be set by a repository".to_owned()),
        Repository::Narrow => widens(path, &leaf.value, above, defaults),
    };
    message.map(|message| (message, Some(hint.to_owned())))
}

/// Why `value` allows more than the layers above the repository do.
fn widens(path: &Path, value: &Value, above: &Flat, defaults: &Limits) -> Option<String> {
    let set = above.get(path).map(|leaf| &leaf.value);
    match (&path.parts()[..], value) {
        (_, Value::Present | Value::Invalid) => None,
        (["limits", which], value) => {
            let given = amount(value)?;
            let bound = set
                .and_then(amount)
                .or_else(|| default_amount(which, defaults))?;
            (given > bound).then(|| "is above the limit that holds without it".to_owned())
        }
        (["filesystem", "protect" | "hide"], Value::List(paths)) => {
            let dropped = listed(set).iter().find(|path| !paths.contains(path))?;
            let shown = crate::value::shown(dropped);
            Some(format!(
                "leaves out {shown}, which the layers above it name"
            ))
        }
        // Without a list every program is there.
        (["tools", "allow"], Value::List(_)) if set.is_none() => None,
        (["tools", "allow"] | ["sandbox", "devices"], Value::List(names)) => {
            let outside = names.iter().find(|name| !listed(set).contains(name))?;
            let shown = crate::value::shown(outside);
            Some(format!("{shown} is not allowed by the layers above it"))
        }
        (["filesystem", which], Value::List(paths)) => {
            let held = |key| listed(above.get(&Path::of(&["filesystem", key])).map(|l| &l.value));
            let mut granted = held("write").to_vec();
            if *which == "read" {
                granted.extend_from_slice(held("read"));
            }
            let outside = paths
                .iter()
                .find(|path| !granted.iter().any(|by| below(path, by)))?;
            Some(format!(
                "{} is not granted by the layers above it",
                crate::value::shown(outside)
            ))
        }
        (["network", "egress"], Value::Text(egress)) => {
            let set = match set {
                Some(Value::Text(text)) => text,
                _ => "none",
            };
            let rank = |text: &str| ["none", "allow", "open"].iter().position(|e| *e == text);
            (rank(egress) > rank(set)).then(|| format!("is more than {set:?}"))
        }
        (["network", "allow"], Value::List(hosts)) => {
            let open = Path::of(&["network", "egress"]);
            if above.get(&open).map(|leaf| &leaf.value) == Some(&Value::Text("open".to_owned())) {
                return None;
            }
            let outside = hosts
                .iter()
                .find(|host| !matches!(set, Some(Value::List(by)) if by.contains(host)))?;
            let shown = crate::value::shown(outside);
            Some(format!("{shown} is not allowed by the layers above it"))
        }
        (["sandbox", "landlock"], Value::Text(text)) => {
            let lax = Value::Text("best-effort".to_owned());
            (text != "required" && set != Some(&lax))
                .then(|| "is less than \"required\"".to_owned())
        }
        (["ports", _, "publish"], Value::Flag(true)) => (set == Some(&Value::Flag(false)))
            .then(|| "would publish a port that is not published".to_owned()),
        (["ports", _, "publish"], Value::Flag(false)) => None,
        // A narrowing key without a rule here would be a hole: closed by default.
        _ => Some("may not be set by a repository".to_owned()),
    }
}

fn listed(value: Option<&Value>) -> &[String] {
    match value {
        Some(Value::List(list)) => list,
        _ => &[],
    }
}

fn amount(value: &Value) -> Option<u64> {
    match value {
        Value::Size(bytes) => Some(*bytes),
        Value::Cores(milli) => Some(u64::from(*milli)),
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn default_amount(which: &str, defaults: &Limits) -> Option<u64> {
    match which {
        "cpu" => defaults.cpu_milli.map(u64::from),
        "memory" => defaults.memory_bytes,
        "pids" => defaults.pids.map(u64::from),
        "disk" => defaults.disk_bytes,
        _ => None,
    }
}

/// Whether `path` is `granted` or below it; both were checked to be plain.
fn below(path: &str, granted: &str) -> bool {
    let granted = granted.trim_end_matches('/');
    path.strip_prefix(granted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

//! Parameters: declared by templates, given by `--set`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::parse::Flat;
use crate::parse::Leaf;
use crate::parse::Path;
use crate::problem::Problem;
use crate::problem::choices_hint;
use crate::resolved::Layer;
use crate::resolved::Origin;
use crate::value;
use crate::value::Value;

/// Where values of `--set` come from.
pub(crate) fn set_origin() -> Origin {
    Origin {
        layer: Layer::Request,
        file: "--set".to_owned(),
        line: 0,
    }
}

/// The value of every declared parameter. `lenient` lets required ones be missing.
pub(crate) fn values(
    flat: &Flat,
    set: &BTreeMap<String, String>,
    lenient: bool,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let declared: Vec<(&str, &Leaf)> = declared(flat).collect();
    for (name, leaf) in &declared {
        let param = Param::read(flat, name);
        match param.value(set.get(*name), lenient) {
            Ok(text) => {
                values.insert((*name).to_owned(), text);
            }
            Err((from_set, message, hint)) => {
                let origin = if from_set {
                    set_origin()
                } else {
                    leaf.origin.clone()
                };
                let key = if from_set {
                    (*name).to_owned()
                } else {
                    format!("params.{name}")
                };
                problems.push(Problem::new(&origin, key, message, hint));
            }
        }
    }
    let names: Vec<&str> = declared.iter().map(|(name, _)| *name).collect();
    for name in set.keys().filter(|name| !names.contains(&name.as_str())) {
        let message = format!("the template has no parameter {}", value::shown(name));
        let hint = choices_hint(name, &names);
        problems.push(Problem::new(&set_origin(), "", message, Some(hint)));
    }
    values
}

/// A parameter, for whoever is to fill it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamInfo {
    /// Name.
    pub name: String,
    /// One line for people; empty: its name says it.
    pub description: String,
    /// `string`, `int` or `bool`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is when nobody says.
    pub default: Option<String>,
    /// The only values that it may have; empty for all.
    pub choices: Vec<String>,
    /// What the whole value must match, as a shell matches file names.
    pub pattern: Option<String>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is the whole of the first prompt.
    pub prompt: bool,
}

/// Every declared parameter.
pub(crate) fn infos(flat: &Flat) -> Vec<ParamInfo> {
    let text = |path: &[&str]| match flat.get(&Path::of(path)).map(|leaf| &leaf.value) {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let prompt = text(&["agent", "prompt"]);
    let info = |(name, _): (&str, &Leaf)| {
        let param = Param::read(flat, name);
        ParamInfo {
            name: name.to_owned(),
            description: text(&["params", name, "description"]).to_owned(),
            prompt: prompt == format!("{{param.{name}}}"),
            kind: param.kind.to_owned(),
            default: param.default,
            choices: param.choices.to_vec(),
            pattern: param.pattern.map(str::to_owned),
            required: param.required,
        }
    };
    declared(flat).map(info).collect()
}

fn declared(flat: &Flat) -> impl Iterator<Item = (&str, &Leaf)> {
    flat.iter().filter_map(|(path, leaf)| match &path.0[..] {
        [params, name] if params == "params" => Some((name.as_str(), leaf)),
        _ => None,
    })
}

struct Param<'a> {
    kind: &'a str,
    default: Option<String>,
    choices: &'a [String],
    pattern: Option<&'a str>,
    required: bool,
}

/// Whether the fault is in what was given, the message, the hint.
type Refusal = (bool, String, Option<String>);

impl<'a> Param<'a> {
    fn read(flat: &'a Flat, name: &str) -> Self {
        let get = |key| {
            flat.get(&Path::of(&["params", name, key]))
                .map(|leaf| &leaf.value)
        };
        let text = |key| match get(key) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        Self {
            kind: text("type").unwrap_or("string"),
            default: get("default").and_then(Value::scalar),
            choices: match get("choices") {
                Some(Value::List(list)) => list,
                _ => &[],
            },
            pattern: text("pattern"),
            required: get("required") == Some(&Value::Flag(true)),
        }
    }

    fn value(&self, given: Option<&String>, lenient: bool) -> Result<String, Refusal> {
        if let Some(default) = &self.default {
            self.check(default)
                .map_err(|(why, hint)| (false, format!("default {why}"), hint))?;
        }
        if let Some(given) = given {
            self.check(given).map_err(|(why, hint)| (true, why, hint))?;
            return Ok(given.clone());
        }
        match (&self.default, self.kind) {
            _ if self.required && !lenient => {
                let hint = "give it with --set NAME=VALUE".to_owned();
                Err((false, "is required".to_owned(), Some(hint)))
            }
            (Some(default), _) => Ok(default.clone()),
            (None, "bool") => Ok("false".to_owned()),
            (None, "int") if !self.required => {
                let hint = "add `default = …` or `required = true`".to_owned();
                Err((false, "an int needs a default".to_owned(), Some(hint)))
            }
            (None, _) => Ok(String::new()),
        }
    }

    fn check(&self, text: &str) -> Result<(), (String, Option<String>)> {
        let shown = value::shown(text);
        if text.len() > value::TEXT_BYTES_MAX || text.contains('\0') {
            return Err(("is too long or holds a NUL byte".to_owned(), None));
        }
        match self.kind {
            "int" if text.parse::<i64>().is_err() => {
                return Err((format!("{shown} is not a whole number"), None));
            }
            "bool" if text != "true" && text != "false" => {
                return Err((
                    format!("{shown} is not a bool"),
                    Some("write true or false".to_owned()),
                ));
            }
            _ => {}
        }
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == text) {
            let choices: Vec<&str> = self.choices.iter().map(String::as_str).collect();
            return Err((
                format!("{shown} is not one of the choices"),
                Some(choices_hint(text, &choices)),
            ));
        }
        if let Some(pattern) = self.pattern.filter(|pattern| !matches(pattern, text)) {
            return Err((
                format!("{shown} does not match the pattern {pattern:?}"),
                None,
            ));
        }
        Ok(())
    }
}

/// Shell-style matching of a whole text. Its time is bounded by the product of the lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(next) = one(&pattern, p, text[t]) {
            p = next;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on when its element at `p` takes `c`.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => {
            let close = (p + 2..pattern.len()).find(|at| pattern[*at] == ']')?;
            let negated = pattern[p + 1] == '!';
            let set = &pattern[p + 1 + usize::from(negated)..close];
            let mut held = false;
            let mut at = 0;
            while at < set.len() {
                if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
                    held |= (set[at]..=set[at + 2]).contains(&c);
                    at += 3;
                } else {
                    held |= set[at] == c;
                    at += 1;
                }
            }
            (held != negated).then_some(close + 1)
        }
        literal => (*literal == c).then_some(p + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_text() {
        for (pattern, text) in [
            ("a*", "abc"),
            ("*", ""),
            ("[a-z]*[0-9]", "x-7"),
            ("?b", "ab"),
            ("[!x]", "y"),
            ("a*b*c", "aXbbYc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "ab"),
            ("", "a"),
            ("[a-z]", "A"),
            ("[!x]", "x"),
            ("[", "a"),
            ("a*b", "abc"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "*a".repeat(1000);
        assert!(!matches(&pattern, &"a".repeat(999)));
    }
}

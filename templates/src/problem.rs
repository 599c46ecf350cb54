//! What is wrong with a template: one [`Problem`] per fault, all of them reported at once.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::resolved::Origin;

/// Problems shown at most: a person repairs the first screenful and asks again, and a hostile
/// repository can't fill a terminal or a log.
pub const PROBLEMS_MAX: usize = 100;

/// One fault, where it is and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file as the caller named it, or the option (`--set`).
    pub file: String,
    /// 1-based line, 0 where there is none.
    pub line: u32,
    /// Dotted key, empty where the fault is not about one key.
    pub key: String,
    /// What is wrong, as a fragment.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at `origin`.
    pub(crate) fn new(
        origin: &Origin,
        key: impl Into<String>,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        Self {
            file: origin.file.clone(),
            line: origin.line,
            key: key.into(),
            message: message.into(),
            hint,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Every problem that was found, ordered by file and line. Never empty as an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Sorted, without repetitions, and bounded.
    pub(crate) fn from_found(mut found: Vec<Problem>) -> Self {
        found.sort_by(|a, b| {
            (&a.file, a.line, &a.key, &a.message).cmp(&(&b.file, b.line, &b.key, &b.message))
        });
        found.dedup();
        if found.len() > PROBLEMS_MAX {
            let more = found.len() - PROBLEMS_MAX;
            found.truncate(PROBLEMS_MAX);
            if let Some(last) = found.last().cloned() {
                found.push(Problem {
                    line: 0,
                    key: String::new(),
                    message: format!("and {more} more problems"),
                    hint: Some("repair those above first".to_owned()),
                    ..last
                });
            }
        }
        Self(found)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// "did you mean …?" when one of `known` is close to `given`.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(given, known).map(|name| format!("did you mean `{name}`?"))
}

/// "did you mean …?", or the list of what there is.
pub(crate) fn choices_hint(given: &str, known: &[&str]) -> String {
    did_you_mean(given, known.iter().copied()).unwrap_or_else(|| {
        if known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there is {}", known.join(", "))
        }
    })
}

fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer input can't be within the bound of any key of ours, and the distance is quadratic.
    if given.len() > 64 {
        return None;
    }
    let bound = (given.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(given, name), name))
        .filter(|(far, _)| *far <= bound)
        .min()
        .map(|(_, name)| name)
}

/// Edit distance: insert, delete, replace, or swap two neighbours.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j - 1] + cost)
                .min(rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        assert_eq!(nearest("comand", ["command", "kind"]), Some("command"));
        assert_eq!(nearest("prot", ["port", "kind"]), Some("port"));
        assert_eq!(nearest("xyz", ["command", "kind"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

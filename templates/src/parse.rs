//! TOML text to [`Template`]: every key optional, every value checked, every fault with its line.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::keys;
use crate::keys::Entry;
use crate::keys::Key;
use crate::problem::Problem;
use crate::problem::choices_hint;
use crate::resolved::Layer;
use crate::resolved::Origin;
use crate::value;
use crate::value::Fault;
use crate::value::Value;

/// Largest template: those of people are below 4 KiB, and a repository's are read unasked.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Most keys of one template; bounds every later pass.
pub const KEYS_MAX: usize = 2048;
/// Most entries of one table whose keys the author names (services, ports, env …).
pub const ENTRIES_MAX: usize = 128;
/// Deepest table; the format's own deepest is four (`services.db.ready.tcp`).
pub const DEPTH_MAX: usize = 8;
/// Most templates that one may extend directly.
pub const PARENTS_MAX: usize = 16;
/// Longest key in a problem; every key of ours is shorter.
const KEY_CHARS_SHOWN_MAX: usize = 120;
/// Syntax errors reported per file: the parser recovers, but later ones are mostly echoes.
const SYNTAX_ERRORS_MAX: usize = 10;

/// The path of a key, ordered, printed with dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl Path {
    /// From its parts.
    pub(crate) fn of(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// The parts, to match on.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// Printed, but short: unknown keys may come from a hostile repository.
    fn short(&self) -> String {
        let text = self.to_string();
        match text.char_indices().nth(KEY_CHARS_SHOWN_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if !part.is_empty() && part.bytes().all(bare) {
                f.write_str(part)?;
            } else {
                write!(f, "{part:?}")?;
            }
        }
        Ok(())
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// Values by path: one template's, or several merged.
pub(crate) type Flat = BTreeMap<Path, Leaf>;

/// One file, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) extends: Vec<String>,
    /// Where `extends` stands, or the file.
    pub(crate) extends_at: Origin,
    pub(crate) values: Flat,
    pub(crate) problems: Vec<Problem>,
}

/// Parses one file. Never fails: what is wrong is in [`Template::problems`].
pub(crate) fn parse(layer: Layer, file: &str, text: &str) -> Template {
    let mut parser = Parser {
        whole: Origin {
            layer,
            file: file.to_owned(),
            line: 0,
        },
        line_starts: line_starts(text),
        values: Flat::new(),
        problems: Vec::new(),
    };
    let stem = file.rsplit(['/', ':']).next().unwrap_or(file);
    let stem = stem.strip_suffix(".toml").unwrap_or(stem).to_owned();
    if text.len() > TEMPLATE_BYTES_MAX {
        parser.problem(
            0,
            "",
            format!("is larger than {TEMPLATE_BYTES_MAX} bytes"),
            None,
        );
    } else if let Some(at) = text.find(char::REPLACEMENT_CHARACTER) {
        // What stands for bytes that are none, whoever read them.
        let line = parser.line(&(at..at));
        parser.problem(line, "", "is not TOML: not UTF-8".to_owned(), None);
    } else {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let line = error.span().map_or(0, |span| parser.line(&span));
            parser.problem(line, "", format!("is not TOML: {}", error.message()), None);
        }
        parser.table(&mut Vec::new(), table.get_ref());
        if !errors.is_empty() {
            // Half a file says little about its keys: report what the TOML parser said.
            parser
                .problems
                .retain(|problem| problem.message.starts_with("is not TOML"));
        } else if !parser.values.contains_key(&Path::of(&["schema"])) {
            parser.problem(
                0,
                "schema",
                "is missing".to_owned(),
                Some("begin the file with `schema = 1`".to_owned()),
            );
        }
    }
    parser.finish(stem)
}

struct Parser {
    whole: Origin,
    line_starts: Vec<usize>,
    values: Flat,
    problems: Vec<Problem>,
}

impl Parser {
    fn line(&self, span: &Range<usize>) -> u32 {
        let line = self
            .line_starts
            .partition_point(|start| *start <= span.start);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    fn origin(&self, line: u32) -> Origin {
        Origin {
            line,
            ..self.whole.clone()
        }
    }

    fn problem(&mut self, line: u32, key: &str, message: String, hint: Option<String>) {
        self.problems
            .push(Problem::new(&self.origin(line), key, message, hint));
    }

    fn table(&mut self, path: &mut Vec<String>, table: &DeTable<'_>) {
        for (name, value) in table {
            if self.values.len() >= KEYS_MAX {
                let line = self.line(&name.span());
                self.problem(line, "", format!("has more than {KEYS_MAX} keys"), None);
                return;
            }
            path.push(name.get_ref().to_string());
            self.entry(path, name.span(), value);
            path.pop();
        }
    }

    fn entry(&mut self, path: &mut Vec<String>, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let line = self.line(&at);
        let shown = Path(path.clone()).short();
        if path.len() > DEPTH_MAX {
            self.problem(
                line,
                &shown,
                format!("is nested deeper than {DEPTH_MAX}"),
                None,
            );
            return;
        }
        match keys::entry(path) {
            Entry::Key(key) => self.leaf(path, key, line, value),
            Entry::Unknown => {
                let (parent, name) = path.split_at(path.len() - 1);
                let hint = Some(choices_hint(&name[0], &keys::children(parent)));
                self.problem(line, &shown, "unknown key".to_owned(), hint);
            }
            Entry::Table | Entry::Named => {
                let Some(table) = value.get_ref().as_table() else {
                    let found = value.get_ref().type_str();
                    self.problem(
                        line,
                        &shown,
                        format!("expected a table, found {found}"),
                        None,
                    );
                    return;
                };
                if matches!(keys::entry(path), Entry::Named) {
                    self.named(path, line, table);
                }
                if is_presence(path) {
                    let leaf = Leaf {
                        value: Value::Present,
                        origin: self.origin(line),
                    };
                    self.values.insert(Path(path.clone()), leaf);
                }
                self.table(path, table);
            }
        }
    }

    /// Checks the names in a table whose keys the author names.
    fn named(&mut self, path: &[String], line: u32, table: &DeTable<'_>) {
        let shown = Path(path.to_vec()).short();
        if table.len() > ENTRIES_MAX {
            self.problem(
                line,
                &shown,
                format!("has more than {ENTRIES_MAX} entries"),
                None,
            );
        }
        let check = match path.last().map(String::as_str) {
            Some("env") => value::env_name,
            Some("files") => value::file_path,
            Some("params") => value::param_name,
            _ => value::name,
        };
        for name in table.keys() {
            if let Err((message, hint)) = check(name.get_ref()) {
                let line = self.line(&name.span());
                self.problem(line, &shown, message, hint);
            }
        }
    }

    fn leaf(&mut self, path: &[String], key: &Key, line: u32, value: &Spanned<DeValue<'_>>) {
        let mut faults: Vec<Fault> = Vec::new();
        let converted = value::convert(key.path, key.kind, value, &mut faults);
        let shown = Path(path.to_vec()).short();
        for fault in faults {
            let line = self.line(&fault.span);
            self.problem(line, &shown, fault.message, fault.hint);
        }
        let leaf = Leaf {
            value: converted,
            origin: self.origin(line),
        };
        self.values.insert(Path(path.to_vec()), leaf);
    }

    /// Takes out the keys that are about the file rather than about the agent.
    fn finish(mut self, stem: String) -> Template {
        let mut take = |key: &str| self.values.remove(&Path::of(&[key]));
        let text = |leaf: Option<Leaf>| match leaf.map(|leaf| leaf.value) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        take("schema");
        let name = text(take("name"));
        let description = text(take("description"));
        let extends = take("extends");
        let extends_at = extends
            .as_ref()
            .map_or(&self.whole, |leaf| &leaf.origin)
            .clone();
        let mut extends = match extends.map(|leaf| leaf.value) {
            Some(Value::List(names)) => names,
            _ => Vec::new(),
        };
        if extends.len() > PARENTS_MAX {
            let message = format!("has more than {PARENTS_MAX} elements");
            self.problems
                .push(Problem::new(&extends_at, "extends", message, None));
            extends.truncate(PARENTS_MAX);
        }
        let name = match name {
            Some(name) => name,
            None => {
                if let Err((message, hint)) = value::name(&stem) {
                    self.problem(0, "name", format!("is missing, and {message}"), hint);
                }
                stem
            }
        };
        Template {
            name,
            description,
            extends,
            extends_at,
            values: self.values,
            problems: self.problems,
        }
    }
}

/// Whether the table at `path` is a thing of its own even when it is empty.
fn is_presence(path: &[String]) -> bool {
    path.len() == 2 && ["params", "services", "ports"].contains(&path[0].as_str())
}

/// Offsets of the first byte of each line.
fn line_starts(text: &str) -> Vec<usize> {
    let after = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| *byte == b'\n')
        .map(|(at, _)| at + 1);
    std::iter::once(0).chain(after).collect()
}

//! One Rust file, cut into code, comments and string literals: enough of a lexer for the rules.

/// A file of the repository.
pub(crate) struct Source {
    /// Path from the repository's root.
    pub(crate) path: String,
    /// The text.
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked out, line by line the same.
    pub(crate) code: String,
    /// The string literals, with the line each starts on.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Source {
    /// Cuts `text`.
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let mut cutter = Cutter {
            rest: text,
            code: String::new(),
            strings: Vec::new(),
        };
        while cutter.step() {}
        let Cutter { code, strings, .. } = cutter;
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            strings,
        }
    }

    /// Whether everything in it is test code.
    pub(crate) fn is_test(&self) -> bool {
        let parts = [
            "/tests/",
            "/tests.rs",
            "_tests.rs",
            "/benches/",
            "/examples/",
        ];
        parts.iter().any(|part| self.path.contains(part)) || self.path.starts_with("tests/")
    }

    /// Lines before the first inline test module.
    pub(crate) fn lines_of_code(&self) -> usize {
        let tests = self
            .text
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        self.text[..tests].lines().count()
    }

    /// `(line, name, length)` of every function, by its braces.
    pub(crate) fn functions(&self) -> Vec<(usize, String, usize)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let before = self.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let name: String = self.code[at + 3..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let Some(body) = body(&self.code[at..]) else {
                continue;
            };
            let line = line_of(&self.code[..at]);
            if !name.is_empty() {
                found.push((line, name, lines_inside(&self.code[at..][body])));
            }
        }
        found
    }
}

/// The range of the block that follows a signature; `None` for one that ends in `;`.
fn body(code: &str) -> Option<std::ops::Range<usize>> {
    let mut depth = 0_i32;
    let mut nested = 0_i32;
    let mut start = None;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' if start.is_none() => nested += 1,
            ')' | ']' if start.is_none() => nested -= 1,
            ';' if start.is_none() && nested == 0 => return None,
            '{' if nested == 0 => {
                start = start.or(Some(at));
                depth += 1;
            }
            '}' if nested == 0 => {
                depth -= 1;
                if depth == 0 {
                    return start.map(|start| start..at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

struct Cutter<'a> {
    rest: &'a str,
    code: String,
    strings: Vec<(usize, String)>,
}

impl Cutter<'_> {
    /// Takes the next piece; `false` at the end.
    fn step(&mut self) -> bool {
        let Some(c) = self.rest.chars().next() else {
            return false;
        };
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            let end = self.rest.find("*/").map_or(self.rest.len(), |at| at + 2);
            self.blank(end);
        } else if let Some((open, close)) = raw_string(self.rest, self.code.chars().next_back()) {
            let end = self.rest[open..]
                .find(&close)
                .map_or(self.rest.len(), |at| open + at);
            self.string(open, end, close.len());
        } else if c == '"' {
            self.string(1, 1 + quoted(&self.rest[1..], '"'), 1);
        } else if c == '\'' && is_char(self.rest) {
            self.blank(1 + quoted(&self.rest[1..], '\'') + 1);
        } else {
            self.code.push(c);
            self.rest = &self.rest[c.len_utf8()..];
        }
        true
    }

    fn string(&mut self, start: usize, end: usize, close: usize) {
        let line = line_of(&self.code);
        self.strings.push((line, self.rest[start..end].to_owned()));
        self.blank((end + close).min(self.rest.len()));
    }

    fn blank(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes);
        self.code
            .extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// Lines of code between a function's braces, as clippy counts them.
fn lines_inside(body: &str) -> usize {
    let inside = body.trim_start_matches('{').trim_end_matches('}');
    inside
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count()
}

/// Line that comes after `before`, from 1.
fn line_of(before: &str) -> usize {
    before.matches('\n').count() + 1
}

/// Length of what stands before the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    text.len()
}

/// A character literal, and not a lifetime.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(_), Some(after)) => after == '\'',
        _ => false,
    }
}

/// Length of a raw string's opening and the text of its closing.
fn raw_string(text: &str, before: Option<char>) -> Option<(usize, String)> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let letters = ["br", "cr", "r"]
        .into_iter()
        .find(|letters| text.starts_with(letters))?;
    let after = &text[letters.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let open = after[hashes..].starts_with('"');
    open.then(|| {
        (
            letters.len() + hashes + 1,
            format!("\"{}", "#".repeat(hashes)),
        )
    })
}

#[test]
fn cuts_code_from_comments_and_strings() {
    let text = r##"fn a() { let s = "}{ \" //"; } // } unsafe
fn b<'a>(x: [u8; 2]) -> char { '{' /* { */ }
fn c() { r#"SELECT "x""#; }
"##;
    let source = Source::new("x.rs", text);
    let names: Vec<_> = source
        .functions()
        .into_iter()
        .map(|(line, name, _)| (line, name))
        .collect();
    assert_eq!(names, [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
    assert_eq!(source.strings[1], (3, "SELECT \"x\"".into()));
    assert!(!source.code.contains("unsafe"));
    assert_eq!(source.code.lines().count(), 3);
}

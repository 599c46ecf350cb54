//! What an edit would change, as a diff for people: one hunk from the first to the last difference.

use std::fmt::Write as _;
use std::io::Read;

use serde_json::Value;

use super::text;

/// Lines shown around a change.
const AROUND: usize = 3;
/// A larger file is shown as if it were new.
const FILE_BYTES_MAX: u64 = 512 * 1024;

/// Of a tool that edits files; `""` for others.
pub(super) fn of_tool(tool: &str, input: &Value) -> String {
    let path = text(input, &["file_path"]);
    match tool {
        "Write" => {
            let before = read(path);
            changed(path, before.as_deref(), text(input, &["content"]))
        }
        "Edit" => edit(path, input),
        "MultiEdit" => {
            let edits = input["edits"].as_array().into_iter().flatten();
            edits.map(|one| edit(path, one)).collect()
        }
        "NotebookEdit" => {
            let path = text(input, &["notebook_path"]);
            changed(path, None, text(input, &["new_source"]))
        }
        "apply_patch" => {
            let patches = ["command", "input", "patch"].map(|key| text(input, &[key]));
            let found = patches.into_iter().find(|text| !text.is_empty());
            found.unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

fn edit(path: &str, one: &Value) -> String {
    let (old, new) = (text(one, &["old_string"]), text(one, &["new_string"]));
    changed(path, Some(old), new)
}

/// The agent can read what it is about to write.
fn read(path: &str) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    if file.metadata().ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn changed(path: &str, before: Option<&str>, after: &str) -> String {
    let old: Vec<&str> = before.unwrap_or_default().lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let pairs = old.iter().rev().zip(new.iter().rev());
    let tail = pairs.take(rest).take_while(|(a, b)| a == b).count();
    let from = before.map_or("/dev/null", |_| path);
    let mut out = format!("--- {from}\n+++ {path}\n");
    let first = same.saturating_sub(AROUND);
    let last = (old.len() - tail + AROUND).min(old.len());
    let mut push = |sign: char, lines: &[&str]| {
        for line in lines {
            writeln!(out, "{sign}{line}").expect("a String takes all");
        }
    };
    push(' ', &old[first..same]);
    push('-', &old[same..old.len() - tail]);
    push('+', &new[same..new.len() - tail]);
    push(' ', &old[old.len() - tail..last]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_what_is_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        let diff = changed("a", Some(before), after);
        assert_eq!(diff, "--- a\n+++ a\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
        assert_eq!(changed("a", None, "x\n"), "--- /dev/null\n+++ a\n+x\n");
        assert_eq!(changed("a", Some("x"), "x"), "--- a\n+++ a\n x\n");
        // A line that is there twice is counted once.
        assert_eq!(changed("a", Some("x\nx"), "x"), "--- a\n+++ a\n x\n-x\n");
    }
}

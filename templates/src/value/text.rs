//! Texts of keys: names, paths, revisions.

use crate::keys::Type;
use crate::problem::choices_hint;
use crate::resolved::NOTIFY;
use crate::value::Refusal;
use crate::value::refuse;

/// Longest text: file contents and prompts are the long ones.
pub(crate) const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Longest name: a port or service name becomes part of a host name label (63) with the agent's.
const NAME_BYTES_MAX: usize = 40;
/// Longest path, as in Linux.
const PATH_BYTES_MAX: usize = 4095;

/// Checks one text of a type.
pub(super) fn element(kind: Type, text: &str) -> Result<(), Refusal> {
    if text.contains('\0') {
        return refuse("contains a NUL byte", "no program can be given one");
    }
    if text.len() > TEXT_BYTES_MAX {
        return refuse(
            format!("is longer than {TEXT_BYTES_MAX} bytes"),
            "put it in a file of the repository",
        );
    }
    match kind {
        Type::Name | Type::Names => name(text),
        Type::Revision => revision(text),
        Type::InsidePaths => inside_path(text),
        Type::HostPaths => host_path(text),
        Type::GuardedPaths => guarded_path(text),
        Type::Programs => program_name(text),
        Type::Devices => device(text),
        Type::Events if !NOTIFY.contains(&text) => {
            refuse(format!("{text:?} is no event"), choices_hint(text, &NOTIFY))
        }
        Type::HttpTarget => name(text.split('/').next().unwrap_or_default()),
        Type::Commands if text.trim().is_empty() => refuse("is an empty command", "remove it"),
        Type::Commands
        | Type::Argv
        | Type::Text
        | Type::Texts
        | Type::Events
        | Type::Scalar
        | Type::Scalars
        | Type::Flag
        | Type::Integer { .. }
        | Type::Cores
        | Type::Size
        | Type::Duration
        | Type::Choice(_) => Ok(()),
    }
}

pub(super) fn program(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return refuse("the program's name is empty", "give the program's name");
    }
    element(Type::Argv, text)
}

/// A template, service or port name: it may become part of a host name, where `--` is taken.
pub(crate) fn name(text: &str) -> Result<(), Refusal> {
    if text.contains('_') || text.contains("--") {
        let hint = "use single dashes instead";
        return refuse(format!("{} has `_` or `--`", shown(text)), hint);
    }
    param_name(text)
}

/// A parameter's name: as other names, and `_` may stand in it.
pub(crate) fn param_name(text: &str) -> Result<(), Refusal> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    let well_formed = edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| inner(*b));
    if !well_formed || bytes.len() > NAME_BYTES_MAX {
        let hint = format!(
            "use a-z, 0-9 and -, at most {NAME_BYTES_MAX}, beginning and ending with a letter or digit"
        );
        return refuse(format!("{} is not a name", shown(text)), hint);
    }
    Ok(())
}

/// An environment variable's name.
pub(crate) fn env_name(text: &str) -> Result<(), Refusal> {
    let first = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return refuse(
            format!("{} is not a variable name", shown(text)),
            "use letters, digits and _, not beginning with a digit",
        );
    }
    Ok(())
}

/// The path of a `[files]` entry.
pub(crate) fn file_path(text: &str) -> Result<(), Refusal> {
    inside_path(text.strip_prefix("~/").unwrap_or(text))
}

/// What git refuses in a ref, and what an option parser would read as an option. The git helper
/// has the last word; this is for the line number.
pub(crate) fn revision(text: &str) -> Result<(), Refusal> {
    let odd = |c: char| c.is_control() || c == ' ' || c == '\\' || c == ':' || c == '?' || c == '*';
    if text.is_empty() || text.starts_with('-') || text.contains("..") || text.contains(odd) {
        return refuse(
            format!("{} is not a branch or revision", shown(text)),
            "see `git check-ref-format`",
        );
    }
    Ok(())
}

fn inside_path(text: &str) -> Result<(), Refusal> {
    path_bytes(text)?;
    if text.starts_with('/') || text.starts_with('~') {
        return refuse(
            format!("{} is not relative", shown(text)),
            "write a path below the checkout",
        );
    }
    plain_parts(text)?;
    if text
        .split('/')
        .any(|part| part.eq_ignore_ascii_case(".git"))
    {
        return refuse(
            format!("{} is git's own", shown(text)),
            "nothing may be put below .git",
        );
    }
    Ok(())
}

/// What the broker shows of no host (`NEVER_SHOWN` there).
const OWN_PLACES: [&str; 7] = ["proc", "sys", "dev", "run", "var/run", "tmp", "var/tmp"];

fn host_path(text: &str) -> Result<(), Refusal> {
    path_bytes(text)?;
    let Some(rest) = text.strip_prefix('/') else {
        return refuse(
            format!("{} is not absolute", shown(text)),
            "write the path from / on",
        );
    };
    if rest.is_empty() {
        return refuse("is the whole file system", "name a directory");
    }
    plain_parts(rest)?;
    let below = |own: &&&str| std::path::Path::new(rest).starts_with(own);
    if let Some(own) = OWN_PLACES.iter().find(below) {
        return refuse(
            format!(
                "{} lies below /{own}, which every sandbox has of its own",
                shown(text)
            ),
            "choose another place",
        );
    }
    Ok(())
}

/// A name that the agent shall not touch. Patterns are refused: they could not hold for what comes
/// into being later.
fn guarded_path(text: &str) -> Result<(), Refusal> {
    if text.contains(['*', '?']) {
        return refuse(
            format!("{} is a pattern", shown(text)),
            "name each file, or the directory they lie in",
        );
    }
    if text.starts_with('/') {
        host_path(text)
    } else {
        inside_path(text)
    }
}

/// What a program is called in a directory of PATH.
fn program_name(text: &str) -> Result<(), Refusal> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-[".contains(&b);
    if text.is_empty() || text.len() > 255 || !text.bytes().all(plain) || text.starts_with('.') {
        return refuse(
            format!("{} is not a program's name", shown(text)),
            "write the name alone, such as \"git\"; it is looked up in the host's PATH",
        );
    }
    Ok(())
}

fn device(text: &str) -> Result<(), Refusal> {
    path_bytes(text)?;
    let Some(rest) = text.strip_prefix("/dev/") else {
        return refuse(
            format!("{} is not below /dev", shown(text)),
            "write the node's path, such as \"/dev/kvm\"",
        );
    };
    if rest.ends_with('/') {
        return refuse(
            format!("{} is a directory", shown(text)),
            "name each device node",
        );
    }
    plain_parts(rest)
}

fn path_bytes(text: &str) -> Result<(), Refusal> {
    if text.len() > PATH_BYTES_MAX {
        return refuse(
            format!("is longer than {PATH_BYTES_MAX} bytes"),
            "choose a shorter path",
        );
    }
    if text.contains(char::is_control) {
        return refuse(
            format!("{} has a control character", shown(text)),
            "choose another path",
        );
    }
    Ok(())
}

fn plain_parts(text: &str) -> Result<(), Refusal> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return refuse(
            format!("{} has an empty, `.` or `..` part", shown(text)),
            "write the path plainly",
        );
    }
    Ok(())
}

/// Quoted, without control characters, and short: it may come from a hostile repository.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_where_they_belong() {
        for good in ["node_modules", ".env.local", "a/b/c", "dir/"] {
            assert!(inside_path(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc",
            "../x",
            "a/../b",
            "a//b",
            ".",
            ".git/hooks",
            "a/.GIT",
            "~/x",
            "a\0b",
        ] {
            assert!(inside_path(bad).is_err(), "{bad}");
        }
        for bad in ["", "/", "opt", "/opt/../etc", "/proc/1", "/run/x", "/a//b"] {
            assert!(host_path(bad).is_err(), "{bad}");
        }
        assert!(host_path("/opt/sdk").is_ok());
        for good in [".vscode/", ".mcp.json", "a/[id].tsx", "/opt/sdk/key"] {
            assert!(guarded_path(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "*.env", "a?", ".git/hooks", "../x", "/tmp/x"] {
            assert!(guarded_path(bad).is_err(), "{bad}");
        }
        for good in ["git", "g++", "python3.11", "[", "x86_64-linux-gnu-gcc"] {
            assert!(program_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "/usr/bin/git", "a b", ".."] {
            assert!(program_name(bad).is_err(), "{bad}");
        }
        assert!(device("/dev/dri/renderD128").is_ok());
        for bad in ["kvm", "/dev/", "/dev/../x", "/dev/dri/", "/etc/passwd"] {
            assert!(device(bad).is_err(), "{bad}");
        }
        assert!(file_path("~/.npmrc").is_ok());
        assert!(file_path("~/../x").is_err());
    }
}

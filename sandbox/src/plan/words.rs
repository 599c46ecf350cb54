//! A plan in words, for `--dry-run` and for messages.

use std::fmt;

use super::{Access, Op, Owners, Plan};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in &self.ops {
            writeln!(f, "{op:#}")?;
        }
        Ok(())
    }
}

/// One line; `{:#}` puts what they do below each other.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if f.alternate() { 9 } else { 0 };
        write!(f, "{:width$} ", self.does())?;
        match self {
            Op::Tmpfs {
                at, bytes, mode, ..
            } => {
                let kib = bytes >> 10;
                write!(f, "{} ({kib} KiB, mode {mode:o})", at.display())
            }
            Op::File { at, text, .. } => write!(f, "{} ({} bytes)", at.display(), text.len()),
            Op::KeyStore { at, .. } => write!(f, "{}", at.display()),
            Op::Link { at, to } => write!(f, "{} -> {}", at.display(), to.display()),
            Op::Device { at, major, minor } => write!(f, "{} ({major}:{minor})", at.display()),
            Op::Dir(at)
            | Op::Close(at)
            | Op::Hold { at, .. }
            | Op::Guard { at, .. }
            | Op::Terminals { at } => write!(f, "{}", at.display()),
            Op::Bind {
                from, at, owners, ..
            } => {
                let owner = match owners {
                    Owners::Nobody => "nobody's",
                    Owners::Account => "the agent's",
                };
                write!(f, "{} ({owner})", at.display())?;
                if from == at {
                    Ok(())
                } else {
                    write!(f, " from {}", from.display())
                }
            }
        }
    }
}

impl Op {
    fn does(&self) -> &'static str {
        match self {
            Op::Tmpfs { .. } => "tmpfs",
            Op::Dir(_) => "directory",
            Op::File { .. } => "file",
            Op::KeyStore { .. } => "key store",
            Op::Link { .. } => "link",
            Op::Device { .. } => "device",
            Op::Close(_) => "close",
            Op::Hold { .. } => "hold",
            Op::Guard { hide: true, .. } => "hide",
            Op::Guard { .. } => "protect",
            Op::Terminals { .. } => "devpts",
            Op::Bind { access, .. } => match access {
                Access::Read => "read",
                Access::Write => "write",
                Access::Pin => "pin",
            },
        }
    }
}

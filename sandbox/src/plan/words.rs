//! A plan in words, for `--dry-run` and for messages.

use std::fmt;

use super::{Access, Op, Owners, Plan};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in &self.ops {
            writeln!(f, "{op}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Tmpfs {
                at, bytes, mode, ..
            } => {
                write!(
                    f,
                    "tmpfs     {} ({} KiB, mode {mode:o})",
                    at.display(),
                    bytes >> 10
                )
            }
            Op::Dir(at) => write!(f, "directory {}", at.display()),
            Op::File { at, text, .. } => {
                write!(f, "file      {} ({} bytes)", at.display(), text.len())
            }
            Op::Link { at, to } => write!(f, "link      {} -> {}", at.display(), to.display()),
            Op::Device { at, major, minor } => {
                write!(f, "device    {} ({major}:{minor})", at.display())
            }
            Op::Close(at) => write!(f, "close     {}", at.display()),
            Op::Hold { at, .. } => write!(f, "hold      {}", at.display()),
            Op::Guard { at, hide, .. } => {
                let how = if *hide { "hide" } else { "protect" };
                write!(f, "{how:9} {}", at.display())
            }
            Op::Terminals { at } => write!(f, "devpts    {}", at.display()),
            Op::Bind {
                from,
                at,
                access,
                owners,
                ..
            } => {
                let how = match access {
                    Access::Read => "read",
                    Access::Write => "write",
                    Access::Pin => "pin",
                };
                let owner = match owners {
                    Owners::Nobody => "nobody's",
                    Owners::Account => "the agent's",
                };
                write!(f, "{how:9} {} ({owner})", at.display())?;
                if from == at {
                    Ok(())
                } else {
                    write!(f, " from {}", from.display())
                }
            }
        }
    }
}

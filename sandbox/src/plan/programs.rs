//! `tools`: the directories of PATH with nothing in them but what was named.

use std::path::PathBuf;

use super::{Expected, Op, Tool, bind, link, tmpfs};
use crate::plan::{Access, Owners};

/// Names that are there whatever was named: the launcher's shell, a person's, and what finds
/// interpreters.
pub(crate) const ALWAYS_THERE: [&str; 3] = ["sh", "bash", "env"];

/// Covers every directory of programs.
pub(super) fn ops(directories: &[PathBuf], tools: &[Tool], expected: &mut Expected) -> Vec<Op> {
    let mut ops = Vec::new();
    for directory in directories {
        let inside: Vec<&Tool> = tools
            .iter()
            .filter(|tool| tool.at.parent() == Some(directory))
            .collect();
        let files = inside.len() as u64 + 2;
        let at = directory.to_string_lossy();
        ops.push(tmpfs(&at, 65_536, files, 0o755));
        for tool in &inside {
            ops.push(match &tool.link {
                Some(to) => link(&tool.at, to),
                None => bind(&tool.at, &tool.at, Access::Read, Owners::Nobody).1,
            });
        }
        ops.push(Op::Close(directory.clone()));
        let names = inside.iter().filter_map(|tool| tool.at.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        expected.programs.push((directory.clone(), names.collect()));
    }
    ops
}

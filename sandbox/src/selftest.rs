//! What a sandbox must refuse, tried from inside before the agent's first instruction.
//!
//! Runs in a forked child of the launcher, with exactly the rights that everything later has. Every
//! probe has a form that does no harm where its layer is missing: bad addresses, opening without
//! writing, undoing. A probe that does not hold aborts the start; all are stored and shown.

mod calls;
mod extras;
mod files;
mod process;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::Expected;
use crate::spec::ProbeReport;
pub(crate) use calls::Forbidden;

/// What the probes expect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Uid and gid inside.
    pub uid: u32,
    /// ptrace and friends are allowed among the agent's own.
    pub debug: bool,
    /// Whether a Landlock domain was entered.
    pub landlock: bool,
    /// Host paths that must not exist inside.
    pub canaries: Vec<PathBuf>,
    /// What is there beyond the usual.
    pub extras: Expected,
    /// A file inside that every mode allows to read and no Landlock rule does.
    pub unruled: Option<PathBuf>,
    /// Name of an abstract socket that listens outside the Landlock domain.
    pub abstract_name: Option<String>,
    /// Descriptors that may be open besides 0, 1 and 2.
    pub fds: Vec<i32>,
    /// Network interfaces that may exist.
    pub interfaces: Vec<String>,
}

/// Tries everything. Call it in a forked child of the launcher, after Landlock and seccomp.
#[must_use]
pub fn run(context: &Context) -> Vec<ProbeReport> {
    let mut reports = calls::run();
    reports.extend(files::run(context));
    reports.extend(process::run(context));
    reports.extend(extras::run(&context.extras));
    reports
}

fn report(layer: &str, tried: &str, saw: impl Into<String>, held: bool) -> ProbeReport {
    ProbeReport {
        layer: layer.into(),
        tried: tried.into(),
        saw: saw.into(),
        held,
    }
}

/// A probe that must fail with one of these errors.
fn must_fail<T>(
    layer: &str,
    tried: &str,
    result: nix::Result<T>,
    expected: &[nix::errno::Errno],
) -> ProbeReport {
    match result {
        Ok(_) => report(layer, tried, "success", false),
        Err(error) => report(
            layer,
            tried,
            format!("{error:?}"),
            expected.contains(&error),
        ),
    }
}

/// The errno of a standard library error.
fn errno(error: &std::io::Error) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

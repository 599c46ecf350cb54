//! `wsm completion`.

use clap_complete::Shell;

use crate::failure::{Exit, Outcome};
use crate::render;

/// Options of `completion`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For which shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::command(), "wsm", &mut script);
    render::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::DONE)
}

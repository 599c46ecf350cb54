//! `wsm man`.

use std::path::PathBuf;

use wsm_api::problem::Code;

use crate::failure::{Exit, Failure, Outcome};
use crate::render;

/// Options of `man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write a page for each verb into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if let Some(dir) = &args.out {
        clap_mangen::generate_to(crate::args::command(), dir).map_err(|error| {
            let message = format!("write manual pages to {}: {error}", dir.display());
            Failure::new(Code::Failed, message, "")
        })?;
        return Ok(Exit::DONE);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(crate::args::command())
        .render(&mut page)
        .map_err(|error| Failure::output(&error))?;
    render::print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::DONE)
}

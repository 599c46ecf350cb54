//! `wsm up`.

use crate::commands::Context;
use crate::failure::{Exit, Outcome};

/// Options of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(context: &Context, _args: &Args) -> Outcome {
    crate::up::up(&context.place, context.output.quiet).await?;
    Ok(Exit::DONE)
}

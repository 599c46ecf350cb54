//! `wsm capture`.

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

/// Options of `capture`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// Terminal.
    #[arg(value_name = "TERMINAL")]
    terminal: Option<String>,
    /// Lines of history before the screen.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    history: u32,
    /// Keep colours and attributes.
    #[arg(long)]
    styled: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let terminal = args.terminal.as_deref();
    let capture = context
        .client
        .capture(&args.agent, terminal, args.history, args.styled)
        .await?;
    let text = if context.output.json {
        render::json(&capture)
    } else if args.styled {
        render::clean_styled(&capture.text)
    } else {
        render::clean_lines(&capture.text)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

//! `wsm who`.

use wsm_api::presence::Viewer;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

/// Options of `who`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let found = context.client.who(&args.agent).await?;
    let text = if context.output.json {
        render::json(&found)
    } else if context.output.quiet {
        let users = found.viewers.iter();
        users
            .map(|it| format!("{}\n", render::clean(&it.user)))
            .collect()
    } else {
        let now = jiff::Timestamp::now();
        let rows: Vec<_> = found.viewers.iter().map(|it| row(it, now)).collect();
        let waits = found.leases.iter().filter(|it| !it.asked.is_empty());
        let asked = waits.map(|it| {
            let users = render::clean(&it.asked.join(", "));
            format!(
                "{} asks for the keyboard of {}\n",
                users,
                render::clean(&it.terminal)
            )
        });
        render::table(&HEAD, &rows) + &asked.collect::<String>()
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

const HEAD: [&str; 6] = ["TERMINAL", "USER", "DEVICE", "SIZE", "SINCE", "MAY"];

fn row(it: &Viewer, now: jiff::Timestamp) -> Vec<String> {
    let may = match (it.holds, it.read_only) {
        (true, _) => "has the keyboard",
        (false, true) => "only look",
        (false, false) => "ask for the keyboard",
    };
    let hidden = if it.visible { "" } else { " (hidden)" };
    vec![
        it.terminal.clone(),
        it.user.clone(),
        format!("{}{hidden}", it.device),
        format!("{}x{}", it.cols, it.rows),
        render::age(&it.since, now),
        may.to_owned(),
    ]
}

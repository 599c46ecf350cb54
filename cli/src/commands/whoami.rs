//! `wsm whoami`.

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

pub(crate) async fn run(context: &Context) -> Outcome {
    let me = context.client.whoami().await?;
    let text = if context.output.json {
        render::json(&me)
    } else if context.output.quiet {
        clean(&me.user) + "\n"
    } else {
        let mut text = format!("{}, {}, by {}", me.user, me.role, me.via);
        if !me.address.is_empty() {
            text.push_str(&format!(" from {}", me.address));
        }
        if me.scope != "admin" {
            text.push_str(&format!(", good for what the scope {} is", me.scope));
        }
        if !me.agents.is_empty() {
            text.push_str(&format!(", on {} alone", me.agents.join(", ")));
        }
        clean(&text) + "\n"
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

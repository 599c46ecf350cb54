//! `wsm doctor`.

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

pub(crate) async fn run(context: &Context) -> Outcome {
    let checks = context.client.doctor().await?;
    let fatal = checks.iter().any(|check| check.fatal && !check.ok);
    let text = if context.output.json {
        render::json(&checks)
    } else {
        let mut text = String::new();
        for check in &checks {
            let mark = match (check.ok, check.fatal) {
                (true, _) => "ok  ",
                (false, true) => "FAIL",
                (false, false) => "warn",
            };
            let (name, found) = (render::clean(&check.name), render::clean(&check.found));
            text.push_str(&format!("{mark}  {name}: {found}\n"));
            if !check.ok && !check.fix.is_empty() {
                text.push_str(&format!("      fix: {}\n", render::clean(&check.fix)));
            }
        }
        text
    };
    render::print(&text)?;
    Ok(if fatal { Exit(1) } else { Exit::DONE })
}

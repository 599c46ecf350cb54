//! `wsm diff`.

use std::io::IsTerminal;

use wsm_api::review::Diff;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// Only the files and how many lines changed.
    #[arg(long)]
    stat: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let diff = context.client.diff(&args.agent).await?;
    let text = if context.output.json {
        render::json(&diff)
    } else if args.stat {
        stat(&diff)
    } else if std::io::stdout().is_terminal() {
        format!(
            "{}\n{}",
            stat(&diff),
            painted(&diff.patch, context.output.color)
        )
    } else {
        // A pipe gets the patch as it is, for `git apply`.
        diff.patch.clone()
    };
    render::print(&text)?;
    if diff.truncated && !context.output.json {
        render::say("the patch is longer and was cut; look at it with git in the workspace");
    }
    Ok(Exit::DONE)
}

fn stat(diff: &Diff) -> String {
    let mut text = String::new();
    for file in &diff.files {
        let mark = if file.uncommitted {
            "  (uncommitted)"
        } else {
            ""
        };
        let path = clean(&file.path);
        text.push_str(&format!(
            " {path}  +{} -{}{mark}\n",
            file.added, file.removed
        ));
    }
    let base: String = diff.base.chars().take(12).collect();
    let (files, commits) = (diff.files.len(), diff.commits);
    text.push_str(&format!(
        "{files} files changed, {commits} commits since {}\n",
        clean(&base)
    ));
    text
}

fn painted(patch: &str, color: bool) -> String {
    let mut text = String::with_capacity(patch.len());
    for line in patch.lines() {
        let sgr = match line.as_bytes().first() {
            Some(b'+') => "32",
            Some(b'-') => "31",
            Some(b'@') => "36",
            _ => "",
        };
        let line = render::clean_lines(line);
        if color && !sgr.is_empty() {
            text.push_str(&format!("\u{1b}[{sgr}m{line}\u{1b}[0m\n"));
        } else {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

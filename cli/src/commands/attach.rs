//! `wsm attach`.

use wsm_api::presence::{LeaseAct, LeaseChange};
use wsm_api::problem::Code;
use wsm_sandbox::launch::Exit as Ended;

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::keys::DetachKey;
use crate::render::{self, clean};
use crate::screen;
use crate::viewer::{self, End, Wish};

/// Options of `attach`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// Terminal.
    #[arg(default_value = "main")]
    terminal: String,
    /// Only watch.
    #[arg(long)]
    read_only: bool,
    /// Take the keyboard from whoever has it; the owner's and admins' to do, and written down.
    #[arg(long, conflicts_with = "read_only")]
    take: bool,
    /// Lines of history to put into the scrollback of this terminal.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    history: u32,
    #[command(flatten)]
    detach: Detach,
}

/// How to leave.
#[derive(Debug, clap::Args)]
pub(crate) struct Detach {
    /// Key that leaves: ctrl-a, ctrl-] and the like, or none.
    #[arg(
        long = "detach-key",
        env = "WSM_DETACH_KEY",
        hide_env_values = true,
        value_name = "KEY",
        default_value = "ctrl-\\"
    )]
    pub(crate) key: DetachKey,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let agent = context.client.agent(&args.agent).await?;
    if !agent.terminals.is_empty() && !agent.terminals.contains(&args.terminal) {
        let name = clean(&args.terminal);
        let hint = format!("there are: {}", agent.terminals.join(", "));
        return Err(Failure::new(
            Code::NotFound,
            format!("there is no terminal {name:?}"),
            hint,
        ));
    }
    let wish = Wish {
        agent: agent.name.to_string(),
        terminal: args.terminal.clone(),
        read_only: args.read_only,
        history_lines: args.history,
        detach: args.detach.key,
    };
    if args.take && screen::is_interactive() {
        let change = LeaseChange {
            terminal: Some(args.terminal.clone()),
            act: LeaseAct::Take,
            to: None,
        };
        context.client.lease(&wish.agent, &change).await?;
    }
    watch(context, &wish).await
}

/// Attaches, and tells afterwards how it ended.
pub(crate) async fn watch(context: &Context, wish: &Wish) -> Outcome {
    let (agent, terminal) = (clean(&wish.agent), clean(&wish.terminal));
    if !screen::is_interactive() {
        let look = context.typed(&format!("capture {agent}"));
        let run = context.typed(&format!("exec {agent} -- COMMAND"));
        let hint = format!("without one: {look}, or: {run}");
        return Err(Failure::new(
            Code::Invalid,
            "attach: this is not a terminal",
            hint,
        ));
    }
    render::say(&format!(
        "attached to {agent} ({terminal}); {} detaches",
        wish.detach
    ));
    let end = viewer::view(&context.client, wish).await?;
    Ok(match end {
        End::Detached { refused } => {
            if let Some(reason) = refused {
                render::say(&format!(
                    "what was typed last was not taken: {}",
                    clean(&reason)
                ));
            }
            let again = match terminal.as_str() {
                "main" => format!("attach {agent}"),
                other => format!("attach {agent} {other}"),
            };
            render::say(&format!(
                "detached; come back with: {}",
                context.typed(&again)
            ));
            Exit::DONE
        }
        End::Exited(Ended::Code(0)) => {
            render::say(&format!("{terminal} of {agent} has ended"));
            Exit::DONE
        }
        End::Exited(Ended::Code(code)) => {
            render::say(&format!(
                "{terminal} of {agent} has ended with exit code {code}"
            ));
            Exit(1)
        }
        End::Exited(Ended::Signal(signal)) => {
            render::say(&format!(
                "{terminal} of {agent} was ended by signal {signal}"
            ));
            Exit(1)
        }
    })
}

//! `wsm lease`.

use clap::ValueEnum;
use wsm_api::presence::{Lease, LeaseAct, LeaseChange};
use wsm_api::problem::Code;

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};

/// Options of `lease`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// What to do. Left out: shows who has it.
    #[arg(value_enum)]
    act: Option<Act>,
    /// To whom it is granted.
    user: Option<String>,
    /// Another terminal than the agent's own.
    #[arg(long, value_name = "TERMINAL", default_value = "main")]
    terminal: String,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Act {
    /// Ask for it: it comes when the holder grants it, or stops typing for 15 seconds.
    Request,
    /// Let go of it.
    Release,
    /// Have it at once; the owner's and admins' to do, and written down.
    Take,
    /// Hand it to USER.
    Grant,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    if (args.act == Some(Act::Grant)) != args.user.is_some() {
        let hint = "`wsm lease AGENT grant USER`; nothing else names a user";
        return Err(Failure::new(
            Code::Invalid,
            "lease: grant it to whom?",
            hint,
        ));
    }
    let lease = match args.act {
        None => shown(context, args).await?,
        Some(act) => {
            let change = LeaseChange {
                terminal: Some(args.terminal.clone()),
                act: match act {
                    Act::Request => LeaseAct::Request,
                    Act::Release => LeaseAct::Release,
                    Act::Take => LeaseAct::Take,
                    Act::Grant => LeaseAct::Grant,
                },
                to: args.user.clone(),
            };
            context.client.lease(&args.agent, &change).await?
        }
    };
    let text = if context.output.json {
        render::json(&lease)
    } else if context.output.quiet {
        lease
            .holder
            .iter()
            .map(|it| format!("{}\n", clean(it)))
            .collect()
    } else {
        told(&lease)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

async fn shown(context: &Context, args: &Args) -> Result<Lease, Failure> {
    let found = context.client.who(&args.agent).await?;
    let mut leases = found.leases.into_iter();
    leases
        .find(|it| it.terminal == args.terminal)
        .ok_or_else(|| {
            let message = format!(
                "{} has no terminal {}",
                clean(&args.agent),
                clean(&args.terminal)
            );
            Failure::new(Code::NotFound, message, "see `wsm show`")
        })
}

fn told(lease: &Lease) -> String {
    let terminal = clean(&lease.terminal);
    let mut text = match &lease.holder {
        None => format!("the keyboard of {terminal} is free: whoever types first has it\n"),
        Some(user) if lease.device.is_empty() => {
            format!(
                "the keyboard of {terminal} is kept for {} for a moment\n",
                clean(user)
            )
        }
        Some(user) => format!("{} has the keyboard of {terminal}\n", clean(user)),
    };
    if !lease.asked.is_empty() {
        text += &format!("asked for it: {}\n", clean(&lease.asked.join(", ")));
    }
    text
}

//! `wsm handoff`, `accept` and `decline`.

use std::io::{BufRead, IsTerminal};

use wsm_api::handoff::{NewOffer, Offer};
use wsm_api::problem::Code;

use crate::commands::Context;
use crate::commands::secret::lifetime;
use crate::commands::user::told;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean, clean_lines};

/// Options of `handoff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id. Left out: lists the offers that stand.
    #[arg(requires = "to")]
    agent: Option<String>,
    /// To whom.
    #[arg(long, value_name = "USER", requires = "agent")]
    to: Option<String>,
    /// What to tell the receiver.
    #[arg(long, value_name = "TEXT", default_value = "", requires = "to")]
    note: String,
    /// How long the offer stands (30m, 12h, 7d). Left out: a day.
    #[arg(long, value_name = "DURATION", value_parser = lifetime, requires = "to")]
    expires: Option<u64>,
}

/// Options of `accept`.
#[derive(Debug, clap::Args)]
pub(crate) struct Accept {
    /// Name or id of the agent.
    agent: String,
    /// Don't ask.
    #[arg(short, long)]
    yes: bool,
    /// Only tell what would come with it, and what is missing.
    #[arg(long)]
    dry_run: bool,
}

/// Options of `decline`.
#[derive(Debug, clap::Args)]
pub(crate) struct Decline {
    /// Name or id of the agent.
    agent: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let (Some(agent), Some(to)) = (&args.agent, &args.to) else {
        return list(context, &context.client.offers().await?);
    };
    let new = NewOffer {
        to: to.clone(),
        note: args.note.clone(),
        expires_s: args.expires,
    };
    let offer = context.client.offer(agent, &new).await?;
    let what = format!("is offered to {} until {}", offer.to, offer.expires);
    told(context, &offer, &offer.agent, &what)
}

pub(crate) async fn accept(context: &Context, args: &Accept) -> Outcome {
    let offers = context.client.offers().await?;
    let me = context.client.whoami().await?.user;
    let named = |offer: &&Offer| offer.to == me && [&offer.agent, &offer.id].contains(&&args.agent);
    let found = offers.iter().find(named);
    if args.dry_run {
        let Some(offer) = found else {
            let message = format!("no agent {:?} is offered to you", args.agent);
            return Err(Failure::new(Code::NotFound, message, "see `wsm handoff`"));
        };
        let text = match context.output.json {
            true => render::json(offer),
            false => about(offer),
        };
        render::print(&text)?;
        return Ok(Exit::DONE);
    }
    // One that is not there is the daemon's to refuse.
    if let Some(offer) = found {
        render::say(&about(offer));
        let asks = context.input && !args.yes && std::io::stdin().is_terminal();
        if asks {
            render::say("Accept it? [y/N]");
            let mut answer = String::new();
            let read = std::io::stdin().lock().read_line(&mut answer);
            if read.is_err() || !matches!(answer.trim(), "y" | "yes") {
                return Err(Failure::new(Code::Refused, "it was not accepted", ""));
            }
        }
    }
    let offer = context.client.accept(&args.agent).await?;
    told(context, &offer, &offer.agent, "is yours")
}

pub(crate) async fn decline(context: &Context, args: &Decline) -> Outcome {
    let offer = context.client.decline(&args.agent).await?;
    let what = format!("is not offered to {} any more", offer.to);
    told(context, &offer, &offer.agent, &what)
}

/// What its receiver has to know.
fn about(offer: &Offer) -> String {
    let list = |what: &str, of: &[String]| match of {
        [] => String::new(),
        of => format!("{what}: {}\n", clean(&of.join(", "))),
    };
    let note = match offer.note.as_str() {
        "" => String::new(),
        note => format!("{}: {}\n", clean(&offer.by), clean(note)),
    };
    let uses = offer.uses.iter().map(|own| match own.visible {
        true => format!("{} (it sees the value)", own.secret),
        false => format!("{} for {}", own.secret, own.hosts.join(", ")),
    });
    let shares = offer.shares.iter();
    let shares = shares.map(|share| format!("{} ({})", share.user, share.role));
    format!(
        "{} of {} (files stay those of the account {})\n{note}{}{}{}{}{}",
        clean(&offer.agent),
        clean(&offer.from),
        clean(&offer.account),
        list("it will use your", &uses.collect::<Vec<_>>()),
        list("secrets that you have not set", &offer.missing),
        list("it stays shared with", &shares.collect::<Vec<_>>()),
        list("login files that are removed", &offer.logins),
        clean_lines(&offer.summary),
    )
}

fn list(context: &Context, offers: &[Offer]) -> Outcome {
    let text = if context.output.json {
        render::json(&offers)
    } else if context.output.quiet {
        offers.iter().map(|offer| clean(&offer.id) + "\n").collect()
    } else {
        let row = |offer: &Offer| {
            let (agent, from, to) = (offer.agent.clone(), offer.from.clone(), offer.to.clone());
            vec![agent, from, to, offer.expires.clone(), offer.note.clone()]
        };
        let rows: Vec<_> = offers.iter().map(row).collect();
        render::table(&["AGENT", "FROM", "TO", "UNTIL", "NOTE"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

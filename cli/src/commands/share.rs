//! `wsm share` and `wsm unshare`.

use wsm_api::link::{Link, LinkMade, NewLink};
use wsm_api::problem::Code;
use wsm_api::user::{NewShare, Share};

use crate::commands::Context;
use crate::commands::secret::lifetime;
use crate::commands::user::told;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};

/// Options of `share`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// With whom. Left out: lists whom it is shared with.
    #[arg(long, value_name = "USER", conflicts_with = "link")]
    with: Option<String>,
    /// With whoever has the link that is made: they look at its terminals, and do nothing else.
    #[arg(long, conflicts_with = "role")]
    link: bool,
    /// viewer (sees it), approver (answers its questions too), driver (types, runs, starts too).
    #[arg(long, default_value = "viewer", value_name = "ROLE")]
    role: String,
    /// For so long (90d, 12h, 30m); a link for 30 days at most. Left out: until it is ended, a link
    /// for a day.
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<u64>,
}

/// Options of `unshare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Unshare {
    /// Name or id.
    agent: String,
    /// With whom it was shared; yourself to leave.
    #[arg(long, value_name = "USER", required_unless_present = "link")]
    with: Option<String>,
    /// Id of a link; who watches by it is closed.
    #[arg(long, value_name = "ID", conflicts_with = "with")]
    link: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    if args.link {
        let new = NewLink {
            expires_s: args.expires,
        };
        return made(context, &context.client.link_new(&args.agent, &new).await?);
    }
    let Some(user) = &args.with else {
        if args.expires.is_some() {
            let hint = "name one by --with, or make a --link";
            return Err(Failure::new(Code::Invalid, "share: with whom?", hint));
        }
        return list(context, args).await;
    };
    let new = NewShare {
        user: user.clone(),
        role: args.role.clone(),
        expires_s: args.expires,
    };
    let share = context.client.share(&args.agent, &new).await?;
    let until = match share.expires.as_str() {
        "" => String::new(),
        at => format!(" until {at}"),
    };
    let what = format!("is a {} of {}{until}", share.role, args.agent);
    told(context, &share, &share.user, &what)
}

pub(crate) async fn unshare(context: &Context, args: &Unshare) -> Outcome {
    if let Some(id) = &args.link {
        let link = context.client.link_remove(&args.agent, id).await?;
        let what = format!("is no link to {} any more", args.agent);
        return told(context, &link, &link.id, &what);
    }
    let user = args.with.as_deref().unwrap_or_default();
    let share = context.client.unshare(&args.agent, user).await?;
    let what = format!("is no {} of {} any more", share.role, args.agent);
    told(context, &share, &share.user, &what)
}

/// The only time that the link is told: alone on standard output.
fn made(context: &Context, made: &LinkMade) -> Outcome {
    if context.output.json {
        render::print(&render::json(made))?;
        return Ok(Exit::DONE);
    }
    render::print(&format!("{}\n", clean(&made.url)))?;
    if !context.output.quiet {
        let (id, until) = (clean(&made.link.id), clean(&made.link.expires));
        render::say(&format!("link {id}: whoever has it watches until {until}"));
        render::say(&format!("for asciinema's player: {}", clean(&made.live)));
    }
    Ok(Exit::DONE)
}

/// Whom it is shared with; and, for who may make links, those.
async fn list(context: &Context, args: &Args) -> Outcome {
    let shares = context.client.shares(&args.agent).await?;
    if context.output.json || context.output.quiet {
        return list_shares(context, &shares);
    }
    list_shares(context, &shares)?;
    // Others are refused, and need not know.
    if let Ok(links) = context.client.links(&args.agent).await
        && !links.is_empty()
    {
        let row = |link: &Link| {
            let used = match link.used.as_str() {
                "" => "-".to_owned(),
                used => format!("{used} {}", link.address),
            };
            let (id, by) = (link.id.clone(), link.by.clone());
            vec![id, link.created.clone(), link.expires.clone(), by, used]
        };
        let rows: Vec<_> = links.iter().map(row).collect();
        let head = ["LINK", "SINCE", "ENDS", "BY", "USED"];
        render::print(&format!("\n{}", render::table(&head, &rows)))?;
    }
    Ok(Exit::DONE)
}

fn list_shares(context: &Context, shares: &[Share]) -> Outcome {
    let text = if context.output.json {
        render::json(&shares)
    } else if context.output.quiet {
        shares
            .iter()
            .map(|share| clean(&share.user) + "\n")
            .collect()
    } else {
        let row = |share: &Share| {
            let ends = match (share.expires.as_str(), share.expired) {
                ("", _) => "-".to_owned(),
                (at, false) => at.to_owned(),
                (at, true) => format!("ENDED {at}"),
            };
            let (user, role) = (share.user.clone(), share.role.clone());
            vec![user, role, share.since.clone(), ends, share.by.clone()]
        };
        let rows: Vec<_> = shares.iter().map(row).collect();
        render::table(&["USER", "ROLE", "SINCE", "ENDS", "BY"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

//! `wsm share` and `wsm unshare`.

use wsm_api::user::{NewShare, Share};

use crate::commands::Context;
use crate::commands::secret::lifetime;
use crate::commands::user::told;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `share`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// With whom; tells whom it is shared with, without.
    #[arg(long, value_name = "USER")]
    with: Option<String>,
    /// viewer (sees it), approver (answers its questions too), driver (types, runs, starts too).
    #[arg(long, default_value = "viewer", value_name = "ROLE")]
    role: String,
    /// For so long (90d, 12h, 30m); until it is ended, without.
    #[arg(long, value_name = "DURATION", value_parser = lifetime, requires = "with")]
    expires: Option<u64>,
}

/// Options of `unshare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Unshare {
    /// Name or id.
    agent: String,
    /// With whom it was shared; yourself to leave.
    #[arg(long, value_name = "USER")]
    with: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let Some(user) = &args.with else {
        return list(context, &context.client.shares(&args.agent).await?);
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
    let share = context.client.unshare(&args.agent, &args.with).await?;
    let what = format!("is no {} of {} any more", share.role, args.agent);
    told(context, &share, &share.user, &what)
}

fn list(context: &Context, shares: &[Share]) -> Outcome {
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

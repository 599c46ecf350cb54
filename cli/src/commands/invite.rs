//! `wsm invite`: somebody comes who is no user of this host yet.

use wsm_api::invite::{Invitation, InvitedTo, NewInvitation};

use crate::commands::Context;
use crate::commands::secret::lifetime;
use crate::commands::user::told;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `invite`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the user that is to come. Left out: whoever comes chooses it.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// `member` or `admin`.
    #[arg(long, default_value = "member", value_name = "ROLE")]
    role: String,
    /// Share an agent with whoever comes, as viewer, approver or driver; may be given several
    /// times.
    #[arg(long = "share", value_name = "AGENT=ROLE", value_parser = invited_to)]
    shares: Vec<InvitedTo>,
    /// Good for so long (7d, 12h), 30 days at most. Left out: a week.
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<u64>,
    /// List invitations.
    #[arg(long, conflicts_with_all = ["user", "shares", "expires", "rm"])]
    ls: bool,
    /// Take an invitation back.
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "shares", "expires"])]
    rm: Option<String>,
}

fn invited_to(text: &str) -> Result<InvitedTo, String> {
    let (agent, role) = text
        .split_once('=')
        .filter(|(agent, role)| !agent.is_empty() && !role.is_empty())
        .ok_or("it is AGENT=ROLE")?;
    Ok(InvitedTo {
        agent: agent.to_owned(),
        role: role.to_owned(),
    })
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let client = &context.client;
    if args.ls {
        return list(context, &client.invitations().await?);
    }
    if let Some(id) = &args.rm {
        let invitation = client.invitation_revoke(id).await?;
        return told(context, &invitation, id, "is good for nothing any more");
    }
    let new = NewInvitation {
        user: args.user.clone(),
        role: Some(args.role.clone()),
        shares: args.shares.clone(),
        expires_s: args.expires,
    };
    let made = client.invite(&new).await?;
    if context.output.json {
        render::print(&render::json(&made))?;
    } else {
        if !context.output.quiet {
            let (id, until) = (&made.invitation.id, &made.invitation.expires);
            render::say(&clean(&format!(
                "invitation {id}, good once, until {until}; it is not told again:"
            )));
        }
        render::print(&(clean(&made.url) + "\n"))?;
    }
    Ok(Exit::DONE)
}

fn list(context: &Context, invitations: &[Invitation]) -> Outcome {
    let text = if context.output.json {
        render::json(&invitations)
    } else if context.output.quiet {
        invitations
            .iter()
            .map(|one| clean(&one.id) + "\n")
            .collect()
    } else {
        let row = |one: &Invitation| {
            let shares: Vec<_> = one
                .shares
                .iter()
                .map(|to| format!("{}={}", to.agent, to.role))
                .collect();
            let state = match one.state.as_str() {
                "good" => format!("until {}", one.expires),
                other => other.to_owned(),
            };
            let words = [&one.id, &one.user, &one.role];
            let mut row: Vec<String> = words.map(String::clone).into();
            row.extend([shares.join(" "), one.by.clone(), state]);
            row
        };
        let rows: Vec<_> = invitations.iter().map(row).collect();
        let head = ["ID", "FOR", "ROLE", "SHARES", "BY", "STATE"];
        render::table(&head, &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

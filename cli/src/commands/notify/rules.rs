//! `wsm notify rules`.

use wsm_api::notify::{Notifications, Rules, RulesChange};

use crate::commands::Context;
use crate::commands::secret::lifetime;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `rules`; those that are given replace what is written, the others stay.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For this agent. Left out: for every agent.
    agent: Option<String>,
    /// About what: finished, blocked, failed, service-down, limit, security, handoff, lease.
    #[arg(long, value_delimiter = ',', value_name = "EVENT")]
    on: Option<Vec<String>>,
    /// Also about agents that others share with you.
    #[arg(long, value_name = "yes|no", value_parser = yes)]
    shared: Option<bool>,
    /// How long a state must last before it is told (3s).
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    dwell: Option<u64>,
    /// Between two messages about one agent (30s); in twice that time three ring, of all agents, and more come in one.
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    cooldown: Option<u64>,
    /// When to be quiet: 22:00-07:00; may be given several times.
    #[arg(long, value_name = "SPAN")]
    quiet_hours: Option<Vec<String>>,
    /// Time zone of the quiet hours: Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Whether an agent that waits for you is told in quiet hours too.
    #[arg(long, value_name = "yes|no", value_parser = yes)]
    approvals_always: Option<bool>,
    /// Nothing at all.
    #[arg(long, value_name = "yes|no", value_parser = yes)]
    muted: Option<bool>,
    /// Forget what is written, before anything else.
    #[arg(long)]
    reset: bool,
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}

impl Args {
    fn changes(&self) -> bool {
        let flags = [self.shared, self.approvals_always, self.muted];
        self.reset
            || self.on.is_some()
            || self.quiet_hours.is_some()
            || self.zone.is_some()
            || self.dwell.or(self.cooldown).is_some()
            || flags.iter().any(Option::is_some)
    }

    fn over(&self, before: Rules) -> Rules {
        Rules {
            on: self.on.clone().or(before.on),
            shared: self.shared.or(before.shared),
            dwell_ms: self
                .dwell
                .map(|s| s.saturating_mul(1000))
                .or(before.dwell_ms),
            cooldown_s: self.cooldown.or(before.cooldown_s),
            quiet: self.quiet_hours.clone().or(before.quiet),
            zone: self.zone.clone().or(before.zone),
            approvals_always: self.approvals_always.or(before.approvals_always),
            muted: self.muted.or(before.muted),
        }
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> Outcome {
    let mut now = context.client.notify_rules().await?;
    if args.changes() {
        let before = match &args.agent {
            _ if args.reset => Rules::default(),
            None => now.rules.clone(),
            Some(agent) => now.agents.get(agent).cloned().unwrap_or_default(),
        };
        let written = args.over(before);
        let mut change = RulesChange::default();
        match &args.agent {
            None => change.rules = Some(written),
            Some(agent) => drop(change.agents.insert(agent.clone(), written)),
        }
        now = context.client.notify_rules_change(&change).await?;
    }
    show(context, &now)
}

fn show(context: &Context, now: &Notifications) -> Outcome {
    let text = if context.output.json {
        render::json(now)
    } else {
        let mut rows = vec![vec!["every agent".to_owned(), in_words(&now.rules)]];
        let agents = now.agents.iter();
        rows.extend(agents.map(|(name, rules)| vec![name.clone(), in_words(rules)]));
        render::table(&["FOR", "RULES"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn in_words(rules: &Rules) -> String {
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let words = [
        rules.muted.map(|it| format!("muted {}", yes(it))),
        rules.on.as_ref().map(|it| format!("on {}", it.join(","))),
        rules.shared.map(|it| format!("shared {}", yes(it))),
        rules.dwell_ms.map(|it| format!("dwell {it}ms")),
        rules.cooldown_s.map(|it| format!("cooldown {it}s")),
        rules
            .quiet
            .as_ref()
            .map(|it| format!("quiet {}", it.join(" "))),
        rules.zone.as_ref().map(|it| format!("zone {it}")),
        rules
            .approvals_always
            .map(|it| format!("approvals-always {}", yes(it))),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    match words.is_empty() {
        true => "as the templates say".to_owned(),
        false => clean(&words.join("; ")),
    }
}

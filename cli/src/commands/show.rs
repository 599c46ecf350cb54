//! `wsm show`.

use wsm_api::agent::{Agent, Credential, Shown};

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render::{self, clean};

/// Options of `show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// Tell where each value of the template came from.
    #[arg(long)]
    provenance: bool,
    /// Tell each thing that the self-test tried, not only those that did not hold.
    #[arg(long)]
    probes: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let shown = context.client.show(&args.agent).await?;
    let text = if context.output.json {
        render::json(&shown)
    } else if context.output.quiet {
        format!("{}\n", clean(&shown.agent.id))
    } else {
        // An older daemon does not know it.
        let used = context.client.usage(&args.agent, 0).await;
        text(&shown, args) + &used.map_or_else(|_| String::new(), |used| super::usage::table(&used))
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn text(shown: &Shown, args: &Args) -> String {
    let mut text = facts(&shown.agent);
    let agent = &shown.agent;
    if !agent.ports.is_empty() {
        text.push_str(&format!(
            "\n{}",
            super::ports::table(agent.name.as_str(), &agent.ports)
        ));
    }
    if !agent.services.is_empty() {
        text.push_str(&format!("\n{}", super::svc::table(&agent.services)));
    }
    if shown.layers.is_empty() {
        text.push_str("\nnothing of it runs, so nothing is enforced\n");
    } else {
        let row = |layer: &wsm_api::agent::Layer| {
            vec![
                layer.layer.clone(),
                layer.status.clone(),
                layer.detail.clone(),
            ]
        };
        let rows: Vec<_> = shown.layers.iter().map(row).collect();
        text.push_str(&format!(
            "\n{}",
            render::table(&["LAYER", "STATUS", "READ BACK"], &rows)
        ));
    }
    text.push_str(&credentials(shown));
    text.push_str(&probes(shown, args));
    if args.provenance {
        let rows: Vec<_> = shown
            .provenance
            .iter()
            .map(|(key, origin)| vec![key.clone(), origin.clone()])
            .collect();
        text.push_str(&format!("\n{}", render::table(&["VALUE", "SET BY"], &rows)));
    }
    text
}

/// What is put into its requests.
fn credentials(shown: &Shown) -> String {
    if shown.credentials.is_empty() {
        return String::new();
    }
    let row = |credential: &Credential| {
        let used = match credential.used.as_str() {
            "" => "never".to_owned(),
            time => time.to_owned(),
        };
        let mut places = credential.places.clone();
        places.dedup();
        let (name, status) = (credential.name.clone(), credential.status.clone());
        let (hosts, env) = (credential.hosts.join(" "), credential.env.clone());
        vec![name, status, places.join(", "), hosts, env, used]
    };
    let rows: Vec<_> = shown.credentials.iter().map(row).collect();
    let head = [
        "CREDENTIAL",
        "USES",
        "PUT INTO",
        "FOR",
        "PLACEHOLDER IN",
        "LAST USED",
    ];
    format!("\n{}", render::table(&head, &rows))
}

/// What the self-test found.
fn probes(shown: &Shown, args: &Args) -> String {
    let mut text = String::new();
    let all = shown.probes.len();
    let told = shown
        .probes
        .iter()
        .filter(|probe| args.probes || !probe.held);
    let told: Vec<_> = told.collect();
    if all > 0 {
        let held = shown.probes.iter().filter(|probe| probe.held).count();
        text.push_str(&format!("\nself-test: {held} of {all} held\n"));
    }
    if !told.is_empty() {
        let row = |probe: &&wsm_api::agent::Probe| {
            let held = if probe.held { "held" } else { "NOT HELD" };
            vec![
                probe.layer.clone(),
                held.into(),
                probe.tried.clone(),
                probe.saw.clone(),
            ]
        };
        let rows: Vec<_> = told.iter().map(row).collect();
        let table = render::table(&["SELF-TEST", "RESULT", "TRIED", "SAW"], &rows);
        text.push_str(&format!("\n{table}"));
    }
    text
}

/// One fact per line.
fn facts(agent: &Agent) -> String {
    let state = format!("{}, {}", agent.state, agent.reason);
    let mut facts = vec![
        ("name", agent.name.to_string()),
        ("id", agent.id.clone()),
        ("state", state),
        ("since", agent.since.clone()),
        ("created", agent.created.clone()),
        ("owner", agent.owner.clone()),
        ("account", agent.account.clone()),
        ("template", agent.template.clone()),
        ("kind", agent.kind.clone()),
        ("workspace", agent.workspace.clone()),
        ("branch", agent.branch.clone()),
        ("repository", agent.repository.clone()),
        ("base", agent.base.clone()),
        ("terminals", agent.terminals.join(", ")),
    ];
    if !agent.unrecorded.is_empty() {
        facts.push(("unrecorded", agent.unrecorded.clone()));
    }
    if agent.trashed {
        facts.push(("trash", "yes".to_owned()));
    }
    if agent.sync.diverged {
        facts.push((
            "diverged",
            "yes: human and agent both moved the branch".to_owned(),
        ));
    }
    if !agent.sync.problem.is_empty() {
        facts.push(("sync", agent.sync.problem.clone()));
    }
    facts
        .iter()
        .map(|(key, value)| format!("{key:<11}{}\n", clean(value)))
        .collect()
}

//! `wsm new`: grant, ask, wait, attach.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wsm_api::agent::{Agent, DryRun, NewAgent, State};
use wsm_api::client::{ClientError, Created};
use wsm_api::name::AgentName;
use wsm_api::problem::{Code, Problem};

use crate::commands::attach::{Detach, watch};
use crate::commands::{Context, act};
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean, clean_lines};
use crate::viewer::Wish;
use crate::{author, grant, screen};

/// States in which the outcome of a start is known.
const SETTLED: [State; 7] = [
    State::Working,
    State::Blocked,
    State::Idle,
    State::Stopped,
    State::Failed,
    State::Paused,
    State::Lost,
];

/// How often progress is looked at, on a terminal.
const PROGRESS_EVERY: Duration = Duration::from_millis(150);

/// Options of `new`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository, or a directory in it; with --host, the name it is registered by there.
    #[arg(default_value = ".")]
    repo: PathBuf,
    /// Template (see `wsm template ls`).
    #[arg(short, long, default_value = "shell")]
    template: String,
    /// Name. Left out: made from template and repository.
    #[arg(long)]
    name: Option<String>,
    /// A parameter of the template.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Commit to start from.
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// What the agent shall do.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Don't attach; return when it has started, or has failed to.
    #[arg(short, long)]
    detach: bool,
    /// Return, or attach, only when it is in this state.
    #[arg(long, value_name = "STATE")]
    wait: Option<State>,
    /// Let the agent write to this directory, where its template asks for that; may be repeated.
    #[arg(long, value_name = "DIR")]
    grant: Vec<PathBuf>,
    /// Trust what the repository's template brings, as the refusal named it.
    #[arg(long, value_name = "DIGEST")]
    trust: Option<String>,
    /// Print the resolved template, the sandbox and the plan, and make nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    key: Detach,
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    if let Some(name) = &args.name {
        name.parse::<AgentName>().map_err(|error| {
            Failure::new(Code::Invalid, error.to_string(), "choose another --name")
        })?;
    }
    let attaches = !args.detach && screen::is_interactive() && !context.output.json;
    let here = !context.place.is_remote();
    let author = author::ask(if here { &args.repo } else { Path::new(".") });
    let (grant, repository) = match here {
        true => (granted(context, args).await?, None),
        false => (String::new(), Some(registered(args)?)),
    };
    let new = NewAgent {
        grant,
        repository,
        write_grants: write_grants(context, &args.grant)?,
        template: args.template.clone(),
        name: args.name.clone(),
        set: args.set.iter().cloned().collect(),
        base: args.base.clone(),
        prompt: args.prompt.clone(),
        user_templates: user_templates()?,
        trust: args.trust.clone(),
        author: author.answer(),
        size: attaches.then(screen::size),
        dry_run: args.dry_run,
    };
    let created = ask(context, new).await;
    let agent = match created.map_err(|failure| not_committed(failure, args))? {
        Created::DryRun(plan) => {
            render::print(&dry_run(context, &plan))?;
            return Ok(Exit::DONE);
        }
        Created::Agent(agent) => settle(context, *agent, args.wait).await?,
    };
    outcome(context, args, &agent, attaches).await
}

/// Grants the repository.
async fn granted(context: &Context, args: &Args) -> Result<String, Failure> {
    match grant::grant_repository(&context.place.run(), &args.repo) {
        Ok(granted) => Ok(granted.id),
        Err(problem) => {
            // A grant needs the broker; when the daemon is not there either, that is the reason.
            if problem.code == Code::Failed {
                context.client.status().await?;
            }
            Err(problem.into())
        }
    }
}

/// The name of a repository on another machine.
fn registered(args: &Args) -> Result<String, Failure> {
    match args.repo.to_str() {
        Some(name) if name != "." && !name.contains('/') => Ok(name.to_owned()),
        _ => {
            let message = "with --host a repository is named, not looked for here";
            let hint = "`wsm --host … repo ls` lists them; `wsm repo add` on that machine adds one";
            Err(Failure::new(Code::Invalid, message, hint))
        }
    }
}

/// Directories are granted by the user's own word, never because the daemon asks for them.
fn write_grants(context: &Context, directories: &[PathBuf]) -> Result<Vec<String>, Failure> {
    if !directories.is_empty() {
        let hint = "a directory is passed to wsm as an open one: run `wsm new` on that machine";
        context.place.only_here("--grant", hint)?;
    }
    let run = context.place.run();
    let grant = |directory: &PathBuf| Ok(grant::grant_directory(&run, directory)?);
    directories.iter().map(grant).collect()
}

/// The user's own templates go along: the daemon can't read a home.
fn user_templates() -> Result<BTreeMap<String, String>, Failure> {
    let files = super::template::user_files()?;
    Ok(files
        .into_iter()
        .map(|source| (source.file, source.text))
        .collect())
}

/// Asks for the agent; commands that the repository brings are shown first.
async fn ask(context: &Context, mut new: NewAgent) -> Result<Created, Failure> {
    let problem = match context.client.new_agent(&new).await {
        Err(ClientError::Problem(problem)) if problem.code == Code::Untrusted => problem,
        answer => return Ok(answer?),
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let digest = digest(&problem).map(str::to_owned);
    if !context.input || !terminal || context.output.json || digest.is_none() {
        return Err(untrusted(problem));
    }
    render::say("This repository's template brings what runs on your behalf:");
    for line in problem
        .details
        .iter()
        .filter(|line| !line.starts_with(DIGEST))
    {
        render::say(&format!("  {}", clean(line)));
    }
    render::say("It runs in the sandbox. Trust it, until it changes? [y/N]");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_err() || !matches!(answer.trim(), "y" | "Y" | "yes") {
        let message = "not trusted, so nothing was made";
        return Err(Failure::new(Code::Untrusted, message, problem.hint));
    }
    new.trust = digest;
    Ok(context.client.new_agent(&new).await?)
}

/// A template of the repository that is written but not committed is not found: says so.
fn not_committed(mut failure: Failure, args: &Args) -> Failure {
    let file = format!(".wsm/{}.toml", args.template);
    if let Some(problem) = &mut failure.problem
        && problem.code == Code::NotFound
        && problem.message.contains("no template")
        && !args.template.contains('/')
        && args.repo.join(&file).is_file()
    {
        problem.hint = format!("commit {file}: a repository's templates count once committed");
    }
    failure
}

/// Begins the last detail of an untrusted problem.
const DIGEST: &str = "digest ";

fn digest(problem: &Problem) -> Option<&str> {
    problem
        .details
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix(DIGEST))
}

fn untrusted(mut problem: Problem) -> Failure {
    if problem.hint.is_empty() {
        problem.hint =
            "read what it brings; agree on a terminal, or with --trust DIGEST".to_owned();
    }
    problem.into()
}

/// Waits until the start has an outcome, and then for the state that was asked for.
async fn settle(context: &Context, agent: Agent, wait: Option<State>) -> Result<Agent, Failure> {
    let progress = Progress::new(context, &agent);
    let mut until = SETTLED.to_vec();
    let mut now = reach(context, &agent.id, &until, &progress).await?;
    if let Some(state) = wait {
        until = vec![state, State::Failed, State::Lost, State::Stopped];
        if !until.contains(&now.state) {
            now = reach(context, &agent.id, &until, &progress).await?;
        }
    }
    Ok(now)
}

/// Waits for one of the states; shows on a terminal what happens meanwhile.
async fn reach(
    context: &Context,
    id: &str,
    until: &[State],
    progress: &Progress,
) -> Result<Agent, Failure> {
    tokio::select! {
        answer = super::wait::reach(context, id, until, None) => answer,
        never = progress.follow(context, id) => match never {},
    }
}

/// A line that moves, on a terminal; nothing elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(context: &Context, agent: &Agent) -> Progress {
        let wanted = !context.output.json && !context.output.quiet;
        let bar = (wanted && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix}: {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.set_prefix(agent.name.to_string());
            bar.set_message(clean(&agent.reason));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Progress { bar }
    }

    async fn follow(&self, context: &Context, id: &str) -> std::convert::Infallible {
        let Some(bar) = &self.bar else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(PROGRESS_EVERY).await;
            if let Ok(agent) = context.client.agent(id).await {
                bar.set_message(format!("{}, {}", agent.state, clean(&agent.reason)));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn outcome(context: &Context, args: &Args, agent: &Agent, attaches: bool) -> Outcome {
    let name = &agent.name;
    let wanted = args.wait.is_none_or(|state| state == agent.state);
    match agent.state {
        State::Failed | State::Lost if args.wait != Some(agent.state) => {
            let message = format!("{name} could not be started: {}", agent.reason);
            let hint = format!("see {}", context.typed(&format!("explain {name}")));
            return Err(Failure::new(Code::Failed, message, hint));
        }
        _ if !wanted => {
            let message = format!("{name} is {}: {}", agent.state, agent.reason);
            let hint = context.typed(&format!("explain {name}"));
            return Err(Failure::new(Code::Failed, message, hint));
        }
        _ => {}
    }
    if attaches && agent.state != State::Stopped {
        let wish = Wish {
            agent: name.to_string(),
            terminal: "main".to_owned(),
            read_only: false,
            history_lines: 0,
            detach: args.key.key,
        };
        return watch(context, &wish).await;
    }
    render::print(&act::outcome(context, agent))?;
    if !context.output.json && !context.output.quiet {
        for port in agent.ports.iter().filter(|port| !port.url.is_empty()) {
            render::print(&format!("  {}  {}\n", clean(&port.name), clean(&port.url)))?;
        }
        render::print(&format!(
            "  attach with: {}\n",
            context.typed(&format!("attach {name}"))
        ))?;
    }
    Ok(Exit::DONE)
}

fn dry_run(context: &Context, plan: &DryRun) -> String {
    if context.output.json {
        let part = |text: &str| serde_json::from_str(text).unwrap_or(serde_json::Value::Null);
        let (resolved, spec) = (part(&plan.resolved), part(&plan.spec));
        let document = serde_json::json!({ "resolved": resolved, "spec": spec, "plan": plan.plan });
        return render::json(&document);
    }
    let mut text = String::new();
    for (title, part) in [("template", &plan.resolved), ("sandbox", &plan.spec)] {
        text.push_str(&format!("{title}:\n{}\n", clean_lines(part.trim_end())));
    }
    text.push_str("plan:\n");
    for (number, step) in plan.plan.iter().enumerate() {
        text.push_str(&format!("  {:>3}. {}\n", number + 1, clean(step)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }

    #[test]
    fn the_digest_is_the_last_detail() {
        let mut problem = Problem::new(Code::Untrusted, "", "");
        assert_eq!(digest(&problem), None);
        problem.details = vec!["setup = x".into(), "digest abc".into()];
        assert_eq!(digest(&problem), Some("abc"));
    }
}

//! `wsm`: the command line. It starts the daemon, and otherwise is a client of its API.

use std::io::IsTerminal;
use std::process::ExitCode;

use wsm_api::client::{Client, Verb as AgentVerb};
use wsm_api::problem::Code;

use crate::args::{Asked, Cli, Color, Verb};
use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::place::Place;
use crate::render::Output;

mod args;
mod author;
mod commands;
mod failure;
mod grant;
mod keys;
mod place;
mod player;
#[cfg(test)]
mod reference;
mod registries;
mod remote;
mod render;
mod screen;
mod up;
mod viewer;

fn main() -> ExitCode {
    let (outcome, json) = match args::parse(std::env::args_os()) {
        Ok(Asked::Now(cli)) => (run(&cli), cli.json),
        Ok(Asked::Later(verb, json)) => (Err(later(&format!("`wsm {verb}`"))), json),
        Err(error) => return usage(&error),
    };
    match outcome {
        Ok(Exit(code)) => ExitCode::from(code),
        Err(failure) => tell(&failure, json),
    }
}

/// Help is a success, everything else is exit code 2.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody reads it if this fails, and the code says the rest.
    drop(error.print());
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn later(what: &str) -> Failure {
    Failure::new(
        Code::NotAvailable,
        format!("{what} is not available yet"),
        "",
    )
}

fn tell(failure: &Failure, json: bool) -> ExitCode {
    if let Some(problem) = &failure.problem {
        let text = if json {
            render::json(problem)
        } else {
            render::problem(problem, std::io::stderr().is_terminal())
        };
        render::say(text.trim_end());
    }
    ExitCode::from(failure.code)
}

fn run(cli: &Cli) -> Outcome {
    let output = Output {
        json: cli.json,
        quiet: cli.quiet,
        color: color(cli.color),
    };
    let (client, place) = instance(cli)?;
    let context = Context {
        client,
        place,
        output,
        input: !cli.no_input,
    };
    let runtime =
        runtime(&cli.verb).map_err(|e| Failure::new(Code::Failed, format!("start: {e}"), ""))?;
    let outcome = runtime.block_on(dispatch(&context, &cli.verb));
    // A thread may sit in a read of standard input that never ends.
    runtime.shutdown_background();
    outcome.map_err(|failure| failure.at(&context.place))
}

/// The daemon that is meant, and where it is.
fn instance(cli: &Cli) -> Result<(Client, Place), Failure> {
    let Some(host) = cli.host.as_deref().filter(|_| !is_part(&cli.verb)) else {
        let place = Place::new(cli.dir.as_deref());
        return Ok((Client::new(&place.run()), place));
    };
    let dial = remote::dial(host, cli.host_cert.as_deref(), !cli.no_input && !cli.json)?;
    let place = Place::there(host, dial.run_dir());
    if matches!(cli.verb, Verb::Up(_)) {
        place.only_here("`up`", "start it on that machine")?;
    }
    Ok((Client::through(dial), place))
}

/// Verbs that wsm starts itself, or that ask no daemon.
fn is_part(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Daemon(_)
            | Verb::Egress(_)
            | Verb::WriteConfig(_)
            | Verb::Follow(_)
            | Verb::GitHelper
            | Verb::Version
            | Verb::Completion(_)
            | Verb::Man(_)
    )
}

/// One thread for a client; only a viewer has another, which has the keys to itself.
fn runtime(verb: &Verb) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match verb {
        Verb::Daemon(_) | Verb::Egress(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

fn color(wanted: Color) -> bool {
    match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
        }
    }
}

async fn dispatch(context: &Context, verb: &Verb) -> Outcome {
    use commands::*;
    match verb {
        Verb::Up(args) => up::run(context, args).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::Status => status::run(context).await,
        Verb::Version => status::version(context),
        Verb::New(args) => new::run(context, args).await,
        Verb::Ls(args) => ls::run(context, args).await,
        Verb::Show(args) => show::run(context, args).await,
        Verb::Attach(args) => attach::run(context, args).await,
        Verb::Shell(args) => shell::run(context, args).await,
        Verb::Exec(args) => exec::run(context, args).await,
        Verb::Send(args) => send::run(context, args).await,
        Verb::Who(args) => who::run(context, args).await,
        Verb::Lease(args) => lease::run(context, args).await,
        Verb::Rec(verb) => rec::run(context, verb).await,
        Verb::Capture(args) => capture::run(context, args).await,
        Verb::Logs(args) => logs::run(context, args).await,
        Verb::Wait(args) => wait::run(context, args).await,
        Verb::Approve(args) => question::approve(context, args).await,
        Verb::Deny(args) => question::deny(context, args).await,
        Verb::Explain(args) => explain::run(context, args).await,
        Verb::Start(args) => act::run(context, args, AgentVerb::Start).await,
        Verb::Stop(args) => act::run(context, args, AgentVerb::Stop).await,
        Verb::Restart(args) => act::run(context, args, AgentVerb::Restart).await,
        Verb::Pause(args) => act::run(context, args, AgentVerb::Pause).await,
        Verb::Resume(args) => act::run(context, args, AgentVerb::Resume).await,
        Verb::Restore(args) => act::run(context, args, AgentVerb::Restore).await,
        Verb::Rm(args) => rm::run(context, args).await,
        Verb::Prune(args) => prune::run(context, args).await,
        Verb::Diff(args) => diff::run(context, args).await,
        Verb::Merge(args) => merge::run(context, args).await,
        Verb::Apply(args) => merge::apply(context, args).await,
        Verb::Svc(verb) => svc::run(context, verb).await,
        Verb::Ports(args) => ports::run(context, args).await,
        Verb::Open(args) => open::run(context, args).await,
        Verb::Policy(verb) => policy::run(context, verb).await,
        Verb::Secret(verb) => secret::run(context, verb).await,
        Verb::Share(args) => share::run(context, args).await,
        Verb::Unshare(args) => share::unshare(context, args).await,
        Verb::Handoff(args) => handoff::run(context, args).await,
        Verb::Accept(args) => handoff::accept(context, args).await,
        Verb::Decline(args) => handoff::decline(context, args).await,
        Verb::Audit(verb) => audit::run(context, verb).await,
        Verb::Whoami => whoami::run(context).await,
        Verb::User(verb) => user::run(context, verb).await,
        Verb::Pair => pair::run(context).await,
        Verb::Invite(args) => invite::run(context, args).await,
        Verb::Device(verb) => device::run(context, verb).await,
        Verb::Token(verb) => token::run(context, verb).await,
        Verb::Notify(verb) => notify::run(context, verb).await,
        Verb::Repo(verb) => repo::run(context, verb).await,
        Verb::Template(verb) => template::run(context, verb).await,
        Verb::Completion(args) => completion::run(args),
        Verb::Man(args) => man::run(args),
        Verb::Daemon(args) => daemon::run(args).await,
        Verb::Egress(args) => egress::run(args).await,
        Verb::WriteConfig(args) => registries::run(args),
        Verb::Follow(args) => follow::run(args),
        Verb::GitHelper => daemon::git_helper(),
    }
}

//! The command line: global options and the list of verbs.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::commands::{
    act, attach, audit, capture, completion, daemon, device, diff, egress, exec, explain, follow,
    handoff, invite, lease, logs, ls, man, merge, new, notify, open, policy, ports, prune,
    question, rec, repo, rm, secret, send, share, shell, show, svc, template, token, up, user,
    wait, who,
};
use crate::registries;

/// Isolated workspaces for AI coding agents.
#[derive(Debug, Parser)]
#[command(name = "wsm", version, propagate_version = false, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 no such thing, \
    5 timed out, 6 daemon not reachable; exec passes the command's code on, 125 is wsm's own."
)]
pub(crate) struct Cli {
    /// Use the instance below this directory instead of the installed one.
    #[arg(
        long,
        global = true,
        env = "WSM_DIR",
        hide_env_values = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) dir: Option<PathBuf>,
    /// Use the daemon of another machine: ssh://[USER@]MACHINE[:PORT][/DIR], or with a token
    /// (WSM_TOKEN, or ~/.config/wsm/hosts.toml) https://MACHINE[:PORT].
    #[arg(
        long,
        global = true,
        env = "WSM_HOST",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub(crate) host: Option<String>,
    /// Its certificate, where the system does not know it: sha256:…, as `wsm status` there prints
    /// it, or a PEM file.
    #[arg(
        long,
        global = true,
        env = "WSM_HOST_CERT",
        hide_env_values = true,
        value_name = "PIN",
        help_heading = "Global options"
    )]
    pub(crate) host_cert: Option<String>,
    /// Print one JSON document; problems go to standard error as JSON too.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Print ids only.
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Never ask anything.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_input: bool,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN",
        help_heading = "Global options")]
    pub(crate) color: Color,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// One file per verb.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start wsm in the foreground: broker and daemon.
    Up(up::Args),
    /// Check what this host can enforce, and tell how to mend what it can't.
    Doctor,
    /// Tell whether the daemon runs, and what runs in it.
    Status,
    /// Print the version.
    Version,
    /// Make an agent: workspace, sandbox, services, terminal.
    #[command(visible_aliases = ["create", "add"])]
    New(new::Args),
    /// List agents: state, since when, why.
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ls::Args),
    /// Show an agent and what the kernel enforces on it, layer by layer.
    Show(show::Args),
    /// Attach to an agent's terminal.
    Attach(attach::Args),
    /// Open a shell beside the agent.
    Shell(shell::Args),
    /// Run a command in the agent's workspace.
    Exec(exec::Args),
    /// Type text into the agent's terminal.
    Send(send::Args),
    /// Tell who looks at an agent's terminals, and who has the keyboard.
    Who(who::Args),
    /// Show who has an agent's keyboard, ask for it, hand it over.
    Lease(lease::Args),
    /// Recordings of what terminals showed.
    #[command(subcommand)]
    Rec(rec::Verb),
    /// Print what a terminal shows.
    Capture(capture::Args),
    /// Print the log of a service, of the set-up, or of the main terminal.
    Logs(logs::Args),
    /// Wait until an agent is in a state.
    Wait(wait::Args),
    /// Say yes to what an agent asks.
    Approve(question::ApproveArgs),
    /// Say no to what an agent asks, and why.
    Deny(question::DenyArgs),
    /// Tell why the state is what it is.
    Explain(explain::Args),
    /// Start a stopped agent.
    Start(act::Args),
    /// Stop an agent; its work stays.
    Stop(act::Args),
    /// Stop an agent and start it again.
    Restart(act::Args),
    /// Freeze an agent where it is.
    Pause(act::Args),
    /// Let a paused agent run on.
    Resume(act::Args),
    /// Put agents into the trash.
    Rm(rm::Args),
    /// Take an agent out of the trash.
    Restore(act::Args),
    /// Empty the trash of everything that is merged.
    Prune(prune::Args),
    /// Show what an agent changed, uncommitted work included.
    Diff(diff::Args),
    /// Merge an agent's commits into the branch of the main checkout.
    Merge(merge::Args),
    /// Stage an agent's changes in the main checkout without committing them.
    Apply(act::Args),
    /// Services of an agent.
    #[command(subcommand)]
    Svc(svc::Verb),
    /// List ports: inside, outside, URL.
    Ports(ports::Args),
    /// Open a port of an agent in the browser, or print its URL.
    Open(open::Args),
    /// What an agent may reach.
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Secrets that are put into agents' requests, outside the sandbox.
    #[command(subcommand)]
    Secret(secret::Verb),
    /// Share an agent, or tell whom it is shared with.
    Share(share::Args),
    /// End a share.
    Unshare(share::Unshare),
    /// Offer an agent to another user, or list the offers that stand.
    Handoff(handoff::Args),
    /// Take an agent that is offered to you.
    Accept(handoff::Accept),
    /// Decline an offer, or take one back.
    Decline(handoff::Decline),
    /// The audit log: who did what, when, from where; and whether it is as it was written.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Who you are to wsm, and how far that reaches.
    Whoami,
    /// Users of this host.
    #[command(subcommand)]
    User(user::Verb),
    /// Tokens: ways in for programs and other machines.
    #[command(subcommand)]
    Token(token::Verb),
    /// Let another device of yours in: a code to read from this screen, a number to compare.
    Pair,
    /// Invite somebody who is no user of this host yet.
    Invite(invite::Args),
    /// Devices: sessions and passkeys that you come in with from elsewhere.
    #[command(subcommand)]
    Device(device::Verb),
    /// Notifications: what you are told, by which channels, and what became of it.
    #[command(subcommand)]
    Notify(notify::Verb),
    /// Repositories that agents can be made of from elsewhere.
    #[command(subcommand)]
    Repo(repo::Verb),
    /// Templates.
    #[command(subcommand)]
    Template(template::Verb),
    /// Print completions for a shell.
    Completion(completion::Args),
    /// Print the manual page, or write one page per verb.
    Man(man::Args),
    /// The daemon itself (`wsm up` starts it).
    #[command(hide = true)]
    Daemon(daemon::Args),
    /// What lets agents out (`wsm up` starts it).
    #[command(hide = true)]
    Egress(egress::Args),
    /// Writes `config.toml` where there is none (the broker's unit asks for it).
    #[command(hide = true)]
    WriteConfig(registries::Args),
    /// A program that ends with the process that asked for it (`--host ssh://…` starts one).
    #[command(hide = true)]
    Follow(follow::Args),
    /// The confined git helper (the broker starts it).
    #[command(hide = true)]
    GitHelper,
}

/// Verbs of the design that later versions bring.
pub(crate) const LATER: [&str; 8] = [
    "cp", "fork", "host", "join", "memory", "rollback", "snapshot", "drain",
];

/// Likewise below `template`.
const LATER_TEMPLATE: &str = "import";

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A verb that exists.
    Now(Box<Cli>),
    /// One that does not yet, and whether JSON is wanted.
    Later(String, bool),
}

/// The whole command line, for help, completions and manual pages.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line.
pub(crate) fn parse(
    args: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Asked, clap::Error> {
    let rest = clap::Arg::new("rest")
        .num_args(0..)
        .allow_hyphen_values(true)
        .trailing_var_arg(true)
        .action(ArgAction::Append);
    let later = |verb: &'static str| {
        clap::Command::new(verb)
            .hide(true)
            .disable_help_flag(true)
            .arg(rest.clone())
    };
    let matches = command()
        .subcommands(LATER.map(later))
        .mut_subcommand("template", |verb| verb.subcommand(later(LATER_TEMPLATE)))
        .try_get_matches_from(args)?;
    let below = matches.subcommand().and_then(|(_, m)| m.subcommand_name());
    match (matches.subcommand_name(), below) {
        (Some(verb), _) if LATER.contains(&verb) => {
            Ok(Asked::Later(verb.to_owned(), matches.get_flag("json")))
        }
        (Some("template"), Some(LATER_TEMPLATE)) => {
            let verb = format!("template {LATER_TEMPLATE}");
            Ok(Asked::Later(verb, matches.get_flag("json")))
        }
        _ => {
            let mut cli = Cli::from_arg_matches(&matches)?;
            one_instance(&mut cli, &matches)?;
            Ok(Asked::Now(Box::new(cli)))
        }
    }
}

/// What stands in the command line is meant, not what the environment says besides.
fn one_instance(cli: &mut Cli, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
    let typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    match (typed("dir"), typed("host")) {
        (true, true) => {
            let why = "--dir and --host name different instances; give one of them\n";
            return Err(command().error(clap::error::ErrorKind::ArgumentConflict, why));
        }
        (true, false) => cli.host = None,
        (false, _) => {}
    }
    if cli.host.as_deref().is_some_and(str::is_empty) {
        cli.host = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked, clap::Error> {
        let args = std::iter::once("wsm").chain(line.split_whitespace());
        parse(args.map(std::ffi::OsString::from))
    }

    fn verb(line: &str) -> Verb {
        match parsed(line) {
            Ok(Asked::Now(cli)) => cli.verb,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
        let verbs: Vec<_> = command()
            .get_subcommands()
            .map(|v| v.get_name().to_owned())
            .collect();
        for later in LATER {
            assert!(!verbs.iter().any(|verb| verb == later), "{later} exists");
        }
    }

    #[test]
    fn what_comes_later_is_told_so_wherever_it_stands() {
        for (line, verb) in [
            ("fork --x y", "fork"),
            ("template import", "template import"),
            ("template import --from Procfile x", "template import"),
        ] {
            match parsed(line) {
                Ok(Asked::Later(told, false)) => assert_eq!(told, verb),
                other => panic!("{line}: {other:?}"),
            }
        }
        assert!(matches!(verb("template ls"), Verb::Template(_)));
        assert!(parsed("template nothing").is_err());
    }

    #[test]
    fn the_log_of_an_only_service_needs_no_name() {
        assert!(matches!(verb("svc logs a -f"), Verb::Svc(_)));
        assert!(matches!(verb("svc logs a web"), Verb::Svc(_)));
        assert!(parsed("svc stop a").is_err());
    }

    #[test]
    fn aliases() {
        assert!(matches!(verb("new --template shell"), Verb::New(_)));
        assert!(matches!(verb("create"), Verb::New(_)));
        assert!(matches!(
            verb("add repo -t node --set a=b --detach"),
            Verb::New(_)
        ));
        assert!(matches!(verb("list -a"), Verb::Ls(_)));
        assert!(matches!(verb("ps"), Verb::Ls(_)));
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        for line in [
            "--json --dir /x ls",
            "ls --json --dir /x",
            "ls --dir=/x --json",
        ] {
            let Ok(Asked::Now(cli)) = parsed(line) else {
                panic!("{line}")
            };
            assert!(cli.json);
            assert_eq!(cli.dir.as_deref(), Some(std::path::Path::new("/x")));
        }
    }

    #[test]
    fn exec_leaves_the_command_alone() {
        for line in ["exec a -- ls --json -q", "exec a ls --json -q"] {
            let Ok(Asked::Now(cli)) = parsed(line) else {
                panic!("{line}")
            };
            assert!(!cli.json && !cli.quiet, "{line}");
            assert!(
                format!("{:?}", cli.verb).contains(r#"["ls", "--json", "-q"]"#),
                "{line}"
            );
        }
    }

    #[test]
    fn usage_errors_have_exit_code_2() {
        let wrong = [
            "",
            "frobnicate",
            "ls --nope",
            "wait x --until happy",
            "wait x",
            "exec",
            "exec a",
            "new --set novalue",
            "wait x --until idle --timeout soon",
            "svc",
            "completion tcsh9",
            "attach a --detach-key ctrl-c",
            "ls --color mauve",
            "ls --dir /x --host ssh://y",
        ];
        for line in wrong {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        for line in ["--help", "--version", "new --help"] {
            assert_eq!(parsed(line).expect_err(line).exit_code(), 0, "{line}");
        }
    }

    #[test]
    fn verbs_of_later_versions_are_known() {
        for line in ["rollback fix", "--json fork a", "join --help"] {
            assert!(matches!(parsed(line), Ok(Asked::Later(..))), "{line}");
        }
        assert!(matches!(
            parsed("fork a --json"),
            Ok(Asked::Later(_, false))
        ));
    }
}

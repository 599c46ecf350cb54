//! `[files]`, `setup` and `teardown`: what is run inside before and after everything else.

use std::time::Duration;

use tokio::sync::mpsc;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::launch::Exit;
use wsm_template::ExpandError;
use wsm_terminal::protocol::{Event, Io, Reply, Request};

use super::adapter;
use super::assemble::{self, SETUP_LOG};
use super::credentials;
use super::handle::Message;
use super::make::reconnect;
use super::strain::how_it_ended;
use crate::engine::{Engine, WSM, row};
use crate::record::Record;
use crate::shim::{Shim, ShimError, kill, run_to_end};
use crate::store::{Change, now_ms};

/// How long one `[files]` entry may take to be written.
const FILE_TIMEOUT: Duration = Duration::from_secs(10);

/// Holds what is to be written.
const TEXT_VARIABLE: &str = "WSM_TEXT";

/// Writes `[files]` and runs `setup`, each line to its end.
pub(super) async fn set_up(
    engine: &Engine,
    record: &Record,
    shim: &Shim,
    steps: Option<mpsc::Sender<Message>>,
) -> Result<(), Problem> {
    let files = assemble::files(record, &engine.host, false).map(|own| {
        let mut all = adapter::first_files(record);
        all.retain(|(path, _)| own.iter().all(|(other, _)| other != path));
        all.extend(own);
        all
    });
    write_files(engine, record, shim, files, "022").await?;
    let lines = &record.resolved.workspace.setup;
    for (number, line) in lines.iter().enumerate() {
        if let Some(steps) = &steps {
            let reason = format!("setup {} of {}: {line}", number + 1, lines.len());
            drop(steps.send(Message::Step { reason }).await);
        }
        run_line(engine, record, Lines::Setup, number, line).await?;
    }
    Ok(())
}

/// Writes a row for each value that the agent sees from now on.
pub(super) fn tell_visible(engine: &Engine, record: &Record) -> Result<(), Problem> {
    for (name, credential) in credentials::visible(record) {
        if record.inside.values.contains_key(name) {
            let seen = credentials::seen(name, credential);
            let change = Change::new(row(WSM, "credential.visible", record.id.as_str(), seen));
            let written = engine.store.commit(&change);
            written.map_err(|e| crate::engine::store_problem(&e))?;
        }
    }
    Ok(())
}

/// Writes what its credentials say, anew at each start: a secret may have been set since.
pub(super) async fn write_credentials(
    engine: &Engine,
    record: &Record,
    shim: &Shim,
) -> Result<(), Problem> {
    let files = credentials::files(record, &engine.host);
    write_files(engine, record, shim, files, "077").await
}

async fn write_files(
    engine: &Engine,
    record: &Record,
    shim: &Shim,
    files: Result<Vec<(String, String)>, ExpandError>,
    umask: &str,
) -> Result<(), Problem> {
    let invalid = |e: &dyn std::fmt::Display| Problem::new(Code::Invalid, e.to_string(), "");
    for (number, (path, text)) in files.map_err(|e| invalid(&e))?.into_iter().enumerate() {
        // The text may be a value: others read arguments, and nobody an environment.
        let line = "umask $2 && mkdir -p \"$(dirname \"$1\")\" && printf %s \"$WSM_TEXT\" > \"$1\"";
        let argv = ["/bin/sh", "-ec", line, "sh", &path, umask]
            .map(str::to_owned)
            .to_vec();
        let leaf = wsm_sandbox::launch::Leaf::Agent;
        let command = assemble::command(record, &engine.host, argv, leaf);
        let mut command = command.map_err(|e| invalid(&e))?;
        command.env.retain(|(name, _)| name != TEXT_VARIABLE);
        command.env.push((TEXT_VARIABLE.to_owned(), text));
        // A name of its own each time: a daemon that died may have left one of this number.
        let process = format!("file/{number}#{}", now_ms());
        let ran = run_to_end(shim, &process, command, FILE_TIMEOUT).await;
        let output =
            ran.map_err(|e| Problem::new(Code::Failed, format!("write {path}: {e}"), ""))?;
        if output.exit != Exit::Code(0) {
            let said = String::from_utf8_lossy(&output.tail).trim().to_owned();
            return Err(Problem::new(
                Code::Failed,
                format!("write {path}: {said}"),
                "",
            ));
        }
    }
    Ok(())
}

/// Which lines are run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lines {
    Setup,
    Teardown,
}

impl Lines {
    /// Their key in `[workspace]`, how long one may take, and the key that says so.
    fn of(self, record: &Record) -> (&'static str, Duration, &'static str) {
        let workspace = &record.resolved.workspace;
        match self {
            Lines::Setup => ("setup", workspace.setup_timeout, "setup_timeout"),
            Lines::Teardown => ("teardown", workspace.teardown_timeout, "teardown_timeout"),
        }
    }
}

/// Runs one line of `setup` or `teardown`, logged as `setup`. A daemon that died in between finds
/// the process by its name and waits for that one; its time counts from its start.
pub(super) async fn run_line(
    engine: &Engine,
    record: &Record,
    lines: Lines,
    number: usize,
    line: &str,
) -> Result<(), Problem> {
    let (what, limit, key) = lines.of(record);
    let failed = |why: String| {
        let hint = format!("see `wsm logs {} {SETUP_LOG}`", record.name);
        Problem::new(Code::Failed, format!("{what} `{line}` {why}"), hint)
    };
    let gone = || failed("broke off: the shim is gone".to_owned());
    let (shim, mut events) = reconnect(engine, record).await.ok_or_else(gone)?;
    let command = assemble::shell_command(record, &engine.host, line);
    let command = command.map_err(|e| failed(e.to_string()))?;
    let process = format!("{what}/{number}");
    let io = Io::Log {
        service: SETUP_LOG.to_owned(),
    };
    let start = Request::Start {
        process: process.clone(),
        command,
        io,
        person: None,
    };
    match shim
        .request(start)
        .await
        .map_err(|e| failed(e.to_string()))?
    {
        Reply::Started { .. } | Reply::Exists => {}
        Reply::Failed { what, errno } => {
            let error = std::io::Error::from_raw_os_error(errno);
            return Err(failed(format!("could not be started: {what}: {error}")));
        }
        other => return Err(failed(format!("could not be started: {other:?}"))),
    }
    match end_of(&shim, &mut events, &process, limit).await {
        End::Exit(Exit::Code(0)) => Ok(()),
        End::Exit(exit) => Err(failed(how_it_ended(engine, record, exit).await.0)),
        End::Lost(Some(error)) => Err(failed(error.to_string())),
        End::Lost(None) => Err(gone()),
        End::Late => {
            if let Err(error) = kill(&shim, &process).await {
                tracing::warn!(agent = %record.name, %error, process, "kill what took too long");
            }
            let limit = wsm_template::duration_text(limit);
            let why = format!("did not end within {limit} and was killed");
            let hint = format!(
                "see `wsm logs {} {SETUP_LOG}`; if it needs longer, set workspace.{key} in the template",
                record.name
            );
            Err(Problem {
                hint,
                ..failed(why)
            })
        }
    }
}

/// What became of a line.
enum End {
    Exit(Exit),
    /// Its time is over.
    Late,
    /// The shim is gone, or does not answer.
    Lost(Option<ShimError>),
}

/// Waits for the end of `process`, at most until `limit` after its start.
async fn end_of(
    shim: &Shim,
    events: &mut mpsc::Receiver<Event>,
    process: &str,
    limit: Duration,
) -> End {
    loop {
        // Listed first and after every loss: an exit before the subscription is not missed.
        let found = match shim.request(Request::List).await {
            Ok(Reply::Listed { processes }) => processes.into_iter().find(|p| p.process == process),
            Ok(_) => None,
            Err(error) => return End::Lost(Some(error)),
        };
        if let Some(exit) = found.as_ref().and_then(|found| found.exit) {
            return End::Exit(exit);
        }
        let now = now_ms();
        let begun = found.map_or(now, |found| found.started_ms);
        let left = limit.saturating_sub(Duration::from_millis(now.saturating_sub(begun)));
        match tokio::time::timeout(left, next_exit(events, process)).await {
            Ok(Some(Some(exit))) => return End::Exit(exit),
            Ok(Some(None)) => {}
            Ok(None) => return End::Lost(None),
            Err(_elapsed) => return End::Late,
        }
    }
}

/// The exit of `process`; `Some(None)`: events were missed; `None`: the shim is gone.
async fn next_exit(events: &mut mpsc::Receiver<Event>, process: &str) -> Option<Option<Exit>> {
    loop {
        match events.recv().await? {
            Event::Exited {
                process: ended,
                exit,
            } if ended == process => return Some(Some(exit)),
            Event::Missed => return Some(None),
            _ => {}
        }
    }
}

//! `[files]`, `setup` and `teardown`: what is run inside before and after everything else.

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
use crate::shim::{Shim, run_to_end};
use crate::store::Change;

/// How long one `[files]` entry may take to be written.
const FILE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

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
        run_line(engine, record, "setup", number, line).await?;
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
        let process = format!("file/{number}#{}", crate::store::now_ms());
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

/// Runs one line of `setup` or `teardown`, logged as `setup`. A daemon that died in between finds
/// the process by its name and waits for that one.
pub(super) async fn run_line(
    engine: &Engine,
    record: &Record,
    what: &str,
    number: usize,
    line: &str,
) -> Result<(), Problem> {
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
    let exit = loop {
        // Listed first and after every loss: an exit before the subscription is not missed.
        if let Reply::Listed { processes } = shim
            .request(Request::List)
            .await
            .map_err(|e| failed(e.to_string()))?
            && let Some(found) = processes.iter().find(|p| p.process == process)
            && let Some(exit) = found.exit
        {
            break exit;
        }
        match next_exit(&mut events, &process).await {
            Some(Some(exit)) => break exit,
            Some(None) => {}
            None => return Err(gone()),
        }
    };
    if exit == Exit::Code(0) {
        Ok(())
    } else {
        Err(failed(how_it_ended(engine, record, exit).await.0))
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

//! Terminals: open, type, look, attach; and commands with streams.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tokio::runtime::Handle;
use tungstenite::Message;
use wsm_api::problem::{Code, Problem};
use wsm_api::terminal::{Capture, Exec, NewTerminal, NewTicket, Opened, Send, Ticket};
use wsm_daemon::actor::Actor;
use wsm_daemon::facade::Daemon;
use wsm_daemon::role::Verb;

use crate::Edge;
use crate::client::{Client, Upgrade};
use crate::extract::{Body, Caller, Path, Query};
use crate::pipe::{self, Role, Shim};
use crate::problem::{Answer, Failure};

/// The terminal that is meant where none is named.
const MAIN: &str = "main";

/// How long a client may take to say which command it wants.
const EXEC_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

#[utoipa::path(post, path = "/v1/agents/{agent}/terminals", request_body = NewTerminal,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Opened), (status = "default", body = Problem)))]
/// Opens a shell in a terminal of its own.
pub(crate) async fn open(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(new): Body<NewTerminal>,
) -> Answer<Opened> {
    Ok(Json(
        edge.daemon
            .open_terminal(&caller.actor, &agent, new)
            .await?,
    ))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/ticket", request_body = NewTicket,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Ticket), (status = "default", body = Problem)))]
/// A ticket to watch a terminal without the daemon in between, on this machine.
pub(crate) async fn ticket(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(new): Body<NewTicket>,
) -> Answer<Ticket> {
    Ok(Json(edge.daemon.ticket(&caller.actor, &agent, new).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/send", request_body = Send,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, description = "Typed"), (status = "default", body = Problem)))]
/// Types text into a terminal.
pub(crate) async fn send(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Body(send): Body<Send>,
) -> Answer<()> {
    Ok(Json(edge.daemon.send(&caller.actor, &agent, send).await?))
}

/// Query of `capture`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureQuery {
    /// Terminal (`main`).
    terminal: Option<String>,
    /// Lines of history before the screen.
    #[serde(default)]
    #[param(required = false)]
    history_lines: u32,
    /// Colours and attributes as escape sequences.
    #[serde(default)]
    #[param(required = false)]
    styled: bool,
}

#[utoipa::path(get, path = "/v1/agents/{agent}/capture",
    params(("agent" = String, Path, description = "Name or id"), CaptureQuery),
    responses((status = 200, body = Capture), (status = "default", body = Problem)))]
/// The screen, as text.
pub(crate) async fn capture(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<CaptureQuery>,
) -> Answer<Capture> {
    let terminal = query.terminal.as_deref();
    let (lines, styled) = (query.history_lines, query.styled);
    Ok(Json(
        edge.daemon
            .capture(&caller.actor, &agent, terminal, lines, styled)
            .await?,
    ))
}

/// Query of `attach`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachQuery {
    /// Terminal (`main`).
    terminal: Option<String>,
    /// Only look.
    #[serde(default)]
    #[param(required = false)]
    read_only: bool,
}

#[utoipa::path(get, path = "/v1/agents/{agent}/attach",
    params(("agent" = String, Path, description = "Name or id"), AttachQuery),
    responses(
        (status = 101, description = "A WebSocket. Binary messages are frames of the shim \
            protocol: the shim's hello first; the client answers with attach"),
        (status = "default", body = Problem),
    ))]
/// Watches and types into a terminal.
pub(crate) async fn attach(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<AttachQuery>,
    upgrade: Upgrade,
) -> Result<Response, Failure> {
    let new = NewTicket {
        terminal: query.terminal.unwrap_or_else(|| MAIN.to_owned()),
        read_only: query.read_only,
    };
    let verb = if new.read_only {
        Verb::Watch
    } else {
        Verb::Drive
    };
    let (shim, hello) = edge.daemon.attach(&caller.actor, &agent, new).await?;
    let standing = edge.daemon.standing(&caller.actor, &agent, verb);
    let shim = Shim::new(shim, async move { standing.ended().await }, || {})?;
    Ok(upgrade.talk(Role::Viewer.config(), move |client| {
        let _place = caller.peer;
        let hello = Message::Binary(hello.into());
        pipe::run(client, &shim, Role::Viewer, Some(hello));
    }))
}

#[utoipa::path(get, path = "/v1/agents/{agent}/exec",
    params(("agent" = String, Path, description = "Name or id")),
    responses(
        (status = 101, description = "A WebSocket. The client's first message is text: an `Exec`. \
            After it binary messages are frames of the shim protocol; a text message from the \
            daemon is a `Problem`"),
        (status = "default", body = Problem),
    ))]
/// Runs a command with its streams.
pub(crate) async fn exec(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    upgrade: Upgrade,
) -> Result<Response, Failure> {
    // Asked before the upgrade, so that a wrong name is an HTTP answer.
    edge.daemon.may_exec(&caller.actor, &agent)?;
    let runtime = Handle::current();
    Ok(upgrade.talk(Role::Stream.config(), move |mut client| {
        let _place = caller.peer;
        let started = wanted(&mut client).and_then(|exec| {
            // On a stack that is made for it.
            let starting = runtime.spawn(started(edge.daemon, caller.actor, agent, exec));
            runtime.block_on(starting).unwrap_or_else(|error| {
                let why = format!("the command could not be started: {error}");
                Err(Problem::new(Code::Failed, why, "see the log of wsm"))
            })
        });
        match started {
            Ok(shim) => pipe::run(client, &shim, Role::Stream, None),
            Err(problem) => {
                let text = serde_json::to_string(&problem).expect("a problem serializes");
                // The client is gone if this fails, and then nobody wants to know.
                drop(client.send(Message::Text(text.into())));
            }
        }
    }))
}

/// What the client wants run.
fn wanted(client: &mut Client) -> Result<Exec, Problem> {
    let invalid = |why: String| Problem::new(Code::Invalid, why, "");
    let Some(Message::Text(text)) = pipe::first_message(client, EXEC_REQUEST_TIMEOUT) else {
        return Err(invalid(
            "the first message must be text: the command to run".into(),
        ));
    };
    let exec: Exec = serde_json::from_str(&text)
        .map_err(|error| invalid(format!("the command can't be read: {error}")))?;
    if exec.argv.first().is_none_or(String::is_empty) {
        return Err(invalid("there is no command to run".into()));
    }
    Ok(exec)
}

/// The command's streams. It is hung up when the right to it ends.
async fn started(daemon: Daemon, actor: Actor, agent: String, exec: Exec) -> Result<Shim, Problem> {
    let (shim, running) = daemon.exec(&actor, &agent, exec).await?;
    let standing = daemon.standing(&actor, &agent, Verb::Exec);
    // Told first: what the command says when it is hung up is no answer.
    let hang_up = || drop(tokio::spawn(running.hang_up()));
    Shim::new(shim, async move { standing.ended().await }, hang_up)
}

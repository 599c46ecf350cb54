//! Terminals, exec and logs: straight to the shim.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_api::service::LogPart;
use wsm_api::terminal::{Capture, Exec, NewTerminal, NewTicket, Opened, Send, Ticket};
use wsm_sandbox::launch::Leaf;
use wsm_terminal::protocol::{Frame, Io, Process, Reply, Request};

use super::presence::{held, person};
use super::view::at_rest;
use super::{Daemon, kept};
use crate::actor::{Actor, Way};
use crate::agent::assemble::{self, SETUP_LOG};
use crate::agent::handle::{Message, Published};
use crate::agent::make::socket_name;
use crate::agent::run::MAIN;
use crate::egress::EGRESS_LOG;
use crate::role::Verb;
use crate::service::service_of;
use crate::shim::{LEASES, Shim, odd, shim_problem};

/// Signals by number: a shim takes them so.
const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;

/// How long a command may take to end that was hung up.
const HANG_UP: Duration = Duration::from_secs(3);

impl Daemon {
    /// Part of the log of a service, of `setup`, of `egress`, or (`None`) the history of `main`.
    ///
    /// # Errors
    /// There is no such agent or service.
    pub async fn log(
        &self,
        actor: &Actor,
        agent: &str,
        service: Option<&str>,
        from: Option<u64>,
        lines: u32,
    ) -> Result<LogPart, Problem> {
        let published = self.find(actor, agent, Verb::Log)?.now();
        let Some(service) = service else {
            let captured = self.capture(actor, agent, None, lines, false).await?;
            let text = captured.text.trim_end().to_owned() + "\n";
            return Ok(LogPart {
                text,
                next: 0,
                live: false,
            });
        };
        let record = &published.record;
        if service == EGRESS_LOG && !record.resolved.services.contains_key(service) {
            let (text, next) = self.engine.egress.log(&record.id, from, lines).await?;
            let live = published.shim.is_some();
            return Ok(LogPart { text, next, live });
        }
        if service != SETUP_LOG && !record.resolved.services.contains_key(service) {
            let message = format!("{agent} has no service {service}");
            let hint = format!("see `wsm svc ls {agent}`");
            return Err(Problem::new(Code::NotFound, message, hint));
        }
        let Some(shim) = &published.shim else {
            return self.old_log(&published, service, lines).await;
        };
        let Some(process) = newest(shim, service).await? else {
            return self.old_log(&published, service, lines).await;
        };
        let live = process.exit.is_none();
        let request = Request::Log {
            process: process.process,
            from,
            lines,
        };
        match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Log { bytes, next, .. } => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Ok(LogPart { text, next, live })
            }
            other => Err(odd(&other)),
        }
    }

    /// From the file that the shim left.
    async fn old_log(
        &self,
        published: &Published,
        service: &str,
        lines: u32,
    ) -> Result<LogPart, Problem> {
        let path = self.engine.log_file(&published.record.id, service);
        let read = tokio::task::spawn_blocking(move || kept::log_tail(&path, lines)).await;
        let text = read.unwrap_or_else(|e| Err(e.into())).map_err(|e| {
            let message = format!("read the log of {service}: {e}");
            Problem::new(Code::Failed, message, "")
        })?;
        Ok(LogPart {
            text,
            next: 0,
            live: false,
        })
    }

    /// Types text.
    ///
    /// # Errors
    /// The agent does not run, or its program does not read.
    pub async fn send(&self, actor: &Actor, agent: &str, send: Send) -> Result<(), Problem> {
        let (shim, published) = self.running(actor, agent, Verb::Send)?;
        thawed(&published)?;
        let terminal = send.terminal.unwrap_or_else(|| MAIN.to_owned());
        let mut bytes = send.text.into_bytes();
        if send.enter {
            bytes.push(b'\r');
        }
        let request = Request::Send {
            terminal: terminal.clone(),
            bytes,
            person: Some(person(actor)),
        };
        match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Done => Ok(()),
            Reply::NotFound => Err(no_terminal(agent, &terminal)),
            Reply::Refused { reason } => Err(held(agent, reason)),
            Reply::Failed { what, .. } => Err(Problem::new(
                Code::Conflict,
                format!("type into {agent}: {what}"),
                "",
            )),
            other => Err(odd(&other)),
        }
    }

    /// The screen.
    ///
    /// # Errors
    /// The agent does not run, or has no such terminal.
    pub async fn capture(
        &self,
        actor: &Actor,
        agent: &str,
        terminal: Option<&str>,
        history_lines: u32,
        styled: bool,
    ) -> Result<Capture, Problem> {
        let terminal = terminal.unwrap_or(MAIN).to_owned();
        let published = self.find(actor, agent, Verb::Capture)?.now();
        if published.shim.is_none()
            && terminal == MAIN
            && let Some(kept) = self.kept_screen(&published, history_lines).await
        {
            return Ok(kept);
        }
        let (shim, _) = self.running(actor, agent, Verb::Capture)?;
        let request = Request::Capture {
            terminal: terminal.clone(),
            history_lines,
            styled,
        };
        match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Captured {
                text,
                cols,
                rows,
                cursor: (cursor_col, cursor_row),
                title,
                ..
            } => Ok(Capture {
                text,
                cols,
                rows,
                cursor_col,
                cursor_row,
                title,
            }),
            Reply::NotFound => Err(no_terminal(agent, &terminal)),
            other => Err(odd(&other)),
        }
    }

    /// What the command's terminal showed last, of an agent that rests.
    async fn kept_screen(&self, published: &Published, history_lines: u32) -> Option<Capture> {
        let (cols, rows) = published.record.size;
        let path = self.engine.screen_file(&published.record.id);
        let text = tokio::fs::read_to_string(path).await.ok()?;
        let lines = u32::from(rows).saturating_add(history_lines);
        Some(Capture {
            text: kept::last_lines(&text, lines),
            cols,
            rows,
            cursor_col: 0,
            cursor_row: 0,
            title: String::new(),
        })
    }

    /// A new shell terminal.
    ///
    /// # Errors
    /// The agent does not run.
    pub async fn open_terminal(
        &self,
        actor: &Actor,
        agent: &str,
        new: NewTerminal,
    ) -> Result<Opened, Problem> {
        let handle = self.find(actor, agent, Verb::Open)?;
        thawed(&handle.now())?;
        let size = (new.cols, new.rows);
        let terminal = handle
            .ask(|reply| Message::Terminal { size, reply })
            .await?;
        Ok(Opened { terminal })
    }

    /// A connection to the shim for this viewer, hellos exchanged (the shim's is returned as its
    /// message, to be passed on): the edge copies frames both ways. The viewer sends
    /// `Frame::Attach` itself, and the shim holds it to who it is and what it may.
    ///
    /// # Errors
    /// The agent does not run, or the terminal can't exist.
    pub async fn attach(
        &self,
        actor: &Actor,
        agent: &str,
        new: NewTicket,
    ) -> Result<(UnixStream, Vec<u8>), Problem> {
        let (shim, _, ticket) = self.admit(actor, agent, new).await?;
        let (stream, hello) = shim.raw_with(ticket).await.map_err(|e| shim_problem(&e))?;
        Ok((stream, Frame::Hello(hello).encode_message()))
    }

    /// What a viewer on this machine reaches the shim with, without the daemon in between. Who may
    /// drive gets one to drive with; it outlives the daemon.
    ///
    /// # Errors
    /// The agent does not run, or the terminal can't exist.
    pub async fn ticket(
        &self,
        actor: &Actor,
        agent: &str,
        new: NewTicket,
    ) -> Result<Ticket, Problem> {
        if !matches!(actor.way, Way::Local { .. }) {
            // What goes past the daemon would outlive the token that it came by.
            let message = "a ticket is for who is on this machine";
            return Err(Problem::new(Code::NotAvailable, message, ""));
        }
        let (shim, published, ticket) = self.admit(actor, agent, new).await?;
        if shim.speaks() < LEASES {
            // It closes nobody: who comes through the daemon is closed there.
            let message =
                format!("{agent} was started by an older wsm: it is reached by the daemon");
            return Err(Problem::new(Code::NotAvailable, message, ""));
        }
        let socket = socket_name(&published.record.id);
        Ok(Ticket { socket, ticket })
    }

    async fn admit(
        &self,
        actor: &Actor,
        agent: &str,
        new: NewTicket,
    ) -> Result<(Shim, Arc<Published>, String), Problem> {
        let verb = if new.read_only {
            Verb::Watch
        } else {
            Verb::Drive
        };
        let (shim, published) = self.running(actor, agent, verb)?;
        let request = Request::Ticket {
            terminal: new.terminal.clone(),
            read_only: new.read_only,
            person: person(actor),
            owner: self.find(actor, agent, Verb::LeaseTake).is_ok(),
        };
        match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Ticket { ticket } => Ok((shim, published, ticket)),
            Reply::NotFound => Err(no_terminal(agent, &new.terminal)),
            Reply::Refused { reason } => {
                let hint = format!("`wsm who {agent}` shows who");
                Err(Problem::new(
                    Code::Conflict,
                    format!("{agent}: {reason}"),
                    hint,
                ))
            }
            other => Err(odd(&other)),
        }
    }

    /// Whether the actor may run commands there.
    ///
    /// # Errors
    /// There is no such agent, or it is not the actor's to run anything in.
    pub fn may_exec(&self, actor: &Actor, agent: &str) -> Result<(), Problem> {
        self.find(actor, agent, Verb::Exec).map(drop)
    }

    /// Starts the command and returns a shim connection on which `Frame::Open` was already sent.
    ///
    /// # Errors
    /// The agent does not run, or the command can't be started.
    pub async fn exec(
        &self,
        actor: &Actor,
        agent: &str,
        exec: Exec,
    ) -> Result<(UnixStream, Running), Problem> {
        if exec.argv.is_empty() {
            let hint = "for example `wsm exec NAME -- git status`";
            return Err(Problem::new(
                Code::Invalid,
                "exec: no command was given",
                hint,
            ));
        }
        let (shim, published) = self.running(actor, agent, Verb::Exec)?;
        thawed(&published)?;
        let program = exec.argv[0].clone();
        let made = assemble::command(&published.record, &self.engine.host, exec.argv, Leaf::Agent);
        let mut command = made.map_err(|e| Problem::new(Code::Invalid, e.to_string(), ""))?;
        for (key, value) in exec.env {
            command.env.retain(|(k, _)| *k != key);
            command.env.push((key, value));
        }
        let process = format!(
            "exec/{}",
            crate::agent::assemble::new_id().map_err(|e| {
                Problem::new(Code::Failed, format!("number the command: {e}"), "")
            })?
        );
        let request = Request::Start {
            process: process.clone(),
            command,
            io: Io::Stream,
            person: Some(person(actor)),
        };
        match shim.request(request).await.map_err(|e| shim_problem(&e))? {
            Reply::Started { .. } => {}
            Reply::Failed { what, errno } => {
                let error = std::io::Error::from_raw_os_error(errno);
                // The edge tells a missing program from every other failure: exit code 127.
                let missing =
                    error.kind() == std::io::ErrorKind::NotFound && what.starts_with("exec");
                let code = if missing {
                    Code::NotFound
                } else {
                    Code::Failed
                };
                let message = format!("run {program}: {what}: {error}");
                return Err(Problem::new(code, message, ""));
            }
            other => return Err(odd(&other)),
        }
        let (mut stream, _) = shim.raw().await.map_err(|e| shim_problem(&e))?;
        let mut open = Vec::new();
        let running = Running {
            shim,
            process: process.clone(),
        };
        Frame::Open { process }.encode(&mut open);
        let sent = stream.write_all(&open).await;
        sent.map_err(|e| Problem::new(Code::Failed, format!("reach the shim: {e}"), ""))?;
        Ok((stream, running))
    }

    pub(super) fn running(
        &self,
        actor: &Actor,
        agent: &str,
        verb: Verb,
    ) -> Result<(Shim, Arc<Published>), Problem> {
        let published = self.find(actor, agent, verb)?.now();
        let Some(shim) = published.shim.clone() else {
            return Err(at_rest(actor, agent, &published.record));
        };
        Ok((shim, published))
    }
}

/// A command that somebody runs.
#[derive(Debug, Clone)]
pub struct Running {
    shim: Shim,
    process: String,
}

impl Running {
    /// Ends it: hung up, and killed a while later if that did not help.
    pub async fn hang_up(self) {
        for (signal, patience) in [(SIGHUP, HANG_UP), (SIGKILL, Duration::ZERO)] {
            let request = Request::Signal {
                process: self.process.clone(),
                signal,
                group: true,
            };
            if let Err(error) = self.shim.request(request).await {
                tracing::debug!(%error, process = self.process, "its shim is gone, and it is too");
                return;
            }
            tokio::time::sleep(patience).await;
        }
    }
}

/// A frozen agent starts nothing and reads nothing: told at once rather than by silence.
pub(crate) fn thawed(published: &Published) -> Result<(), Problem> {
    if published.state() != State::Paused {
        return Ok(());
    }
    let name = &published.record.name;
    let message = format!("{name} is paused: {}", published.reason());
    let hint = format!("let it run on with `wsm resume {name}`");
    Err(Problem::new(Code::Conflict, message, hint))
}

/// The newest process of a service, or of `setup`.
async fn newest(shim: &Shim, service: &str) -> Result<Option<Process>, Problem> {
    let reply = shim
        .request(Request::List)
        .await
        .map_err(|e| shim_problem(&e))?;
    let Reply::Listed { processes } = reply else {
        return Err(odd(&reply));
    };
    let of = |process: &Process| match service_of(&process.process) {
        Some((name, _, _)) => name == service,
        None => service == SETUP_LOG && process.process.starts_with("setup/"),
    };
    Ok(processes
        .into_iter()
        .filter(of)
        .max_by_key(|p| (p.started_ms, p.process.clone())))
}

pub(super) fn no_terminal(agent: &str, terminal: &str) -> Problem {
    let message = format!("{agent} has no terminal {terminal}");
    Problem::new(
        Code::NotFound,
        message,
        format!("`wsm show {agent}` lists its terminals; it may not run yet"),
    )
}

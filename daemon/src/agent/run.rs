//! The running agent: its command, its services' orders, and what the shim tells.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::launch::Exit;
use wsm_template::resolved::{Kind, Restart};
use wsm_terminal::protocol::{Event, Io, Process, Reply, Request};

use super::assemble;
use super::driver::{Begin, Driver, Next, Stage, way_out};
use super::make::{self, Opened};
use super::setup;
use super::strain::how_it_ended;
use crate::actor::Who;
use crate::engine::{WSM, row};
use crate::record::{Phase, Wanted};
use crate::recordings;
use crate::service::{Input, RESTARTS_MAX, RESTARTS_WINDOW};

/// Terminal of the agent's command.
pub(crate) const MAIN: &str = "main";

/// Pause before the command is started again, doubled each time.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The agent's command.
#[derive(Debug, Default)]
pub(super) struct Main {
    /// Runs now.
    pub(super) running: bool,
    /// Starts within the window, for the bound on restarts.
    starts: VecDeque<Instant>,
    /// Due to be started again.
    pub(super) again: Option<Instant>,
    /// Shell terminals opened so far.
    shells: u32,
}

impl Main {
    pub(super) fn due(&self) -> Option<Instant> {
        self.again
    }
}

impl Driver {
    /// The sandbox stands: go on with what is missing.
    pub(super) async fn on_opened(&mut self, opened: Opened) {
        self.shim = Some(opened.shim);
        self.events = Some(opened.events);
        if self.built_for_another(&opened.equipped.owner).await {
            return;
        }
        self.record.credentials = opened.equipped.credentials;
        self.record.authority = opened.equipped.authority;
        self.record.inside = opened.equipped.inside;
        let reduced: Vec<_> = opened.reduced;
        let message = if reduced.is_empty() {
            "the sandbox stands, every layer enforced".to_owned()
        } else {
            format!(
                "the sandbox stands; less than asked for: {}",
                reduced.join(", ")
            )
        };
        self.commit(row(
            WSM,
            "sandbox.created",
            self.record.id.as_str(),
            message,
        ));
        self.watch_work().await;
        if self.record.wanted == Wanted::Stopped {
            self.close(Next::Rest(
                State::Stopped,
                "stopped before it was started".into(),
            ));
        } else if self.record.phase < Phase::Made {
            self.set_up();
        } else {
            self.start_services().await;
        }
    }

    /// Starts the job that writes `[files]` and runs `setup`.
    pub(super) fn set_up(&mut self) {
        let Some(shim) = self.shim.clone() else {
            return;
        };
        self.stage = Stage::SettingUp;
        if !self.record.resolved.workspace.setup.is_empty() {
            self.set(State::SettingUp, "setup begins");
        }
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        let steps = self.sender();
        self.job = Some(tokio::spawn(async move {
            super::driver::Done::SetUp(setup::set_up(&engine, &record, &shim, steps).await)
        }));
    }

    /// Starts the agent's command, under a number that is written down: a name is never used twice,
    /// even across a crash.
    pub(super) async fn start_main(&mut self) {
        self.main.again = None;
        if self.shim.is_none() || self.held == Some(Begin::Command) {
            return;
        }
        self.record.run += 1;
        if let Err(error) = self.listen_anew() {
            let reason = format!("make the secret of a run: {error}");
            return self.close(Next::Rest(State::Failed, reason));
        }
        let message = format!("run {} of the command", self.record.run);
        self.commit(row(
            WSM,
            "command.starting",
            self.record.id.as_str(),
            message,
        ));
        if !self.hold(Begin::Command) {
            self.run_main().await;
        }
    }

    pub(super) async fn run_main(&mut self) {
        let Some(shim) = self.shim.clone() else {
            return;
        };
        let command = match assemble::main_command(&self.record, &self.engine.host) {
            Ok(command) => command,
            Err(e) => return self.close(Next::Rest(State::Failed, e.to_string())),
        };
        let program = command.argv.first().cloned().unwrap_or_default();
        let (cols, rows) = self.record.size;
        let terminal = MAIN.to_owned();
        let io = Io::Terminal {
            terminal,
            cols,
            rows,
            record: recordings::record(&self.engine.etc_dir),
        };
        let request = Request::Start {
            process: self.main_process(),
            command,
            io,
            person: None,
        };
        match shim.request(request).await {
            Ok(Reply::Started { .. } | Reply::Exists) => {
                self.main.running = true;
                self.main.starts.push_back(Instant::now());
                self.terminal_seen(MAIN);
                self.set(State::Working, format!("{program} runs"));
            }
            Ok(Reply::Failed { what, errno }) => {
                let reason = cannot_start(&self.record.resolved.agent.kind, &program, &what, errno);
                self.begin_stop(&Who::wsm(), Next::Rest(State::Failed, reason))
                    .await;
            }
            Ok(reply) => {
                let reason = format!("start {program}: the shim answered {reply:?}");
                self.begin_stop(&Who::wsm(), Next::Rest(State::Failed, reason))
                    .await;
            }
            // The connection is gone: `shim_gone` decides what that means.
            Err(error) => tracing::warn!(agent = %self.record.name, %error, "start the command"),
        }
    }

    pub(super) fn main_process(&self) -> String {
        format!("{MAIN}#{}", self.record.run)
    }

    pub(super) fn main_runs(&self) -> bool {
        self.main.running
    }

    fn terminal_seen(&mut self, terminal: &str) {
        if !self.terminals.iter().any(|t| t == terminal) {
            self.terminals.push(terminal.to_owned());
        }
        self.publish();
    }

    /// What the shim tells. `None`: it dropped us; list again over a new connection.
    pub(super) async fn on_event(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Exited { process, exit }) => self.on_exited(&process, exit).await,
            Some(Event::Changed) => self.work_changed(),
            Some(Event::Logged { process }) => self.on_logged(&process).await,
            Some(Event::Missed) => {
                self.list_again().await;
                self.take_reports().await;
            }
            Some(heard) => self.on_heard(heard).await,
            None => self.events = None,
        }
    }

    async fn on_exited(&mut self, process: &str, exit: Exit) {
        if process == self.main_process() {
            self.main.running = false;
            self.on_main_exited(exit).await;
        } else if process.starts_with("service/") {
            self.service_exited(process, exit).await;
        } else if let Some(terminal) = process.strip_prefix("terminal/") {
            self.terminals.retain(|t| t != terminal);
            self.publish();
            self.forget(process).await;
        }
        self.check_stopped();
    }

    async fn forget(&self, process: &str) {
        if let Some(shim) = &self.shim {
            let request = Request::Forget {
                process: process.to_owned(),
            };
            if let Err(error) = shim.request(request).await {
                tracing::debug!(agent = %self.record.name, %error, "forget {process}");
            }
        }
    }

    async fn on_main_exited(&mut self, exit: Exit) {
        if self.stage != Stage::Running {
            return;
        }
        let (how, limit) = how_it_ended(&self.engine, &self.record, exit).await;
        if limit {
            let message = format!("the command {how}");
            self.commit(row(WSM, "agent.limit", self.record.id.as_str(), message));
        }
        let kind = self.record.resolved.agent.kind;
        // A shell ends with the code of its last command; only a signal is a failure of its own.
        let killed = matches!(exit, Exit::Signal(_));
        let failed = killed || (exit != Exit::Code(0) && kind != Kind::Shell);
        if failed && !self.record.heard.hooked {
            // A conversation that is there no more is not asked for again.
            self.record.heard.session.clear();
        }
        let again = match self.record.resolved.agent.restart {
            Restart::Never => false,
            Restart::OnFailure => failed,
            Restart::Always => true,
        };
        let now = Instant::now();
        self.main
            .starts
            .retain(|start| now.duration_since(*start) < RESTARTS_WINDOW);
        let starts = u32::try_from(self.main.starts.len()).unwrap_or(u32::MAX);
        if again && starts <= RESTARTS_MAX {
            let pause = RESTART_PAUSE * 2_u32.pow(starts.saturating_sub(1).min(5));
            self.main.again = Some(now + pause);
            let seconds = pause.as_secs();
            self.set(
                State::Starting,
                format!("the command {how}; started again in {seconds} s"),
            );
            return;
        }
        let state = if failed {
            State::Failed
        } else {
            State::Stopped
        };
        let mut reason = format!("the command {how}");
        if again {
            reason.push_str(", too often to start it again");
        }
        self.begin_stop(&Who::wsm(), Next::Rest(state, reason))
            .await;
    }

    pub(super) async fn on_deadline(&mut self) {
        let now = Instant::now();
        self.stop_due(now).await;
        if self
            .ledger
            .due()
            .map_or(self.held.is_some(), |due| due <= now)
        {
            self.go_on().await;
        }
        if self.main.again.is_some_and(|again| again <= now) {
            self.start_main().await;
        }
        self.work_due(now);
        self.hearing_due(now).await;
        self.stop_unwatched(now).await;
        self.feed(Input::Tick).await;
        self.check_stopped();
    }

    /// The connection to the shim ended although nobody closed it.
    pub(super) async fn on_shim_gone(&mut self) {
        self.shim = None;
        self.events = None;
        if matches!(
            self.stage,
            Stage::Closing { .. } | Stage::Resting | Stage::Erasing
        ) {
            return;
        }
        if let Some(opened) = make::reconnect(&self.engine, &self.record).await {
            self.shim = Some(opened.0);
            self.events = Some(opened.1);
            self.list_again().await;
            self.take_reports().await;
            return;
        }
        let next = match &self.stage {
            Stage::Stopping { next, .. } => next.clone(),
            _ => Next::Rest(
                State::Lost,
                "its shim was killed, and its processes with it; the work is there".into(),
            ),
        };
        self.main.running = false;
        self.close(next);
    }

    /// Takes the shim's list as the truth.
    pub(super) async fn list_again(&mut self) {
        let Some(shim) = self.shim.clone() else {
            return;
        };
        let Ok(Reply::Listed { processes }) = shim.request(Request::List).await else {
            return;
        };
        let main = self.main_process();
        let ended: Vec<&Process> = processes.iter().filter(|p| p.exit.is_some()).collect();
        for process in ended {
            let known = process.process == main && !self.main.running;
            if let (Some(exit), false) = (process.exit, known) {
                self.on_exited(&process.process, exit).await;
            }
        }
    }

    /// A new shell terminal.
    pub(super) async fn open_shell(&mut self, (cols, rows): (u16, u16)) -> Result<String, Problem> {
        let failed = |why: String| Problem::new(Code::Failed, format!("open a shell: {why}"), "");
        let Some(shim) = self.shim.clone() else {
            let message = format!("open a shell: {} does not run", self.record.name);
            return Err(Problem::new(Code::Conflict, message, way_out(&self.record)));
        };
        let argv = vec!["bash".to_owned(), "-l".to_owned()];
        let leaf = wsm_sandbox::launch::Leaf::Agent;
        let command = assemble::command(&self.record, &self.engine.host, argv, leaf)
            .map_err(|e| failed(e.to_string()))?;
        loop {
            self.main.shells += 1;
            let terminal = format!("shell-{}", self.main.shells);
            let process = format!("terminal/{terminal}");
            let io = Io::Terminal {
                terminal: terminal.clone(),
                cols,
                rows,
                record: recordings::record(&self.engine.etc_dir),
            };
            let request = Request::Start {
                process,
                command: command.clone(),
                io,
                person: None,
            };
            match shim
                .request(request)
                .await
                .map_err(|e| failed(e.to_string()))?
            {
                Reply::Started { .. } => {
                    self.terminal_seen(&terminal);
                    return Ok(terminal);
                }
                // Opened before a restart of the daemon: take the next number.
                Reply::Exists => {}
                Reply::Failed { what, .. } => return Err(failed(what)),
                other => return Err(failed(format!("the shim answered {other:?}"))),
            }
        }
    }

    /// Adopts what runs after a restart of the daemon.
    pub(super) async fn adopt(&mut self, processes: &[Process]) {
        let main = self.main_process();
        self.main.shells = 0;
        self.terminals.clear();
        for process in processes {
            if process.exit.is_none()
                && let Some(terminal) = &process.terminal
            {
                self.terminals.push(terminal.clone());
            }
        }
        self.terminals.sort_by_key(|t| (t != MAIN, t.clone()));
        let own = processes.iter().find(|p| p.process == main);
        self.main.running = own.is_some_and(|p| p.exit.is_none());
        if self.main.running {
            self.main.starts.push_back(Instant::now());
            if matches!(
                self.record.state,
                State::Starting | State::Creating | State::SettingUp
            ) {
                self.set(State::Working, "it runs");
            }
            self.take_reports().await;
            self.rested();
        }
        self.publish();
        if let Some(exit) = own.and_then(|p| p.exit) {
            self.on_main_exited(exit).await;
        }
    }
}

/// `ended with code 3`, `was killed by signal 9`.
pub(super) fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("ended with code {code}"),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
    }
}

/// How a program comes below /usr, the only place where a sandbox sees programs.
fn where_from(kind: &Kind) -> &'static str {
    match kind {
        Kind::Shell | Kind::Command => "is it installed below /usr on this host?",
        Kind::Claude => "on this host: npm install -g @anthropic-ai/claude-code",
        Kind::Codex => "on this host: npm install -g @openai/codex",
        Kind::Opencode => "on this host: npm install -g opencode-ai",
        Kind::Gemini => "on this host: npm install -g @google/gemini-cli",
        Kind::Aider => {
            "on this host: python3 -m venv /usr/local/lib/aider && \
             /usr/local/lib/aider/bin/pip install aider-chat && \
             ln -s ../lib/aider/bin/aider /usr/local/bin/"
        }
    }
}

fn cannot_start(kind: &Kind, program: &str, what: &str, errno: i32) -> String {
    const ENOENT: i32 = 2;
    let error = std::io::Error::from_raw_os_error(errno);
    if errno == ENOENT && what.starts_with("exec") {
        return format!(
            "start {program}: there is no such program in the sandbox ({})",
            where_from(kind)
        );
    }
    format!("start {program}: {what}: {error}")
}

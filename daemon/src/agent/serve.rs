//! Services and ports of the running agent: carries out what the supervisor decides.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Instant;

use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_api::service::ServiceState;
use wsm_sandbox::launch::Exit;
use wsm_sandbox::protocol::{Reply as BrokerReply, Request as BrokerRequest};
use wsm_template::resolved::{Check, Service};
use wsm_template::{Vars, expand_all};
use wsm_terminal::protocol::{Io, Process, Reply, Request};

use super::assemble;
use super::driver::{Begin, Driver, Next, Stage, way_out};
use super::handle::Message;
use super::make;
use crate::actor::Who;
use crate::engine::{Engine, WSM, row};
use crate::facade::ServiceVerb;
use crate::port::{CONNECTIONS_MAX, Forward, SocketSource};
use crate::record::{Record, ServiceRecord};
use crate::service::{Input, Output, Prober, Supervisor, Trial, View, service_of};
use crate::store::now_ms;

/// Part of a log taken at once for log probes and reasons.
const LOG_LINES: u32 = 200;

impl Driver {
    /// Listens on the leased ports and starts the services; the command follows when they are
    /// ready.
    pub(super) async fn start_services(&mut self) {
        self.stage = Stage::Running;
        self.set(State::Starting, "services are being started");
        if !self.hold(Begin::Services) {
            self.run_services().await;
        }
    }

    pub(super) async fn run_services(&mut self) {
        if let Err(problem) = self.listen().await {
            let reason = super::driver::problem_text(&problem);
            return self.close(Next::Rest(State::Failed, reason));
        }
        if let Err(problem) = self.supervise() {
            let reason = super::driver::problem_text(&problem);
            return self.close(Next::Rest(State::Failed, reason));
        }
        self.feed(Input::StartAll).await;
    }

    /// Goes on with services that run already.
    pub(super) async fn adopt_services(&mut self, processes: Vec<Process>) {
        if let Err(problem) = self.listen().await {
            tracing::warn!(agent = %self.record.name, %problem, "listen on the leased ports again");
        }
        if let Err(problem) = self.supervise() {
            let reason = super::driver::problem_text(&problem);
            return self.close(Next::Rest(State::Failed, reason));
        }
        let known = self.record.services.iter().map(|(name, s)| View {
            service: name.clone(),
            state: s.state,
            reason: s.reason.clone(),
            restarts: s.restarts,
        });
        let known = known.collect();
        let unfinished = !self.main_runs();
        self.feed(Input::Adopt { processes, known }).await;
        if unfinished && !self.main_runs() {
            // It died before all were told to start.
            self.feed(Input::StartAll).await;
        }
    }

    fn supervise(&mut self) -> Result<(), Problem> {
        let services = expanded(&self.engine, &self.record)?;
        let names = self.record.resolved.services.keys();
        let uninitialized = names
            .filter(|name| !self.record.initialized.contains(*name))
            .cloned()
            .collect();
        let wait_for = &self.record.resolved.agent.wait_for;
        self.supervisor = Some(Supervisor::new(&services, &uninitialized, wait_for));
        Ok(())
    }

    async fn listen(&mut self) -> Result<(), Problem> {
        for forward in self.forwards.drain(..) {
            forward.close().await;
        }
        let engine = std::sync::Arc::clone(&self.engine);
        let before = self.record.clone();
        let (leased, moved) = make::hold_ports(&engine, &mut self.record).await?;
        if moved {
            // Written while they are held: others are given what is neither held nor written.
            let message = "ports were leased anew: the old ones are in use by others";
            let told = row(WSM, "port.leased", self.record.id.as_str(), message);
            self.try_commit(before, told)?;
        }
        let sockets = sockets(&engine, &self.record);
        self.sockets = Some(sockets.clone());
        for lease in leased {
            let Some(port) = self.record.resolved.ports.get(&lease.name) else {
                continue;
            };
            let forward = Forward::spawn(lease.listeners, port.inside, &sockets, CONNECTIONS_MAX);
            self.forwards.push(forward.map_err(|e| {
                Problem::new(
                    Code::Failed,
                    format!("listen on port {}: {e}", lease.port),
                    "",
                )
            })?);
        }
        Ok(())
    }

    /// What reaches its ports, while it has a network.
    pub(super) fn own_sockets(&self) -> Result<SocketSource, Problem> {
        self.sockets.clone().ok_or_else(|| {
            let name = &self.record.name;
            let message = format!("{name} does not run");
            Problem::new(Code::Conflict, message, format!("`wsm start {name}`"))
        })
    }

    /// Feeds the supervisor, and carries out what it says; answers feed it again.
    pub(super) async fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(supervisor) = &mut self.supervisor else {
                return;
            };
            let outputs = supervisor.handle(input, Instant::now());
            for output in outputs {
                if let Some(answer) = self.carry_out(output).await {
                    inputs.push_back(answer);
                }
            }
        }
    }

    async fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Launch {
                service,
                process,
                argv,
                ..
            } => Some(self.launch(&service, process, argv).await),
            Output::Signal { process, signal } => {
                let request = Request::Signal {
                    process,
                    signal,
                    group: true,
                };
                if let Some(shim) = &self.shim
                    && let Err(error) = shim.request(request).await
                {
                    tracing::debug!(agent = %self.record.name, %error, "signal a service");
                }
                None
            }
            Output::Probe {
                service,
                id,
                check,
                timeout,
            } => {
                self.probe(service, id, check, timeout);
                None
            }
            Output::Initialized { service } => {
                let message = format!("{service}: init done");
                self.record.initialized.insert(service);
                self.commit(row(
                    WSM,
                    "service.initialized",
                    self.record.id.as_str(),
                    message,
                ));
                None
            }
            Output::Changed(view) => {
                self.service_changed(view);
                None
            }
            Output::Ready => {
                if self.stage == Stage::Running && !self.main_runs() {
                    self.start_main().await;
                }
                None
            }
            Output::GaveUp { service, reason } => {
                if self.stage == Stage::Running && !self.main_runs() {
                    let reason = format!(
                        "service {service}: {reason} (see `wsm logs {} {service}`)",
                        self.record.name
                    );
                    Box::pin(self.begin_stop(&Who::wsm(), Next::Rest(State::Failed, reason))).await;
                }
                None
            }
            Output::AllStopped => None,
        }
    }

    async fn launch(&mut self, service: &str, process: String, argv: Vec<String>) -> Input {
        let fail = |process, reason, retry| Input::StartFailed {
            process,
            reason,
            retry,
        };
        // argv was expanded already; `{` in it would be read again, so only the rest is assembled.
        let command = assemble::service_command(&self.record, &self.engine.host, service, &[]);
        let mut command = match command {
            Ok(command) => command,
            Err(e) => return fail(process, e.to_string(), false),
        };
        command.argv = argv;
        let Some(shim) = self.shim.clone() else {
            return fail(process, "the shim is gone".into(), false);
        };
        let io = Io::Log {
            service: service.to_owned(),
        };
        let request = Request::Start {
            process: process.clone(),
            command,
            io,
            person: None,
        };
        match shim.request(request).await {
            Ok(Reply::Started { .. } | Reply::Exists) => Input::Started { process },
            Ok(Reply::Failed { what, errno }) => {
                const EAGAIN: i32 = 11;
                let error = std::io::Error::from_raw_os_error(errno);
                fail(process, format!("{what}: {error}"), errno == EAGAIN)
            }
            Ok(reply) => fail(process, format!("the shim answered {reply:?}"), false),
            Err(e) => fail(process, e.to_string(), false),
        }
    }

    fn probe(&self, service: String, id: u64, check: Check, timeout: std::time::Duration) {
        let (Some(shim), Some(sender)) = (self.shim.clone(), self.sender()) else {
            return;
        };
        let Some(sockets) = self.sockets.clone() else {
            return;
        };
        let assembled = assemble::service_command(&self.record, &self.engine.host, &service, &[]);
        let Ok(base) = assembled else { return };
        let prober = Prober {
            sockets,
            shim,
            ports: self
                .record
                .ports
                .iter()
                .map(|p| (p.name.clone(), p.inside))
                .collect(),
        };
        let trial = Trial {
            process: format!("probe/{service}#{}-{id}", now_ms()),
            service: service.clone(),
            check,
            timeout,
            env: base.env,
            cwd: base.cwd,
        };
        tokio::spawn(async move {
            let outcome = prober.run(trial).await;
            let (ok, detail) = (outcome.ok, outcome.detail);
            drop(
                sender
                    .send(Message::Probed {
                        service,
                        id,
                        ok,
                        detail,
                    })
                    .await,
            );
        });
    }

    pub(super) async fn on_probed(&mut self, service: String, id: u64, ok: bool, detail: String) {
        self.feed(Input::ProbeResult {
            service,
            id,
            ok,
            detail,
        })
        .await;
    }

    fn service_changed(&mut self, view: View) {
        let View {
            service,
            state,
            reason,
            restarts,
        } = view;
        let before = self.record.services.get(&service);
        let since_ms = match before {
            Some(before) if before.state == state => before.since_ms,
            _ => now_ms(),
        };
        let was = before.map_or("", |before| before.state.as_str());
        let message = format!("{service} {}: {reason}", state.as_str());
        let told = row(WSM, "service.state", self.record.id.as_str(), message);
        let told = told.changed(was, state.as_str());
        self.record.services.insert(
            service,
            ServiceRecord {
                state,
                reason,
                since_ms,
                restarts,
            },
        );
        self.commit(told);
    }

    pub(super) async fn service_exited(&mut self, process: &str, exit: Exit) {
        self.on_logged(process).await;
        self.feed(Input::Exited {
            process: process.to_owned(),
            exit,
        })
        .await;
        if let Some(shim) = &self.shim {
            let request = Request::Forget {
                process: process.to_owned(),
            };
            if let Err(error) = shim.request(request).await {
                tracing::debug!(agent = %self.record.name, %error, "forget {process}");
            }
        }
    }

    /// Passes on what a service wrote since the last time.
    pub(super) async fn on_logged(&mut self, process: &str) {
        if service_of(process).is_none() {
            return;
        }
        let Some(shim) = self.shim.clone() else {
            return;
        };
        let from = self.log_offsets.get(process).copied();
        let request = Request::Log {
            process: process.to_owned(),
            from,
            lines: LOG_LINES,
        };
        if let Ok(Reply::Log { bytes, next, .. }) = shim.request(request).await {
            self.log_offsets.insert(process.to_owned(), next);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            self.feed(Input::Logged {
                process: process.to_owned(),
                text,
            })
            .await;
        }
    }

    pub(super) fn services_stopped(&self) -> bool {
        let rests = |state| {
            matches!(
                state,
                ServiceState::Stopped | ServiceState::Failed | ServiceState::Waiting
            )
        };
        self.supervisor
            .as_ref()
            .is_none_or(|s| s.views().all(|view| rests(view.state)))
    }

    /// After the sandbox is gone nothing of a service is left.
    pub(super) fn services_rest(&mut self) {
        self.log_offsets.clear();
        for service in self.record.services.values_mut() {
            if !matches!(service.state, ServiceState::Stopped | ServiceState::Failed) {
                service.state = ServiceState::Stopped;
                service.reason = "stopped with its agent".to_owned();
                service.since_ms = now_ms();
            }
        }
    }

    pub(super) async fn on_service(
        &mut self,
        actor: &Who,
        service: &str,
        verb: ServiceVerb,
    ) -> Result<(), Problem> {
        if !self.record.resolved.services.contains_key(service) {
            let names: Vec<_> = self.record.resolved.services.keys().cloned().collect();
            let message = format!("{} has no service {service}", self.record.name);
            let hint = match names.as_slice() {
                [] => "its template declares none".to_owned(),
                names => format!("it has {}", names.join(", ")),
            };
            return Err(Problem::new(Code::NotFound, message, hint));
        }
        if self.stage != Stage::Running {
            let message = format!("{} does not run ({})", self.record.name, self.record.state);
            return Err(Problem::new(Code::Conflict, message, way_out(&self.record)));
        }
        let name = service.to_owned();
        let (input, word) = match verb {
            ServiceVerb::Start => (Input::Start(name), "start"),
            ServiceVerb::Stop => (Input::Stop(name), "stop"),
            ServiceVerb::Restart => (Input::Restart(name), "restart"),
        };
        let message = format!("{word} {service}");
        self.commit(row(
            actor,
            "service.asked",
            self.record.id.as_str(),
            message,
        ));
        self.feed(input).await;
        Ok(())
    }
}

/// Services with their placeholders replaced.
fn expanded(engine: &Engine, record: &Record) -> Result<BTreeMap<String, Service>, Problem> {
    let failed = |e: &dyn std::fmt::Display| Problem::new(Code::Invalid, e.to_string(), "");
    let base = assemble::vars(record, &engine.host);
    let services = record.resolved.services.iter().map(|(name, service)| {
        let vars = Vars {
            state: Some(assemble::state_dir(name)),
            ..base.clone()
        };
        let mut service = service.clone();
        service.command = expand_all(&service.command, &vars).map_err(|e| failed(&e))?;
        service.init = expand_all(&service.init, &vars).map_err(|e| failed(&e))?;
        let ready = service.ready.iter_mut();
        let health = service.health.iter_mut().map(|health| &mut health.probe);
        for probe in ready.chain(health) {
            if let Check::Exec { command } = &mut probe.check {
                *command = expand_all(command, &vars).map_err(|e| failed(&e))?;
            }
        }
        Ok((name.clone(), service))
    });
    services.collect()
}

/// Sockets made in the agent's network namespace.
fn sockets(engine: &Engine, record: &Record) -> SocketSource {
    let broker = engine.broker.clone();
    let agent = record.id.clone();
    SocketSource::new(move |count| {
        let broker = broker.clone();
        let agent = agent.clone();
        async move {
            let asked = broker
                .ask_with_fds(BrokerRequest::Sockets { agent, count })
                .await;
            match asked.map_err(std::io::Error::other)? {
                (BrokerReply::Sockets, fds) => Ok(fds),
                (reply, _) => Err(std::io::Error::other(crate::broker::odd_reply(&reply))),
            }
        }
    })
}

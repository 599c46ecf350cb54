//! One agent: its policy, its sockets, its names, what went through.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::dial::Dialer;
use super::injector::Injector;
use super::ledger::Ledger;
use super::log::Logs;
use super::logins::Logins;
use super::names::Names;
use super::secrets::Secrets;
use super::terminate::TERMINATED_MAX;
use super::udp::Socket;
use super::upstream::Trust;
use super::{connection, dns};
use crate::host::Host;
use crate::policy::{Ask, Decision, Denial, Policy};
use crate::protocol::{Event, Security, Traffic, Word};

/// Connections of one agent at once; more wait in the kernel.
pub(super) const CONNECTIONS_MAX: usize = 512;
/// After a failure to accept (descriptors are short), the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much time a line of the log sums up.
const LOG_PAUSE: Duration = Duration::from_secs(5);

/// What connections and name questions of one agent share.
#[derive(Debug)]
pub(super) struct Shared {
    id: String,
    /// Whether the sandbox has IPv6.
    pub(super) ipv6: bool,
    policy: watch::Sender<Arc<Policy>>,
    names: Mutex<Names>,
    ledger: Mutex<Ledger>,
    events: Mutex<mpsc::Sender<Word>>,
    /// Placeholders that went astray, counted apart.
    astray: Mutex<Ledger>,
    injector: watch::Sender<Arc<Injector>>,
    /// Room for connections whose TLS ends here.
    pub(super) terminated: Semaphore,
    pub(super) dialer: Arc<Dialer>,
    logs: Arc<Logs>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) logins: Arc<Logins>,
    pub(super) trust: Arc<Trust>,
}

/// What all agents share.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) dialer: Arc<Dialer>,
    pub(super) logs: Arc<Logs>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) logins: Arc<Logins>,
    pub(super) trust: Arc<Trust>,
}

impl Common {
    pub(super) fn new(dialer: Dialer, logs: Logs, secrets: Secrets, trust: Trust) -> Common {
        let (dialer, secrets, trust) = (Arc::new(dialer), Arc::new(secrets), Arc::new(trust));
        let shared = (
            Arc::clone(&secrets),
            Arc::clone(&dialer),
            Arc::clone(&trust),
        );
        Common {
            logins: Arc::new(Logins::new(shared.0, shared.1, shared.2)),
            logs: Arc::new(logs),
            dialer,
            secrets,
            trust,
        }
    }
}

/// An agent that is served. Everything of it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Agent {
    shared: Arc<Shared>,
    /// Aborted with it.
    _tasks: JoinSet<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No holder can leave a half-done change: none panics between two writes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    pub(super) fn start(
        id: &str,
        (policy, injector): (Policy, Injector),
        [tcp, udp]: [OwnedFd; 2],
        common: Common,
        events: mpsc::Sender<Word>,
    ) -> io::Result<Arc<Agent>> {
        let tcp = TcpListener::from(tcp);
        tcp.set_nonblocking(true)?;
        let tcp = tokio::net::TcpListener::from_std(tcp)?;
        let udp = Socket::new(udp)?;
        let ipv6 = udp.has_ipv6();
        let shared = Shared::new(id, ipv6, (policy, injector), common, events);
        let shared = Arc::new(shared);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(Arc::clone(&shared), tcp));
        tasks.spawn(answer(Arc::clone(&shared), udp));
        tasks.spawn(write_log(Arc::clone(&shared)));
        Ok(Arc::new(Agent {
            shared,
            _tasks: tasks,
        }))
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        self.shared.policy()
    }

    /// From now on; connections look at the new policy themselves.
    pub(super) fn change(
        &self,
        (policy, injector): (Policy, Injector),
        events: mpsc::Sender<Word>,
    ) {
        *locked(&self.shared.events) = events;
        self.shared.set_injector(injector);
        self.shared.policy.send_replace(Arc::new(policy));
    }

    pub(super) fn traffic(&self) -> BTreeMap<String, Traffic> {
        locked(&self.shared.ledger).traffic()
    }

    /// Writes down now what is written down every few seconds.
    pub(super) fn write_log(&self) {
        self.shared.write_log();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.write_log();
    }
}

impl Shared {
    pub(super) fn new(
        id: &str,
        ipv6: bool,
        (policy, injector): (Policy, Injector),
        common: Common,
        events: mpsc::Sender<Word>,
    ) -> Shared {
        Shared {
            id: id.to_owned(),
            ipv6,
            policy: watch::Sender::new(Arc::new(policy)),
            names: Mutex::default(),
            ledger: Mutex::default(),
            events: Mutex::new(events),
            astray: Mutex::default(),
            injector: watch::Sender::new(Arc::new(injector)),
            terminated: Semaphore::new(TERMINATED_MAX),
            dialer: common.dialer,
            logs: common.logs,
            secrets: common.secrets,
            logins: common.logins,
            trust: common.trust,
        }
    }

    #[cfg(test)]
    pub(super) fn set_policy(&self, policy: Policy) {
        self.policy.send_replace(Arc::new(policy));
    }

    /// The credentials as they are now.
    pub(super) fn injector(&self) -> Arc<Injector> {
        Arc::clone(&self.injector.borrow())
    }

    pub(super) fn set_injector(&self, injector: Injector) {
        self.injector.send_replace(Arc::new(injector));
    }

    /// Until other secrets than this owner's go in: what was opened with them is not another's to use.
    pub(super) async fn handed_over(&self, owner: Option<&str>) {
        let mut injector = self.injector.subscribe();
        let other = |now: &Arc<Injector>| now.owner.as_deref() != owner;
        drop(injector.wait_for(other).await);
    }

    /// Writes down that a placeholder was where it does not belong, or had no value.
    pub(super) fn misplaced(&self, credential: &str, target: &str, why: &str) {
        let count = locked(&self.astray).denied(&format!("{credential} {target} {why}"), why);
        let Some(count) = count else { return };
        tracing::warn!(
            agent = self.id,
            credential,
            target,
            why,
            "a placeholder was not replaced"
        );
        self.tell(Word::Security(Security {
            agent: self.id.clone(),
            credential: credential.to_owned(),
            target: target.to_owned(),
            why: why.to_owned(),
            count,
        }));
    }

    /// A daemon that is away asks for the numbers when it is back.
    fn tell(&self, word: Word) {
        if locked(&self.events).try_send(word).is_err() {
            tracing::debug!(agent = self.id, "nobody hears of it");
        }
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }

    /// Ends when a connection that was allowed no longer is, or its address may no longer be dialled.
    pub(super) async fn forbidden(&self, ask: &Ask, address: Option<IpAddr>) {
        let (mut policy, mut host) = (self.policy.subscribe(), self.dialer.subscribe());
        loop {
            host.borrow_and_update();
            if !policy.borrow_and_update().decide(ask).is_allow() {
                return;
            }
            if let (Ask::Reach { host, .. }, Some(ip)) = (ask, address)
                && self.dialer.vet(host, &[ip]).is_err()
            {
                return;
            }
            let changed = tokio::select! {
                changed = policy.changed() => changed,
                changed = host.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Decides, and writes a refusal down.
    pub(super) fn decide(&self, ask: &Ask, way: &str) -> Result<(), Denial> {
        match self.policy().decide(ask) {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny(denial) => {
                self.denied(&shown(ask), way, &denial);
                Err(denial)
            }
        }
    }

    /// Writes down what was refused after a decision, or without one.
    pub(super) fn denied(&self, target: &str, way: &str, denial: &Denial) {
        let count = locked(&self.ledger).denied(target, &denial.why);
        tracing::debug!(agent = self.id, target, way, why = denial.why, "denied");
        let Some(count) = count else { return };
        self.tell(Word::Event(Event {
            agent: self.id.clone(),
            target: target.to_owned(),
            way: way.to_owned(),
            why: denial.why.clone(),
            missing: denial.missing.clone(),
            count,
        }));
    }

    pub(super) fn allowed(&self, target: &str) {
        locked(&self.ledger).allowed(target);
    }

    pub(super) fn passed(&self, target: &str, sent: u64, received: u64) {
        locked(&self.ledger).passed(target, sent, received);
    }

    fn write_log(&self) {
        let news = locked(&self.ledger).news();
        self.logs.write(&self.id, &news);
    }

    pub(super) fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        locked(&self.names)
    }
}

/// A target as the journal names it.
pub(super) fn shown(ask: &Ask) -> String {
    match ask {
        Ask::Reach { host, port } => format!("{host}:{port}"),
        Ask::Resolve { host } => host.to_string(),
        Ask::Exposed { at } => format!("{}:{at}", Host::ip(std::net::Ipv4Addr::LOCALHOST.into())),
    }
}

async fn accept(shared: Arc<Shared>, listener: tokio::net::TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return; // never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                open.spawn(async move {
                    connection::serve(&shared, stream).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn write_log(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOG_PAUSE).await;
        shared.write_log();
    }
}

async fn answer(shared: Arc<Shared>, socket: Socket) {
    loop {
        // An error here is about one packet that was sent before (ICMP): the next is read.
        let Ok(question) = socket.receive().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Some(answer) = dns::answer(&shared, &question.bytes, Some(dns::UDP_BYTES_MAX)) {
            // Lost like any packet.
            socket.send(&question, &answer).await.unwrap_or(());
        }
    }
}

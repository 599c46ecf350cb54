//! The daemon's orders.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wsm_sandbox::client::Broker;
use wsm_sandbox::protocol::{Reply, Request};
use wsm_sandbox::spec::AgentId;
use zeroize::{Zeroize, Zeroizing};

use super::Egress;
use super::agent::Agent;
use super::injector::Injector;
use super::secrets::Secrets;
use crate::credential::CredentialSpec;
use crate::policy::{Policy, PolicySpec};
use crate::protocol::{Answer, Gift, LINE_BYTES_MAX, Order, Word};

/// Events that wait for a daemon that does not read: more are dropped, the ledger has the numbers.
const EVENTS_MAX: usize = 256;

/// How long a user may take to bring a secret, once connected.
const STRANGER_PATIENCE: Duration = Duration::from_secs(10);
/// Longest line of a user's: a value, and the hosts that it is for.
const STRANGER_BYTES_MAX: usize = 64 * 1024;

/// Serves a local user: one secret, for which there is a ticket.
pub(super) async fn serve_stranger(
    egress: &Arc<Egress>,
    stream: UnixStream,
    uid: u32,
) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Zeroizing::new(Vec::new());
    let ended = timeout(
        STRANGER_PATIENCE,
        next(&mut read, &mut line, STRANGER_BYTES_MAX),
    );
    if ended.await?? {
        return Ok(());
    }
    let answer = match serde_json::from_slice(&line) {
        Ok(Order::Give(gift)) => egress.take(uid, gift).await,
        Ok(_) => Answer::Failed("only the daemon may order that".to_owned()),
        Err(error) => Answer::Failed(format!("read the order: {error}")),
    };
    say(&mut write, &Word::Answer(answer)).await
}

/// Serves one connection of the daemon's, or of root's.
pub(super) async fn serve(egress: &Arc<Egress>, stream: UnixStream, uid: u32) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let (events, mut told) = mpsc::channel(EVENTS_MAX);
    // It may hold a secret.
    let mut line = Zeroizing::new(Vec::new());
    loop {
        tokio::select! {
            // Both are safe to cancel: `line` keeps what was read.
            ended = next(&mut read, &mut line, LINE_BYTES_MAX) => {
                if ended? {
                    return Ok(());
                }
                let answer = match serde_json::from_slice(&line) {
                    Ok(order) => egress.obey(order, uid, &events).await,
                    Err(error) => Answer::Failed(format!("read the order: {error}")),
                };
                line.zeroize();
                say(&mut write, &Word::Answer(answer)).await?;
            }
            Some(word) = told.recv() => say(&mut write, &word).await?,
        }
    }
}

/// Reads the rest of a line; true at the end.
async fn next(
    read: &mut (impl AsyncBufReadExt + Unpin),
    line: &mut Vec<u8>,
    most: usize,
) -> io::Result<bool> {
    let room = most.saturating_sub(line.len());
    let length = read
        .take(u64::try_from(room).unwrap_or(0))
        .read_until(b'\n', line)
        .await?;
    match line.last() {
        Some(b'\n') => Ok(false),
        _ if length == 0 && room > 0 => Ok(true),
        _ => Err(io::Error::other("the order is too long")),
    }
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    write.write_all(&line).await
}

fn done(result: io::Result<()>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(format!("remove logs: {error}")),
    }
}

impl Egress {
    async fn obey(&self, order: Order, uid: u32, events: &mpsc::Sender<Word>) -> Answer {
        match order {
            Order::Serve {
                agent,
                policy,
                credentials,
            } => {
                let served = self.serve(agent, &policy, &credentials, events).await;
                served.unwrap_or_else(Answer::Failed)
            }
            Order::Authority { agent, credentials } => {
                match Injector::new(&self.common.secrets, &agent, &credentials) {
                    Ok(injector) => injector.told(),
                    Err(why) => Answer::Failed(why),
                }
            }
            Order::Drop { agent } => {
                self.agents.lock().await.remove(&agent);
                Answer::Done
            }
            Order::Keep { agents } => {
                let mut served = self.agents.lock().await;
                served.retain(|id, _| agents.contains(id));
                done(self.common.logs.keep(&agents))
            }
            Order::Traffic { agent } => match self.agents.lock().await.get(&agent) {
                Some(agent) => Answer::Traffic(agent.traffic()),
                None => Answer::Failed(format!("agent {agent} is not served")),
            },
            Order::Secret(order) => self.store(move |secrets| secrets.obey(order)).await,
            Order::Give(gift) => self.take(uid, gift).await,
            Order::Log { agent, from, lines } => {
                if let Some(agent) = self.agents.lock().await.get(&agent) {
                    agent.write_log();
                }
                match self.common.logs.read(&agent, from, lines) {
                    Ok((text, next)) => Answer::Log { text, next },
                    Err(error) => Answer::Failed(format!("read the log of {agent}: {error}")),
                }
            }
            Order::Erase { agent } => {
                self.agents.lock().await.remove(&agent);
                done(self.common.logs.erase(&agent))
            }
        }
    }

    async fn take(&self, uid: u32, gift: Gift) -> Answer {
        self.store(move |secrets| secrets.take(uid, gift)).await
    }

    /// The store writes and syncs: off the threads that let agents out.
    async fn store(&self, act: impl FnOnce(&Secrets) -> Answer + Send + 'static) -> Answer {
        let secrets = Arc::clone(&self.common.secrets);
        let done = tokio::task::spawn_blocking(move || act(&secrets)).await;
        done.unwrap_or_else(|_| Answer::Failed("the store of secrets broke".to_owned()))
    }

    /// Changes a policy in place, or begins to serve.
    async fn serve(
        &self,
        id: String,
        spec: &PolicySpec,
        credentials: &[CredentialSpec],
        events: &mpsc::Sender<Word>,
    ) -> Result<Answer, String> {
        let policy = Policy::compile(spec).map_err(|bad| bad.to_string())?;
        let injector = Injector::new(&self.common.secrets, &id, credentials)?;
        let told = injector.told();
        // What the host permits may have changed since the last start of an agent.
        self.common
            .dialer
            .configure(super::host_config(&self.etc_dir).map_err(|e| e.to_string())?);
        let mut served = self.agents.lock().await;
        if let Some(agent) = served.get(&id)
            && agent.policy().exposed_ports().eq(policy.exposed_ports())
        {
            agent.change((policy, injector), events.clone());
            return Ok(told);
        }
        // What leads out is a rule of the kernel: it is made anew, with new sockets.
        served.remove(&id);
        let exposed = policy.exposed_ports().collect();
        let sockets = self.sockets(&id, exposed).await?;
        let common = self.common.clone();
        let agent = Agent::start(&id, (policy, injector), sockets, common, events.clone());
        let agent = agent.map_err(|e| format!("serve {id}: {e}"))?;
        served.insert(id, agent);
        Ok(told)
    }

    async fn sockets(&self, id: &str, exposed: Vec<u16>) -> Result<[OwnedFd; 2], String> {
        let agent = AgentId::try_from(id.to_owned()).map_err(|e| format!("{id}: {e}"))?;
        let run_dir = self.run_dir.try_clone().map_err(|e| e.to_string())?;
        let asked = tokio::task::spawn_blocking(move || {
            let request = Request::Egress { agent, exposed };
            Broker::connect(&run_dir)?.call(request, &[])
        });
        let answered = asked.map(|joined| joined.map_err(io::Error::other)).await;
        let (reply, fds) = answered
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())?;
        match (reply, <[OwnedFd; 2]>::try_from(fds)) {
            (Reply::Egress, Ok(sockets)) => Ok(sockets),
            _ => Err(format!("the broker gave no sockets for {id}")),
        }
    }
}

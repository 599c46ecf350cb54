//! The daemon's orders.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use wsm_sandbox::client::Broker;
use wsm_sandbox::protocol::{Reply, Request};
use wsm_sandbox::spec::AgentId;

use super::Egress;
use super::agent::{Agent, Common};
use crate::policy::{Policy, PolicySpec};
use crate::protocol::{Answer, Event, LINE_BYTES_MAX, Order, Word};

/// Events that wait for a daemon that does not read: more are dropped, the ledger has the numbers.
const EVENTS_MAX: usize = 256;

/// Serves one connection.
pub(super) async fn serve(egress: &Arc<Egress>, stream: UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let (events, mut told) = mpsc::channel(EVENTS_MAX);
    let mut line = Vec::new();
    loop {
        tokio::select! {
            // Both are safe to cancel: `line` keeps what was read.
            ended = next(&mut read, &mut line) => {
                if ended? {
                    return Ok(());
                }
                let answer = match serde_json::from_slice(&line) {
                    Ok(order) => egress.obey(order, &events).await,
                    Err(error) => Answer::Failed(format!("read the order: {error}")),
                };
                line.clear();
                say(&mut write, &Word::Answer(answer)).await?;
            }
            Some(event) = told.recv() => say(&mut write, &Word::Event(event)).await?,
        }
    }
}

/// Reads the rest of a line; true at the end.
async fn next(read: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    let room = LINE_BYTES_MAX.saturating_sub(line.len());
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
    async fn obey(&self, order: Order, events: &mpsc::Sender<Event>) -> Answer {
        match order {
            Order::Serve { agent, policy } => match self.serve(agent, &policy, events).await {
                Ok(()) => Answer::Done,
                Err(why) => Answer::Failed(why),
            },
            Order::Drop { agent } => {
                self.agents.lock().await.remove(&agent);
                Answer::Done
            }
            Order::Keep { agents } => {
                let mut served = self.agents.lock().await;
                served.retain(|id, _| agents.contains(id));
                done(self.logs.keep(&agents))
            }
            Order::Traffic { agent } => match self.agents.lock().await.get(&agent) {
                Some(agent) => Answer::Traffic(agent.traffic()),
                None => Answer::Failed(format!("agent {agent} is not served")),
            },
            Order::Log { agent, from, lines } => {
                if let Some(agent) = self.agents.lock().await.get(&agent) {
                    agent.write_log();
                }
                match self.logs.read(&agent, from, lines) {
                    Ok((text, next)) => Answer::Log { text, next },
                    Err(error) => Answer::Failed(format!("read the log of {agent}: {error}")),
                }
            }
            Order::Erase { agent } => {
                self.agents.lock().await.remove(&agent);
                done(self.logs.erase(&agent))
            }
        }
    }

    /// Changes a policy in place, or begins to serve.
    async fn serve(
        &self,
        id: String,
        spec: &PolicySpec,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), String> {
        let policy = Policy::compile(spec).map_err(|bad| bad.to_string())?;
        // What the host permits may have changed since the last start of an agent.
        self.dialer
            .configure(super::host_config(&self.etc_dir).map_err(|e| e.to_string())?);
        let mut served = self.agents.lock().await;
        if let Some(agent) = served.get(&id)
            && agent.policy().exposed_ports().eq(policy.exposed_ports())
        {
            agent.change(policy, events.clone());
            return Ok(());
        }
        // What leads out is a rule of the kernel: it is made anew, with new sockets.
        served.remove(&id);
        let exposed = policy.exposed_ports().collect();
        let sockets = self.sockets(&id, exposed).await?;
        let common = Common {
            dialer: Arc::clone(&self.dialer),
            logs: Arc::clone(&self.logs),
        };
        let agent = Agent::start(&id, policy, sockets, common, events.clone());
        let agent = agent.map_err(|e| format!("serve {id}: {e}"))?;
        served.insert(id, agent);
        Ok(())
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

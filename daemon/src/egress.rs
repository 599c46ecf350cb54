//! The daemon's side of egress: tells it what each agent may reach, and writes down what it refused.
//!
//! One task has the connection. Egress outlives the daemon, and may be started again itself: then
//! it is told everything anew, and until then nothing leaves.

mod host;
mod rows;
mod secret;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use wsm_api::problem::{Code, Problem};
use wsm_egress::config::HostConfig;
use wsm_egress::credential::CredentialSpec;
use wsm_egress::policy::{self, Mode, Policy, PolicySpec};
use wsm_egress::protocol::{
    Answer, Event, LINE_BYTES_MAX, Order, SOCKET_NAME, Security, Traffic, Word,
};
use wsm_sandbox::spec::{AgentId, LayerReport, LayerStatus, Network};
use wsm_template::resolved::Egress as Wanted;

pub use host::follow_config;
use rows::Rows;

use crate::agent::{assemble, credentials};
use crate::engine::{WSM, row};
use crate::record::{CredentialRecord, Record};
use crate::store::{Change, Store};

/// How long an order may take: egress may be starting, and asks the broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two tries to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Orders that wait.
const ORDERS_MAX: usize = 64;

/// What `wsm logs` calls the log of an agent's connections, unless a service is called so.
pub const EGRESS_LOG: &str = "egress";

/// What egress is told of an agent.
#[derive(Debug, Clone)]
struct Told {
    policy: PolicySpec,
    credentials: Vec<CredentialSpec>,
}

impl Told {
    fn order(self, agent: String) -> Order {
        Order::Serve {
            agent,
            policy: self.policy,
            credentials: self.credentials,
        }
    }
}

type Policies = Arc<Mutex<BTreeMap<String, Told>>>;
type Asked = (Order, oneshot::Sender<Answer>);

/// Knows egress; cheap to clone.
#[derive(Debug, Clone)]
pub struct Egress {
    orders: mpsc::Sender<Asked>,
    /// What egress must be told when it is back.
    policies: Policies,
    /// What agents were equipped with last, which their records say a little later.
    equipped: Arc<Mutex<BTreeMap<String, BTreeMap<String, CredentialRecord>>>>,
}

/// The policy of an agent's record, by the host's configuration as it is now.
///
/// # Errors
/// The allow list, or the configuration, can't be used; all at once.
pub fn policy(etc: &Path, record: &Record) -> Result<PolicySpec, Problem> {
    let network = &record.resolved.network;
    let config = HostConfig::load(etc)
        .map_err(|bad| Problem::new(Code::Failed, bad.to_string(), "correct the file"))?;
    let mut allow = network.allow.clone();
    allow.extend(credentials::login_hosts(record).filter(|host| !network.allow.contains(host)));
    let rules = config.expand(&allow).map_err(|details| Problem {
        details,
        ..Problem::new(
            Code::Invalid,
            "network.allow can't be used as it is",
            "a rule is HOST, HOST:PORT, *.SUFFIX or @GROUP",
        )
    })?;
    let exposes = network.expose.iter().map(|(name, expose)| policy::Expose {
        name: name.clone(),
        host: expose.host,
        at: expose.at,
    });
    let spec = PolicySpec {
        mode: match network.egress {
            Wanted::None => Mode::None,
            Wanted::Allow => Mode::Allow,
            Wanted::Open => Mode::Open,
        },
        rules,
        exposes: exposes.collect(),
    };
    match Policy::compile(&spec) {
        Ok(_) => Ok(spec),
        Err(bad) => Err(Problem::new(Code::Invalid, format!("[network]: {bad}"), "")),
    }
}

/// Whether egress would take what a record says.
///
/// # Errors
/// All that is wrong with its policy, or what is with its credentials.
pub fn check(etc: &Path, record: &Record) -> Result<(), Problem> {
    policy(etc, record)?;
    credentials::check(record).map_err(|why| Problem::new(Code::Invalid, why, ""))
}

/// The policy that holds now: a group that the host has no longer allows nothing more.
///
/// # Errors
/// The allow list, or the configuration, can't be used.
pub fn in_force(etc: &Path, record: &Record) -> Result<PolicySpec, Problem> {
    let config = HostConfig::load(etc)
        .map_err(|bad| Problem::new(Code::Failed, bad.to_string(), "correct the file"))?;
    let mut record = record.clone();
    let there = |entry: &String| match entry.strip_prefix('@') {
        Some(group) => config.groups.contains_key(group),
        None => true,
    };
    record.resolved.network.allow.retain(there);
    policy(etc, &record)
}

/// Says with the layer what the policy is: that everything is caught does not tell what gets through.
pub fn annotate(record: &Record, layers: &mut [LayerReport]) {
    let Some(layer) = layers.iter_mut().find(|layer| layer.layer == EGRESS_LOG) else {
        return;
    };
    let network = &record.resolved.network;
    let policy = match network.egress {
        Wanted::None => "none".to_owned(),
        Wanted::Allow => format!("allow, {} entries", network.allow.len()),
        Wanted::Open => "open to every public address".to_owned(),
    };
    layer.detail = format!("{policy}; {}", layer.detail);
    if network.egress == Wanted::Open && layer.status == LayerStatus::Enforced {
        layer.status = LayerStatus::Reduced;
    }
}

fn locked<T>(map: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Egress {
    /// Starts the task that has the connection.
    #[must_use]
    pub fn start(run_dir: Arc<File>, store: Store) -> Egress {
        let (orders, asked) = mpsc::channel(ORDERS_MAX);
        let policies = Policies::default();
        let line = Line {
            run_dir,
            store,
            policies: Arc::clone(&policies),
            rows: Mutex::default(),
        };
        tokio::spawn(line.run(asked));
        let equipped = Arc::default();
        Egress {
            orders,
            policies,
            equipped,
        }
    }

    /// Lets an agent out as far as its record says. Nothing to do for one without network.
    ///
    /// # Errors
    /// Its policy can't be used, or egress does not answer.
    pub async fn serve(&self, etc: &Path, record: &Record) -> Result<(), Problem> {
        let mut record = record.clone();
        if let Some(own) = locked(&self.equipped).get(record.id.as_str()) {
            record.credentials.clone_from(own);
        }
        let record = &record;
        let policy = in_force(etc, record)?;
        if policy.mode == Mode::None && policy.exposes.is_empty() {
            return Ok(());
        }
        let agent = record.id.to_string();
        let credentials = credentials::specs(record);
        let told = Told {
            policy,
            credentials,
        };
        locked(&self.policies).insert(agent.clone(), told.clone());
        match self.order(told.order(agent)).await? {
            Answer::Failed(why) => Err(Problem::new(
                Code::Failed,
                format!("open the way out of {}: {why}", record.name),
                "",
            )),
            Answer::Serving { .. } | Answer::Done => Ok(()),
            other => Err(odd(&other)),
        }
    }

    /// Closes what was open for an agent: what comes next is another network, with other sockets.
    /// Said whether this daemon ever told of it or not: an earlier one may have.
    pub async fn forget(&self, record: &Record) {
        let agent = record.id.to_string();
        locked(&self.policies).remove(&agent);
        if assemble::spec(record).network != Network::Egress {
            return;
        }
        if let Err(problem) = self.order(Order::Drop { agent }).await {
            tracing::warn!(%problem, "egress was not told of an agent's end");
        }
    }

    /// What went through, by target; nothing for an agent without network.
    ///
    /// # Errors
    /// Egress does not answer.
    pub async fn traffic(&self, agent: &AgentId) -> Result<BTreeMap<String, Traffic>, Problem> {
        let agent = agent.to_string();
        if !locked(&self.policies).contains_key(&agent) {
            return Ok(BTreeMap::new());
        }
        match self.order(Order::Traffic { agent }).await? {
            Answer::Traffic(traffic) => Ok(traffic),
            Answer::Failed(why) => Err(Problem::new(Code::Failed, why, "")),
            other => Err(odd(&other)),
        }
    }

    /// Part of the log of what went through and what was refused, and where the next part begins.
    ///
    /// # Errors
    /// Egress does not answer, or can't read it.
    pub async fn log(
        &self,
        agent: &AgentId,
        from: Option<u64>,
        lines: u32,
    ) -> Result<(String, u64), Problem> {
        let agent = agent.to_string();
        match self.order(Order::Log { agent, from, lines }).await? {
            Answer::Log { text, next } => Ok((text, next)),
            Answer::Failed(why) => Err(Problem::new(Code::Failed, why, "")),
            _ => Ok((String::new(), 0)),
        }
    }

    /// Forgets an agent for good. What egress is not told now it hears when it is back: only
    /// agents that exist are kept then.
    pub async fn erase(&self, record: &Record) {
        let agent = record.id.to_string();
        locked(&self.policies).remove(&agent);
        locked(&self.equipped).remove(&agent);
        if assemble::spec(record).network != Network::Egress {
            return;
        }
        match self.order(Order::Erase { agent }).await {
            Ok(Answer::Failed(why)) => tracing::warn!(why, "the log of an agent stays"),
            Err(problem) => tracing::warn!(%problem, "the log of an agent stays"),
            Ok(_) => {}
        }
    }

    /// Whether it was told of an agent.
    fn knows(&self, agent: &AgentId) -> bool {
        locked(&self.policies).contains_key(agent.as_str())
    }

    async fn order(&self, order: Order) -> Result<Answer, Problem> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.orders.send((order, reply)).await.ok()?;
            answer.await.ok()
        };
        let answered = timeout(ANSWER_TIMEOUT, asked).await.ok().flatten();
        answered.ok_or_else(|| {
            Problem::new(
                Code::TimedOut,
                "wsm egress does not answer",
                "`wsm up` starts it; its messages say why it does not run",
            )
        })
    }
}

/// What the order has no such answer.
fn odd(answer: &Answer) -> Problem {
    let message = format!("wsm egress answered {answer:?}");
    Problem::new(Code::Failed, message, "")
}

/// The connection.
struct Line {
    run_dir: Arc<File>,
    store: Store,
    policies: Policies,
    rows: Mutex<Rows>,
}

/// An order that was written and not answered yet.
type Pending = Option<Asked>;

impl Line {
    async fn run(self, mut asked: mpsc::Receiver<Asked>) {
        let mut pending: Pending = None;
        loop {
            match self.converse(&mut asked, &mut pending).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "egress is away"),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Speaks until the connection breaks; `Ok` when nobody will ask any more.
    async fn converse(
        &self,
        asked: &mut mpsc::Receiver<Asked>,
        pending: &mut Pending,
    ) -> io::Result<()> {
        let path = format!("/proc/self/fd/{}/{SOCKET_NAME}", self.run_dir.as_raw_fd());
        let stream = UnixStream::connect(path).await?;
        let (read, mut write) = stream.into_split();
        let mut words = Words {
            read: BufReader::new(read),
            line: Vec::new(),
        };
        self.tell_all(&mut write, &mut words).await?;
        loop {
            if let Some((order, _)) = pending.as_ref() {
                say(&mut write, order).await?;
                let answer = self.answer(&mut words).await?;
                if let Some((_, reply)) = pending.take() {
                    // Whoever asked may have given up.
                    drop(reply.send(answer));
                }
            }
            tokio::select! {
                next = asked.recv() => match next {
                    Some(next) => *pending = Some(next),
                    None => return Ok(()),
                },
                word = words.next() => match word? {
                    Word::Event(event) => self.write_down(&event),
                    Word::Security(event) => self.misplaced(&event),
                    Word::Answer(_) => return Err(io::Error::other("an answer to nothing")),
                },
            }
        }
    }

    /// Says everything that egress must know, also what it must forget.
    async fn tell_all(
        &self,
        write: &mut (impl AsyncWriteExt + Unpin),
        words: &mut Words,
    ) -> io::Result<()> {
        let policies = locked(&self.policies).clone();
        let agents = self.store.agents().map_err(io::Error::other)?;
        let agents = agents.into_iter().map(|record| record.id.to_string());
        let keep = Order::Keep {
            agents: agents.collect(),
        };
        say(write, &keep).await?;
        self.answer(words).await?;
        for (agent, told) in policies {
            say(write, &told.order(agent)).await?;
            if let Answer::Failed(why) = self.answer(words).await? {
                // Its sandbox may be being built, or be gone: the driver says it again, or forgets.
                tracing::info!(why, "an agent's way out is not open");
            }
        }
        Ok(())
    }

    async fn answer(&self, words: &mut Words) -> io::Result<Answer> {
        loop {
            match words.next().await? {
                Word::Answer(answer) => return Ok(answer),
                Word::Event(event) => self.write_down(&event),
                Word::Security(event) => self.misplaced(&event),
            }
        }
    }

    /// A placeholder that went astray becomes a row.
    fn misplaced(&self, event: &Security) {
        let message = format!("credential {}: {}", event.credential, event.why);
        self.told("egress.misplaced", &event.agent, message);
    }

    /// A refusal becomes a row: whoever reads it finds the rule that was missing.
    fn write_down(&self, event: &Event) {
        let times = match event.count {
            1 => String::new(),
            count => format!(" ({count} times)"),
        };
        let mut message = format!("{} by {}: {}{times}", event.target, event.way, event.why);
        if let Some(rule) = &event.missing {
            message.push_str(&format!("; network.allow has no {rule:?}"));
        }
        self.told("egress.denied", &event.agent, message);
    }

    /// A row, if the agent can pay for it.
    fn told(&self, verb: &'static str, agent: &str, mut message: String) {
        let paid = locked(&self.rows).pay(verb, agent, Instant::now());
        let Some(silent) = paid else {
            tracing::debug!(agent, verb, message, "too many rows: not written down");
            return;
        };
        if silent > 0 {
            message.push_str(&format!("; {silent} more before were not written down"));
        }
        let change = Change::new(row(WSM, verb, agent, message));
        if let Err(error) = self.store.commit(&change) {
            tracing::error!(%error, verb, "can't write down what egress told");
        }
    }
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), order: &Order) -> io::Result<()> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// What comes from egress.
struct Words {
    read: BufReader<tokio::net::unix::OwnedReadHalf>,
    /// What was read of the next line: reading it may be interrupted.
    line: Vec<u8>,
}

impl Words {
    async fn next(&mut self) -> io::Result<Word> {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        let mut bounded = (&mut self.read).take(u64::try_from(room).unwrap_or(0));
        bounded.read_until(b'\n', &mut self.line).await?;
        if self.line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let word = serde_json::from_slice(&self.line);
        self.line.clear();
        Ok(word?)
    }
}

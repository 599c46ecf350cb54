//! What every driver shares: the store, the broker, the host's facts and ports.

mod checkpoint;
pub(crate) mod rights;
mod usage;

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::spec::AgentId;

use crate::actor::Who;
use crate::agent::assemble::HostFacts;
use crate::agent::handle::Handle;
use crate::agent::pace::Pace;
use crate::broker::Broker;
use crate::egress::Egress;
use crate::notify::Notifier;
use crate::pairing::Pairings;
use crate::store::{Row, Store, StoreError};

/// What the daemon is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The daemon's own corner of the state directory: the database.
    pub state_dir: PathBuf,
    /// Run directory: the broker's and the shims' sockets.
    pub run_dir: PathBuf,
    /// Configuration: `templates/*.toml`.
    pub etc_dir: PathBuf,
    /// Where this host's page is, if it is served.
    pub page: Option<String>,
    /// Uids besides 0 that may do everything: who runs this instance.
    pub admins: Vec<u32>,
}

/// Shared by all drivers; behind one `Arc`.
#[derive(Debug)]
pub struct Engine {
    /// The database.
    pub store: Store,
    /// The broker.
    pub broker: Broker,
    /// What lets agents out.
    pub egress: Egress,
    /// What tells people.
    pub notify: Notifier,
    /// Run directory, for the shims' sockets.
    pub run_dir: Arc<File>,
    /// Where host templates lie.
    pub etc_dir: PathBuf,
    /// Last screens of agents that rest.
    pub screens_dir: PathBuf,
    /// Where the agents' directories lie; of each only the logs are readable here.
    pub agents_dir: PathBuf,
    /// This host.
    pub host: HostFacts,
    /// This boot of the machine.
    pub boot_id: String,
    /// When this daemon started.
    pub started_ms: u64,
    /// Uids besides 0 that may do everything.
    pub admins: Vec<u32>,
    /// Held while host ports are chosen, so that two agents never choose the same.
    pub leasing: tokio::sync::Mutex<()>,
    /// Held while an agent is given a name.
    pub naming: tokio::sync::Mutex<()>,
    /// Bounds how many workspaces and sandboxes are made at the same time.
    pub making: tokio::sync::Semaphore,
    /// Bounds how many branches are watched, beside being looked at.
    pub watching: tokio::sync::Semaphore,
    /// Held while it is looked whose change is written, and while that is.
    pub(crate) writing: Mutex<()>,
    /// Devices on their way in.
    pub(crate) pairings: Mutex<Pairings>,
    /// Rows that links cause by being opened.
    pub(crate) link_rows: Mutex<HashMap<String, Pace>>,
    /// What agents use.
    pub usages: usage::Usages,
    handles: Mutex<HashMap<AgentId, Handle>>,
    /// Counts what was published.
    changes: watch::Sender<u64>,
}

/// Agents made at the same time: twice the cores keeps them busy while some wait for the disk.
const MAKING_MAX: usize = 4;

/// Half of the inotify instances that a user has by default.
const WATCHING_MAX: usize = 64;

impl Engine {
    /// Opens what the drivers share.
    ///
    /// # Errors
    /// The database or a directory can't be opened.
    pub fn open(config: &Config) -> Result<Engine, Problem> {
        let failed = |what: &str, e: &dyn std::fmt::Display| {
            Problem::new(Code::Failed, format!("{what}: {e}"), "")
        };
        let run_dir =
            File::open(&config.run_dir).map_err(|e| failed("open the run directory", &e))?;
        let run_dir = Arc::new(run_dir);
        crate::fault::watch(&config.state_dir);
        let store = Store::open(&config.state_dir.join("wsm.db"))
            .map_err(|e| failed("open the database", &e))?;
        let screens_dir = config.state_dir.join("screens");
        std::fs::create_dir_all(&screens_dir)
            .map_err(|e| failed("make the directory of screens", &e))?;
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_err(|e| failed("read the boot id", &e))?;
        Ok(Engine {
            broker: Broker::new(Arc::clone(&run_dir)),
            egress: Egress::start(Arc::clone(&run_dir), store.clone()),
            notify: Notifier::open(&config.state_dir, config.page.clone()),
            store,
            run_dir,
            etc_dir: config.etc_dir.clone(),
            screens_dir,
            agents_dir: config.state_dir.join("../agents"),
            host: host_facts(),
            boot_id: boot_id.trim().to_owned(),
            started_ms: crate::store::now_ms(),
            admins: config.admins.clone(),
            leasing: tokio::sync::Mutex::new(()),
            naming: tokio::sync::Mutex::new(()),
            making: tokio::sync::Semaphore::new(MAKING_MAX),
            watching: tokio::sync::Semaphore::new(WATCHING_MAX),
            writing: Mutex::default(),
            pairings: Mutex::default(),
            link_rows: Mutex::default(),
            usages: usage::Usages::open(&config.state_dir.join("usage.db")),
            handles: Mutex::new(HashMap::new()),
            changes: watch::channel(0).0,
        })
    }

    /// Where the last screen of an agent is kept when its shim goes.
    #[must_use]
    pub fn screen_file(&self, agent: &AgentId) -> PathBuf {
        self.screens_dir.join(agent.as_str())
    }

    /// The log that an agent's shim writes for a service.
    #[must_use]
    pub fn log_file(&self, agent: &AgentId, service: &str) -> PathBuf {
        self.log_dir(agent).join(format!("{service}.log"))
    }

    /// Where an agent's shim writes.
    #[must_use]
    pub fn log_dir(&self, agent: &AgentId) -> PathBuf {
        self.agents_dir.join(agent.as_str()).join("log")
    }

    /// Every agent's handle.
    #[must_use]
    pub fn handles(&self) -> Vec<Handle> {
        self.lock().values().cloned().collect()
    }

    /// Adds an agent.
    pub fn add(&self, id: AgentId, handle: Handle) {
        self.lock().insert(id, handle);
        self.change();
    }

    /// Forgets an agent that is gone for good.
    pub fn forget(&self, id: &AgentId) {
        self.lock().remove(id);
        self.change();
    }

    /// Something that is shown of an agent may have changed.
    pub fn change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Follows those changes.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentId, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A row that tells what was just done.
#[must_use]
pub fn row(
    actor: impl Into<Who>,
    verb: &'static str,
    subject: &str,
    message: impl Into<String>,
) -> Row {
    Row {
        at_ms: crate::store::now_ms(),
        actor: actor.into(),
        verb,
        subject: subject.to_owned(),
        message: message.into(),
        before: String::new(),
        after: String::new(),
    }
}

/// The actor of what no person asked for.
pub const WSM: &str = "wsm";

/// As the API tells it.
#[must_use]
pub fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::NameTaken(name) => Problem::new(
            Code::Conflict,
            format!("an agent named {name} exists, or lies in the trash"),
            "choose another --name, or see `wsm ls -a`",
        ),
        other if other.is_full() => {
            let hint = "free space where wsm keeps its state (`wsm prune`, `wsm rm --purge`)";
            Problem::new(Code::Failed, "the database's disk is full", hint)
        }
        other => Problem::new(Code::Failed, other.to_string(), "is the disk full?"),
    }
}

fn host_facts() -> HostFacts {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Debian keeps PostgreSQL's server programs out of PATH.
    let mut extra_path: Vec<String> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.path().join("bin").to_str().map(str::to_owned))
        .collect();
    extra_path.sort_unstable();
    extra_path.reverse();
    HostFacts {
        hostname: hostname.trim().to_owned(),
        extra_path,
    }
}

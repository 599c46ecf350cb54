//! Creating a sandbox: what is checked before, what is kept after, what is undone on failure.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{UnlinkatFlags, unlinkat};
use serde_json::value::RawValue;

use super::dirs;
use super::extras;
use super::record::{AgentRecord, Made};
use super::setup::Host;
use super::work::{self, Outcome, Task, Worker};
use super::zygote::{Spawner, Zygote};
use super::{Broker, Waiting};
use crate::ablation;
use crate::ceiling::Ceiling;
use crate::cgroup::AgentLimits;
use crate::fail::{self, Context, failure};
use crate::landlock::LandlockStatus;
use crate::packet::{self, Packet};
use crate::plan::{self, Facts};
use crate::protocol::{Account, Failure, FailureKind, Purpose, Reply};
use crate::spawn::{self, GROUPED, Order, Status, Tally};
use crate::spec::{
    AgentId, Extras, GrantId, LayerReport, LayerStatus, Limits, Network, SandboxSpec,
};
use crate::sys;
use crate::userns::Range;

/// How long killed processes may take to vanish: what sits in a dead file system takes longest.
const GONE_TIMEOUT: Duration = Duration::from_secs(10);

/// A sandbox in the making.
#[derive(Debug)]
pub(super) struct Creating {
    asked: Limits,
    network: Network,
    account: Account,
    /// The limits as they were set.
    limits: Vec<LayerReport>,
    tested: Option<(Option<LandlockStatus>, Tally, Box<RawValue>)>,
    /// The spawner is a shim, with this first id of its range.
    serves: Option<u32>,
    failed: Option<Failure>,
    /// The map of file owners that it was made with.
    file_map: Option<OwnedFd>,
}

impl Creating {
    pub(super) fn hear(&mut self, packet: Packet) {
        match serde_json::from_slice(&packet.bytes) {
            Ok(Status::Serves { range_base }) => {
                self.serves = Some(range_base);
                self.file_map = packet.fds.into_iter().next();
            }
            Ok(Status::Tested {
                landlock,
                tally,
                probes,
            }) => self.tested = Some((landlock, tally, probes)),
            // The first failure is the cause, later ones its consequences.
            Ok(Status::Failed(failed)) => {
                self.failed.get_or_insert(failed);
            }
            Err(error) => {
                let what = "build the sandbox";
                let failed = failure(FailureKind::Failed, what, error.to_string(), "");
                self.failed.get_or_insert(failed);
            }
        }
    }
}

impl Broker {
    /// Admits a spec and starts its spawner.
    pub(super) fn begin_create(
        &mut self,
        waiting: &Waiting,
        spec: SandboxSpec,
    ) -> Result<Worker, Failure> {
        let host = &self.host;
        let ceiling = Ceiling::load(host.etc.as_fd())?;
        let spec = ceiling.admit(spec)?.spec().clone();
        dirs::check_services(spec.services.keys())?;
        let agent = spec.agent.clone();
        host.check_room(&agent, ceiling.agents_max)?;
        self.runaways.forget(&agent);
        let mut record = host.record(&agent)?;
        let facts = host.facts(&spec, &record)?;
        if facts.account.uid == 0 && !ceiling.allow_root_account {
            let why = "root's own files are not given to agents on this host";
            let hint = "set `allow_root_account` in ceiling.json";
            return Err(failure(
                FailureKind::Refused,
                format!("create {agent}"),
                why,
                hint,
            ));
        }
        if record.extras != spec.extras || record.debug != spec.debug {
            record.extras = spec.extras.clone();
            record.debug = spec.debug;
            // Before anything is made that it says how to undo.
            host.write_record(&agent, &record)?;
        }
        let asked = spec.limits.clone();
        let network = spec.network;
        let account = facts.account.clone();
        let services = spec.services.clone();
        let what = || format!("start the spawner of {agent}");
        let spawner = self.new_spawner().what(what)?;
        if let Err(error) = self.order(&spawner.socket, spec, facts) {
            sys::kill(spawner.pid, libc::SIGKILL).unwrap_or(());
            return Err(error).what(what);
        }
        let mut creating = Creating {
            asked,
            network,
            account,
            limits: Vec::new(),
            tested: None,
            serves: None,
            failed: None,
            file_map: None,
        };
        // While the spawner builds the root: a process of its own for this would take longer.
        match self.make_groups(&agent, &creating.asked, services, &spawner) {
            Ok(limits) => creating.limits = limits,
            Err(failed) => {
                sys::kill(spawner.pid, libc::SIGKILL).unwrap_or(());
                creating.failed = Some(failed);
            }
        }
        let Spawner { pid, socket } = spawner;
        let task = Task::Create(Box::new(creating));
        Ok(Worker::new(
            pid,
            socket,
            Some(waiting.connection),
            Some(agent),
            task,
        ))
    }

    /// Makes the agent's control groups, and tells its spawner. Gives the limits as they were set.
    fn make_groups(
        &self,
        agent: &AgentId,
        payload: &Limits,
        services: BTreeMap<String, Limits>,
        spawner: &Spawner,
    ) -> Result<Vec<LayerReport>, Failure> {
        let payload = if ablation::limits_off(&self.host.run) {
            Limits::default()
        } else {
            payload.clone()
        };
        let group = self
            .host
            .tree
            .create(agent, &AgentLimits { payload, services })?;
        fail::point("group.made")?;
        // One that is gone has said why, which is read next.
        packet::send_bytes(spawner.socket.as_fd(), GROUPED, &[]).unwrap_or(());
        Ok(group.reports().to_vec())
    }

    /// Tells a spawner what to make, with what is ready for it.
    fn order(&mut self, spawner: &OwnedFd, spec: SandboxSpec, facts: Facts) -> std::io::Result<()> {
        let netns = self.pool.pop();
        let lent = self.file_maps.lease(&facts.account);
        let order = Order {
            spec,
            facts,
            incarnation: incarnation(),
            lease: lent.as_ref().map(|(lease, _)| lease.range),
            network: netns.is_some(),
        };
        let mut fds = Vec::new();
        if let Some((lease, map)) = &lent {
            fds.extend([lease.lock.as_fd(), map.as_fd()]);
        }
        fds.extend(netns.iter().map(AsFd::as_fd));
        packet::send(spawner.as_fd(), &order, &fds)
    }

    /// A spawner of the zygote's; a zygote that has none is replaced, once.
    fn new_spawner(&mut self) -> std::io::Result<Spawner> {
        if let Some(mut zygote) = self.zygote.take() {
            match zygote.spawner() {
                Ok(spawner) => {
                    self.zygote = Some(zygote);
                    return Ok(spawner);
                }
                Err(_) => zygote.kill(),
            }
        }
        self.zygote.insert(Zygote::start(&self.host)?).spawner()
    }

    /// A spawner's socket closed: it became a shim whose launcher said that all holds, or it failed.
    pub(super) fn conclude_create(
        &mut self,
        agent: AgentId,
        worker: &Worker,
        creating: Creating,
        late: bool,
        connected: bool,
    ) -> Outcome {
        let Creating {
            asked,
            network,
            account,
            limits,
            tested,
            serves,
            failed,
            file_map,
        } = creating;
        if let (Some(base), Some(map)) = (serves, file_map) {
            self.file_maps.keep(Range { base }, &account, map);
        }
        let failed = match (failed, serves, tested) {
            (Some(failed), ..) => failed,
            (None, Some(range_base), Some((landlock, tally, probes))) if !late => {
                let shim_pid = worker.pid.as_raw();
                let made = Made {
                    shim_pid,
                    range_base,
                    landlock,
                    asked: Some(asked),
                    network,
                    limits,
                    tally: Some(tally),
                    probes,
                };
                if !connected {
                    // Nobody will hear of it: the same request may come again.
                    failure(FailureKind::Failed, "answer", "the client is gone", "")
                } else if let Err(failed) = self
                    .host
                    .write_made(&agent, &made)
                    .and_then(|()| fail::point("broker.created"))
                {
                    failed
                } else {
                    return Outcome::Reply(work::reply(&self.host.created(&agent, &made)));
                }
            }
            (None, ..) => ended_early(late),
        };
        self.clean_up(worker.connection, agent, failed)
    }

    /// Removes what an attempt left, then answers with its failure.
    fn clean_up(&mut self, connection: Option<u64>, agent: AgentId, failed: Failure) -> Outcome {
        let host = &self.host;
        let id = agent.clone();
        let started = work::fork(
            host,
            connection,
            Some(agent),
            Task::CleanUp(failed.clone()),
            |socket| {
                let result = host.delete(&id).err();
                work::tell(socket, &result, &[])
            },
        );
        match started {
            Ok(worker) => Outcome::GoOn(worker),
            Err(_) => Outcome::Reply(work::reply(&Reply::Failed(failed))),
        }
    }
}

fn ended_early(late: bool) -> Failure {
    let why = if late {
        "it was not ready in time"
    } else {
        "it ended before its self-test"
    };
    failure(
        FailureKind::Failed,
        "build the sandbox",
        why,
        "the shim's log may say more",
    )
}

impl Host {
    /// Whether an agent may have a sandbox now.
    fn check_room(&self, agent: &AgentId, agents_max: usize) -> Result<(), Failure> {
        if self.tree.has(agent)? {
            let hint = "delete it first";
            let why = "its sandbox, or what is left of one, exists";
            return Err(failure(
                FailureKind::Exists,
                format!("create {agent}"),
                why,
                hint,
            ));
        }
        let running = self.tree.count()?;
        if running >= agents_max {
            let why = format!("{running} agents run, the ceiling's number");
            let hint = "stop some, or raise `agents_max` in ceiling.json";
            return Err(failure(
                FailureKind::Refused,
                format!("create {agent}"),
                why,
                hint,
            ));
        }
        Ok(())
    }

    /// What the broker knows beside the spec. The account is the one fixed when the agent was
    /// prepared.
    pub(super) fn facts(&self, spec: &SandboxSpec, record: &AgentRecord) -> Result<Facts, Failure> {
        if record.repository != spec.repository {
            let what = format!("create {}", spec.agent);
            let why = "it was prepared for another repository";
            return Err(failure(FailureKind::Refused, what, why, ""));
        }
        let grant = self.grant(&spec.repository, Purpose::Repository)?;
        for path in &spec.read {
            self.check_apart(Path::new(path))?;
        }
        let mut write = Vec::new();
        for id in &spec.write {
            let directory = self.grant(id, Purpose::Directory)?;
            if directory.account != grant.account {
                let what = format!("show {}", directory.directory.path);
                let why = "another account granted it";
                return Err(failure(FailureKind::Refused, what, why, ""));
            }
            self.check_apart(Path::new(&directory.directory.path))?;
            write.push(PathBuf::from(directory.directory.path));
        }
        let paths = dirs::paths(
            &self.state_path,
            &record.git_dir,
            &spec.agent,
            &record.account,
        );
        let tools = self.tools(spec.extras.tools.as_deref())?;
        Ok(Facts {
            account: record.account.clone(),
            paths,
            git_dir: PathBuf::from(&record.git_dir),
            write,
            host: self.layout.clone(),
            tools,
            devices: extras::devices(&spec.extras.devices)?,
        })
    }

    /// The record of an agent that is, or is to be, prepared for this repository.
    pub(super) fn record_for(
        &self,
        agent: &AgentId,
        repository: &GrantId,
    ) -> Result<AgentRecord, Failure> {
        let grant = self.grant(repository, Purpose::Repository)?;
        match self.record(agent) {
            Ok(record) if record.repository == grant.id => Ok(record),
            Ok(_) => {
                let why = "it exists with another repository";
                Err(failure(
                    FailureKind::Exists,
                    format!("prepare {agent}"),
                    why,
                    "",
                ))
            }
            Err(missing) if missing.kind == FailureKind::NotFound => Ok(AgentRecord {
                repository: grant.id,
                account: grant.account,
                git_dir: grant
                    .git_dir
                    .map(|identity| identity.path)
                    .unwrap_or_default(),
                extras: Extras::default(),
                debug: false,
            }),
            Err(failed) => Err(failed),
        }
    }

    /// What a create would do.
    pub(super) fn dry_run(&self, spec: SandboxSpec) -> Result<Reply, Failure> {
        let ceiling = Ceiling::load(self.etc.as_fd())?;
        let spec = ceiling.admit(spec)?.spec().clone();
        let record = match self.record(&spec.agent) {
            Err(missing) if missing.kind == FailureKind::NotFound => {
                self.record_for(&spec.agent, &spec.repository)?
            }
            result => result?,
        };
        let plan = plan::plan(&spec, &self.facts(&spec, &record)?)?;
        Ok(Reply::Planned {
            steps: plan.ops.iter().map(|op| format!("{op:#}")).collect(),
        })
    }

    /// Kills all of an agent, waits until it is gone, and removes what the kernel holds for it.
    pub(super) fn delete(&self, agent: &AgentId) -> Result<(), Failure> {
        self.tree.kill(agent)?;
        self.tree.wait_empty(agent, Instant::now() + GONE_TIMEOUT)?;
        fail::point("delete.killed")?;
        // As long as there are groups the agent is listed, and deleted again.
        self.tidy(agent)?;
        self.tree.remove(agent)?;
        self.forget(agent)
    }

    /// What is left to remove after the control groups.
    pub(super) fn forget(&self, agent: &AgentId) -> Result<(), Failure> {
        fail::point("delete.removed")?;
        let name = spawn::socket_name(agent.as_str());
        match unlinkat(self.run.as_fd(), name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(errno) => Err(errno).what(|| format!("remove {name}")),
        }
    }

    fn created(&self, agent: &AgentId, made: &Made) -> Reply {
        Reply::Created {
            socket: self.socket_path(agent),
            shim_pid: made.shim_pid,
            layers: layers_at_start(made),
        }
    }

    /// Path of a shim's socket.
    pub(super) fn socket_path(&self, agent: &AgentId) -> String {
        let name = spawn::socket_name(agent.as_str());
        self.run_path.join(name).to_string_lossy().into_owned()
    }
}

/// Number of a new life: milliseconds since 1970, so that it grows without being written down.
fn incarnation() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let milliseconds = since.map_or(1, |passed| passed.as_millis().max(1));
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

/// Layers whose state the kernel does not tell later: what was taken when they were entered.
pub(super) fn layers_at_start(made: &Made) -> Vec<LayerReport> {
    let landlock = match &made.landlock {
        Some(status) => LayerReport {
            layer: "landlock".into(),
            status: if status.fully {
                LayerStatus::Enforced
            } else {
                LayerStatus::Reduced
            },
            detail: status.detail.clone(),
        },
        None => LayerReport {
            layer: "landlock".into(),
            status: LayerStatus::Absent,
            detail: "this kernel has none".into(),
        },
    };
    let Tally { held, tried } = made.tally();
    let self_test = LayerReport {
        layer: "self-test".into(),
        status: if held == tried {
            LayerStatus::Enforced
        } else {
            LayerStatus::Reduced
        },
        detail: format!("{held} of {tried} probes held"),
    };
    let mut layers = vec![landlock, self_test];
    layers.extend(made.limits.iter().cloned());
    layers
}

//! From a request to the worker that does it, and from a worker's end to the reply.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socket};

use super::grants::{self, Checked};
use super::record;
use super::work::{self, Outcome, Task, Worker};
use super::{Broker, Waiting, branch, checkpoint, dirs, disk, inspect, logins, usage};
use crate::fail::{self, Context, failure};
use crate::protocol::{
    EXPOSED_MAX, Failure, FailureKind, HelperRights, Kept, Listed, Purpose, Reply, Request,
    SOCKETS_MAX,
};
use crate::spawn::new_network;
use crate::spec::{AgentId, GrantId, Network};
use crate::{files, host};

/// Which agent a request changes: such requests run one after another.
pub(super) fn changes(request: &Request) -> Option<&AgentId> {
    match request {
        Request::Create { spec } => Some(&spec.agent),
        Request::Prepare { agent, .. }
        | Request::Freeze { agent, .. }
        | Request::Delete { agent }
        | Request::Erase { agent } => Some(agent),
        Request::Grant { .. }
        | Request::LookUp { .. }
        | Request::Plan { .. }
        | Request::List
        | Request::Inspect { .. }
        | Request::Strain { .. }
        | Request::Usage { .. }
        | Request::Disk { .. }
        | Request::WatchBranch { .. }
        | Request::Sockets { .. }
        | Request::Egress { .. }
        | Request::Helper { .. }
        | Request::Checkpoint { .. }
        | Request::Cut { .. }
        | Request::Logins { .. }
        | Request::Host => None,
    }
}

/// Whether it goes into the file of checkpoints, whose last line says what may come next: such
/// requests run one after another too.
pub(super) fn keeps(request: &Request) -> bool {
    matches!(request, Request::Checkpoint { .. } | Request::Cut { .. })
}

impl Broker {
    /// Starts the worker of a request, after checks that need no time.
    pub(super) fn begin(&mut self, mut waiting: Waiting) -> Result<Worker, Failure> {
        let connection = Some(waiting.connection);
        let request = std::mem::replace(&mut waiting.request, Request::List);
        let (host, runaways) = (&self.host, &self.runaways);
        match request {
            Request::Grant { purpose } => {
                let (peer, fds) = (waiting.peer, waiting.fds);
                work::fork(host, connection, None, Task::Grant(purpose), |socket| {
                    work::tell(socket, &grants::check(host, peer, purpose, &fds), &[])
                })
            }
            Request::LookUp { grant } => work::answer(host, connection, None, || {
                Ok((host.look_up(&grant)?, Vec::new()))
            }),
            Request::Plan { spec } => work::answer(host, connection, None, || {
                Ok((host.dry_run(*spec)?, Vec::new()))
            }),
            Request::Prepare {
                agent,
                repository,
                services,
            } => self.begin_prepare(connection, agent, &repository, services),
            Request::Create { spec } => self.begin_create(&waiting, *spec),
            Request::Freeze { agent, frozen } => {
                work::answer(host, connection, Some(agent.clone()), || {
                    host.tree.freeze(&agent, frozen)?;
                    Ok((Reply::Done, Vec::new()))
                })
            }
            Request::Delete { agent } => self.delete_by_worker(connection, agent),
            Request::Erase { agent } => self.begin_erase(connection, agent),
            Request::List => {
                let making = self.making();
                work::answer(host, connection, None, || list(host, &making))
            }
            Request::Inspect { agent } => work::answer(host, connection, None, || {
                inspect::inspect(host, runaways, &agent)
            }),
            Request::Strain { agent } => work::answer(host, connection, None, || {
                let mut strain = host.tree.strain(&agent)?;
                strain.full |= runaways.holds(&agent);
                Ok((Reply::Strained(strain), Vec::new()))
            }),
            Request::Usage { after } => work::answer(host, connection, None, || {
                Ok((usage::all(host, after.as_ref())?, Vec::new()))
            }),
            Request::Disk { agent } => {
                work::answer(host, connection, None, || disk::look(host, &agent))
            }
            Request::WatchBranch { agent, branch } => work::answer(host, connection, None, || {
                branch::watch(host, &agent, &branch)
            }),
            Request::Sockets { agent, count } => {
                work::answer(host, connection, None, || sockets(host, &agent, count))
            }
            Request::Egress { agent, exposed } => {
                work::answer(host, connection, None, || egress(host, &agent, &exposed))
            }
            Request::Helper {
                repository,
                agent,
                rights,
            } => self.begin_helper(connection, &repository, agent, rights),
            Request::Logins { agent, remove } => work::answer(host, connection, None, || {
                logins::look(host.state.as_fd(), &agent, remove)
            }),
            request @ (Request::Checkpoint { .. } | Request::Cut { .. }) => {
                self.begin_keep(connection, request)
            }
            Request::Host => work::answer(host, connection, None, || checks(host)),
        }
    }

    /// Does all that a deletion takes, however long.
    pub(super) fn delete_by_worker(
        &self,
        connection: Option<u64>,
        agent: AgentId,
    ) -> Result<Worker, Failure> {
        let host = &self.host;
        work::answer(host, connection, Some(agent.clone()), || {
            fail::point("delete.start")?;
            host.delete(&agent)?;
            Ok((Reply::Done, Vec::new()))
        })
    }

    fn begin_keep(&self, connection: Option<u64>, request: Request) -> Result<Worker, Failure> {
        let host = &self.host;
        work::answer_as(Task::Keep, host, connection, None, || {
            let (kept, person, wsm) = match request {
                Request::Cut {
                    begins: true,
                    person,
                    wsm,
                } => (Kept::Begins, person, wsm),
                Request::Cut { person, wsm, .. } => (Kept::Rotated, person, wsm),
                Request::Checkpoint { person, wsm } => (Kept::Checkpoint, person, wsm),
                _ => {
                    let why = "it goes into no file of checkpoints";
                    return Err(failure(FailureKind::Invalid, "keep", why, ""));
                }
            };
            checkpoint::write(host.state.as_fd(), kept, person, wsm)
        })
    }

    fn begin_prepare(
        &self,
        connection: Option<u64>,
        agent: AgentId,
        repository: &GrantId,
        services: Vec<String>,
    ) -> Result<Worker, Failure> {
        let host = &self.host;
        let record = host.record_for(&agent, repository)?;
        let id = agent.clone();
        let prepare = move || {
            fail::point("prepare.start")?;
            // The record first: what is made after it can be found and erased.
            host.write_record(&id, &record)?;
            fail::point("prepare.recorded")?;
            host.prepare(&id, &record.account, &services)?;
            host.reserve_made(&id)?;
            let paths = dirs::paths(&host.state_path, &record.git_dir, &id, &record.account);
            Ok(Reply::Prepared {
                paths,
                account: record.account,
            })
        };
        let owner = Some(agent.clone());
        work::fork(host, connection, owner, Task::Answer, move |socket| {
            let told = work::tell(socket, &prepare().unwrap_or_else(Reply::Failed), &[]);
            // The client goes on while the disk writes the record.
            let hung_up = shutdown(socket.as_raw_fd(), Shutdown::Both);
            let synced = record::sync(host.agents.as_fd(), &record::agent_file(&agent));
            told | i32::from(hung_up.is_err() || synced.is_err())
        })
    }

    fn begin_erase(&self, connection: Option<u64>, agent: AgentId) -> Result<Worker, Failure> {
        let host = &self.host;
        if host.tree.agents()?.contains(&agent) {
            let why = "its sandbox exists";
            return Err(failure(
                FailureKind::Refused,
                format!("erase {agent}"),
                why,
                "delete it",
            ));
        }
        let account = match host.record(&agent) {
            Ok(record) => Some(record.account),
            Err(missing) if missing.kind == FailureKind::NotFound => None,
            Err(failed) => return Err(failed),
        };
        work::answer(host, connection, Some(agent.clone()), || {
            fail::point("erase.start")?;
            if let Some(account) = account {
                host.erase(&agent, &account)?;
                fail::point("erase.files")?;
                record::remove(host.agents.as_fd(), &record::made_file(&agent))
                    .what(|| format!("forget {agent}"))?;
                // The record last: until then an interrupted removal can be done again.
                record::remove(host.agents.as_fd(), &record::agent_file(&agent))
                    .what(|| format!("forget {agent}"))?;
            }
            Ok((Reply::Done, Vec::new()))
        })
    }

    /// Opens what a helper needs, then starts it.
    fn begin_helper(
        &mut self,
        connection: Option<u64>,
        repository: &GrantId,
        agent: Option<AgentId>,
        rights: HelperRights,
    ) -> Result<Worker, Failure> {
        let netns = self.pool.pop();
        let host = &self.host;
        let grant = host.grant(repository, Purpose::Repository)?;
        let paths = match &agent {
            Some(agent) => {
                let record = host.record(agent)?;
                if record.repository != grant.id {
                    let what = format!("start a git helper for {agent}");
                    let why = "it belongs to another repository";
                    return Err(failure(FailureKind::Refused, what, why, ""));
                }
                let account = &record.account;
                Some(dirs::paths(
                    &host.state_path,
                    &record.git_dir,
                    agent,
                    account,
                ))
            }
            None => None,
        };
        work::answer(host, connection, None, || {
            fail::point("helper.start")?;
            let netns = netns.as_ref();
            let socket = super::helper::start(host, &grant, paths.as_ref(), rights, netns)?;
            fail::point("helper.started")?;
            Ok((Reply::Helper, vec![socket]))
        })
    }

    /// Starts a worker that makes network namespaces.
    pub(super) fn begin_pool(&self, count: usize) -> Result<Worker, Failure> {
        work::fork(
            &self.host,
            None,
            None,
            Task::Pool,
            |socket| match networks(count) {
                Ok(made) => work::tell(socket, &(), &made),
                Err(_) => 1,
            },
        )
    }

    /// Agents whose sandbox is being made: their shim is none yet.
    fn making(&self) -> Vec<AgentId> {
        let making = self
            .workers
            .iter()
            .filter(|worker| matches!(worker.task, Task::Create(_) | Task::CleanUp(_)));
        making.filter_map(|worker| worker.agent.clone()).collect()
    }

    /// What follows from a worker's end.
    pub(super) fn conclude(&mut self, mut worker: Worker, late: bool, connected: bool) -> Outcome {
        let said = worker.said.take();
        let task = std::mem::replace(&mut worker.task, Task::Answer);
        match (task, worker.agent.clone()) {
            (Task::Create(creating), Some(agent)) => {
                self.conclude_create(agent, &worker, *creating, late, connected)
            }
            (Task::CleanUp(failed), _) => Outcome::Reply(work::reply(&Reply::Failed(failed))),
            (Task::Pool, _) => Outcome::Pooled(said.map_or_else(Vec::new, |packet| packet.fds)),
            (Task::Grant(purpose), _) => {
                let checked = said
                    .and_then(|packet| serde_json::from_slice::<Checked>(&packet.bytes).ok())
                    .unwrap_or_else(|| Checked::Bad(work::silent(late)));
                let reply = self.host.record_grant(purpose, checked);
                Outcome::Reply(work::reply(&reply.unwrap_or_else(Reply::Failed)))
            }
            (Task::Answer | Task::Keep | Task::Create(_), _) => Outcome::Reply(
                said.unwrap_or_else(|| work::reply(&Reply::Failed(work::silent(late)))),
            ),
        }
    }
}

fn list(host: &super::setup::Host, making: &[AgentId]) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let found = host.tree.list()?;
    let sandboxes = found.into_iter().map(|(agent, pids)| {
        let shim_pid = if making.contains(&agent) {
            None
        } else {
            pids.first().copied()
        };
        Listed {
            shim_pid,
            socket: host.socket_path(&agent),
            agent,
        }
    });
    Ok((
        Reply::Listed {
            sandboxes: sandboxes.collect(),
        },
        Vec::new(),
    ))
}

/// What this host can enforce.
fn checks(host: &super::setup::Host) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let checks = host::checks(host.state.as_fd());
    Ok((Reply::Host { checks }, Vec::new()))
}

/// Sockets of the agent's network namespace. The worker enters it, and ends.
fn sockets(
    host: &super::setup::Host,
    agent: &AgentId,
    count: u8,
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let what = || format!("make sockets for {agent}");
    if count == 0 || count > SOCKETS_MAX {
        let why = format!("{count} were asked for, 1 to {SOCKETS_MAX} are allowed");
        return Err(failure(FailureKind::Invalid, what(), why, ""));
    }
    enter_network_of(host, agent)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // One of IPv6 reaches ::1 and, mapped, 127.0.0.1: many dev servers listen on ::1 alone.
    let make = |family| socket(family, SockType::Stream, flags, None);
    let both = |_| make(AddressFamily::Inet6).or_else(|_| make(AddressFamily::Inet));
    let made: Result<Vec<_>, _> = (0..count).map(both).collect();
    Ok((Reply::Sockets, made.what(what)?))
}

/// Enters an agent's network namespace: a worker's last walk.
pub(super) fn enter_network_of(host: &super::setup::Host, agent: &AgentId) -> Result<(), Failure> {
    let what = || format!("enter the network of {agent}");
    let shim = inspect::shim(host, agent)?;
    let path = format!("/proc/{shim}/ns/net");
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let netns = nix::fcntl::open(path.as_str(), flags, nix::sys::stat::Mode::empty()).what(what)?;
    setns(netns, CloneFlags::CLONE_NEWNET).what(what)
}

/// The way out of an agent's network namespace, if its spec has one.
fn egress(
    host: &super::setup::Host,
    agent: &AgentId,
    exposed: &[u16],
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let refused = |kind, why: &str| {
        let what = format!("open a way out for {agent}");
        Err(failure(kind, what, why, ""))
    };
    if exposed.len() > EXPOSED_MAX || exposed.iter().any(|port| *port < 1024) {
        let why = "exposed ports are 1024 or more, and 16 at most";
        return refused(FailureKind::Invalid, why);
    }
    // The shim first: without one the record is of an earlier life.
    inspect::shim(host, agent)?;
    if host.made(agent).map(|made| made.network) != Some(Network::Egress) {
        let why = "its sandbox was made without one";
        return refused(FailureKind::Refused, why);
    }
    enter_network_of(host, agent)?;
    Ok((Reply::Egress, crate::network::open(exposed)?.into()))
}

/// New network namespaces with loopback up.
fn networks(count: usize) -> std::io::Result<Vec<OwnedFd>> {
    let root = files::root()?;
    let mut made = Vec::new();
    for _ in 0..count {
        new_network()?;
        let path = "proc/thread-self/ns/net";
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        made.push(nix::fcntl::openat(
            &root,
            path,
            flags,
            nix::sys::stat::Mode::empty(),
        )?);
    }
    Ok(made)
}

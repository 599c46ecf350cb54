//! A broker in a temporary directory, a repository, and a client.

use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    connect, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use serde_json::{Value, json};
use wsm_sandbox::config::BrokerConfig;
use wsm_sandbox::protocol::{
    AgentPaths, Envelope, Failure, PACKET_BYTES_MAX, PROTOCOL_VERSION, Purpose, Reply, Request,
};
use wsm_sandbox::spec::{
    AgentId, Extras, GrantId, LayerStatus, Limits, Network, Requirement, SPEC_VERSION, SandboxSpec,
};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The account that owns the repository: a number is enough, nobody logs in.
pub(crate) const ACCOUNT: u32 = 4242;

/// Uid of `wsm egress`.
pub(crate) const EGRESS_UID: u32 = 4243;

/// One broker with one granted repository.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) instance: String,
    broker: Option<Child>,
}

/// A connection to the broker.
pub(crate) struct Client {
    socket: OwnedFd,
}

/// A prepared agent.
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) grant: GrantId,
    pub(crate) paths: AgentPaths,
}

impl World {
    pub(crate) fn new() -> World {
        World::with_fault("")
    }

    pub(crate) fn with_fault(fault: &str) -> World {
        World::new_in(&std::env::temp_dir(), fault)
    }

    /// A world below this directory: a sandbox shows nothing of the host's `/tmp`.
    pub(crate) fn new_in(parent: &Path, fault: &str) -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "these tests need root and a real kernel"
        );
        let dir = tempfile::Builder::new()
            .prefix("wsm-broker-")
            .tempdir_in(parent)
            .unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("t{}x{number}", std::process::id());
        let mut world = World {
            dir,
            instance,
            broker: None,
        };
        for name in ["state", "run", "etc"] {
            std::fs::create_dir(world.path(name)).unwrap();
        }
        std::fs::write(
            world.path("etc/ceiling.json"),
            "{\"allow_root_account\": true}",
        )
        .unwrap();
        world.make_repository();
        world.start(fault);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// Starts the broker, again if need be.
    pub(crate) fn start(&mut self, fault: &str) {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_wsm-sandbox"));
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let config = BrokerConfig {
            state_dir: text(self.path("state")),
            run_dir: text(self.path("run")),
            etc_dir: text(self.path("etc")),
            instance: self.instance.clone(),
            daemon_uid: 0,
            daemon_gid: 0,
            egress_uid: EGRESS_UID,
            wsm_program: text(program.parent().unwrap().join("examples/echo_helper")),
            shim_program: text(program.parent().unwrap().join("examples/stub_shim")),
        };
        let file = self.path("run/broker.json");
        std::fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
        let mut command = Process::new(program);
        command
            .args(["broker", "--die-with-parent", "--config"])
            .arg(file);
        command.env_clear().stdin(Stdio::null());
        if !fault.is_empty() {
            command.env("WSM_FAULT", fault);
        }
        self.broker = Some(command.spawn().unwrap());
        // A fork of a broker that was killed may hold its socket for a moment: only an answer counts.
        until("the broker answers", || {
            self.try_connect().is_some_and(|client| {
                client.send(Request::List);
                client.receive().is_some()
            })
        });
    }

    pub(crate) fn broker_pid(&self) -> u32 {
        self.broker.as_ref().unwrap().id()
    }

    /// Kills the broker, as `kill -9` does.
    pub(crate) fn kill_broker(&mut self) {
        let mut broker = self.broker.take().unwrap();
        broker.kill().unwrap();
        broker.wait().unwrap();
    }

    fn make_repository(&self) {
        let repo = self.path("repo");
        // As a fresh `git init` leaves it, with one object to look for.
        for dir in [
            "",
            ".git",
            ".git/objects",
            ".git/objects/info",
            ".git/refs",
            ".git/refs/heads",
        ] {
            std::fs::create_dir(repo.join(dir)).unwrap();
        }
        std::fs::write(repo.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(repo.join(".git/config"), "[core]\n\tsecret = yes\n").unwrap();
        std::fs::write(repo.join(".git/objects/info/marker"), "an object\n").unwrap();
        give(&repo);
    }

    fn try_connect(&self) -> Option<Client> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        let path = self.path("run/broker.sock");
        connect(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).ok()?;
        let patience = nix::sys::time::TimeVal::new(20, 0);
        setsockopt(&fd, sockopt::ReceiveTimeout, &patience).unwrap();
        Some(Client { socket: fd })
    }

    pub(crate) fn client(&self) -> Client {
        self.try_connect().expect("the broker listens")
    }

    /// Asks as some user: a child of that uid does.
    pub(crate) fn ask_as(&self, uid: u32, request: &Request, directories: &[PathBuf]) -> Reply {
        // The test's directory must let others through, as a real home would.
        std::fs::set_permissions(self.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_wsm-sandbox"));
        let output = Process::new(program.parent().unwrap().join("examples/ask"))
            .arg(self.path("run/broker.sock"))
            .arg(serde_json::to_string(request).unwrap())
            .args(directories)
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Grants the repository as its account.
    pub(crate) fn grant(&self) -> GrantId {
        let repo = self.path("repo");
        let request = Request::Grant {
            purpose: Purpose::Repository,
        };
        match self.ask_as(ACCOUNT, &request, &[repo.clone(), repo.join(".git")]) {
            Reply::Granted {
                grant,
                account,
                path,
                git_dir,
            } => {
                assert_eq!(account.uid, ACCOUNT);
                assert_eq!(path, repo.to_str().unwrap());
                assert_eq!(git_dir.as_deref(), repo.join(".git").to_str());
                grant
            }
            other => panic!("{other:?}"),
        }
    }

    /// Prepares an agent and plays the git helper: a pointer in the workspace, a private HEAD.
    pub(crate) fn prepare(&self, id: &str) -> Agent {
        let id = AgentId::try_from(id.to_owned()).unwrap();
        let grant = self.grant();
        let request = Request::Prepare {
            agent: id.clone(),
            repository: grant.clone(),
            services: vec!["db".into()],
        };
        let paths = match self.client().ask(request) {
            Ok(Reply::Prepared { paths, account }) => {
                assert_eq!(account.uid, ACCOUNT);
                paths
            }
            other => panic!("{other:?}"),
        };
        let pointer = format!("gitdir: {}\n", paths.git_admin);
        std::fs::write(Path::new(&paths.workspace).join(".git"), pointer).unwrap();
        std::fs::write(
            Path::new(&paths.git_private).join("HEAD"),
            "ref: refs/heads/x\n",
        )
        .unwrap();
        give(Path::new(&paths.workspace));
        give(Path::new(&paths.git_private));
        Agent { id, grant, paths }
    }

    pub(crate) fn spec(&self, agent: &Agent) -> SandboxSpec {
        SandboxSpec {
            version: SPEC_VERSION,
            agent: agent.id.clone(),
            repository: agent.grant.clone(),
            hostname: "inside".into(),
            read: Vec::new(),
            write: Vec::new(),
            services: [("db".to_owned(), Limits::default())].into(),
            limits: Limits {
                memory_bytes: Some(256 << 20),
                pids: Some(100),
                ..Limits::default()
            },
            network: Network::Loopback,
            landlock: Requirement::Required,
            debug: false,
            extras: Extras::default(),
            authority: None,
        }
    }

    /// Asks for a sandbox that shall not come to be.
    pub(crate) fn create_in_vain(&self, agent: &Agent) -> Failure {
        self.create_in_vain_with(agent, |_| ())
    }

    pub(crate) fn create_in_vain_with(
        &self,
        agent: &Agent,
        change: impl FnOnce(&mut SandboxSpec),
    ) -> Failure {
        let mut spec = Box::new(self.spec(agent));
        change(&mut spec);
        self.client().ask(Request::Create { spec }).unwrap_err()
    }

    pub(crate) fn create(&self, agent: &Agent) -> (Shim, i32) {
        self.create_with(agent, |_| ())
    }

    /// A sandbox with another spec.
    pub(crate) fn create_with(
        &self,
        agent: &Agent,
        change: impl FnOnce(&mut SandboxSpec),
    ) -> (Shim, i32) {
        let mut spec = Box::new(self.spec(agent));
        change(&mut spec);
        match self.client().ask(Request::Create { spec }) {
            Ok(Reply::Created {
                socket,
                shim_pid,
                layers,
            }) => {
                let test = layers.iter().find(|layer| layer.layer == "self-test");
                let held = test.is_some_and(|test| test.status == LayerStatus::Enforced);
                assert!(held, "{test:?}");
                (Shim::connect(Path::new(&socket)), shim_pid)
            }
            other => panic!("{other:?}"),
        }
    }

    /// What the kernel holds for this instance: control groups that are left.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let trees = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        for tree in trees
            .map(|entry| entry.path())
            .chain([PathBuf::from("/sys/fs/cgroup")])
        {
            let own = tree.join(format!("wsm-{}", self.instance));
            let agents = std::fs::read_dir(own).into_iter().flatten().flatten();
            found.extend(agents.map(|entry| entry.path()).filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("agent-"))
            }));
        }
        found
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(client) = self.try_connect()
            && let Ok(Reply::Listed { sandboxes }) = client.ask(Request::List)
        {
            for sandbox in sandboxes {
                drop(self.client().ask(Request::Delete {
                    agent: sandbox.agent,
                }));
            }
        }
        if let Some(mut broker) = self.broker.take() {
            drop(broker.kill());
            drop(broker.wait());
        }
        // Trees of an instance: what the broker makes at its start.
        for tree in std::fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
        {
            drop(std::fs::remove_dir(
                tree.path().join(format!("wsm-{}", self.instance)),
            ));
        }
    }
}

impl Client {
    pub(crate) fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.ask_with(request).map(|(reply, _)| reply)
    }

    /// Asks without waiting for the answer.
    pub(crate) fn send(&self, request: Request) {
        self.send_with(request, &[]);
    }

    /// Asks with descriptors.
    pub(crate) fn send_with(&self, request: Request, fds: &[RawFd]) {
        let envelope = Envelope {
            version: PROTOCOL_VERSION,
            request,
        };
        let bytes = serde_json::to_vec(&envelope).unwrap();
        let iov = [IoSlice::new(&bytes)];
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = &rights[usize::from(fds.is_empty())..];
        let flags = MsgFlags::empty();
        sendmsg::<()>(self.socket.as_raw_fd(), &iov, rights, flags, None).unwrap();
    }

    /// Whether the broker hangs up instead of answering.
    pub(crate) fn is_closed(&self) -> bool {
        self.receive().is_none()
    }

    pub(crate) fn ask_with(&self, request: Request) -> Result<(Reply, Vec<RawFd>), Failure> {
        self.send(request);
        match self.receive().expect("an answer") {
            (Reply::Failed(failed), _) => Err(failed),
            answer => Ok(answer),
        }
    }

    fn receive(&self) -> Option<(Reply, Vec<RawFd>)> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = cmsg_space!([RawFd; 40]);
        let mut received = Vec::new();
        let length = {
            let mut iov = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::empty();
            let message =
                recvmsg::<()>(self.socket.as_raw_fd(), &mut iov, Some(&mut space), flags).ok()?;
            for part in message.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(raw) = part {
                    received.extend(raw);
                }
            }
            message.bytes
        };
        Some((serde_json::from_slice(&bytes[..length]).ok()?, received))
    }
}

/// A connection to the stub shim.
pub(crate) struct Shim {
    stream: UnixStream,
}

impl Shim {
    pub(crate) fn connect(path: &Path) -> Shim {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Shim { stream }
    }

    pub(crate) fn ask(&self, ask: &Value) -> Value {
        writeln!(&self.stream, "{ask}").unwrap();
        let mut line = String::new();
        BufReader::new(&self.stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Runs a shell script inside; gives its output and exit code.
    pub(crate) fn sh(&self, script: &str) -> (String, i64) {
        let told = self.ask(&json!({"Run": {"command": command(script), "terminal": false}}));
        assert!(told["failed"].is_null(), "{told}");
        let out = told["out"].as_str().unwrap().trim_end().to_owned();
        (out, told["exit"]["code"].as_i64().unwrap_or(-1))
    }
}

/// A shell script as the launcher takes it.
pub(crate) fn command(script: &str) -> Value {
    json!({
        "argv": ["sh", "-c", script],
        "env": [["PATH", "/usr/bin:/bin"], ["HOME", "/home/agent"], ["MARK", "given"]],
        "cwd": "/home/agent",
        "leaf": "agent",
    })
}

/// Waits for something that must come.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn give(tree: &Path) {
    chown(tree, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
    for entry in std::fs::read_dir(tree).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            give(&entry.path());
        } else if entry.metadata().unwrap().uid() != ACCOUNT {
            // The pointer of an agent that runs is its account's already, and nobody changes it.
            chown(entry.path(), Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        }
    }
}

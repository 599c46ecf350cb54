//! One instance of wsm in a directory of its own, from `up` to nothing left.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wsm_api::agent::Agent;

use crate::cli::{self, Output};
use crate::host;
use crate::persona::Persona;
use crate::repo::Repo;
use crate::wait::{self, PATIENCE};

/// A part of the instance that can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `wsm daemon`.
    Daemon,
    /// `wsm-sandbox broker`.
    Broker,
    /// `wsm egress`.
    Egress,
}

/// A running instance; when dropped, its agents are purged, it is stopped, and the kernel is asked
/// whether anything is left.
#[derive(Debug)]
pub struct Instance {
    base: tempfile::TempDir,
    root: Persona,
    up: RefCell<Option<Child>>,
    agents: RefCell<BTreeSet<String>>,
    checked: Cell<bool>,
    /// Its directory is a file system of its own.
    small: bool,
    /// Where its programs lie.
    programs: PathBuf,
}

/// File that holds whom egress trusts, where a test says so.
const TRUSTED: &str = "trusted.pem";

/// Where the programs under test lie: `WSM_BIN_DIR`, or `target/stage`.
///
/// # Panics
/// If they are not there.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = programs().join(name);
    assert!(
        path.exists(),
        "{} is missing; run: tools/stage dev target/stage",
        path.display()
    );
    path
}

fn programs() -> PathBuf {
    std::env::var_os("WSM_BIN_DIR").map_or_else(
        || crate::repository::root().join("target/stage"),
        PathBuf::from,
    )
}

impl Instance {
    /// Starts an instance of programs that lie elsewhere.
    #[must_use]
    pub fn start_of(programs: &Path) -> Instance {
        Instance::below(Path::new("/tmp"), 0o755, None, programs.to_owned())
    }

    /// Starts an instance in a directory that every account can reach.
    #[must_use]
    pub fn start() -> Instance {
        Instance::below(Path::new("/tmp"), 0o755, None, programs())
    }

    /// Starts one whose directory is a file system of this many MiB.
    #[must_use]
    pub fn start_small(mebibytes: u32) -> Instance {
        Instance::below(Path::new("/tmp"), 0o755, Some(mebibytes), programs())
    }

    /// Starts one in a directory that nobody but root can reach, below root's own home.
    #[must_use]
    pub fn start_private() -> Instance {
        Instance::below(Path::new("/root"), 0o700, None, programs())
    }

    fn below(parent: &Path, mode: u32, small: Option<u32>, programs: PathBuf) -> Instance {
        let base = tempfile::Builder::new().prefix("wsmt-").tempdir_in(parent);
        let base = base.unwrap_or_else(|why| panic!("a directory in {}: {why}", parent.display()));
        fs::set_permissions(base.path(), fs::Permissions::from_mode(mode)).expect("our directory");
        let home = base.path().join("home");
        fs::create_dir(&home).expect("a new directory is empty");
        let instance = Instance {
            root: Persona::root(&home),
            base,
            up: RefCell::new(None),
            agents: RefCell::default(),
            checked: Cell::new(false),
            small: small.is_some(),
            programs,
        };
        if let Some(mebibytes) = small {
            fs::create_dir(instance.dir()).expect("a new directory is empty");
            let mut mount = Command::new("mount");
            let size = format!("mode=755,size={mebibytes}m");
            mount
                .args(["-t", "tmpfs", "-o", &size, "none"])
                .arg(instance.dir());
            cli::run(mount, b"").ok();
        }
        instance.up();
        instance
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.base.path().join("wsm")
    }

    /// Root, with a home inside the test's directory.
    #[must_use]
    pub fn root(&self) -> &Persona {
        &self.root
    }

    /// Has egress trust this authority (PEM) instead of the system's: starts wsm again.
    pub fn trust(&self, authority: &str) {
        fs::write(self.base.path().join(TRUSTED), authority).expect("our own directory");
        self.down();
        self.up();
    }

    /// Runs `wsm up` and waits until the daemon answers.
    pub fn up(&self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path());
        let log = log.expect("our own log");
        let mut up = self.root.command(self.programs.join("wsm"));
        up.arg("--dir")
            .arg(self.dir())
            .arg("up")
            .stdin(Stdio::null());
        let trusted = self.base.path().join(TRUSTED);
        if trusted.exists() {
            up.env("SSL_CERT_FILE", trusted);
        }
        up.stdout(log.try_clone().expect("a descriptor"))
            .stderr(log);
        let child = up.spawn().expect("wsm up starts");
        *self.up.borrow_mut() = Some(child);
        self.wait_ready();
    }

    /// Waits until the daemon answers and has the broker; a `wsm up` that ended is started again.
    pub fn wait_ready(&self) {
        let ready = || {
            let ended = self
                .up
                .borrow_mut()
                .as_mut()
                .map(|up| up.try_wait().expect("our child"));
            if let Some(Some(status)) = ended {
                panic!("wsm up ended: {status}\n{}", self.log());
            }
            let status = self.wsm(&["status", "--json"]);
            (status.code == 0 && status.json()["broker"] == true).then_some(())
        };
        wait::until("the instance to be ready", PATIENCE, ready, || self.log());
    }

    /// What `wsm up` said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.base.path().join("up.log")
    }

    /// A command line of `who`, in their home, not started yet.
    #[must_use]
    pub fn command(&self, who: &Persona, args: &[&str]) -> Command {
        let mut command = who.command(self.programs.join("wsm"));
        command.arg("--dir").arg(self.dir()).args(args);
        command
    }

    /// Runs `wsm` as root.
    #[must_use = "say what you expect"]
    pub fn wsm(&self, args: &[&str]) -> Output {
        cli::run(self.command(&self.root, args), b"")
    }

    /// Runs `wsm` as `who`.
    #[must_use = "say what you expect"]
    pub fn wsm_as(&self, who: &Persona, args: &[&str]) -> Output {
        cli::run(self.command(who, args), b"")
    }

    /// Runs `wsm` as root with bytes on standard input.
    #[must_use = "say what you expect"]
    pub fn wsm_with(&self, args: &[&str], input: &[u8]) -> Output {
        cli::run(self.command(&self.root, args), input)
    }

    /// A new agent of root, started, as `--detach` gives it.
    pub fn new_agent(&self, repo: &Repo<'_>, template: &str, name: &str) -> Agent {
        self.new_agent_as(&self.root, repo, template, name)
    }

    /// A new agent of `who`.
    pub fn new_agent_as(
        &self,
        who: &Persona,
        repo: &Repo<'_>,
        template: &str,
        name: &str,
    ) -> Agent {
        let path = repo.path().to_string_lossy();
        let args = [
            "new",
            &path,
            "--template",
            template,
            "--name",
            name,
            "--detach",
            "--no-input",
        ];
        let made = self.wsm_as(who, &args);
        self.remember_agents();
        if made.code != 0 {
            panic!("{made}\n--- log\n{}", self.log());
        }
        self.agent(name)
    }

    /// An agent as `ls` tells it now.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Agent {
        let found = self.find(name);
        found.unwrap_or_else(|| panic!("no agent {name}:\n{}", self.wsm(&["ls", "-a"])))
    }

    /// An agent as `ls -a` tells it now.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Agent> {
        self.list()
            .into_iter()
            .find(|agent| agent.name.as_str() == name)
    }

    /// All agents, the trash included.
    #[must_use]
    pub fn list(&self) -> Vec<Agent> {
        let listed = self.wsm(&["ls", "-a", "--json"]).ok();
        serde_json::from_value(listed.json()).unwrap_or_else(|why| panic!("{why}: {listed}"))
    }

    /// Fills the file system of [`Instance::start_small`] to its last byte.
    ///
    /// # Panics
    /// If there is still room after as much as was asked for.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.dir().join("fill")).expect("root writes");
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        fs::remove_file(self.dir().join("fill")).expect("it was filled");
    }

    /// Puts a template into the host's layer.
    ///
    /// # Panics
    /// If the configuration directory can't be written.
    pub fn host_template(&self, name: &str, text: &str) {
        let directory = self.dir().join("etc/templates");
        fs::create_dir_all(&directory).expect("root writes");
        fs::write(directory.join(format!("{name}.toml")), text).expect("root writes");
    }

    /// Waits until the agent is in one of these states.
    pub fn wait_state(&self, name: &str, states: &str) -> Agent {
        let waited = self.wsm(&["wait", name, "--until", states, "--timeout", "30s"]);
        if waited.code != 0 {
            panic!("{waited}\n{}\n{}", self.wsm(&["explain", name]), self.log());
        }
        self.agent(name)
    }

    /// Runs a shell line inside the agent.
    #[must_use = "say what you expect"]
    pub fn inside(&self, name: &str, script: &str) -> Output {
        self.wsm(&["exec", name, "--", "sh", "-c", script])
    }

    /// The screen of the agent's main terminal.
    #[must_use]
    pub fn screen(&self, name: &str) -> String {
        self.wsm(&["capture", name]).ok().stdout
    }

    /// Waits until the screen of the agent shows `text`.
    pub fn wait_screen(&self, name: &str, text: &str) -> String {
        let look = || Some(self.screen(name)).filter(|screen| screen.contains(text));
        wait::until(
            &format!("{text:?} on the screen of {name}"),
            PATIENCE,
            look,
            || self.screen(name),
        )
    }

    /// Pid of a part.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn pid_of(&self, part: Part) -> i32 {
        let look = || self.try_pid_of(part);
        let all = || format!("{:#?}", self.descendants());
        wait::until(
            &format!("{part:?} to run"),
            Duration::from_secs(10),
            look,
            all,
        )
    }

    /// Pid of a part, if it runs this instant.
    #[must_use]
    pub fn try_pid_of(&self, part: Part) -> Option<i32> {
        let is_part = |words: &[&str]| match part {
            Part::Daemon => words.contains(&"daemon"),
            Part::Broker => words.contains(&"broker"),
            Part::Egress => words.contains(&"egress"),
        };
        let mut found = self.descendants();
        found.retain(|process| is_part(&process.command.split(' ').collect::<Vec<_>>()));
        // Its forks have the same command line; pids wrap around.
        let pids: Vec<_> = found.iter().map(|process| process.pid).collect();
        let first = found.iter().find(|process| !pids.contains(&process.parent));
        first.map(|process| process.pid)
    }

    /// Processes that `wsm up` started and that hang on it.
    #[must_use]
    pub fn descendants(&self) -> Vec<host::Process> {
        let up = self
            .up
            .borrow()
            .as_ref()
            .map(|up| i32::try_from(up.id()).expect("a pid"));
        let mut open: Vec<i32> = up.into_iter().collect();
        let all = host::processes();
        let mut found = Vec::new();
        while let Some(parent) = open.pop() {
            let children = all.iter().filter(|process| process.parent == parent);
            let children: Vec<_> = children.cloned().collect();
            open.extend(children.iter().map(|process| process.pid));
            found.extend(children);
        }
        found
    }

    /// Kills parts at once, without a word to them, and brings the instance back.
    pub fn kill_and_recover(&self, parts: &[Part]) {
        self.kill(parts);
        self.recover(parts);
    }

    /// Kills parts at once, without a word to them.
    pub fn kill(&self, parts: &[Part]) {
        self.remember_agents();
        let pids: Vec<_> = parts.iter().map(|part| self.pid_of(*part)).collect();
        for pid in &pids {
            host::signal(*pid, "KILL");
        }
        for pid in pids {
            wait::until_true(&format!("{pid} to die"), || host::process(pid).is_none());
        }
    }

    /// Waits for what was killed to be there again: `up` brings it back, or ends and is restarted.
    pub fn recover(&self, parts: &[Part]) {
        let settled = || {
            let ended = {
                let mut up = self.up.borrow_mut();
                up.as_mut()
                    .is_none_or(|up| up.try_wait().expect("our child").is_some())
            };
            (ended || parts.iter().all(|part| self.try_pid_of(*part).is_some())).then_some(ended)
        };
        let ended = wait::until(
            "up to end or to restart its parts",
            PATIENCE,
            settled,
            || self.log(),
        );
        if ended { self.up() } else { self.wait_ready() }
    }

    /// Stops `up` politely; agents live on.
    pub fn down(&self) {
        if let Some(mut up) = self.up.borrow_mut().take() {
            host::signal(i32::try_from(up.id()).expect("a pid"), "TERM");
            let ended = || up.try_wait().expect("our child");
            wait::until("wsm up to end", PATIENCE, ended, || self.log());
        }
    }

    /// Remembers the ids of all agents, for the check at the end.
    pub fn remember_agents(&self) {
        let listed = self.wsm(&["ls", "-a", "-q"]);
        let ids = listed.stdout.split_whitespace().map(str::to_owned);
        self.agents.borrow_mut().extend(ids);
    }

    /// Purges every agent, stops, and tells what the kernel still has of it.
    #[must_use]
    pub fn end(&self) -> Vec<String> {
        self.checked.set(true);
        let mut left = Vec::new();
        self.remember_agents();
        for id in self.agents.borrow().iter() {
            let gone = self.wsm(&["rm", "--purge", id]);
            if gone.code != 0 && gone.code != 4 {
                left.push(format!("{gone}"));
            }
        }
        self.down();
        if self.small {
            host::unmount(&self.dir());
        }
        let agents: Vec<_> = self.agents.borrow().iter().cloned().collect();
        let mut found = host::leftovers(&self.dir(), &agents);
        if self.small {
            // Every mount namespace that somebody else made meanwhile has a copy of it.
            let own = format!(" / {} ", self.dir().display());
            found.retain(|line| !line.contains(&own));
        }
        left.extend(found);
        left
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let failing = std::thread::panicking();
        let left = if failing || self.checked.get() {
            Vec::new()
        } else {
            self.end()
        };
        if failing {
            eprintln!("--- log of wsm up\n{}", self.log());
        }
        self.remember_agents();
        if let Some(mut up) = self.up.borrow_mut().take() {
            let killed = up.kill().and_then(|()| up.wait());
            eprintln!("wsm up was still there: {killed:?}");
        }
        for agent in self.agents.borrow().iter() {
            host::sweep(agent);
        }
        if failing && self.small {
            let umount = Command::new("umount")
                .arg("--lazy")
                .arg(self.dir())
                .status();
            eprintln!("the small file system is unmounted: {umount:?}");
        }
        if !failing {
            assert!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
        }
    }
}

//! The world of the suite: an instance, the agent that attacks, its neighbours, and the victims.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use wsm_api::agent::Agent;
use wsm_tests::instance::Instance;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::{cli, host, wait};

use crate::attacker::{self, Attacker, innermost_pid};
use crate::case::Control;
use crate::facts::{self, Clock, Facts};
use crate::listeners::Listeners;

/// Name of the agent that attacks.
pub(crate) const ATTACKER: &str = "attacker";
/// Another agent of the same person.
pub(crate) const NEIGHBOUR: &str = "neighbour";

/// Everything that a case may meet.
pub(crate) struct World {
    /// The attackers, by where they run.
    attackers: RefCell<BTreeMap<&'static str, Attacker>>,
    /// Facts of an attacker that did nothing.
    baselines: RefCell<BTreeMap<&'static str, Facts>>,
    /// Who listens on the host.
    pub(crate) listeners: Listeners,
    /// A process of the host that anybody could signal by its number.
    prey: RefCell<Child>,
    /// A process in the attacker's pid namespace, of its uid, that is not its own.
    pub(crate) planted: Option<i32>,
    planter: Option<Child>,
    clock: Clock,
    machine: Facts,
    victims: RefCell<Facts>,
    /// What nobody but the host knows.
    pub(crate) secret: String,
    /// What the host has for the attacker: [`Ground`].
    pub(crate) ground: Ground,
    /// The attacking agent.
    pub(crate) agent: Agent,
    /// PID 1 of the attacker's sandbox, on the host.
    pub(crate) init: i32,
    /// What the workspace's `.git` says.
    pointer: String,
    /// The neighbour.
    pub(crate) neighbour: Agent,
    /// The attacker's repository.
    pub(crate) repository: PathBuf,
    /// The instance.
    pub(crate) wsm: Instance,
    /// The person that both agents belong to.
    pub(crate) ann: Persona,
}

/// A directory of the host, readable by everybody, and parts of it that the template shows.
pub(crate) struct Ground(pub(crate) PathBuf);

impl Ground {
    /// Where nothing is shown inside.
    pub(crate) fn hidden(&self, name: &str) -> String {
        self.0.join("hidden").join(name).display().to_string()
    }

    /// What the template shows, read-only.
    pub(crate) fn shown(&self, name: &str) -> String {
        self.0.join("shown").join(name).display().to_string()
    }

    fn lay(&self, owner: &Persona, secret: &str) {
        for part in ["hidden", "hidden/dir", "hidden/w", "shown", "shown/dir"] {
            let dir = self.0.join(part);
            fs::create_dir_all(&dir).expect("root writes");
            fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).expect("root may");
        }
        let own = |path: &Path| std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()));
        for (name, text) in [
            ("hidden/secret", secret),
            ("hidden/writable", "precious"),
            ("hidden/w/.git", "gitdir: /somewhere"),
            ("shown/file", "precious"),
            ("shown/program", "#!/bin/sh\n"),
        ] {
            let path = self.0.join(name);
            fs::write(&path, text).expect("root writes");
            fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("root may");
            own(&path).expect("root may");
        }
        own(&self.0.join("shown")).expect("root may");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Who starts an attacker has a descriptor open, and a secret in the environment.
const INHERITED: &str = "exec 7<\"$1\"; shift; exec \"$@\"";

/// Places where an attack may leave a file, none of which are there.
pub(crate) const PLACES: [&str; 9] = ["/", "/usr", "/usr/bin", "/etc", "/opt", "/var/lib", "/dev", "/root", "/srv"];
/// What it is called there.
pub(crate) const LEFT: &str = "wsm-attack-left";

impl World {
    /// Makes it. `ablated` names the layer that is switched off in the attacker's sandbox.
    pub(crate) fn new(ablated: Option<&str>) -> World {
        clear();
        let wsm = Instance::start();
        let ann = Persona::new("ann");
        let secret = format!("S3CRET{}x", std::process::id());
        let ground = Ground(PathBuf::from(format!("/srv/wsm-attack-{}", std::process::id())));
        ground.lay(&ann, &secret);
        let listeners = Listeners::start(&ground);
        // Without a network of its own there is no way out to be made for it.
        for socket in ["hidden/socket", "hidden/datagrams", "shown/socket", "shown/datagrams"] {
            let path = ground.0.join(socket);
            std::os::unix::fs::chown(path, Some(ann.uid()), Some(ann.gid())).expect("root may");
        }
        configure(&wsm, &ground, &listeners, ablated != Some("network-namespace"));
        let repo = Repo::small(&ann, "project");
        let repository = repo.path().to_owned();
        repo.git(&["config", "wsm.secret", &secret]).ok();
        let neighbour = wsm.new_agent_as(&ann, &repo, "attacked", NEIGHBOUR);
        if let Some(layer) = ablated {
            fs::write(wsm.dir().join("run/ablate"), layer).expect("root writes");
        }
        let agent = wsm.new_agent_as(&ann, &repo, "attacked", ATTACKER);
        drop(fs::remove_file(wsm.dir().join("run/ablate")));
        let init = init_of(&agent);
        let clock = Clock::now();
        let mut world = World {
            attackers: RefCell::default(),
            baselines: RefCell::default(),
            listeners,
            prey: RefCell::new(prey()),
            planted: None,
            planter: None,
            machine: facts::machine(&clock),
            clock,
            victims: RefCell::default(),
            secret,
            ground,
            pointer: fs::read_to_string(Path::new(&agent.workspace).join(".git")).expect("a worktree"),
            agent,
            init,
            neighbour,
            repository,
            wsm,
            ann,
        };
        world.start_attackers();
        crate::planted::plant(&mut world);
        crate::ipc::lay(&world);
        world.neighbour_listens();
        world.measure();
        world.save_repository();
        *world.victims.borrow_mut() = world.look_at_victims();
        world
    }

    fn start_attackers(&self) {
        let program = attacker::compile(self.wsm.root().home());
        let bytes = fs::read(&program).expect("just compiled");
        for (place, agent) in [("inside", &self.agent), ("neighbour", &self.neighbour)] {
            let put = self.wsm.command(
                &self.ann,
                &["exec", agent.name.as_str(), "--", "sh", "-c", "cat >~/a && chmod +x ~/a"],
            );
            cli::run(put, &bytes).ok();
            let mut exec = self.ann.command("sh");
            exec.args(["-c", INHERITED, "sh"]).arg(self.ground.hidden("secret"));
            exec.arg(wsm_tests::instance::program("wsm")).arg("--dir").arg(self.wsm.dir());
            exec.args(["exec", agent.name.as_str(), "--", "/home/agent/a"]);
            exec.env("ATTACK_SECRET", &self.secret);
            let find = |own: i32| {
                let all = host::processes_of(&agent.id);
                let named = all.iter().filter(|p| p.command == "/home/agent/a");
                named.map(|p| p.pid).find(|pid| innermost_pid(*pid) == Some(own))
            };
            self.add(place, Attacker::start(exec, find));
        }
        let mut outside = self.wsm.root().command("sh");
        outside.args(["-c", INHERITED, "sh"]).arg(self.ground.hidden("secret"));
        outside.arg(&program).arg("alone").env("ATTACK_SECRET", &self.secret);
        self.add("host", Attacker::start(outside, Some));
        let mut apart = self.wsm.root().command("unshare");
        apart.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "--mount-proc"]);
        apart.args(["--kill-child", "--propagation", "private", "--"]).arg(&program).arg("alone");
        let find = |own: i32| {
            let all = host::processes();
            let command = format!("{} alone", program.display());
            let named = all.iter().filter(|p| p.command == command);
            let apart = named.filter(|p| innermost_pid(p.pid) != Some(p.pid));
            apart.map(|p| p.pid).find(|pid| innermost_pid(*pid) == Some(own))
        };
        self.add("apart", Attacker::start(apart, find));
    }

    fn add(&self, place: &'static str, mut attacker: Attacker) {
        attacker.end();
        self.attackers.borrow_mut().insert(place, attacker);
    }

    /// What attackers are that did nothing.
    fn measure(&self) {
        for (place, attacker) in self.attackers.borrow_mut().iter_mut() {
            let outcome = attacker.run("none", "39").expect("it just started");
            let pid = outcome.pid.expect("its child stands");
            self.baselines.borrow_mut().insert(place, own(place, facts::process(pid)));
            attacker.end();
        }
    }

    /// Does something on the host, for the suite and not as a case.
    pub(crate) fn outside(&self, calls: &[String]) {
        let mut attackers = self.attackers.borrow_mut();
        if let Some(attacker) = attackers.get_mut("host") {
            attacker.run("set-up", &crate::case::then(calls));
            attacker.end();
        }
    }

    /// The neighbour listens on a port and on an abstract name of its own.
    fn neighbour_listens(&self) {
        let program = "import socket, threading\n\
            def serve(s):\n while True:\n  c, _ = s.accept()\n  open('heard', 'ab').write(c.recv(99) + b' ')\n\
            a = socket.create_server(('127.0.0.1', 8123))\n\
            b = socket.socket(1); b.bind('\\0neighbours'); b.listen()\n\
            open('heard', 'w').close()\n\
            threading.Thread(target=serve, args=(b,)).start(); serve(a)\n";
        let line = format!("cat >~/serve.py <<'END'\n{program}END\nnohup python3 ~/serve.py >/dev/null 2>&1 &");
        cli::run(self.wsm.command(&self.ann, &["exec", NEIGHBOUR, "--", "sh", "-c", &line]), b"").ok();
        let heard = Path::new(&self.neighbour.workspace).join("heard");
        wait::until_true("the neighbour to listen", || heard.exists());
    }

    /// Runs `calls` and judges; `Ok` is what came of it and the breach, if there is one.
    pub(crate) fn run(
        &self,
        place: &'static str,
        name: &str,
        calls: &str,
        judge: impl FnOnce(&World, &crate::attacker::Outcome) -> Option<String>,
    ) -> (String, Option<String>) {
        let mut attackers = self.attackers.borrow_mut();
        let attacker = attackers.get_mut(place).expect("one of each");
        let Some(outcome) = attacker.run(name, calls) else {
            return ("the attacker is gone".into(), Some("the attacker was ended".into()));
        };
        let breach = self.common(place, name, &outcome).or_else(|| judge(self, &outcome));
        let detail = outcome.detail();
        attacker.end();
        if breach.is_some() {
            self.reset(name);
        }
        (detail, breach)
    }

    /// What every case is judged by.
    fn common(&self, place: &str, name: &str, outcome: &crate::attacker::Outcome) -> Option<String> {
        if outcome.text().contains(&self.secret) {
            return Some("it knows the secret".into());
        }
        let mut found = Vec::new();
        if let Some(pid) = outcome.pid.filter(|_| !outcome.died) {
            found.extend(facts::differences(&self.baselines.borrow()[place], &own(place, facts::process(pid))));
        }
        found.extend(facts::differences(&self.machine, &facts::machine(&self.clock)));
        found.extend(facts::differences(&self.victims.borrow(), &self.look_at_victims()));
        if let Some(who) = self.listeners.heard(name) {
            found.push(format!("{who} heard it"));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }

    fn look_at_victims(&self) -> Facts {
        let mut seen = Facts::new();
        let git = self.repository.join(".git");
        let own = [
            "hidden", "hidden/w", "hidden/w/.git", "hidden/secret", "hidden/writable", "hidden/dir", "shown", "shown/file",
            "shown/program", "shown/dir",
        ];
        let mut paths: Vec<PathBuf> = own.iter().map(|name| self.ground.0.join(name)).collect();
        paths.extend(PLACES.iter().map(|place| Path::new(place).join(LEFT)));
        let parts = [
            "config", "HEAD", "hooks", "info", "refs/heads/main", "packed-refs", "logs/HEAD", "config.worktree", "commondir", "shallow",
            "objects/info/alternates", "refs/replace/x", "refs/tags/evil", "refs/heads/evil", "refs/heads/wsm/neighbour", "info/attributes", "info/exclude", "info/grafts",
        ];
        seen.insert("an object".into(), self.first_object());
        let (pointer, etc) = (Path::new(&self.agent.workspace).join(".git"), self.wsm.dir().join("etc"));
        paths.extend([pointer, etc.join("config.toml"), etc.join("templates/attacked.toml")]);
        paths.extend(parts.iter().map(|part| git.join(part)));
        paths.push(Path::new(&self.neighbour.workspace).join("README.md"));
        paths.extend(["/etc/passwd", "/etc/hosts", "/usr/bin/env"].map(PathBuf::from));
        for path in paths {
            seen.insert(path.display().to_string(), facts::file(&path));
        }
        let prey = self.prey.borrow().id();
        let alive = host::process(i32::try_from(prey).unwrap_or(0)).is_some();
        seen.insert("a process of the host lives".into(), alive.to_string());
        for (name, pid) in [("pid 1", Some(self.init)), ("a planted process", self.planted)] {
            let Some(pid) = pid else { continue };
            let now = facts::process(pid);
            let said = ["Uid", "TracerPid", "Seccomp", "root", "nice"].map(|fact| now.get(fact).cloned());
            let alive = host::process(pid).is_some();
            seen.insert(name.into(), format!("{alive} {said:?}"));
        }
        seen
    }

    /// What the first loose object of the repository says.
    fn first_object(&self) -> String {
        let mut sum = Command::new("cksum");
        sum.arg(self.object(&self.repository.join(".git")));
        cli::run(sum, b"").text().split(' ').next().unwrap_or_default().to_owned()
    }

    /// The path of the first loose object of a git directory.
    fn object(&self, git: &Path) -> PathBuf {
        let mut find = Command::new("sh");
        find.args(["-c", "find objects -type f -path '*/??/*' | sort | head -1"]);
        find.current_dir(git);
        git.join(cli::run(find, b"").text())
    }

    fn saved(&self) -> PathBuf {
        self.wsm.root().home().join("git-as-it-was")
    }

    fn save_repository(&self) {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.repository.join(".git")).arg(self.saved());
        cli::run(copy, b"").ok();
    }

    /// Puts everything back that a breach changed.
    fn reset(&self, name: &str) {
        clear();
        let pointer = Path::new(&self.agent.workspace).join(".git");
        if fs::read_to_string(&pointer).ok().as_deref() != Some(&*self.pointer) {
            // In its place where it is a file: a mount may stand on it.
            drop(fs::remove_dir_all(&pointer));
            fs::write(&pointer, &self.pointer).expect("root writes");
            std::os::unix::fs::chown(&pointer, Some(self.ann.uid()), Some(self.ann.gid())).expect("root may");
        }
        if name.starts_with("F05") {
            let end = Instant::now() + std::time::Duration::from_secs(1);
            while self.prey.borrow_mut().try_wait().expect("our child").is_none() && Instant::now() < end {
                std::thread::yield_now();
            }
        }
        for part in ["hidden", "shown"] {
            for entry in fs::read_dir(self.ground.0.join(part)).into_iter().flatten().flatten() {
                let path = entry.path();
                let socket = entry.file_type().is_ok_and(|kind| std::os::unix::fs::FileTypeExt::is_socket(&kind));
                if !socket {
                    drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
                }
            }
        }
        self.ground.lay(&self.ann, &self.secret);
        let git = self.repository.join(".git");
        for name in ["config.worktree", "commondir", "shallow", "objects/info/alternates", "refs/replace/x", "refs/tags/evil", "refs/heads/evil", "packed-refs"] {
            if !self.saved().join(name).exists() {
                drop(fs::remove_file(git.join(name)));
            }
        }
        for part in ["config", "HEAD", "hooks", "info", "refs/heads/main", "logs/HEAD"] {
            let (from, to) = (self.saved().join(part), self.repository.join(".git").join(part));
            drop(fs::remove_dir_all(&to).or_else(|_| fs::remove_file(&to)));
            let mut copy = Command::new("cp");
            copy.arg("-a").arg(from).arg(to);
            cli::run(copy, b"").ok();
        }
        let object = fs::read(self.object(&self.saved())).expect("it was saved");
        fs::write(self.object(&git), object).expect("root writes");
        let mut child = self.prey.borrow_mut();
        if child.try_wait().expect("our child").is_some() {
            *child = prey();
        }
        drop(child);
        self.listeners.forget();
        *self.victims.borrow_mut() = self.look_at_victims();
    }

    /// The pid of the prey, on the host.
    pub(crate) fn prey(&self) -> i32 {
        i32::try_from(self.prey.borrow().id()).expect("a pid")
    }

    /// Keeps what plants the process.
    pub(crate) fn planted_by(&mut self, planter: Child, pid: i32) {
        self.planter = Some(planter);
        self.planted = Some(pid);
    }

    /// Where a control is run.
    pub(crate) fn place_of(control: Control) -> Option<&'static str> {
        match control {
            Control::Host => Some("host"),
            Control::Apart => Some("apart"),
            Control::Neighbour => Some("neighbour"),
            Control::Permitted => Some("inside"),
            Control::Ablation | Control::None(_) => None,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        clear();
        crate::ipc::clear(self);
        let mut prey = self.prey.borrow_mut();
        drop(prey.kill());
        drop(prey.wait());
        if let Some(planter) = &mut self.planter {
            drop(planter.kill());
            drop(planter.wait());
        }
    }
}

/// Outside every case has mounts and a host name of its own anyway.
fn own(place: &str, mut facts: Facts) -> Facts {
    if matches!(place, "host" | "apart") {
        facts.remove("namespace mnt");
        facts.remove("namespace uts");
    }
    facts
}

/// Removes what attacks left.
fn clear() {
    for place in PLACES {
        let left = Path::new(place).join(LEFT);
        drop(fs::remove_dir(&left).or_else(|_| fs::remove_file(&left)));
    }
}

fn prey() -> Child {
    let mut sleep = Command::new("sleep");
    sleep.arg("100000").stdin(Stdio::null());
    sleep.spawn().expect("sleep starts")
}

/// PID 1 of an agent's sandbox.
fn init_of(agent: &Agent) -> i32 {
    let look = || {
        let all = host::processes_of(&agent.id);
        let named = |pid: &i32| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
            comm.is_ok_and(|comm| comm.trim() == "wsm-init")
        };
        all.iter().map(|p| p.pid).find(named)
    };
    let all = || format!("{:?}", host::processes_of(&agent.id));
    wait::until("the sandbox's PID 1", wait::PATIENCE, look, all)
}

fn configure(wsm: &Instance, ground: &Ground, listeners: &Listeners, egress: bool) {
    let config = "[egress]\n\
        permit = [{ names = [\"allowed.example\"], cidr = \"127.0.0.0/8\" }]\n\
        [egress.hosts]\n\
        \"allowed.example\" = [\"127.0.0.1\"]\n\"evil.example\" = [\"127.0.0.1\"]\n\
        \"inner.example\" = [\"127.0.0.1\"]\n";
    fs::write(wsm.dir().join("etc/config.toml"), config).expect("root writes");
    let port = listeners.allowed;
    let network = if egress {
        format!("[network]\negress = \"allow\"\nallow = [\"allowed.example:{port}\", \"inner.example:{port}\"]\n")
    } else {
        String::new()
    };
    let text = format!(
        "schema = 1\nname = \"attacked\"\ndescription = \"x\"\nextends = [\"shell\"]\n\
         [filesystem]\nread = [\"{}\"]\n\
         {network}[limits]\nmemory = \"256M\"\npids = 100\n",
        ground.0.join("shown").display()
    );
    wsm.host_template("attacked", &text);
}

//! The world of the suite: an instance, the agent that attacks, its neighbours, and the victims.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wsm_api::agent::{Agent, State};
use wsm_tests::instance::Instance;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::{cli, host, wait};

use crate::attacker::{self, Attacker, innermost_pid};
use crate::case::Control;
use crate::facts::{self, Clock, Facts};
use crate::listeners::Listeners;
use crate::planted;
use crate::scene::{self, Ground, configure, init_of, prey};
use crate::sniffer::Sniffer;
use crate::trust::TRUSTED;
use crate::victims;

/// Name of the agent that attacks.
pub(crate) const ATTACKER: &str = "attacker";
/// Another agent of the same person.
pub(crate) const NEIGHBOUR: &str = "neighbour";

/// What a world plants on the host has fixed names.
static ONE: Mutex<()> = Mutex::new(());

/// Everything that a case may meet.
pub(crate) struct World {
    /// The attackers, by where they run.
    attackers: RefCell<BTreeMap<&'static str, Attacker>>,
    /// Facts of an attacker that did nothing.
    baselines: RefCell<BTreeMap<&'static str, Facts>>,
    /// Who listens on the host.
    pub(crate) listeners: Listeners,
    /// What passes on the host's networks.
    pub(crate) sniffer: Sniffer,
    /// A process of the host that anybody could signal by its number.
    pub(crate) prey: RefCell<Child>,
    /// A process in the attacker's pid namespace, of its uid, that is not its own.
    pub(crate) planted: Cell<Option<i32>>,
    planter: RefCell<Option<Child>>,
    clock: Clock,
    machine: RefCell<Facts>,
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
    /// What root configured.
    configured: Vec<(PathBuf, String)>,
    /// The neighbour.
    pub(crate) neighbour: Agent,
    /// The attacker's repository.
    pub(crate) repository: PathBuf,
    /// A loose object in it, below its git directory.
    pub(crate) object: PathBuf,
    /// The instance.
    pub(crate) wsm: Instance,
    /// The person that both agents belong to.
    pub(crate) ann: Persona,
    _alone: MutexGuard<'static, ()>,
}

/// Who starts an attacker has a descriptor open, and a secret in the environment.
const INHERITED: &str = "exec 7<\"$1\"; shift; exec \"$@\"";

impl World {
    /// Makes it. `ablated` names the layer that is switched off in the attacker's sandbox.
    pub(crate) fn new(ablated: Option<&str>) -> World {
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        scene::clear();
        let wsm = Instance::start();
        let ann = Persona::new("ann");
        let secret = format!("S3CRET{}x", std::process::id());
        let ground = Ground(PathBuf::from(format!(
            "/srv/wsm-attack-{}",
            std::process::id()
        )));
        ground.lay(&ann, &secret);
        let listeners = Listeners::start(&ground);
        ground.give_sockets(&ann);
        // Without a network of its own there is no way out to be made for it.
        configure(
            &wsm,
            &ground,
            &listeners,
            ablated != Some("network-namespace"),
        );
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
        let world = World {
            attackers: RefCell::default(),
            baselines: RefCell::default(),
            listeners,
            sniffer: Sniffer::start(wsm.root()),
            prey: RefCell::new(prey()),
            planted: Cell::default(),
            planter: RefCell::default(),
            machine: facts::machine(&clock).into(),
            clock,
            victims: RefCell::default(),
            secret,
            ground,
            pointer: fs::read_to_string(Path::new(&agent.workspace).join(".git"))
                .expect("a worktree"),
            configured: scene::configured(&wsm),
            agent,
            init,
            neighbour,
            object: victims::object_of(&repository.join(".git")),
            repository,
            wsm,
            ann,
            _alone: alone,
        };
        world.start_attackers();
        planted::plant(&world);
        crate::ipc::lay(&world);
        scene::neighbour_listens(&world.wsm, &world.ann, &world.neighbour.workspace);
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
                &[
                    "exec",
                    agent.name.as_str(),
                    "--",
                    "sh",
                    "-c",
                    "cat >~/a && chmod +x ~/a",
                ],
            );
            cli::run(put, &bytes).ok();
            self.add(place, self.attacker_in(agent));
        }
        let mut outside = self.wsm.root().command("sh");
        outside
            .args(["-c", INHERITED, "sh"])
            .arg(self.ground.hidden("secret"));
        outside
            .arg(&program)
            .arg("alone")
            .envs(scene::poisoned(&self.secret));
        self.add("host", Attacker::start(outside, Some));
        let mut apart = self.wsm.root().command("unshare");
        apart.args([
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--fork",
            "--mount-proc",
        ]);
        apart
            .args(["--kill-child", "--propagation", "private", "--"])
            .arg(&program)
            .arg("alone");
        let find = |own: i32| {
            let all = host::processes();
            let command = format!("{} alone", program.display());
            let named = all.iter().filter(|p| p.command == command);
            let apart = named.filter(|p| innermost_pid(p.pid) != Some(p.pid));
            apart
                .map(|p| p.pid)
                .find(|pid| innermost_pid(*pid) == Some(own))
        };
        self.add("apart", Attacker::start(apart, find));
    }

    /// Starts the program that was put into an agent's home.
    fn attacker_in(&self, agent: &Agent) -> Attacker {
        let mut exec = self.ann.command("sh");
        exec.args(["-c", INHERITED, "sh"])
            .arg(self.ground.hidden("secret"));
        exec.arg(wsm_tests::instance::program("wsm"))
            .arg("--dir")
            .arg(self.wsm.dir());
        exec.args(["exec", agent.name.as_str(), "--", "/home/agent/a"]);
        exec.envs(scene::poisoned(&self.secret));
        let find = |own: i32| {
            let all = host::processes_of(&agent.id);
            let named = all.iter().filter(|p| p.command == "/home/agent/a");
            named
                .map(|p| p.pid)
                .find(|pid| innermost_pid(*pid) == Some(own))
        };
        Attacker::start(exec, find)
    }

    fn add(&self, place: &'static str, mut attacker: Attacker) {
        attacker.end();
        self.attackers.borrow_mut().insert(place, attacker);
    }

    /// What attackers are that did nothing.
    fn measure(&self) {
        self.measure_at(|_| true);
    }

    fn measure_at(&self, wanted: impl Fn(&str) -> bool) {
        for (place, attacker) in self.attackers.borrow_mut().iter_mut() {
            if !wanted(place) {
                continue;
            }
            let outcome = attacker.run("none", "39").expect("it just started");
            let pid = outcome.pid.expect("its child stands");
            self.baselines
                .borrow_mut()
                .insert(place, facts::own(place, facts::process(pid)));
            attacker.end();
        }
    }

    /// Leaves a process behind; its number as its place counts.
    pub(crate) fn daemonise(&self, place: &'static str) -> Option<i32> {
        let mut attackers = self.attackers.borrow_mut();
        let attacker = attackers.get_mut(place).expect("one of each");
        let outcome = attacker.run("K09", "daemon")?;
        attacker.end();
        i32::try_from(outcome.last()).ok().filter(|pid| *pid > 0)
    }

    /// Does something on the host, for the suite and not as a case.
    pub(crate) fn outside(&self, calls: &[String]) {
        let mut attackers = self.attackers.borrow_mut();
        if let Some(attacker) = attackers.get_mut("host") {
            attacker.run("set-up", &crate::case::then(calls));
            attacker.end();
        }
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
            drop(attackers);
            if let Some(why) = self.ended_by_its_limit(name) {
                self.start_again();
                return (why, None);
            }
            return (
                "the attacker is gone".into(),
                Some("the attacker was ended".into()),
            );
        };
        // Whatever the facts say: judging puts back what a case left.
        let facts = self.common(place, name, &outcome);
        let breach = facts.or(judge(self, &outcome));
        let detail = outcome.detail();
        attacker.end();
        if breach.is_some() {
            self.reset(name);
        }
        drop(attackers);
        if matches!(place, "host" | "apart") {
            self.settle();
            // The host's own services mount and unmount as they like.
            if breach.as_ref().is_some_and(|what| what.contains("mounts:")) {
                self.measure_at(|other| other == place);
            }
        }
        (detail, breach)
    }

    /// What the suite itself asks of the host may load modules.
    pub(crate) fn settle(&self) {
        let mut machine = self.machine.borrow_mut();
        machine.insert(facts::MODULES.into(), facts::modules());
    }

    /// Where the kernel ends a whole group, too much memory ends the agent: that is what holds.
    fn ended_by_its_limit(&self, case: &str) -> Option<String> {
        if !case.starts_with("K02-") {
            return None;
        }
        let known = || {
            let agent = self.wsm.agent(self.agent.name.as_str());
            (agent.state == State::Failed).then_some(agent.reason)
        };
        let why = wait::until("wsm to know of it", wait::PATIENCE, known, String::new);
        why.contains("memory limit").then_some(why)
    }

    /// The agent and its attacker; what was planted in its sandbox is gone for good.
    fn start_again(&self) {
        let name = self.agent.name.as_str();
        self.wsm.wsm_as(&self.ann, &["start", name]).ok();
        self.add("inside", self.attacker_in(&self.agent));
        self.measure();
        *self.victims.borrow_mut() = self.look_at_victims();
    }

    /// What every case is judged by.
    fn common(
        &self,
        place: &str,
        name: &str,
        outcome: &crate::attacker::Outcome,
    ) -> Option<String> {
        if outcome.text().contains(&self.secret) {
            return Some("it knows the secret".into());
        }
        let mut found = Vec::new();
        if let Some(pid) = outcome.pid.filter(|_| !outcome.died) {
            found.extend(facts::differences(
                &self.baselines.borrow()[place],
                &facts::own(place, facts::process(pid)),
            ));
        }
        found.extend(facts::differences(
            &self.machine.borrow(),
            &facts::machine(&self.clock),
        ));
        found.extend(facts::differences(
            &self.victims.borrow(),
            &self.look_at_victims(),
        ));
        if let Some(who) = self.listeners.heard(name) {
            found.push(format!("{who} heard it"));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }

    /// What the host changed itself is no breach.
    pub(crate) fn look_again(&self) {
        *self.victims.borrow_mut() = self.look_at_victims();
    }

    fn saved(&self) -> PathBuf {
        self.wsm.root().home().join("git-as-it-was")
    }

    fn save_repository(&self) {
        let mut copy = Command::new("cp");
        copy.arg("-a")
            .arg(self.repository.join(".git"))
            .arg(self.saved());
        cli::run(copy, b"").ok();
    }

    fn restore_repository(&self) {
        let git = self.repository.join(".git");
        for part in TRUSTED.iter().chain(&["hooks"]) {
            let (from, to) = (self.saved().join(part), git.join(part));
            drop(fs::remove_dir_all(&to).or_else(|_| fs::remove_file(&to)));
            if !from.exists() {
                continue;
            }
            let mut copy = Command::new("cp");
            copy.arg("-a").arg(from).arg(to);
            cli::run(copy, b"").ok();
        }
        let object = fs::read(self.saved().join(&self.object)).expect("it was saved");
        fs::write(git.join(&self.object), object).expect("root writes");
    }

    /// Puts everything back that a breach changed.
    fn reset(&self, name: &str) {
        scene::clear();
        let pointer = Path::new(&self.agent.workspace).join(".git");
        if fs::read_to_string(&pointer).ok().as_deref() != Some(&*self.pointer) {
            // In its place where it is a file: a mount may stand on it.
            drop(fs::remove_dir_all(&pointer));
            fs::write(&pointer, &self.pointer).expect("root writes");
            std::os::unix::fs::chown(&pointer, Some(self.ann.uid()), Some(self.ann.gid()))
                .expect("root may");
        }
        if name.starts_with("F05") {
            let end = Instant::now() + std::time::Duration::from_secs(1);
            while self
                .prey
                .borrow_mut()
                .try_wait()
                .expect("our child")
                .is_none()
                && Instant::now() < end
            {
                std::thread::yield_now();
            }
        }
        for part in ["hidden", "shown"] {
            for entry in fs::read_dir(self.ground.0.join(part))
                .into_iter()
                .flatten()
                .flatten()
            {
                let path = entry.path();
                let socket = entry
                    .file_type()
                    .is_ok_and(|kind| std::os::unix::fs::FileTypeExt::is_socket(&kind));
                if !socket {
                    drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
                }
            }
        }
        self.ground.lay(&self.ann, &self.secret);
        scene::put_back(&self.configured);
        // Copying takes programs, which are slow to start on an emulated machine.
        let git = self.repository.display().to_string();
        let of_git = |facts: &Facts| {
            let named = |name: &str| name.starts_with(&git) || name == victims::OBJECT;
            let facts = facts.iter().filter(|(name, _)| named(name));
            facts.map(|(_, is)| is.clone()).collect::<Vec<_>>()
        };
        if of_git(&self.victims.borrow()) != of_git(&self.look_at_victims()) {
            self.restore_repository();
        }
        let mut child = self.prey.borrow_mut();
        if child.try_wait().expect("our child").is_some() {
            *child = prey();
        }
        drop(child);
        let lives = |pid| host::process(pid).is_some();
        if lives(self.init) && !self.planted.get().is_some_and(lives) {
            planted::plant_process(self);
        }
        self.listeners.forget();
        self.look_again();
    }

    /// The pid of the prey, on the host.
    pub(crate) fn prey(&self) -> i32 {
        i32::try_from(self.prey.borrow().id()).expect("a pid")
    }

    /// Keeps what plants the process.
    pub(crate) fn planted_by(&self, planter: Child, pid: i32) {
        scene::end(self.planter.replace(Some(planter)));
        self.planted.set(Some(pid));
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
        scene::clear();
        crate::ipc::clear(self);
        let mut prey = self.prey.borrow_mut();
        drop(prey.kill());
        drop(prey.wait());
        scene::end(self.planter.take());
    }
}

//! `kill -9` of daemon, broker, both and shims, at named points and at random: no agent, commit or
//! byte of output is lost, nothing is started twice, nothing is left.
//!
//! `WSM_CHAOS=200` says how many kills (20 without), `WSM_CHAOS_SEED` repeats a run, and
//! `WSM_CHAOS_ONLY=text` takes only the strikes whose name contains it.

#[path = "chaos/check.rs"]
mod check;
#[path = "chaos/strike.rs"]
mod strike;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use wsm_tests::cli::Output;
use wsm_tests::host;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

use strike::{Blow, Rng, Scene, Strike};

/// Everything at once: files, setup, a service on a leased port, a command that never stops writing.
const TEMPLATE: &str = r#"
schema = 1
name = "chaos"
[workspace]
setup = ["echo once >>~/setup-ran && sleep 0.2"]
[files]
"~/.hello" = "hello\n"
[agent]
kind = "command"
command = ["sh", "-c", "echo once >>~/main-ran; n=0; while :; do n=$((n+1)); echo \"<$n>\"; sleep 0.1; done"]
wait_for = ["web"]
[services.web]
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port.web}"]
ready = { tcp = "web", timeout = "30s" }
[ports]
web = { inside = 8080, protocol = "http" }
"#;

/// Agents that are there at the same time, beside the witness.
const FLEET_MAX: usize = 3;

/// Watched through all of it.
const WITNESS: &str = "witness";

/// A command line in flight is over after this, whatever was killed.
const CALL_PATIENCE: Duration = Duration::from_secs(90);

/// What an agent must be, as far as the test knows.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    runs: bool,
    /// How often its command was started.
    started: u32,
    pids: Vec<i32>,
}

struct Chaos<'a> {
    wsm: &'a Instance,
    repo: &'a Repo<'a>,
    rng: Rng,
    agents: BTreeMap<String, Known>,
    made: u32,
    kills: u32,
    missed: u32,
}

#[test]
fn nothing_is_lost_to_kills() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let kills = number("WSM_CHAOS").unwrap_or(20);
    let seed = number("WSM_CHAOS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("WSM_CHAOS={kills} WSM_CHAOS_SEED={seed}");
    let wsm = Instance::start();
    wsm.host_template("chaos", TEMPLATE);
    let repo = Repo::small(wsm.root(), "project");
    let mut chaos = Chaos {
        wsm: &wsm,
        repo: &repo,
        rng: Rng(seed),
        agents: BTreeMap::new(),
        made: 0,
        kills: 0,
        missed: 0,
    };
    chaos.adopt(WITNESS, 1);
    let (viewer, seen) = chaos.watch();
    let only = std::env::var("WSM_CHAOS_ONLY").unwrap_or_default();
    let mut strikes = strike::plan(&mut chaos.rng, kills, &only).into_iter();
    while u64::from(chaos.kills) < kills {
        let Some(strike) = strikes.next() else { break };
        let begun = std::time::Instant::now();
        let hit = chaos.round(&strike);
        check::output(&wsm, &seen, &viewer);
        check::everything(&chaos);
        let took = begun.elapsed().as_secs_f32();
        let word = if hit { "killed" } else { "not reached" };
        eprintln!("{:4} {word}: {strike} ({took:.1} s)", chaos.kills);
    }
    eprintln!("{} kills, {} points not reached", chaos.kills, chaos.missed);
    drop(viewer);
    drop(chaos);
    assert_eq!(wsm.end(), Vec::<String>::new());
}

impl Chaos<'_> {
    /// One kill in one scene; everything is as it must be afterwards.
    fn round(&mut self, strike: &Strike) -> bool {
        let before = self.kills;
        match strike.scene {
            Scene::Create => self.create(strike.blow),
            Scene::Commit => self.commit(strike.blow),
            Scene::Stop => self.stop(strike.blow),
            Scene::Start => self.start(strike.blow),
            Scene::Remove => self.remove(strike.blow),
            Scene::Shim => self.lose(),
        }
        if self.kills == before {
            self.missed += 1;
        }
        self.kills > before
    }

    /// Makes an agent while something dies; what was acknowledged is there and runs, what was not
    /// runs or has left nothing.
    fn create(&mut self, blow: Blow) {
        if self.agents.len() > FLEET_MAX {
            let name = self.any();
            self.wsm.wsm(&["rm", "--purge", &name]).ok();
            self.agents.remove(&name);
        }
        self.made += 1;
        let name = format!("made-{}", self.made);
        let path = self.repo.path().to_string_lossy().into_owned();
        let words = ["new", &path, "-t", "chaos", "--name", &name, "--detach"];
        let told = self.strike(blow, &words);
        if self.wsm.find(&name).is_some() {
            self.adopt(&name, 1);
        } else {
            assert_ne!(told.code, 0, "an acknowledged agent is gone: {told}");
        }
    }

    /// Commits inside while something dies; all of them arrive.
    fn commit(&mut self, blow: Blow) {
        let name = self.any_running();
        let script = "for i in 1 2 3 4 5 6; do echo $i-$$ >>work; git add work; \
                      git commit -q -m \"commit $i\" || echo failed >>~/failed; sleep 0.1; done; \
                      touch ~/committed";
        let words = ["exec", &name, "--", "sh", "-c"];
        let line = format!("rm -f ~/committed; ({script}) >/dev/null 2>&1 </dev/null &");
        self.strike(blow, &[&words[..], &[&line]].concat());
        wait::until_true("the commits inside", || {
            let ran = self
                .wsm
                .inside(&name, "test ! -e ~/failed -a -e ~/committed");
            if ran.code == 1 && self.wsm.inside(&name, "test -e work").code != 0 {
                // The order itself died with the daemon before anything was begun.
                return true;
            }
            ran.code == 0
        });
    }

    fn stop(&mut self, blow: Blow) {
        let name = self.any_running();
        let told = self.strike(blow, &["stop", &name]);
        let state = self.wsm.wait_state(&name, "working,idle,stopped").state;
        let stopped = state == wsm_api::agent::State::Stopped;
        assert!(stopped || told.code != 0, "an acknowledged stop: {told}");
        if stopped {
            self.known(&name).runs = false;
            check::rests(self);
            self.wsm.wsm(&["start", &name]).ok();
            let started = self.known(&name).started + 1;
            self.adopt_running(&name, started);
        }
    }

    fn start(&mut self, blow: Blow) {
        let name = self.any_running();
        self.wsm.wsm(&["stop", &name]).ok();
        self.wsm.wait_state(&name, "stopped");
        let told = self.strike(blow, &["start", &name]);
        let settled = self.wsm.wait_state(&name, "working,idle,stopped");
        if settled.state == wsm_api::agent::State::Stopped {
            assert_ne!(told.code, 0, "an acknowledged start: {told}");
            self.wsm.wsm(&["start", &name]).ok();
        }
        let started = self.known(&name).started + 1;
        self.adopt_running(&name, started);
    }

    /// Removes for good; a removal that was not acknowledged can be asked for again.
    fn remove(&mut self, blow: Blow) {
        let name = self.any_running();
        self.wsm
            .inside(
                &name,
                "echo x >gone && git add gone && git commit -q -m gone",
            )
            .ok();
        let told = self.strike(blow, &["rm", "--purge", &name]);
        let again = self.wsm.wsm(&["rm", "--purge", &name]);
        let gone = again.code == 0 || again.code == 4;
        assert!(gone, "after {told}\n{again}");
        wait::until_true("it to be gone", || self.wsm.find(&name).is_none());
        self.agents.remove(&name);
    }

    /// A shim dies: its agent is lost, its work is not.
    fn lose(&mut self) {
        let name = self.any_running();
        let known = self.known(&name).clone();
        let mark = format!("lost-{}", self.kills);
        let line = format!("echo {mark} >~/kept && sync");
        self.wsm.inside(&name, &line).ok();
        let all = host::processes_of(&known.id);
        let shim = all.iter().find(|process| process.cgroup.contains("/shim"));
        host::signal(shim.expect("a running agent has a shim").pid, "KILL");
        self.kills += 1;
        self.wsm.wait_state(&name, "lost");
        self.known(&name).runs = false;
        check::rests(self);
        self.wsm.wsm(&["start", &name]).ok();
        self.adopt_running(&name, known.started + 1);
        assert_eq!(self.wsm.inside(&name, "cat ~/kept").ok().text(), mark);
    }

    /// Starts a command line whose end is awaited later.
    fn begin(&self, words: &[&str]) -> Child {
        let mut call = self.wsm.command(self.wsm.root(), words);
        call.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        call.spawn().expect("wsm starts")
    }

    /// Strikes while a command line is in flight, and brings the instance back.
    fn strike(&mut self, blow: Blow, words: &[&str]) -> Output {
        let (call, hit) = strike::strike(self.wsm, blow, || self.begin(words));
        let told = strike::end(call, CALL_PATIENCE);
        if hit {
            self.kills += blow.kills();
            let fine = told.code == 0 || (told.code == 6 && blow.hits_daemon());
            assert!(
                fine,
                "{blow} was no reason for this: {told}\n{}\n{}",
                self.explain(),
                self.wsm.log()
            );
        }
        told
    }

    fn explain(&self) -> String {
        let told = self.wsm.list().into_iter();
        let told = told.map(|agent| self.wsm.wsm(&["explain", agent.name.as_str()]).stdout);
        told.collect()
    }

    fn known(&mut self, name: &str) -> &mut Known {
        self.agents.get_mut(name).expect("an agent of the test")
    }

    fn any(&mut self) -> String {
        let mut names: Vec<_> = self.agents.keys().cloned().collect();
        names.retain(|name| name != WITNESS);
        let at = self.rng.below(names.len());
        names.into_iter().nth(at).unwrap_or_default()
    }

    /// An agent that runs, never the witness; made if there is none.
    fn any_running(&mut self) -> String {
        if self.agents.len() < 2 {
            self.made += 1;
            let name = format!("made-{}", self.made);
            self.adopt(&name, 1);
            return name;
        }
        self.any()
    }

    /// Makes it if it is not there; it has to run then, its command having been started `started`
    /// times and its setup once.
    fn adopt(&mut self, name: &str, started: u32) {
        if self.wsm.find(name).is_none() {
            self.wsm.new_agent(self.repo, "chaos", name);
        }
        self.adopt_running(name, started);
    }

    fn adopt_running(&mut self, name: &str, started: u32) {
        let agent = self
            .wsm
            .wait_state(name, "working,idle,failed,lost,stopped");
        let state = agent.state.as_str();
        assert!(
            ["working", "idle"].contains(&state),
            "{name} is {state}: {}\n{}\n{}",
            agent.reason,
            self.wsm.wsm(&["explain", name]),
            self.wsm.log()
        );
        let known = Known {
            pids: check::pids(&agent.id),
            id: agent.id,
            runs: true,
            started,
        };
        self.agents.insert(name.to_owned(), known);
        let ran = self
            .wsm
            .inside(name, "cat ~/setup-ran; echo; cat ~/main-ran; cat ~/.hello");
        let want = format!("once\n\n{}hello\n", "once\n".repeat(started as usize));
        assert_eq!(
            ran.ok().stdout,
            want,
            "{name}: setup once, its command {started} times"
        );
    }

    /// A person who looks at the witness all the time; every byte that reaches the terminal is kept.
    fn watch(&self) -> (Term, std::path::PathBuf) {
        let seen = self.wsm.dir().with_file_name("seen");
        let attach = self
            .wsm
            .command(self.wsm.root(), &["attach", WITNESS, "--read-only"]);
        let words = std::iter::once(attach.get_program()).chain(attach.get_args());
        let words: Vec<_> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut script = self.wsm.root().command("script");
        script.arg("-qfc").arg(words.join(" ")).arg(&seen);
        let term = Term::start(&script, 100, 30);
        term.wait_for("<");
        (term, seen)
    }
}

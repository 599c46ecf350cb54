//! `kill -9` of daemon, broker, both and shims, at named points and at random: no agent, commit or
//! byte of output is lost, nothing is started twice, nothing is left.
//!
//! `WSM_CHAOS=200` says how many kills (20 without); from 200 on every named point must be reached,
//! below it is a choice of them. `WSM_CHAOS_SEED` repeats a choice, `WSM_CHAOS_ONLY=text` takes only
//! the strikes whose name contains it, and `WSM_CHAOS=survey` writes down which scene passes which
//! point.

#[path = "chaos/check.rs"]
mod check;
#[path = "chaos/cut.rs"]
mod cut;
#[path = "chaos/points.rs"]
mod points;
#[path = "chaos/scene.rs"]
mod scene;
#[path = "chaos/strike.rs"]
mod strike;
#[path = "chaos/watch.rs"]
mod watch;
#[path = "chaos/work.rs"]
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use wsm_tests::cli::Output;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;

use points::{Listed, Point};
use strike::{Blow, Plan, Rng, Scene, Strike};
use watch::Watchers;

/// Everything at once: files, setup and teardown, a service on a leased port, a directory outside
/// that it may write to, a command that never stops writing.
const TEMPLATE: &str = r#"
schema = 1
name = "chaos"
[workspace]
setup = ["echo once >>~/setup-ran && sleep 0.2"]
teardown = ["echo {agent} >>GRANTED/torn"]
[files]
"~/.hello" = "hello\n"
[agent]
kind = "command"
command = ["sh", "-c", "echo once >>~/main-ran; WRITER"]
wait_for = ["web"]
[services.web]
init = ["touch", "{state}/made"]
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port.web}"]
ready = { tcp = "web", timeout = "30s" }
[ports]
web = { inside = 8080, protocol = "http" }
[filesystem]
write = ["GRANTED"]
"#;

/// Agents that are there at the same time, beside the witness.
const FLEET_MAX: usize = 3;

/// Watched through all of it.
const WITNESS: &str = "witness";

/// A command line in flight is over after this, whatever was killed.
const CALL_PATIENCE: Duration = Duration::from_secs(90);

/// A run of so many kills reaches every named point.
const WHOLE: u32 = 200;

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
    /// What a scene passed while nobody was killed.
    passed: BTreeSet<Point>,
    /// Whether the last strike reached its point.
    hit: bool,
    /// Outside, where the agents may write.
    granted: PathBuf,
}

#[test]
fn nothing_is_lost_to_kills() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seed = number("WSM_CHAOS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let wanted = std::env::var("WSM_CHAOS").unwrap_or_else(|_| "20".to_owned());
    eprintln!("WSM_CHAOS={wanted} WSM_CHAOS_SEED={seed}");
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    // Every sandbox has a /tmp and a /var/tmp of its own.
    let granted = tempfile::tempdir_in("/srv").expect("a directory to grant");
    let template = TEMPLATE.replace("GRANTED", &granted.path().to_string_lossy());
    wsm.host_template("chaos", &template.replace("WRITER", watch::WRITER));
    let mut chaos = Chaos {
        wsm: &wsm,
        repo: &repo,
        rng: Rng(seed.wrapping_add(1)),
        agents: BTreeMap::new(),
        made: 0,
        kills: 0,
        passed: BTreeSet::new(),
        hit: false,
        granted: granted.path().to_owned(),
    };
    chaos.adopt(WITNESS, 1);
    let watchers = Watchers::start(&wsm);
    if wanted == "survey" {
        chaos.survey(&watchers);
    } else {
        chaos.run(
            &watchers,
            wanted.parse().expect("WSM_CHAOS is a number"),
            seed,
        );
    }
    let (bytes, lines) = watchers.bytes();
    eprintln!("{bytes} bytes were seen by one viewer, up to line {lines}, and compared");
    drop(watchers);
    drop(chaos);
    assert_eq!(wsm.end(), Vec::<String>::new());
}

impl Chaos<'_> {
    /// So many kills; from [`WHOLE`] on until every named point was struck.
    fn run(&mut self, watchers: &Watchers, kills: u32, seed: u64) {
        let only = std::env::var("WSM_CHAOS_ONLY").unwrap_or_default();
        let listed = Listed::read();
        let mut plan = Plan::new(seed, &listed, &only);
        let short = kills < WHOLE;
        let mut missed = 0;
        points::listen(self.wsm);
        while self.kills < kills || !short && plan.tally().1 > 0 {
            let strike = plan.next(short);
            let begun = Instant::now();
            let hit = self.round(&strike);
            plan.came_of(&strike.blow, hit);
            missed += u32::from(!hit);
            watchers.check(self.wsm);
            check::everything(self);
            let took = begun.elapsed().as_secs_f32();
            let word = if hit { "killed" } else { "not reached" };
            eprintln!("{:4} {word}: {strike} ({took:.1} s)", self.kills);
        }
        let (struck, open, never) = plan.tally();
        let named = listed.points();
        let mut strange = points::passed(self.wsm);
        strange.retain(|point| !named.contains_key(point));
        eprintln!(
            "{} kills; {struck} of {} named points struck, {open} not tried, {missed} strikes missed",
            self.kills,
            named.len()
        );
        eprintln!("never reached: {never:#?}\npassed, but not listed: {strange:#?}");
        assert!(short || never.is_empty(), "named points were never reached");
    }

    /// Every scene without a kill, to write down which points it passes.
    fn survey(&mut self, watchers: &Watchers) {
        let only = std::env::var("WSM_CHAOS_ONLY").unwrap_or_default();
        let mut scenes = Scene::ALL.to_vec();
        // A cut is another one each time.
        scenes.retain(|scene| *scene != Scene::Cut && format!("{scene:?}").contains(&only));
        let mut listed = Listed::read();
        for scene in scenes {
            let mut twice = [(); 2].map(|()| {
                let blow = Blow::Nothing;
                self.round(&Strike { scene, blow });
                watchers.check(self.wsm);
                check::everything(self);
                std::mem::take(&mut self.passed)
            });
            // What is passed by chance alone can't be struck at will.
            let [first, second] = &mut twice;
            first.retain(|point| second.contains(point));
            eprintln!("{scene:?}: {} points", first.len());
            listed.set(scene, std::mem::take(first));
        }
        listed.write();
    }

    /// One strike in one scene; everything is as it must be afterwards.
    fn round(&mut self, strike: &Strike) -> bool {
        self.hit = false;
        self.play(strike.scene, &strike.blow);
        self.hit
    }

    /// A command line of root, not started yet.
    fn line(&self, words: &[&str]) -> std::process::Command {
        self.wsm.command(self.wsm.root(), words)
    }

    /// Strikes while a command line is in flight, and brings the instance back.
    fn strike(&mut self, blow: &Blow, words: &[&str]) -> Output {
        let line = self.line(words);
        self.strike_at(blow, &[], line)
    }

    /// The same for any command, which may end with one of these codes as well.
    fn strike_at(&mut self, blow: &Blow, codes: &[i32], line: std::process::Command) -> Output {
        if *blow == Blow::Nothing {
            points::listen(self.wsm);
        }
        let (call, hit) = strike::strike(self.wsm, blow, || begin(line));
        if *blow == Blow::Nothing {
            self.passed = points::passed(self.wsm);
        }
        let told = strike::end(call, CALL_PATIENCE);
        self.kills += if hit { blow.kills() } else { 0 };
        self.hit = hit;
        let fine = told.code == 0
            || codes.contains(&told.code)
            || (told.code == 6 && hit && blow.hits_daemon());
        assert!(
            fine,
            "{blow} was no reason for this: {told}\n{}\n{}",
            self.explain(),
            self.wsm.log()
        );
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

    fn fresh_name(&mut self) -> String {
        self.made += 1;
        format!("made-{}", self.made)
    }

    /// An agent that runs, never the witness; made if there is none.
    fn any_running(&mut self) -> String {
        if self.agents.len() < 2 {
            let name = self.fresh_name();
            self.adopt(&name, 1);
            return name;
        }
        self.any()
    }

    /// What makes an agent.
    fn new_words(&self, name: &str) -> Vec<String> {
        let granted = self.granted.to_string_lossy().into_owned();
        let repo = self.repo.path().to_string_lossy().into_owned();
        let words = [
            "new", &repo, "-t", "chaos", "--grant", &granted, "--name", name, "--detach",
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Makes it if it is not there; it has to run then, its command having been started `started`
    /// times and its setup once.
    fn adopt(&mut self, name: &str, started: u32) {
        if self.wsm.find(name).is_none() {
            let words = self.new_words(name);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let made = self.wsm.wsm(&words);
            self.wsm.remember_agents();
            assert_eq!(made.code, 0, "{made}\n{}", self.wsm.log());
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
}

/// Starts a command whose end is awaited later.
fn begin(mut line: std::process::Command) -> Child {
    line.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    line.spawn().unwrap_or_else(|why| panic!("{line:?}: {why}"))
}

/// A line of a shell on the host, as root.
fn shell(chaos: &Chaos<'_>, script: &str, words: &[&str]) -> std::process::Command {
    let mut line = chaos.wsm.root().command("sh");
    line.args(["-c", script, "sh"]).args(words);
    line
}

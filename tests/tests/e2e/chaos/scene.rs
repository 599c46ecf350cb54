//! What goes on while something dies, and what must have come of it.

use std::time::{Duration, Instant};

use wsm_api::agent::State;
use wsm_tests::cli::Output;
use wsm_tests::host;
use wsm_tests::instance::Part;
use wsm_tests::wait;

use super::strike::{Blow, Scene};
use super::{Chaos, FLEET_MAX, check, shell, watch};

/// `wsm exec` could not: the daemon died.
pub(super) const EXEC_FAILED: i32 = 125;

impl Chaos<'_> {
    pub(super) fn play(&mut self, scene: Scene, blow: &Blow) {
        match scene {
            Scene::Create => self.create(blow),
            Scene::Attach => self.attach(blow),
            Scene::Exec => self.exec(blow),
            Scene::Look => self.look(blow),
            Scene::Send => self.send(blow),
            Scene::Commit => self.commit(blow),
            Scene::Human => self.human(blow),
            Scene::Diverge => self.diverge(blow),
            Scene::Merge => self.merge(blow),
            Scene::Apply => self.apply(blow),
            Scene::Service => self.service(blow),
            Scene::Pause => self.pause(blow),
            Scene::Resume => self.resume(blow),
            Scene::Restart => self.restart(blow),
            Scene::Stop => self.stop(blow),
            Scene::Start => self.start(blow),
            Scene::Trash => self.trash(blow),
            Scene::Restore => self.restore(blow),
            Scene::Prune => self.prune(blow),
            Scene::Purge => self.purge(blow),
            Scene::Recover => self.recover(blow),
            Scene::Fail => self.fail(blow),
            Scene::Lose => self.lose(blow),
            Scene::Cut => self.cut(blow),
        }
    }

    /// What was acknowledged is there and runs, what was not runs or has left nothing.
    fn create(&mut self, blow: &Blow) {
        if self.agents.len() > FLEET_MAX {
            let name = self.any();
            self.wsm.wsm(&["rm", "--purge", &name]).ok();
            self.agents.remove(&name);
        }
        let name = self.fresh_name();
        let words = self.new_words(&name);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let told = self.strike(blow, &words);
        if self.wsm.find(&name).is_some() {
            self.adopt(&name, 1);
        } else {
            assert_ne!(told.code, 0, "an acknowledged agent is gone: {told}");
        }
    }

    /// Somebody attaches; whoever got in sees line by line.
    fn attach(&mut self, blow: &Blow) {
        let name = self.any_running();
        let seen = self.wsm.dir().with_file_name("seen-attach");
        std::fs::write(&seen, "").expect("root writes");
        let line = self.line(&["attach", &name, "--read-only"]);
        let words = std::iter::once(line.get_program()).chain(line.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        // Sent away when it has seen enough, or after a while.
        let script = "script -qfec \"$1\" \"$2\" >/dev/null 2>&1 </dev/null & p=$!; \
                      for i in $(seq 200); do [ -e /proc/$p/exe ] || break; \
                      [ \"$(grep -ac '<' \"$2\")\" -gt 15 ] && break; sleep 0.1; done; \
                      kill -9 $p 2>/dev/null; wait $p";
        let line = shell(self, script, &[&words.join(" "), &seen.to_string_lossy()]);
        // It was attached until it was sent away.
        let told = self.strike_at(blow, &[137], line);
        let text = std::fs::read_to_string(&seen).unwrap_or_default();
        let lines = watch::numbers(&text).len();
        assert!(lines > 5 || told.code == 6, "{told}: saw {text}");
        assert_eq!(watch::gaps(&text), [0; 0], "{text}");
    }

    /// A command runs once if it was acknowledged, and never twice.
    fn exec(&mut self, blow: &Blow) {
        let name = self.any_running();
        let line = "echo ran >>~/exec-ran; sleep 0.3";
        let line = self.line(&["exec", &name, "--", "sh", "-c", line]);
        let fails = if blow.hits_daemon() { EXEC_FAILED } else { 0 };
        let told = self.strike_at(blow, &[fails], line);
        let ran = self.wsm.inside(&name, "cat ~/exec-ran; rm -f ~/exec-ran");
        let times = ran.stdout.lines().count();
        assert!(once(&told, times), "{told}\nit ran {times} times");
    }

    /// Questions change nothing.
    fn look(&mut self, blow: &Blow) {
        let name = self.any_running();
        let script = "\"$@\" capture \"$name\" && \"$@\" logs \"$name\" web && \
                      \"$@\" show \"$name\" && \"$@\" diff \"$name\" && \"$@\" template ls && \
                      \"$@\" new \"$repo\" -t shell --dry-run";
        let mut line = self.every(script);
        line.env("name", &name).env("repo", self.repo.path());
        self.strike_at(blow, &[], line);
    }

    /// Text arrives once if it was acknowledged, and never twice.
    fn send(&mut self, blow: &Blow) {
        let name = self.any_running();
        let mark = self.fresh_name();
        let told = self.strike(blow, &["send", &name, &mark]);
        // It shows there what is typed: the command reads nothing.
        let shown = self.wsm.wsm(&["capture", &name, "--history", "300"]).ok();
        let times = shown.stdout.matches(&mark).count();
        assert!(
            once(&told, times),
            "{told}\nit arrived {times} times:\n{shown}"
        );
    }

    /// The service is another process or the same one, and answers.
    fn service(&mut self, blow: &Blow) {
        let name = self.any_running();
        self.strike(blow, &["svc", "restart", &name, "web"]);
        let port = self
            .wsm
            .agent(&name)
            .ports
            .iter()
            .find_map(|port| port.outside);
        let known = self.known(&name).clone();
        let one = || {
            let all = host::processes_of(&known.id);
            let own = all.iter().filter(|p| p.command.contains("http.server"));
            own.count() == 1 && port.is_some_and(check::answers)
        };
        let ready = || {
            let services = self.wsm.agent(&name).services;
            services.iter().all(|s| s.state.as_str() == "ready")
        };
        wait::until_true("the service to be ready", || ready() && one());
        self.adopt_running(&name, known.started);
    }

    /// Frozen or not, as it says.
    fn pause(&mut self, blow: &Blow) {
        let name = self.any_running();
        let told = self.strike(blow, &["pause", &name]);
        let agent = self.wsm.wait_state(&name, "paused,working,idle");
        let paused = agent.state == State::Paused;
        assert!(paused || told.code != 0, "an acknowledged pause: {told}");
        if paused {
            let moves = self.moves(&name, Duration::from_millis(500));
            assert!(!moves, "it is paused and writes on");
        }
        self.go_on(&name);
    }

    fn resume(&mut self, blow: &Blow) {
        let name = self.any_running();
        self.wsm.wsm(&["pause", &name]).ok();
        let told = self.strike(blow, &["resume", &name]);
        let agent = self.wsm.wait_state(&name, "paused,working,idle");
        let paused = agent.state == State::Paused;
        assert!(!paused || told.code != 0, "an acknowledged resume: {told}");
        self.go_on(&name);
    }

    /// What is paused can be resumed, and what says that it runs does.
    fn go_on(&mut self, name: &str) {
        if self.wsm.agent(name).state == State::Paused {
            self.wsm.wsm(&["resume", name]).ok();
        }
        assert!(
            self.moves(name, wait::PATIENCE),
            "it is not paused and writes nothing: {}\n{}",
            self.explain(),
            self.screen_of(name)
        );
        let started = self.known(name).started;
        self.adopt_running(name, started);
    }

    fn screen_of(&self, name: &str) -> String {
        let id = self.wsm.agent(name).id;
        let frozen = host::cgroups_of(&id).into_iter().map(|group| {
            let read = |file: &str| std::fs::read_to_string(group.join(file)).unwrap_or_default();
            format!(
                "{}: {}{}\n",
                group.display(),
                read("payload/cgroup.events"),
                read("payload/freezer.state")
            )
        });
        format!(
            "{:#?}\n{}{}",
            host::processes_of(&id),
            frozen.collect::<String>(),
            self.wsm.screen(name)
        )
    }

    /// Whether its command writes on.
    fn moves(&self, name: &str, patience: Duration) -> bool {
        let newest = || watch::numbers(&self.wsm.screen(name)).last().copied();
        let before = newest();
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if newest() > before {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    fn restart(&mut self, blow: &Blow) {
        let name = self.any_running();
        let told = self.strike(blow, &["restart", &name]);
        self.wsm
            .wait_state(&name, "working,idle,failed,lost,stopped");
        let started = self.known(&name).started;
        let ran = self.wsm.inside(&name, "cat ~/main-ran").ok();
        let again = ran.stdout.lines().count() > started as usize;
        assert!(again || told.code != 0, "an acknowledged restart: {told}");
        self.adopt_running(&name, started + u32::from(again));
    }

    fn stop(&mut self, blow: &Blow) {
        let name = self.any_running();
        let told = self.strike(blow, &["stop", &name]);
        let state = self.wsm.wait_state(&name, "working,idle,stopped").state;
        let stopped = state == State::Stopped;
        assert!(stopped || told.code != 0, "an acknowledged stop: {told}");
        if stopped {
            self.rests_and_starts(&name);
        }
    }

    /// Nothing of it is there but files; then it is started again.
    fn rests_and_starts(&mut self, name: &str) {
        self.known(name).runs = false;
        check::rests(self);
        self.wsm.wsm(&["start", name]).ok();
        let started = self.known(name).started + 1;
        self.adopt_running(name, started);
    }

    fn start(&mut self, blow: &Blow) {
        let name = self.any_running();
        self.wsm.wsm(&["stop", &name]).ok();
        self.wsm.wait_state(&name, "stopped");
        let told = self.strike(blow, &["start", &name]);
        let settled = self.wsm.wait_state(&name, "working,idle,stopped");
        if settled.state == State::Stopped {
            assert_ne!(told.code, 0, "an acknowledged start: {told}");
            self.wsm.wsm(&["start", &name]).ok();
        }
        let started = self.known(&name).started + 1;
        self.adopt_running(&name, started);
    }

    /// In the trash and at rest, or as it was.
    fn trash(&mut self, blow: &Blow) {
        let name = self.any_running();
        let port = self
            .wsm
            .agent(&name)
            .ports
            .iter()
            .find_map(|port| port.outside);
        let told = self.strike(blow, &["rm", &name]);
        let trashed = self.wsm.agent(&name).trashed;
        assert!(trashed || told.code != 0, "an acknowledged removal: {told}");
        if !trashed {
            return;
        }
        let rests = self.wsm.wait_state(&name, "stopped,failed,lost");
        assert_eq!(rests.state, State::Stopped, "{}", rests.reason);
        self.known(&name).runs = false;
        check::rests(self);
        let port = port.expect("it was leased");
        let taken = self.wsm.list().into_iter().flat_map(|agent| agent.ports);
        if !taken.into_iter().any(|other| other.outside == Some(port)) {
            assert!(!check::answers(port), "port {port} is still open");
        }
        self.wsm.wsm(&["restore", &name]).ok();
        self.rests_and_starts(&name);
    }

    fn restore(&mut self, blow: &Blow) {
        let name = self.any_running();
        self.wsm.wsm(&["rm", &name]).ok();
        self.known(&name).runs = false;
        let told = self.strike(blow, &["restore", &name]);
        let trashed = self.wsm.agent(&name).trashed;
        assert!(
            !trashed || told.code != 0,
            "an acknowledged restore: {told}"
        );
        if trashed {
            self.wsm.wsm(&["restore", &name]).ok();
        }
        self.rests_and_starts(&name);
    }

    /// What is merged goes, what is not stays, each whole.
    fn prune(&mut self, blow: &Blow) {
        let goes = self.fresh_name();
        self.adopt(&goes, 1);
        let stays = self.fresh_name();
        self.adopt(&stays, 1);
        self.commit_inside(&stays);
        for name in [&goes, &stays] {
            self.wsm.wsm(&["rm", name]).ok();
            self.known(name).runs = false;
        }
        let told = self.strike(blow, &["prune"]);
        self.settled(&goes, &told, &["prune"]);
        let kept = self.wsm.agent(&stays);
        assert!(kept.trashed, "unmerged work was pruned: {told}");
        self.wsm.wsm(&["rm", "--purge", &stays]).ok();
        self.agents.remove(&stays);
    }

    /// Removes for good; a removal that was not acknowledged can be asked for again.
    fn purge(&mut self, blow: &Blow) {
        let name = self.any_running();
        self.commit_inside(&name);
        let told = self.strike(blow, &["rm", "--purge", &name]);
        self.settled(&name, &told, &["rm", "--purge", &name]);
    }

    /// It is gone or can be made go, and its teardown was run.
    fn settled(&mut self, name: &str, told: &Output, words: &[&str]) {
        if self.wsm.find(name).is_some() {
            let again = self.wsm.wsm(words);
            let gone = again.code == 0 || again.code == 4;
            assert!(gone, "after {told}\n{again}");
        }
        wait::until_true("it to be gone", || self.wsm.find(name).is_none());
        self.agents.remove(name);
        let torn = std::fs::read_to_string(self.granted.join("torn")).unwrap_or_default();
        assert!(torn.lines().any(|line| line == name), "{name}: no teardown");
    }

    /// A daemon that takes up what it finds dies at it.
    fn recover(&mut self, blow: &Blow) {
        self.any_running();
        let daemon = self.wsm.pid_of(Part::Daemon);
        let script = "kill -9 \"$daemon\"; for i in 1 2 3 4 5 6 7 8 9 10; do \
                      sleep 0.5; \"$@\" ls >/dev/null 2>&1 && exit 0; done; exit 6";
        let mut line = self.every(script);
        line.env("daemon", daemon.to_string());
        self.strike_at(blow, &[6], line);
        self.kills += 1;
    }

    /// The agent's command dies.
    fn fail(&mut self, blow: &Blow) {
        let name = self.any_running();
        let kill = "for p in /proc/[0-9]*; do grep -qs 'main-ra[n]' $p/cmdline && \
                    kill -9 ${p#/proc/}; done";
        let script = "\"$@\" exec \"$name\" -- sh -c \"$kill\"; \
                      \"$@\" wait \"$name\" --until failed --timeout 8s";
        let mut line = self.every(script);
        line.env("name", &name).env("kill", kill);
        // The order may have died with the daemon; then it is waited for in vain.
        let in_vain = if blow.hits_daemon() { 5 } else { 0 };
        let told = self.strike_at(blow, &[in_vain], line);
        let state = self.wsm.wait_state(&name, "working,idle,failed").state;
        let failed = state == State::Failed;
        assert!(failed || told.code != 0, "it was killed: {told}");
        if failed {
            self.rests_and_starts(&name);
        }
    }

    /// A shim dies: its agent is lost, its work is not.
    fn lose(&mut self, blow: &Blow) {
        let name = self.any_running();
        let known = self.known(&name).clone();
        let mark = self.commit_inside(&name);
        let paused = self.rng.below(3) == 0;
        if paused {
            self.wsm.wsm(&["pause", &name]).ok();
        }
        let all = host::processes_of(&known.id);
        let shim = all.iter().find(|process| process.cgroup.contains("/shim"));
        let shim = shim.expect("a running agent has a shim").pid;
        let script = "kill -9 \"$shim\"; \"$@\" wait \"$name\" --until lost --timeout 20s";
        let mut line = self.every(script);
        line.env("shim", shim.to_string()).env("name", &name);
        self.strike_at(blow, &[], line);
        self.kills += 1;
        self.wsm.wait_state(&name, "lost");
        self.known(&name).runs = false;
        check::rests(self);
        self.wsm.wsm(&["start", &name]).ok();
        self.adopt_running(&name, known.started + 1);
        let kept = self.wsm.inside(&name, &format!("cat {mark}")).ok();
        assert_eq!(kept.text(), mark);
    }

    /// A shell line in which `"$@"` is the command line of wsm.
    pub(super) fn every(&self, script: &str) -> std::process::Command {
        let line = self.line(&[]);
        let words = std::iter::once(line.get_program()).chain(line.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        shell(self, script, &words)
    }
}

/// What was acknowledged happened once, and nothing happens twice.
fn once(told: &Output, times: usize) -> bool {
    times == 1 || times == 0 && told.code != 0
}

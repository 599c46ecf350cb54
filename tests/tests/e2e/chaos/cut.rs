//! A shim is killed while something is going on: its agent may be lost, its work may not.

use std::process::Child;
use std::time::Duration;

use wsm_api::agent::State;
use wsm_tests::host;
use wsm_tests::wait;

use super::strike::{self, Blow};
use super::{CALL_PATIENCE, Chaos, WITNESS, begin, check};

/// What goes on meanwhile.
const ACTS: [&[&str]; 7] = [
    &["new"],
    &["stop"],
    &["restart"],
    &["pause"],
    &["rm"],
    &["rm", "--purge"],
    &["exec"],
];

const COMMITS: &str = "for i in 1 2 3 4 5 6 7 8; do \
                       git commit -q --allow-empty -m cut-$i || exit 9; sleep 0.1; done";

impl Chaos<'_> {
    /// Kills the shim, and those whom `blow` names with it, in the middle of something.
    pub(super) fn cut(&mut self, blow: &Blow) {
        let act = ACTS[self.rng.below(ACTS.len())];
        let new = act == ["new"];
        let name = if new {
            self.fresh_name()
        } else {
            self.any_running()
        };
        let mark = (!new).then(|| self.commit_inside(&name));
        let call = self.begin_act(act, &name);
        let moment = if act == ["exec"] { 800 } else { 400 };
        // The moment is the point of it.
        std::thread::sleep(Duration::from_millis(self.rng.below(moment) as u64));
        let shims = self.shims_but_of_others(&name);
        for shim in &shims {
            host::signal(*shim, "KILL");
        }
        if let Blow::After(parts, _) = blow {
            self.wsm.kill_and_recover(parts);
            self.kills += blow.kills();
        }
        self.kills += u32::from(!shims.is_empty());
        self.hit = true;
        let told = strike::end(call, CALL_PATIENCE);
        assert!(!told.stderr.contains("panicked"), "{told}");
        eprintln!(
            "     {act:?} of {name}, {} shims: code {}",
            shims.len(),
            told.code
        );
        self.come_to_rest_or_run(&name);
        if self
            .wsm
            .find(&name)
            .is_some_and(|agent| agent.state == State::Paused)
        {
            // Refused, if the shim's end was not noticed before.
            let resumed = self.wsm.wsm(&["resume", &name]);
            eprintln!("     resumed: code {}", resumed.code);
            self.come_to_rest_or_run(&name);
        }
        match mark {
            Some(mark) => self.goes_on(&name, &mark),
            None => self.can_be_removed(&name),
        }
    }

    fn begin_act(&self, act: &[&str], name: &str) -> Child {
        let words = match act {
            ["new"] => self.new_words(name),
            ["exec"] => ["exec", name, "--", "sh", "-c", COMMITS]
                .map(str::to_owned)
                .to_vec(),
            verb => verb.iter().chain([&name]).map(|&w| w.to_owned()).collect(),
        };
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        begin(self.line(&words))
    }

    /// Shims of this instance that belong to no other agent of the test: one at most, as a rule.
    fn shims_but_of_others(&self, name: &str) -> Vec<i32> {
        let witness = host::processes_of(&self.agents[WITNESS].id);
        let group = witness.iter().find_map(|process| {
            let start = process.cgroup.find("/wsm-")?;
            let end = process.cgroup[start..].find("/agent-")?;
            Some(process.cgroup[start..start + end].to_owned())
        });
        let group = group.expect("the witness runs in a group of the instance");
        let others: Vec<_> = self
            .agents
            .iter()
            .filter(|(other, _)| *other != name)
            .map(|(_, known)| format!("/agent-{}/", known.id))
            .collect();
        let own = |process: &host::Process| {
            process.command.starts_with("wsm-shim")
                && process.cgroup.contains(&group)
                && !others.iter().any(|other| process.cgroup.contains(other))
        };
        let all = host::processes();
        all.iter().filter(|p| own(p)).map(|p| p.pid).collect()
    }

    /// It is gone, rests, or runs and can be asked.
    fn come_to_rest_or_run(&mut self, name: &str) {
        wait::until(
            &format!("{name} to come to rest or to run"),
            wait::PATIENCE,
            || {
                let Some(agent) = self.wsm.find(name) else {
                    return Some(());
                };
                let state = agent.state.as_str();
                let rests = ["stopped", "failed", "lost"].contains(&state)
                    || state == "paused" && !host::processes_of(&agent.id).is_empty();
                let runs = || self.wsm.inside(name, "true").code == 0;
                (rests || (["working", "idle"].contains(&state) && runs())).then_some(())
            },
            || format!("{}\n{}", self.explain(), self.wsm.log()),
        );
    }

    /// Brought back, it has its work, and works.
    fn goes_on(&mut self, name: &str, mark: &str) {
        let Some(agent) = self.wsm.find(name) else {
            self.agents.remove(name);
            return;
        };
        if agent.trashed {
            self.known(name).runs = false;
            self.wsm.wsm(&["restore", name]).ok();
        }
        if !matches!(agent.state, State::Working | State::Idle) {
            self.known(name).runs = false;
            check::rests(self);
            self.wsm.wsm(&["start", name]).ok();
        }
        // As after a power cut: whoever held a lock of git is gone.
        let line = "find \"$(git rev-parse --git-dir)\" -name '*.lock' -delete; cat ~/main-ran";
        let ran = self.wsm.inside(name, line).ok();
        let started = ran.stdout.lines().count();
        self.adopt_running(name, u32::try_from(started).expect("a small number"));
        let kept = self.wsm.inside(name, &format!("cat {mark}")).ok();
        assert_eq!(kept.text(), mark);
    }

    /// Half made or not, it can be removed.
    fn can_be_removed(&mut self, name: &str) {
        if self.wsm.find(name).is_some() {
            self.wsm.wsm(&["rm", "--purge", name]).ok();
        }
        assert!(self.wsm.find(name).is_none());
    }
}

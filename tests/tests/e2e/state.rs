//! What an agent says of itself: with the real programs, and the fake of their models.

#[path = "state/forged.rs"]
mod forged;
#[path = "state/phone.rs"]
mod phone;
#[path = "state/turns.rs"]
mod turns;

use std::time::Duration;

use wsm_api::agent::{Agent, Explanation, State};
use wsm_tests::repo::Repo;
use wsm_tests::wait;

use crate::credentials::World;

/// What each kind is told to do: two things that it has to ask for.
const TASK: &str = "make a file and commit it. ASK WORKSPACE={workspace}";

/// How long a program may take to start and to ask: a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(240);

/// An agent with its real program at its terminal.
pub(crate) struct Told<'a> {
    pub(crate) world: &'a World,
    pub(crate) name: String,
    pub(crate) repo: Repo<'a>,
}

impl<'a> Told<'a> {
    /// Made of the built-in template, with `more` in `[agent]`.
    pub(crate) fn new(world: &'a World, kind: &str, name: &str, more: &str) -> Told<'a> {
        let template = format!(
            "schema = 1\nname = \"{kind}-told\"\nextends = [\"{kind}\"]\n[agent]\n{more}\n"
        );
        world.wsm.host_template(&format!("{kind}-told"), &template);
        let repo = Repo::small(world.wsm.root(), name);
        let line = [
            "new",
            "--template",
            &format!("{kind}-told"),
            "--name",
            name,
            "--detach",
        ];
        let root = world.wsm.root();
        let mut command = world.wsm.command(root, &line);
        command.current_dir(repo.path());
        wsm_tests::cli::run(command, b"").ok();
        world.wsm.remember_agents();
        let name = name.to_owned();
        Told { world, name, repo }
    }

    pub(crate) fn agent(&self) -> Agent {
        self.world.wsm.agent(&self.name)
    }

    pub(crate) fn explain(&self) -> Explanation {
        let told = self.world.wsm.wsm(&["explain", &self.name, "--json"]).ok();
        serde_json::from_value(told.json()).expect("an explanation")
    }

    /// Waits for it to ask for something that it has not asked for yet.
    pub(crate) fn asked(&self, known: &[String]) -> Agent {
        let look = || {
            let agent = self.agent();
            let new = agent.questions.iter().any(|it| !known.contains(&it.id));
            (new && agent.state == State::Blocked).then_some(agent)
        };
        wait::until("a question", PATIENCE, look, || self.all())
    }

    pub(crate) fn reached(&self, state: State) -> Agent {
        let look = || Some(self.agent()).filter(|agent| agent.state == state);
        wait::until("a state", PATIENCE, look, || self.all())
    }

    /// States that it was in since its command ran, with their reasons, in order.
    pub(crate) fn states(&self) -> Vec<(String, String)> {
        let id = self.agent().id;
        let line = [
            "audit",
            "query",
            "--subject",
            &id,
            "--verb",
            "agent.state",
            "--json",
        ];
        let rows = self.world.rows(&line);
        let told = rows
            .iter()
            .map(|row| row["message"].as_str().unwrap_or_default().to_owned());
        let told = told.filter_map(|text| {
            let (state, reason) = text.split_once(": ")?;
            Some((state.to_owned(), reason.to_owned()))
        });
        let mut states: Vec<(String, String)> =
            told.skip_while(|(state, _)| state != "working").collect();
        states.dedup_by(|later, earlier| later.0 == earlier.0);
        states
    }

    /// Everything that helps to see what went wrong.
    pub(crate) fn all(&self) -> String {
        let wsm = &self.world.wsm;
        let (why, screen) = (wsm.wsm(&["explain", &self.name]), wsm.screen(&self.name));
        format!("{why}\n{screen}\n{}", wsm.log())
    }
}

impl World {
    /// Rows of the journal, oldest first.
    pub(crate) fn rows(&self, line: &[&str]) -> Vec<serde_json::Value> {
        let told = self.wsm.wsm(line).ok();
        let rows = told.stdout.lines().map(serde_json::from_str);
        rows.map(|row| row.expect("JSON")).collect()
    }
}

//! From what is heard of an agent to its state: pure.
//!
//! ```text
//! certain    the kernel or wsm itself: started, ended, paused
//! reported   the agent's own hooks, over the socket in its sandbox
//! signalled  its terminal: OSC 9, 99, 777, 133, 9;4, the bell
//! guess      silence, and what goes on after a question
//! ```
//!
//! What is trusted less says nothing about a state that something trusted more has told, but that
//! a report which never came (an interrupted turn has none) is made up for by a long silence.

use serde::{Deserialize, Serialize};
use wsm_api::agent::State;
use wsm_terminal::protocol::{Asking, EVERYTHING, Fate, Mark, Reported, Said};

/// Questions of one agent at once; of more the oldest is given up.
pub(crate) const QUESTIONS_MAX: usize = 16;
/// Answered questions that are remembered, so that the same answer twice is none too many.
pub(crate) const ANSWERED_MAX: usize = 32;

/// How far the source of a state is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Silence.
    Guess,
    /// Its terminal.
    Signalled,
    /// The agent itself.
    Reported,
    /// The kernel or wsm.
    Certain,
}

impl Trust {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Trust::Guess => "guess",
            Trust::Signalled => "signalled",
            Trust::Reported => "reported",
            Trust::Certain => "certain",
        }
    }
}

/// What was heard of an agent's command since it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heard {
    /// Stands in the environment of this run alone.
    pub run: String,
    /// The shim's incarnation, and the last report of it that was taken.
    pub cursor: (u64, u64),
    /// Whether it has reported anything in this run.
    pub hooked: bool,
    /// The conversation, to go on with later.
    pub session: String,
    /// It was given a prompt at its start.
    pub prompted: bool,
    /// Prompts given in this run, as far as it says; 0 while it has not worked yet.
    pub turns: u32,
    /// What it waits for.
    pub questions: Vec<Question>,
    /// What was answered last, newest at the end.
    pub answered: Vec<Answered>,
    /// What it has used.
    pub spent: Spent,
    /// How far the state is trusted; `None`: certain.
    pub trust: Option<Trust>,
}

/// Tokens, and millionths of a dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// In.
    pub tokens_in: u64,
    /// Out.
    pub tokens_out: u64,
    /// Cost, where it is told.
    pub cost_micros: Option<u64>,
}

/// Something that it waits for a person to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// `RUN-SEQ`: never used again by this agent.
    pub id: String,
    /// The report that brought it.
    pub seq: u64,
    /// The conversation.
    pub session: String,
    /// What is asked.
    pub asking: Asking,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
    /// It may have been answered in the terminal: that goes on.
    pub doubtful: bool,
}

/// A question that is none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Its id.
    pub id: String,
    /// Its report.
    pub seq: u64,
    /// `approved`, `denied`, or what else became of it.
    pub how: String,
    /// By whom, `""` for nobody.
    pub by: String,
    /// What the agent is told.
    pub message: String,
}

/// What follows from something heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Ids of new questions.
    pub(crate) asked: Vec<String>,
    /// Questions that are none any more, and what became of them.
    pub(crate) over: Vec<(Question, String)>,
    /// The state, why, and how far that is trusted.
    pub(crate) turn: Option<(State, String, Trust)>,
}

/// What the adapters of kinds differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Habits {
    /// A question that it takes back was interrupted, and nothing else says so.
    pub(crate) takes_back: bool,
}

impl Heard {
    /// A new run.
    pub(crate) fn begin(&mut self, run: String, prompted: bool) {
        let session = std::mem::take(&mut self.session);
        let spent = self.spent;
        *self = Heard {
            run,
            prompted,
            session,
            spent,
            cursor: self.cursor,
            ..Heard::default()
        };
    }

    /// Whether a report comes from this run.
    pub(crate) fn is_own(&self, reported: &Reported) -> bool {
        !self.run.is_empty() && reported.report.run == self.run
    }

    /// Takes a report of this run. `number`: the run's.
    pub(crate) fn take(&mut self, number: u32, reported: &Reported) -> News {
        let report = &reported.report;
        self.hooked = true;
        if !report.session.is_empty() && !matches!(report.said, Said::Ended) {
            self.session.clone_from(&report.session);
        }
        let session = report.session.clone();
        let mut news = News::default();
        match &report.said {
            Said::Started if self.turns == 0 && !self.prompted && self.questions.is_empty() => {
                news.turn = reported_as(State::Idle, "waits for its first task");
            }
            Said::Started => {}
            Said::Ended => self.settle(&mut news, "the conversation ended", |_| true),
            Said::Working { used, .. } => {
                self.turns += u32::from(used == EVERYTHING || self.turns == 0);
                let about = |it: &Question| {
                    it.session == session
                        && (used == EVERYTHING || (!used.is_empty() && it.asking.tool == *used))
                };
                self.settle(&mut news, "answered in the terminal", about);
                news.turn = self.now(State::Working, "works on what it was told");
            }
            Said::Idle { what, background } => {
                self.settle(&mut news, "it goes on without", |it| it.session == session);
                news.turn = self.now(State::Idle, &idle(what, *background));
            }
            Said::Interrupted => {
                self.settle(&mut news, "interrupted in the terminal", |_| true);
                news.turn = self.now(State::Idle, "was interrupted, and waits");
            }
            Said::Failed { why } => {
                self.settle(&mut news, "it gave up", |it| it.session == session);
                news.turn = self.now(State::Blocked, &format!("gave up: {why}"));
            }
            Said::Needs { why } => news.turn = self.now(State::Blocked, why),
            Said::Asks(asking) => self.ask(number, reported, asking, &mut news),
            Said::Spent {
                tokens_in,
                tokens_out,
                cost_micros,
            } => {
                self.spent = Spent {
                    tokens_in: *tokens_in,
                    tokens_out: *tokens_out,
                    cost_micros: *cost_micros,
                };
            }
        }
        news
    }

    fn ask(&mut self, number: u32, reported: &Reported, asking: &Asking, news: &mut News) {
        if self.questions.len() >= QUESTIONS_MAX {
            let oldest = self.questions[0].seq;
            self.settle(news, "there are too many", |it| it.seq == oldest);
        }
        let question = Question {
            id: format!("{number}-{}", reported.seq),
            seq: reported.seq,
            session: reported.report.session.clone(),
            asking: asking.clone(),
            since_ms: reported.at_ms,
            doubtful: false,
        };
        news.asked.push(question.id.clone());
        self.questions.push(question);
        news.turn = self.waits();
    }

    /// Compares with the questions that wait in the shim. What was answerable and waits there no
    /// more is over; what was let through to the terminal is answered there.
    pub(crate) fn reconcile(&mut self, open: &[(u64, Fate)], habits: Habits) -> News {
        let fate = |seq: u64| {
            open.iter()
                .find(|(it, _)| *it == seq)
                .map(|(_, fate)| *fate)
        };
        for question in &mut self.questions {
            if fate(question.seq) == Some(Fate::Yielded) {
                question.asking.answerable = false;
                question.asking.covers = false;
            }
        }
        let mut news = News::default();
        let gone = |it: &Question| it.asking.answerable && fate(it.seq).is_none();
        let (state, how) = if habits.takes_back {
            (State::Idle, "was interrupted, and waits")
        } else {
            (State::Working, "works on what it was told")
        };
        self.settle(&mut news, "answered in the terminal", gone);
        if !news.over.is_empty() {
            news.turn = self.now(state, how);
        }
        news
    }

    /// A person's answer; the question is over with it.
    pub(crate) fn answer(&mut self, id: &str, allow: bool, by: &str, message: &str) -> News {
        let mut news = News::default();
        let how = if allow { "approved" } else { "denied" };
        self.settle(&mut news, how, |it| it.id == id);
        if let Some(last) = self.answered.last_mut().filter(|last| last.id == id) {
            by.clone_into(&mut last.by);
            message.clone_into(&mut last.message);
        }
        news.turn = self.now(State::Working, &format!("{how} by {by}"));
        news
    }

    /// Nothing is asked any more.
    pub(crate) fn drop_questions(&mut self, how: &str) -> News {
        let mut news = News::default();
        self.settle(&mut news, how, |_| true);
        news
    }

    fn settle(&mut self, news: &mut News, how: &str, over: impl Fn(&Question) -> bool) {
        let (gone, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.questions)
            .into_iter()
            .partition(over);
        self.questions = left;
        for question in gone {
            self.answered.push(Answered {
                id: question.id.clone(),
                seq: question.seq,
                how: how.to_owned(),
                by: String::new(),
                message: String::new(),
            });
            news.over.push((question, how.to_owned()));
        }
        let most = self.answered.len().saturating_sub(ANSWERED_MAX);
        self.answered.drain(..most);
    }

    /// That state, unless a question stands.
    fn now(&self, state: State, reason: &str) -> Option<(State, String, Trust)> {
        self.waits().or_else(|| reported_as(state, reason))
    }

    /// What it waits for, if it waits.
    pub(crate) fn waits(&self) -> Option<(State, String, Trust)> {
        let question = self.questions.iter().find(|it| !it.doubtful)?;
        let mut reason = words(&question.asking);
        let more = self.questions.len() - 1;
        if more > 0 {
            reason = format!("{reason}, and {more} more");
        }
        Some((State::Blocked, reason, Trust::Reported))
    }
}

fn reported_as(state: State, reason: &str) -> Option<(State, String, Trust)> {
    Some((state, reason.to_owned(), Trust::Reported))
}

fn idle(what: &str, background: u32) -> String {
    match (what, background) {
        ("", 0) => "waits for what it is told next".to_owned(),
        (what, 0) => format!("done: {what}"),
        ("", tasks) => format!("waits; {tasks} of its tasks go on in the background"),
        (what, tasks) => format!("done: {what} ({tasks} of its tasks go on in the background)"),
    }
}

/// What begins a question that a yes allows something.
const PERMISSION: &str = "waits for permission:";

/// A question in one line.
pub(crate) fn words(asking: &Asking) -> String {
    const CHARACTERS_MAX: usize = 160;
    let first = asking.command.lines().next().unwrap_or_default();
    let mut on: String = first.chars().take(CHARACTERS_MAX).collect();
    if on.len() < asking.command.trim_end().len() {
        on.push('…');
    }
    match (asking.permission, asking.tool.as_str(), on.as_str()) {
        (false, _, _) if asking.detail.is_empty() => "asks something".to_owned(),
        (false, _, _) => format!("asks: {}", asking.detail),
        (true, tool, "") => format!("{PERMISSION} {tool}"),
        (true, tool, on) => format!("{PERMISSION} {tool} `{on}`"),
    }
}

/// Whether a text is all of a question to the letter, so that who read it knows what a yes allows.
pub(crate) fn whole(asking: &Asking, text: &str) -> bool {
    let (command, plain) = (asking.command.as_str(), asking.diff.is_empty());
    let shown = !command.is_empty() && text == format!("{PERMISSION} {} `{command}`", asking.tool);
    asking.answerable && asking.permission && plain && shown
}

/// What its terminal tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It began to write after a silence.
    Active,
    /// It has been silent for ten seconds.
    Quiet,
    /// It has been silent for long.
    LongQuiet,
    /// It has not been silent for ten seconds since it asked.
    GoesOn,
    /// It wants to be seen.
    Notice(String),
    /// It says where it stands.
    Mark(Mark),
}

/// What a signal is weighed with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub(crate) state: State,
    pub(crate) trust: Trust,
    /// It has reported in this run.
    pub(crate) hooked: bool,
    /// It reports that it is ready as soon as it is.
    pub(crate) reports_ready: bool,
    /// The bell rang since it was last quiet.
    pub(crate) rang: bool,
}

/// The state that follows from a signal, if another does.
pub(crate) fn weigh(before: Before, signal: &Signal) -> Option<(State, String, Trust)> {
    use State::{Blocked, Idle, Working};
    let (state, guessed) = (before.state, before.trust == Trust::Guess);
    let guess = |state, why: &str| Some((state, why.to_owned(), Trust::Guess));
    let signalled = |state, why: String| Some((state, why, Trust::Signalled));
    match signal {
        Signal::Active if state == Idle && (guessed || !before.hooked) => {
            guess(Working, "it writes to its terminal")
        }
        Signal::Active if state == Blocked && !before.hooked => {
            guess(Working, "it writes to its terminal")
        }
        Signal::Quiet if state == Working && !before.hooked && before.rang => {
            guess(Blocked, "it rang the bell, and is silent since")
        }
        // On a busy machine a program takes longer than this to start.
        Signal::Quiet if !before.hooked && before.reports_ready => None,
        Signal::LongQuiet if state == Working && !before.hooked && before.reports_ready => guess(
            Blocked,
            "it has not said that it is ready, and its terminal is silent: it may ask something there",
        ),
        Signal::Quiet if state == Working && (!before.hooked || guessed) => guess(
            Idle,
            "no output for 10 s (a guess: wsm does not see inside it)",
        ),
        Signal::LongQuiet if state == Working && before.hooked => guess(
            Idle,
            "it has not said that it is done, but its terminal is silent: it was interrupted, it seems",
        ),
        Signal::GoesOn if state == Blocked && before.hooked => guess(
            Working,
            "its terminal goes on: it was answered there, it seems",
        ),
        Signal::Notice(text) if !before.hooked => {
            let state = if asks_for_somebody(text) {
                Blocked
            } else {
                Idle
            };
            signalled(state, format!("it says: {text}"))
        }
        Signal::Mark(mark) if !before.hooked => marked(*mark, state),
        _ => None,
    }
}

fn asks_for_somebody(text: &str) -> bool {
    let text = text.to_lowercase();
    let words = ["approv", "permission", "confirm", "needs your", "question"];
    words.iter().any(|word| text.contains(word))
}

fn marked(mark: Mark, state: State) -> Option<(State, String, Trust)> {
    let (next, why) = match mark {
        Mark::Running | Mark::Progress { state: 1 | 3, .. } => {
            (State::Working, "it says that it works")
        }
        Mark::Prompt | Mark::Input | Mark::Finished { .. } => (State::Idle, "it shows its prompt"),
        Mark::Progress { state: 4, .. } => (State::Blocked, "it says that it is held up"),
        Mark::Progress { .. } => return None,
    };
    (next != state).then(|| (next, why.to_owned(), Trust::Signalled))
}

#[cfg(test)]
mod tests;

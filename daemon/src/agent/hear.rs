//! Hearing an agent: its reports and its terminal become its state, by way of [`super::evidence`].
//!
//! Reports are taken out of the shim, where they wait for a daemon that is away, and the number of
//! the last one is written with what follows from it. A question that waits in the shim is compared
//! with what is written: each time, and when a new daemon comes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wsm_api::agent::State;
use wsm_template::resolved::Kind;
use wsm_terminal::protocol::{Event, Fate, Reply, Reported, Request, Said, Verdict};

use super::assemble;
use super::driver::{Driver, Stage};
use super::evidence::{Before, Habits, News, Signal, Trust, weigh};
use super::pace::Pace;
use super::run::MAIN;
use crate::actor::Who;
use crate::engine::row;
use crate::store::{Row, now_ms};

/// What was heard last, for `explain`.
const SAID_MAX: usize = 20;

/// Random characters of a run's secret: nobody finds it by trying.
const RUN_CHARACTERS: usize = 26;

/// Silence of one that reports, or shall, after the ten seconds that the shim tells, before it counts.
const LONG_QUIET: Duration = Duration::from_secs(20);

/// A terminal that goes on this long after a question was answered there. Longer than a shim needs
/// to see a silence.
const GOES_ON: Duration = Duration::from_secs(12);

/// Something heard: when, from where, what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// How far it is trusted.
    pub trust: Trust,
    /// What, in words.
    pub what: String,
}

/// What a driver keeps of what it hears.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Newest at the end.
    pub(super) said: VecDeque<Told>,
    pace: Pace,
    /// Reports wait in the shim.
    waiting: bool,
    rang: bool,
    quiet: Option<Instant>,
    goes_on: Option<Instant>,
    /// When it is looked whether nobody watches it.
    pub(super) unwatched: Option<Instant>,
}

impl Hearing {
    pub(super) fn new() -> Hearing {
        Hearing {
            said: VecDeque::new(),
            pace: Pace::new(),
            waiting: false,
            rang: false,
            quiet: None,
            goes_on: None,
            unwatched: None,
        }
    }

    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let pull = self.waiting.then(|| self.pace.open_at(now).unwrap_or(now));
        [pull, self.quiet, self.goes_on, self.unwatched]
            .into_iter()
            .flatten()
            .min()
    }

    fn note(&mut self, at_ms: u64, trust: Trust, what: String) {
        if self.said.len() >= SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back(Told { at_ms, trust, what });
    }
}

impl Driver {
    /// Something of the command's terminal, or that there are reports.
    pub(super) async fn on_heard(&mut self, event: Event) {
        match event {
            Event::Reported => {
                self.hearing.waiting = true;
                self.take_reports().await;
            }
            Event::Activity { terminal, active } if terminal == MAIN => self.on_activity(active),
            Event::Bell { terminal } if terminal == MAIN => self.hearing.rang = true,
            Event::Notice { terminal, text } if terminal == MAIN => {
                self.on_signal(&Signal::Notice(text));
            }
            Event::Mark { terminal, mark } if terminal == MAIN => {
                self.on_signal(&Signal::Mark(mark));
            }
            _ => {}
        }
    }

    fn on_activity(&mut self, active: bool) {
        let now = Instant::now();
        let heard = &self.record.heard;
        (self.hearing.quiet, self.hearing.goes_on) = (None, None);
        if active {
            let covered = heard.questions.iter().any(|it| it.asking.covers);
            if self.record.state == State::Blocked && heard.hooked && !covered {
                self.hearing.goes_on = Some(now + GOES_ON);
            }
            return self.on_signal(&Signal::Active);
        }
        self.hearing.quiet = Some(now + LONG_QUIET);
        self.on_signal(&Signal::Quiet);
        self.hearing.rang = false;
    }

    fn on_signal(&mut self, signal: &Signal) {
        if self.stage != Stage::Running || !self.main.running {
            return;
        }
        let heard = &self.record.heard;
        let kind = self.record.resolved.agent.kind;
        let prompted = heard.prompted && heard.turns == 0;
        // It asks nothing at its start, but draws nothing for minutes where it can't get its list
        // of models.
        if kind == Kind::Opencode && prompted && !heard.hooked {
            return;
        }
        let starts =
            matches!(kind, Kind::Claude | Kind::Gemini) || (prompted && kind == Kind::Codex);
        let before = Before {
            state: self.record.state,
            trust: heard.trust.unwrap_or(Trust::Certain),
            hooked: heard.hooked,
            reports_ready: starts && self.reports(),
            rang: self.hearing.rang && kind != Kind::Shell,
        };
        let Some((state, reason, trust)) = weigh(before, signal) else {
            return;
        };
        if *signal == Signal::GoesOn {
            for question in &mut self.record.heard.questions {
                question.doubtful = true;
            }
        }
        self.hearing.note(now_ms(), trust, reason.clone());
        let news = News {
            turn: Some((state, reason, trust)),
            ..News::default()
        };
        self.follow(news);
    }

    /// The command is about to be started: what was heard of the run before is none of this one's.
    pub(super) fn listen_anew(&mut self) -> std::io::Result<()> {
        self.drop_questions("it was started anew");
        let incarnation = self.shim.as_ref().map_or(0, crate::shim::Shim::incarnation);
        let heard = &self.record.heard;
        // Codex's server outlives its screen, with the environment that it was started in.
        let stays = self.record.resolved.agent.kind == Kind::Codex
            && heard.cursor.0 == incarnation
            && !heard.run.is_empty();
        let secret = if !self.reports() {
            String::new()
        } else if stays {
            heard.run.clone()
        } else {
            assemble::random_text(RUN_CHARACTERS)?
        };
        if heard.cursor.0 != incarnation {
            self.record.heard.cursor = (incarnation, 0);
        }
        let prompted = !self.record.resolved.agent.prompt.is_empty()
            && super::adapter::session(&self.record).is_none();
        self.record.heard.begin(secret, prompted);
        self.hearing = Hearing::new();
        Ok(())
    }

    /// Whether its sandbox was built to hear reports.
    pub(super) fn reports(&self) -> bool {
        super::adapter::reports(self.record.resolved.agent.kind)
    }

    /// What is due of what was heard.
    pub(super) async fn hearing_due(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.hearing.quiet) {
            self.hearing.quiet = None;
            self.on_signal(&Signal::LongQuiet);
        }
        if due(self.hearing.goes_on) {
            self.hearing.goes_on = None;
            self.on_signal(&Signal::GoesOn);
        }
        if self.hearing.waiting {
            self.take_reports().await;
        }
    }

    /// Takes what waits in the shim, unless this agent has caused enough for now.
    pub(super) async fn take_reports(&mut self) {
        let Some(shim) = self
            .shim
            .clone()
            .filter(|it| it.speaks() >= crate::shim::REPORTS)
        else {
            self.hearing.waiting = false;
            return;
        };
        let incarnation = shim.incarnation();
        if self.record.heard.cursor.0 != incarnation {
            self.record.heard.cursor = (incarnation, 0);
        }
        while self.hearing.pace.open_at(Instant::now()).is_none() {
            let after = self.record.heard.cursor.1;
            self.hearing.waiting = false;
            let reply = shim.request(Request::Reports { after }).await;
            let Ok(Reply::Reports {
                reports,
                open,
                more,
            }) = reply
            else {
                return;
            };
            let rows = self.take_all(&reports);
            let rows = rows + self.compare(&shim, &open).await;
            if rows == 0 && !reports.is_empty() {
                self.publish();
            }
            self.hearing.pace.spend(rows, Instant::now());
            if !more {
                return;
            }
            self.hearing.waiting = true;
        }
    }

    /// Takes these in one change. How many rows that were.
    fn take_all(&mut self, reports: &[Reported]) -> usize {
        let mut all = News::default();
        for reported in reports {
            let cursor = &mut self.record.heard.cursor;
            if reported.seq <= cursor.1 {
                continue;
            }
            cursor.1 = reported.seq;
            if !self.record.heard.is_own(reported) {
                self.strange(reported);
                continue;
            }
            self.hearing.note(
                reported.at_ms,
                Trust::Reported,
                in_words(&reported.report.said),
            );
            (self.hearing.quiet, self.hearing.goes_on) = (None, None);
            let news = self.record.heard.take(self.record.run, reported);
            all.asked.extend(news.asked);
            all.over.extend(news.over);
            all.turn = news.turn.or(all.turn);
        }
        if !all.asked.is_empty()
            && !self
                .record
                .heard
                .questions
                .iter()
                .any(|it| it.asking.covers)
        {
            self.hearing.goes_on = Some(Instant::now() + GOES_ON);
        }
        self.follow(all)
    }

    /// A report of something else than this run: a shell of somebody's, an earlier run, a forger.
    /// Nothing follows from it.
    fn strange(&mut self, reported: &Reported) {
        let what = in_words(&reported.report.said);
        let what = format!(
            "not of its command (process {}), ignored: {what}",
            reported.pid
        );
        self.hearing.note(reported.at_ms, Trust::Guess, what);
    }

    /// Compares the questions with those that wait in the shim. How many rows that were.
    async fn compare(&mut self, shim: &crate::shim::Shim, open: &[(u64, Fate)]) -> usize {
        let heard = &self.record.heard;
        for (seq, fate) in open {
            let known = heard.questions.iter().any(|it| it.seq == *seq);
            if known || *fate != Fate::Open || *seq > heard.cursor.1 {
                continue;
            }
            // Answered, but this daemon or the one before it died before the agent was told; or
            // none of this run's: that one asks in its own way.
            let answered = heard.answered.iter().find(|it| it.seq == *seq);
            let verdict = answered.and_then(|it| verdict(&it.how, &it.message));
            let decide = Request::Decide {
                report: *seq,
                verdict,
            };
            if let Err(error) = shim.request(decide).await {
                tracing::debug!(agent = %self.record.name, %error, "let a question go");
            }
        }
        let takes_back = matches!(self.record.resolved.agent.kind, Kind::Claude | Kind::Codex);
        let news = self.record.heard.reconcile(open, Habits { takes_back });
        self.follow(news)
    }

    /// Writes what follows. How many rows that were.
    pub(super) fn follow(&mut self, news: News) -> usize {
        self.follow_by(&Who::wsm(), news)
    }

    pub(super) fn follow_by(&mut self, actor: &Who, news: News) -> usize {
        let id = self.record.id.to_string();
        let mut rows: Vec<Row> = Vec::new();
        for asked in &news.asked {
            let questions = &self.record.heard.questions;
            // One that came and went at once is told by neither row.
            if let Some(question) = questions.iter().find(|it| it.id == *asked) {
                let message = super::evidence::words(&question.asking);
                let told = row(Who::wsm(), "question.asked", &id, message);
                rows.push(told.changed("", asked));
            }
        }
        for (question, how) in &news.over {
            if news.asked.contains(&question.id) {
                continue;
            }
            let words = super::evidence::words(&question.asking);
            let told = row(actor, "question.answered", &id, format!("{how}: {words}"));
            rows.push(told.changed(&question.id, how));
        }
        let mut count = rows.len();
        for told in rows {
            self.ledger.push(told);
        }
        let awake = matches!(
            self.record.state,
            State::Working | State::Idle | State::Blocked
        );
        let turn = news.turn.filter(|_| awake && self.main.running);
        if let Some((state, reason, trust)) = turn {
            // What it works on changes all the time, and is no change.
            let told_before = self.record.heard.trust == Some(Trust::Reported);
            let same = self.record.state == state
                && (self.record.reason == reason || (state == State::Working && told_before));
            if !same {
                let told = self.turn(&Who::wsm(), state, reason);
                self.ledger.push(told);
                count += 1;
            }
            self.record.heard.trust = Some(trust);
            self.rested();
        }
        if count > 0 {
            self.write();
        }
        count
    }

    /// Questions end with what asked them. The rows are written with the change that ends it.
    pub(super) fn drop_questions(&mut self, how: &str) {
        let news = self.record.heard.drop_questions(how);
        for (question, how) in &news.over {
            let words = super::evidence::words(&question.asking);
            let id = self.record.id.as_str();
            let told = row(
                Who::wsm(),
                "question.answered",
                id,
                format!("{how}: {words}"),
            );
            self.ledger.push(told.changed(&question.id, how));
        }
    }
}

/// What the agent is told, if it is told anything.
pub(super) fn verdict(how: &str, message: &str) -> Option<Verdict> {
    let allow = match how {
        "approved" => true,
        "denied" => false,
        _ => return None,
    };
    let message = message.to_owned();
    Some(Verdict { allow, message })
}

/// A report in words, for `explain`.
fn in_words(said: &Said) -> String {
    match said {
        Said::Started => "a conversation begins".to_owned(),
        Said::Ended => "the conversation is over".to_owned(),
        Said::Working { what, .. } if what.is_empty() => "works".to_owned(),
        Said::Working { what, .. } => format!("works: {what}"),
        Said::Idle { what, .. } if what.is_empty() => "is done".to_owned(),
        Said::Idle { what, .. } => format!("is done: {what}"),
        Said::Interrupted => "was interrupted".to_owned(),
        Said::Failed { why } => format!("gave up: {why}"),
        Said::Needs { why } => format!("needs a person: {why}"),
        Said::Asks(asking) => super::evidence::words(asking),
        Said::Spent {
            tokens_in,
            tokens_out,
            ..
        } => format!("has used {tokens_in} tokens in, {tokens_out} out"),
    }
}

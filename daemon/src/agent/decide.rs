//! A person's answer to a question of the agent.
//!
//! It is written down first, with who gave it, and then told: a daemon that dies in between finds
//! the question open in the shim and answered in the record, and tells it then.

use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::{Reply, Request};

use super::driver::{Driver, way_out};
use super::evidence::{Question, words};
use super::hear::verdict;
use crate::actor::Who;
use crate::engine::{WSM, row};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Which question; `None`: the only one, for a no. A yes is to what was seen, and names it.
    pub(crate) question: Option<String>,
    /// Yes or no.
    pub(crate) allow: bool,
    /// For the agent where it is a no, for the journal where it is a yes.
    pub(crate) message: String,
}

impl Driver {
    pub(super) async fn on_decide(&mut self, actor: &Who, answer: Answer) -> Result<(), Problem> {
        let Some(question) = self.asked(&answer)? else {
            return Ok(());
        };
        if self.record.state == State::Paused {
            let message = format!("{} is paused and hears nothing", self.record.name);
            return Err(Problem::new(Code::Conflict, message, way_out(&self.record)));
        }
        let (Some(shim), true) = (self.shim.clone(), question.asking.answerable) else {
            let message = format!("{} can't be answered from here", words(&question.asking));
            let hint = format!(
                "answer it in its terminal: `wsm attach {}`",
                self.record.name
            );
            return Err(Problem::new(Code::Conflict, message, hint));
        };
        let before = self.record.clone();
        let Answer { allow, message, .. } = &answer;
        let said = if *allow { "" } else { message.as_str() };
        let news = self
            .record
            .heard
            .answer(&question.id, *allow, &actor.user, said);
        let how = if *allow { "approved" } else { "denied" };
        let note = match message.as_str() {
            "" => String::new(),
            message => format!(" ({message})"),
        };
        let told = format!("{how}: {}{note}", words(&question.asking));
        let told = row(actor, "question.answered", self.record.id.as_str(), told);
        self.try_commit(before, told.changed(&question.id, how))?;
        let reached = shim
            .request(Request::Decide {
                report: question.seq,
                verdict: verdict(how, said),
            })
            .await;
        let turn = news.turn;
        self.follow(super::evidence::News {
            turn,
            ..Default::default()
        });
        match reached {
            Ok(Reply::Done) => Ok(()),
            Ok(_) => Err(self.too_late(&question)),
            // The connection is gone: it is told when there is another.
            Err(error) => {
                tracing::warn!(agent = %self.record.name, %error, "tell an answer");
                Ok(())
            }
        }
    }

    /// The question that is meant; `None`: it was answered so before.
    fn asked(&self, answer: &Answer) -> Result<Option<Question>, Problem> {
        let heard = &self.record.heard;
        let found = match &answer.question {
            Some(id) => heard.questions.iter().find(|it| it.id == *id),
            None if heard.questions.len() > 1 => {
                let ids: Vec<&str> = heard.questions.iter().map(|it| it.id.as_str()).collect();
                let message = format!("{} asks several things", self.record.name);
                let hint = format!("name one with --question: {}", ids.join(", "));
                return Err(Problem::new(Code::Conflict, message, hint));
            }
            None => heard.questions.first(),
        };
        if let (Some(question), true, None) = (found, answer.allow, &answer.question) {
            // Another may have come since somebody looked.
            let message = "a yes names the question that was seen";
            let hint = format!(
                "`wsm explain {}` shows it: --question {}",
                self.record.name, question.id
            );
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        if let Some(question) = found {
            return Ok(Some(question.clone()));
        }
        let Some(id) = &answer.question else {
            let message = format!("{} asks nothing", self.record.name);
            return Err(Problem::new(Code::Conflict, message, ""));
        };
        let how = if answer.allow { "approved" } else { "denied" };
        match heard.answered.iter().rfind(|it| it.id == *id) {
            Some(answered) if answered.how == how => Ok(None),
            Some(answered) => {
                let by = match answered.by.as_str() {
                    "" => String::new(),
                    by => format!(" by {by}"),
                };
                let message = format!("question {id} is none any more: {}{by}", answered.how);
                Err(Problem::new(Code::Conflict, message, ""))
            }
            None => {
                let message = format!("{} asks no question {id}", self.record.name);
                Err(Problem::new(Code::NotFound, message, ""))
            }
        }
    }

    /// It was answered in the terminal in the same moment.
    fn too_late(&mut self, question: &Question) -> Problem {
        let id = self.record.id.to_string();
        let message = format!(
            "too late, answered in the terminal: {}",
            words(&question.asking)
        );
        let told = row(WSM, "question.answered", &id, message);
        if let Some(last) = self
            .record
            .heard
            .answered
            .iter_mut()
            .rfind(|it| it.id == question.id)
        {
            "answered in the terminal".clone_into(&mut last.how);
            last.by.clear();
        }
        self.commit(told.changed(&question.id, "answered in the terminal"));
        let message = format!(
            "{} was answered in the terminal meanwhile",
            words(&question.asking)
        );
        Problem::new(Code::Conflict, message, "")
    }
}

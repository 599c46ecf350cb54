//! Answering an agent's questions.

use wsm_api::agent::Agent;
use wsm_api::problem::{Code, Problem};
use wsm_api::question::{Approve, Deny, MESSAGE_BYTES_MAX};

use super::Daemon;
use super::view::shown_agent;
use crate::actor::Actor;
use crate::agent::decide::Answer;
use crate::agent::handle::Message;
use crate::role::Verb;

impl Daemon {
    /// `approve`.
    ///
    /// # Errors
    /// There is no such agent or question, or it can't be answered from here.
    pub async fn approve(
        &self,
        actor: &Actor,
        agent: &str,
        answer: Approve,
    ) -> Result<Agent, Problem> {
        let Approve { question, note } = answer;
        self.decide(actor, agent, (question, true, note)).await
    }

    /// `deny`.
    ///
    /// # Errors
    /// As for [`Daemon::approve`].
    pub async fn deny(&self, actor: &Actor, agent: &str, answer: Deny) -> Result<Agent, Problem> {
        let Deny { question, message } = answer;
        self.decide(actor, agent, (question, false, message)).await
    }

    async fn decide(
        &self,
        actor: &Actor,
        agent: &str,
        (question, allow, message): (Option<String>, bool, Option<String>),
    ) -> Result<Agent, Problem> {
        let handle = self.find(actor, agent, Verb::Approve)?;
        let message = message.unwrap_or_default();
        let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
        if message.len() > MESSAGE_BYTES_MAX || message.contains(odd) {
            let most = MESSAGE_BYTES_MAX;
            let text = format!("what is said has at most {most} bytes, none of control");
            return Err(Problem::new(Code::Invalid, text, ""));
        }
        let answer = Answer {
            question,
            allow,
            message,
        };
        let actor = actor.who();
        let asked = handle.ask(|reply| Message::Decide {
            actor,
            answer,
            reply,
        });
        asked.await?;
        Ok(shown_agent(&handle.now()))
    }
}

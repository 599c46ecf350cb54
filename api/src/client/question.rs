//! Answering an agent's questions.

use super::wire::{self, Target};
use super::{Client, Result};
use crate::agent::Agent;
use crate::question::{Approve, Deny};

impl Client {
    /// Says yes.
    ///
    /// # Errors
    /// See [`super::ClientError`]; so for the method below.
    pub async fn approve(&self, agent: &str, answer: &Approve) -> Result<Agent> {
        let target = Target::agent(agent).then("approve");
        self.post(target, Some(wire::encode(answer))).await
    }

    /// Says no.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn deny(&self, agent: &str, answer: &Deny) -> Result<Agent> {
        let target = Target::agent(agent).then("deny");
        self.post(target, Some(wire::encode(answer))).await
    }
}

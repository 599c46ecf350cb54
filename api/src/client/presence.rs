//! Who is there, who may type, and what was seen.

use hyper::Method;

use super::wire::{self, Target};
use super::{Client, Result};
use crate::presence::{Lease, LeaseChange, Presence};
use crate::recording::{RecordInput, Recording};
use crate::terminal::{NewTicket, Ticket};

impl Client {
    /// A ticket to watch a terminal without the daemon in between.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn ticket(&self, agent: &str, new: &NewTicket) -> Result<Ticket> {
        self.post(Target::agent(agent).then("ticket"), Some(wire::encode(new)))
            .await
    }

    /// Who looks at its terminals.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn who(&self, agent: &str) -> Result<Presence> {
        self.get(Target::agent(agent).then("who")).await
    }

    /// Changes who may type.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn lease(&self, agent: &str, change: &LeaseChange) -> Result<Lease> {
        let body = Some(wire::encode(change));
        self.post(Target::agent(agent).then("lease"), body).await
    }

    /// Has what people type recorded, or no more.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn record_input(&self, agent: &str, on: bool) -> Result<RecordInput> {
        let target = Target::agent(agent).then("recordings").then("input");
        let body = wire::encode(&RecordInput { on });
        self.post(target, Some(body)).await
    }

    /// Recordings of its terminals, oldest first.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn recordings(&self, agent: &str) -> Result<Vec<Recording>> {
        self.get(Target::agent(agent).then("recordings")).await
    }

    /// One of them, as the file that the shim wrote.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn recording(&self, agent: &str, id: &str) -> Result<Vec<u8>> {
        let target = Target::agent(agent).then("recordings").then(id);
        let (_, body) = self.call(Method::GET, target, None).await?;
        Ok(body.to_vec())
    }
}

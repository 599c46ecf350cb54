//! Handing an agent over.

use super::wire::{self, Target};
use super::{Client, Result};
use crate::handoff::{NewOffer, Offer};

impl Client {
    /// Offers an agent to another user.
    ///
    /// # Errors
    /// See [`super::ClientError`]; so for every method below.
    pub async fn offer(&self, agent: &str, new: &NewOffer) -> Result<Offer> {
        let target = Target::agent(agent).then("handoff");
        self.post(target, Some(wire::encode(new))).await
    }

    /// Offers to the caller, and those of the caller's agents.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn offers(&self) -> Result<Vec<Offer>> {
        self.get(Target::new("/v1/handoffs")).await
    }

    /// Takes an offered agent.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn accept(&self, agent: &str) -> Result<Offer> {
        let target = Target::new("/v1/handoffs").then(agent).then("accept");
        self.post(target, None).await
    }

    /// Declines an offer, or takes one back.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn decline(&self, agent: &str) -> Result<Offer> {
        let target = Target::new("/v1/handoffs").then(agent).then("decline");
        self.post(target, None).await
    }
}

//! Links to watch an agent by.

use hyper::Method;

use super::wire::{self, Target, decode};
use super::{Client, Result};
use crate::link::{Link, LinkMade, NewLink};

impl Client {
    /// Links that an agent is watched by.
    ///
    /// # Errors
    /// See [`super::ClientError`]; so for every method below.
    pub async fn links(&self, agent: &str) -> Result<Vec<Link>> {
        self.get(Target::agent(agent).then("links")).await
    }

    /// Makes a link; the answer alone tells its value.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn link_new(&self, agent: &str, new: &NewLink) -> Result<LinkMade> {
        let target = Target::agent(agent).then("links");
        self.post(target, Some(wire::encode(new))).await
    }

    /// Ends a link.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn link_remove(&self, agent: &str, id: &str) -> Result<Link> {
        let target = Target::agent(agent).then("links").then(id);
        let (_, body) = self.call(Method::DELETE, target, None).await?;
        decode(&body)
    }
}

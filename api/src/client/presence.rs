//! Who is there, and who may type.

use super::wire::{self, Target};
use super::{Client, Result};
use crate::presence::{Lease, LeaseChange, Presence};

impl Client {
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
}

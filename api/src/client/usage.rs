//! What agents use, and where their pages are seen.

use super::wire::{self, Target};
use super::{Client, Result};
use crate::preview::{NewPreview, Preview};
use crate::usage::Usage;

impl Client {
    /// What an agent used since that time, in milliseconds since the epoch.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn usage(&self, agent: &str, since_ms: u64) -> Result<Usage> {
        let target = Target::agent(agent).then("usage");
        self.get(target.query("since_ms", &since_ms)).await
    }

    /// A URL that shows what an agent serves on a port.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn preview(&self, agent: &str, new: &NewPreview) -> Result<Preview> {
        let target = Target::agent(agent).then("previews");
        self.post(target, Some(wire::encode(new))).await
    }
}

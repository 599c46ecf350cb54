//! A daemon without a broker and without agents, for fuzzing what stands before it.

use std::sync::Arc;

use wsm_api::problem::Problem;

use super::Daemon;
use crate::engine::{Config, Engine};

impl Daemon {
    /// Opens the state, and looks for nothing.
    ///
    /// # Errors
    /// The database can't be opened.
    pub fn alone(config: &Config) -> Result<Daemon, Problem> {
        let engine = Arc::new(Engine::open(config)?);
        Ok(Daemon { engine })
    }
}

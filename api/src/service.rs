//! Services and ports of an agent.

use serde::{Deserialize, Serialize};

/// A port: fixed inside, leased outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Port {
    /// Name in the template.
    pub name: String,
    /// Port inside.
    pub inside: u16,
    /// Leased port on the host's loopback; `None` if not published.
    pub outside: Option<u16>,
    /// URL from the host; `""` if not published.
    pub url: String,
}

/// `ports`: a port and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentPorts {
    /// Agent's name.
    pub name: crate::name::AgentName,
    /// Agent's id.
    pub id: String,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Service {
    /// Name in the template.
    pub name: String,
    /// State.
    pub state: ServiceState,
    /// Why, one sentence.
    pub reason: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// How often it was started again since it was last asked to start.
    pub restarts: u32,
}

/// States of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// Waits for what it depends on.
    Waiting,
    /// `init` runs.
    Initializing,
    /// Runs, not ready yet.
    Starting,
    /// Ready.
    Ready,
    /// Runs, but its health check fails.
    Unhealthy,
    /// Ended; will be started again after a pause.
    Backoff,
    /// Ended and will not be started again.
    Failed,
    /// Was asked to stop.
    Stopping,
    /// Does not run.
    Stopped,
}

impl ServiceState {
    /// The word used everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceState::Waiting => "waiting",
            ServiceState::Initializing => "initializing",
            ServiceState::Starting => "starting",
            ServiceState::Ready => "ready",
            ServiceState::Unhealthy => "unhealthy",
            ServiceState::Backoff => "backoff",
            ServiceState::Failed => "failed",
            ServiceState::Stopping => "stopping",
            ServiceState::Stopped => "stopped",
        }
    }
}

/// Part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogPart {
    /// Text; control characters other than tab and newline are shown as `\u{..}`-like escapes.
    pub text: String,
    /// Ask from here next.
    pub next: u64,
    /// Whether more may come.
    pub live: bool,
}

//! The host: status, doctor.

use serde::{Deserialize, Serialize};

/// `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Pid of the daemon.
    pub pid: u32,
    /// Since when it runs (RFC 3339).
    pub since: String,
    /// Who the caller is.
    pub user: String,
    /// Whether the broker answers.
    pub broker: bool,
    /// Agents by state.
    pub agents: std::collections::BTreeMap<String, u32>,
    /// The network, if it is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
}

/// How the API is served over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Web {
    /// Its URL; `""` when it does not serve.
    pub url: String,
    /// Fingerprint of the certificate, for `--host-cert`; `""` without TLS, and where an authority
    /// gives it.
    pub certificate: String,
    /// Why it does not serve, or what is wrong with its certificate; `""` if nothing is.
    pub problem: String,
}

/// One line of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether agents can't start without it.
    pub fatal: bool,
    /// What was found.
    pub found: String,
    /// How to mend it.
    pub fix: String,
}

//! What an agent uses of its host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::HostTraffic;

/// What an agent used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Its id.
    pub agent: String,
    /// Its CPU limit, in thousandths of a core.
    pub cpu_limit_milli: Option<u64>,
    /// Its memory limit.
    pub memory_limit_bytes: Option<u64>,
    /// What was used, oldest first: each five minutes of the last day, then each ten seconds of the
    /// last quarter of an hour.
    pub samples: Vec<UsageSample>,
    /// The disk space of its files, when it was counted last.
    pub disk: Option<Disk>,
    /// By host: what went through since its way out was opened.
    pub hosts: Vec<HostTraffic>,
}

/// Disk space of an agent's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Disk {
    /// When that was (RFC 3339, UTC).
    pub at: String,
    /// Its working tree.
    pub workspace_bytes: u64,
    /// Its home: what its tools keep.
    pub home_bytes: u64,
    /// What its services keep.
    pub state_bytes: u64,
    /// There is nothing more; else it was too much to count.
    pub exact: bool,
}

/// What was used in some seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageSample {
    /// When they ended (RFC 3339, UTC).
    pub at: String,
    /// How many they were.
    pub seconds: u32,
    /// Disk space of its files, as far as it was counted.
    pub disk_bytes: Option<u64>,
    /// By all of it.
    #[serde(flatten)]
    pub whole: Used,
    /// By each service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Used>,
}

/// What one group of processes used; what this host does not count is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Used {
    /// CPU, in thousandths of a core, on average.
    pub cpu_milli: Option<u32>,
    /// Memory, at most.
    pub memory_bytes: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    #[serde(default)]
    pub oom_kills: u32,
    /// How much of the time something waited, at most.
    pub pressure: Option<Pressure>,
}

/// Shares of time in which something waited, in hundredths of a percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pressure {
    /// For the CPU.
    pub cpu: u32,
    /// For memory.
    pub memory: u32,
    /// For the disk.
    pub io: u32,
}

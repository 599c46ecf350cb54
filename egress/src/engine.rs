//! `wsm egress`: one process for all agents. It takes each agent's sockets from the broker, and is
//! told by the daemon, which may come and go, what each agent may reach.
//!
//! ```text
//! daemon ─orders─► control ─► Agent ─► accept ─► connection: what does it want?
//!                               │ names (dns)        └► decide ─► dial ─► tunnel or HTTP
//! ```

mod agent;
mod connection;
mod control;
mod copy;
mod dial;
mod dns;
mod harden;
mod hello;
mod http;
mod ledger;
mod log;
mod names;
mod socks;
mod stream;
mod tunnel;
mod udp;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::Mutex;

pub use harden::harden;

use agent::Agent;
use dial::Dialer;

/// What egress is told at its start.
#[derive(Debug)]
pub struct Config {
    /// Where the broker's socket lies.
    pub run_dir: PathBuf,
    /// Where the host's configuration lies.
    pub etc_dir: PathBuf,
    /// Its own corner of the state directory.
    pub state_dir: PathBuf,
    /// Who may give orders.
    pub daemon_uid: u32,
}

/// Everything.
#[derive(Debug)]
struct Egress {
    run_dir: File,
    etc_dir: PathBuf,
    daemon_uid: u32,
    dialer: Arc<Dialer>,
    logs: Arc<log::Logs>,
    /// Held while one is being changed: orders of two daemons don't mix.
    agents: Mutex<BTreeMap<String, Arc<Agent>>>,
}

/// Serves until it is dropped.
///
/// # Errors
/// The host's configuration can't be used, or the listening socket broke.
pub async fn run(config: Config, listener: UnixListener) -> io::Result<()> {
    let egress = Arc::new(Egress {
        run_dir: File::open(&config.run_dir)?,
        etc_dir: config.etc_dir.clone(),
        daemon_uid: config.daemon_uid,
        dialer: Arc::new(Dialer::new(host_config(&config.etc_dir)?)),
        logs: Arc::new(log::Logs::open(&config.state_dir)?),
        agents: Mutex::default(),
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let peer = stream.peer_cred()?.uid();
        if peer != egress.daemon_uid && peer != 0 {
            tracing::warn!(uid = peer, "a stranger knocked");
            continue;
        }
        let egress = Arc::clone(&egress);
        tokio::spawn(async move {
            if let Err(error) = control::serve(&egress, stream).await {
                tracing::warn!(%error, "the daemon's connection broke");
            }
        });
    }
}

fn host_config(etc: &Path) -> io::Result<crate::config::HostConfig> {
    crate::config::HostConfig::load(etc).map_err(io::Error::other)
}

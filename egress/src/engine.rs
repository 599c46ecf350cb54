//! `wsm egress`: one process for all agents. It takes each agent's sockets from the broker, and is
//! told by the daemon, which may come and go, what each agent may reach.
//!
//! ```text
//! daemon ─orders─► control ─► Agent ─► accept ─► connection: what does it want?
//!                               │ names (dns)        └► decide ─► dial ─► tunnel or HTTP
//! ```

mod agent;
mod authority;
mod connection;
mod control;
mod copy;
mod dial;
mod dns;
mod form;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod harden;
mod hello;
mod http;
mod inject;
mod injector;
mod ledger;
mod log;
mod logins;
mod names;
mod search;
mod secrets;
mod socks;
mod strangers;
mod stream;
mod terminate;
mod tunnel;
mod udp;
mod upstream;
mod vault;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::Mutex;

pub use harden::harden;

use agent::{Agent, Common};
use dial::Dialer;
use secrets::Secrets;
use strangers::Strangers;
use upstream::Trust;

/// What egress is told at its start.
#[derive(Debug)]
pub struct Config {
    /// Where the broker's socket lies.
    pub run_dir: PathBuf,
    /// Where the host's configuration lies.
    pub etc_dir: PathBuf,
    /// Its own corner of the state: the secrets, and its agents' logs.
    pub state_dir: PathBuf,
    /// Where systemd shows the key of the secrets, if it does.
    pub credentials_dir: Option<PathBuf>,
    /// Who may give orders.
    pub daemon_uid: u32,
}

/// How often it is written down when secrets were used last.
const FLUSH_INTERVAL: Duration = Duration::from_secs(30);

/// Everything.
#[derive(Debug)]
struct Egress {
    run_dir: File,
    etc_dir: PathBuf,
    daemon_uid: u32,
    common: Common,
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
        common: Common::new(
            Dialer::new(host_config(&config.etc_dir)?),
            log::Logs::open(&config.state_dir)?,
            Secrets::open(&config.state_dir, config.credentials_dir.as_deref()),
            Trust::default(),
        ),
        agents: Mutex::default(),
    });
    let strangers = Arc::new(Strangers::default());
    let mut flush = tokio::time::interval(FLUSH_INTERVAL);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = flush.tick() => {
                let secrets = Arc::clone(&egress.common.secrets);
                tokio::task::spawn_blocking(move || secrets.flush());
                continue;
            }
        };
        let peer = stream.peer_cred()?.uid();
        let egress = Arc::clone(&egress);
        if peer == egress.daemon_uid || peer == 0 {
            tokio::spawn(async move {
                if let Err(error) = control::serve(&egress, stream, peer).await {
                    tracing::warn!(%error, "the daemon's connection broke");
                }
            });
        } else if let Some(place) = strangers.place(peer) {
            tokio::spawn(async move {
                if let Err(error) = control::serve_stranger(&egress, stream, peer).await {
                    tracing::debug!(uid = peer, %error, "a user's connection broke");
                }
                drop(place);
            });
        } else {
            tracing::warn!(uid = peer, "too many users bring secrets at once");
        }
    }
}

fn host_config(etc: &Path) -> io::Result<crate::config::HostConfig> {
    crate::config::HostConfig::load(etc).map_err(io::Error::other)
}

//! `wsm egress`: what lets agents out.

use std::os::fd::RawFd;
use std::path::PathBuf;

use wsm_api::problem::Code;
use wsm_egress::engine::{self, Config};

use super::daemon;
use crate::failure::{Exit, Failure, Outcome};

/// Options of `egress`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the sockets lie.
    #[arg(long)]
    run: PathBuf,
    /// Where the configuration lies.
    #[arg(long)]
    etc: PathBuf,
    /// Its own state directory.
    #[arg(long)]
    state: PathBuf,
    /// Descriptor of the listening socket.
    #[arg(long)]
    listen_fd: RawFd,
    /// Who gives orders.
    #[arg(long, value_name = "UID")]
    daemon_uid: u32,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    daemon::log_to_stderr();
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(Code::Failed, format!("{what}: {error}"), "")
    };
    let listener = daemon::inherited(args.listen_fd).map_err(|e| failed("take the socket", e))?;
    // The socket was taken by pidfd_getfd(2), which nobody can do to this process from now on.
    engine::harden().map_err(|e| failed("protect the memory", e))?;
    let config = Config {
        run_dir: args.run.clone(),
        etc_dir: args.etc.clone(),
        state_dir: args.state.clone(),
        daemon_uid: args.daemon_uid,
    };
    tracing::info!("egress serves");
    let served = engine::run(config, listener).await;
    served.map_err(|e| failed("let agents out", e))?;
    Ok(Exit::DONE)
}

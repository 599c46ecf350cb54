//! What `wsm up` and the broker start: the daemon, and the git helper.

use std::io::IsTerminal;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wsm_api::host::Web;
use wsm_api::problem::Code;
use wsm_daemon::facade::Daemon;
use wsm_web::Config;
use wsm_web::net::NetListener;

use crate::failure::{Exit, Failure, Outcome};

/// Options of `daemon`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The daemon's own state directory.
    #[arg(long)]
    state: PathBuf,
    /// Where the sockets lie.
    #[arg(long)]
    run: PathBuf,
    /// Where the configuration lies.
    #[arg(long)]
    etc: PathBuf,
    /// Descriptor of the listening API socket.
    #[arg(long)]
    listen_fd: RawFd,
    /// A uid besides 0 that may act on every agent.
    #[arg(long = "admin", value_name = "UID")]
    admins: Vec<u32>,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    log_to_stderr();
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(Code::Failed, format!("{what}: {error}"), "")
    };
    let listener = inherited(args.listen_fd).map_err(|e| failed("take the API socket", e))?;
    let mut term = signal(SignalKind::terminate()).map_err(|e| failed("catch signals", e))?;
    let mut int = signal(SignalKind::interrupt()).map_err(|e| failed("catch signals", e))?;
    let shutdown = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    let parts = wsm_daemon::engine::Config {
        state_dir: args.state.clone(),
        run_dir: args.run.clone(),
        etc_dir: args.etc.clone(),
        page: page(&args.etc),
        admins: args.admins.clone(),
    };
    let daemon = Daemon::start(&parts).await?;
    tracing::info!(state = %args.state.display(), "the daemon serves");
    let (net, web) = network(args).await;
    let config = Config { web };
    wsm_web::serve(listener, daemon, config, net, shutdown)
        .await
        .map_err(|e| failed("serve", e))?;
    Ok(Exit::DONE)
}

/// What links of notifications begin with.
fn page(etc: &Path) -> Option<String> {
    wsm_web::config::load(etc).ok().flatten()?.public_url()
}

/// The listener on the network, if it is configured and can be. What is wrong with it is told, and
/// no reason to leave those without a daemon who are on this machine.
async fn network(args: &Args) -> (Option<NetListener>, Option<Web>) {
    let opened = match wsm_web::config::load(&args.etc) {
        Ok(None) => return (None, None),
        Ok(Some(config)) => NetListener::open(config.clone(), &args.state)
            .await
            .map(|net| (config.url(), net)),
        Err(why) => Err(why),
    };
    match opened {
        Ok((url, net)) => {
            let certificate = net.fingerprint().unwrap_or_default().to_owned();
            tracing::info!(%url, %certificate, "the network is served");
            let problem = String::new();
            let web = Web {
                url,
                certificate,
                problem,
            };
            (Some(net), Some(web))
        }
        Err(problem) => {
            tracing::error!(%problem, "the network is not served");
            let web = Web {
                url: String::new(),
                certificate: String::new(),
                problem,
            };
            (None, Some(web))
        }
    }
}

/// The log of a part of wsm, for whoever started it.
pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("WSM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// A listening socket that was inherited under a number: a copy of it, got through the kernel
/// (pidfd_getfd(2)), because a bare number is nothing that safe code can own.
pub(super) fn inherited(number: RawFd) -> std::io::Result<UnixListener> {
    let me = pidfd_open(getpid(), PidfdFlags::empty())?;
    let fd: OwnedFd = pidfd_getfd(me, number, PidfdGetfdFlags::empty())?;
    if !rustix::net::sockopt::socket_acceptconn(&fd)? {
        return Err(std::io::Error::other(format!(
            "descriptor {number} does not listen"
        )));
    }
    let listener = std::os::unix::net::UnixListener::from(fd);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// `wsm git-helper`: speaks with the daemon on standard input and output.
pub(crate) fn git_helper() -> Outcome {
    let code = wsm_daemon::workspace::helper_main();
    Ok(Exit(u8::try_from(code).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_lead_where_others_come_in() {
        let etc = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            std::fs::write(etc.path().join("config.toml"), text).unwrap();
            page(etc.path())
        };
        let behind = "[web]\nlisten = \"127.0.0.1:7443\"\ntls = \"off\"\nnames = [\"wsm.test\"]\n";
        let said = read(&format!("{behind}url = \"https://wsm.test\"\n"));
        assert_eq!(said.as_deref(), Some("https://wsm.test"));
        assert_eq!(read(behind).as_deref(), Some("http://wsm.test:7443"));
        assert_eq!(read("[web]\nlisten = \"0.0.0.0:7443\"\n"), None);
        assert_eq!(read(""), None);
    }
}

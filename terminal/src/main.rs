//! `wsm-shim zygote`: what every sandbox is forked from, and then its shim.
//!
//! As `/etc/wsm/hook KIND` it is what an agent's hooks start inside. `wsm-shim --config-fd N` is the shim alone, with everything it needs as descriptors.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::ExitCode;

use nix::sys::prctl;
use wsm_sandbox::launch::ShimConfig;
use wsm_sandbox::zygote::{self, ZYGOTE};
use wsm_terminal::hook::{self, HOOK};
use wsm_terminal::{pty, shim};

/// Longest configuration in bytes: a log for each of many services.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;

fn main() -> ExitCode {
    if std::env::args().skip(1).eq([ZYGOTE]) {
        return match zygote::run(run) {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
    }
    // Inside a sandbox it has that name alone.
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    if Path::new(&name)
        .file_name()
        .is_some_and(|name| name == HOOK)
    {
        hook::run(&arguments.collect::<Vec<_>>());
        return ExitCode::SUCCESS;
    }
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsm-shim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> io::Result<()> {
    let usage = || {
        io::Error::other(
            "usage: wsm-shim --config-fd N (`wsm-shim zygote` is started by the broker)",
        )
    };
    let mut args = std::env::args().skip(1);
    let (Some(option), Some(number), None) = (args.next(), args.next(), args.next()) else {
        return Err(usage());
    };
    if option != "--config-fd" {
        return Err(usage());
    }
    run(&read_config(number.parse().map_err(|_| usage())?)?)
}

fn run(config: &ShimConfig) -> io::Result<()> {
    // Before anything of the agent is read: nobody may look into this process or gain by its exec.
    prctl::set_dumpable(false)?;
    prctl::set_no_new_privs()?;
    let mut keep = vec![config.listen_fd, config.launcher_fd];
    keep.extend(config.logs.values().chain(&config.recordings));
    keep.extend(&config.keep_fds);
    keep.extend(config.reports.map(|it| it.listen_fd));
    pty::close_others(&keep)?;
    shim::run(config)
}

fn read_config(fd: i32) -> io::Result<ShimConfig> {
    let mut file = File::from(pty::adopt(fd)?);
    file.rewind()?;
    let mut text = Vec::new();
    file.take(CONFIG_BYTES_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text)
        .map_err(|error| io::Error::other(format!("read the configuration: {error}")))
}

//! `wsm follow`: becomes another program, which ends with the process that asked for it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use wsm_api::problem::Code;

use crate::failure::{Failure, Outcome};

/// Options of `follow`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process that asks.
    parent: i32,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let failed = |e: std::io::Error| {
        let program = args.command[0].to_string_lossy();
        Failure::new(
            Code::Failed,
            format!("start {program}: {e}"),
            "is it installed?",
        )
    };
    // Kept over execve(2).
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|e| failed(e.into()))?;
    if getppid()
        .map(Pid::as_raw_nonzero)
        .map(std::num::NonZero::get)
        != Some(args.parent)
    {
        return Err(failed(std::io::Error::other("who asked for it is gone")));
    }
    Err(failed(
        Command::new(&args.command[0])
            .args(&args.command[1..])
            .exec(),
    ))
}

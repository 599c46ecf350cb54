//! Starting one process on the shim's order.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, chdir, execve, setsid};

use crate::launch::{Command, Leaf, Stdio};
use crate::stacks;
use crate::sys;

/// Where a program is looked for when the environment names no PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A running process.
#[derive(Debug)]
pub(super) struct Started {
    /// Inside.
    pub(super) pid: Pid,
    /// Of its terminal.
    pub(super) master: Option<OwnedFd>,
}

/// Nothing runs.
#[derive(Debug)]
pub(super) struct StartError {
    /// What was being done.
    pub(super) what: String,
    /// Why it failed.
    pub(super) errno: i32,
}

impl StartError {
    fn new(what: impl Into<String>, error: &io::Error) -> StartError {
        StartError {
            what: what.into(),
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        }
    }
}

/// The streams of the new process.
#[derive(Debug)]
enum Streams {
    Terminal { slave: OwnedFd },
    Attached([OwnedFd; 3]),
}

/// Starts a process; returns when its exec succeeded or something failed.
pub(super) fn start(
    command: &Command,
    stdio: Stdio,
    fds: Vec<OwnedFd>,
    leaves: &[(Leaf, Vec<OwnedFd>)],
) -> Result<Started, StartError> {
    let leaf = leaves
        .iter()
        .find(|(leaf, _)| *leaf == command.leaf)
        .ok_or_else(|| {
            let missing = io::Error::from_raw_os_error(libc::ENOENT);
            StartError::new(
                format!("join the control group of {:?}", command.leaf),
                &missing,
            )
        })?;
    let program = Program::new(command)?;
    let (streams, master) = streams(stdio, fds)?;
    let mut failed = None;
    let stack = stacks::lend().map_err(|error| StartError::new("make a stack", &error))?;
    let child = sys::vfork(&stack, || {
        failed = Some(become_program(&program, &streams, &leaf.1));
        126
    });
    let pid = child.map_err(|error| StartError::new("fork", &error))?;
    match failed {
        // Reaped by the launcher's loop, which knows nothing of it and says nothing.
        Some(failed) => Err(failed),
        None => Ok(Started { pid, master }),
    }
}

fn streams(stdio: Stdio, fds: Vec<OwnedFd>) -> Result<(Streams, Option<OwnedFd>), StartError> {
    match stdio {
        Stdio::Terminal { cols, rows } => {
            let terminal = |error: &io::Error| StartError::new("open a terminal", error);
            let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            let master =
                open("/dev/ptmx", flags, Mode::empty()).map_err(|errno| terminal(&errno.into()))?;
            let slave = sys::open_terminal_peer(master.as_fd()).map_err(|e| terminal(&e))?;
            sys::set_terminal_size(slave.as_fd(), cols, rows).map_err(|e| terminal(&e))?;
            Ok((Streams::Terminal { slave }, Some(master)))
        }
        Stdio::Attached => {
            let count = fds.len();
            let three = <[OwnedFd; 3]>::try_from(fds).map_err(|_| StartError {
                what: format!("take over the streams: {count} descriptors came, not 3"),
                errno: libc::EINVAL,
            })?;
            Ok((Streams::Attached(three), None))
        }
    }
}

/// A command in the form that exec takes.
#[derive(Debug)]
struct Program {
    name: String,
    candidates: Vec<CString>,
    argv: Vec<CString>,
    environment: Vec<CString>,
    cwd: String,
}

impl Program {
    fn new(command: &Command) -> Result<Program, StartError> {
        let invalid = |what: &str| StartError {
            what: what.to_owned(),
            errno: libc::EINVAL,
        };
        let text = |text: &str| {
            CString::new(text).map_err(|_| invalid("read the command: it has a NUL byte"))
        };
        let name = command
            .argv
            .first()
            .ok_or_else(|| invalid("read the command: it is empty"))?;
        let argv: Result<_, _> = command.argv.iter().map(|word| text(word)).collect();
        let environment: Result<_, _> = command
            .env
            .iter()
            .map(|(key, value)| text(&format!("{key}={value}")))
            .collect();
        let candidates = if name.contains('/') {
            vec![text(name)?]
        } else {
            let path = command.env.iter().rev().find(|(key, _)| key == "PATH");
            let path = path.map_or(DEFAULT_PATH, |(_, value)| value.as_str());
            let found: Result<Vec<_>, _> = path
                .split(':')
                .filter(|dir| dir.starts_with('/'))
                .map(|dir| text(&format!("{dir}/{name}")))
                .collect();
            found?
        };
        Ok(Program {
            name: name.clone(),
            candidates,
            argv: argv?,
            environment: environment?,
            cwd: command.cwd.clone(),
        })
    }
}

/// In the child: takes its place and execs. Returns only on failure.
fn become_program(program: &Program, streams: &Streams, procs: &[OwnedFd]) -> StartError {
    match prepare(program, streams, procs) {
        Ok(()) => exec(program),
        Err(failed) => failed,
    }
}

fn prepare(program: &Program, streams: &Streams, procs: &[OwnedFd]) -> Result<(), StartError> {
    let step = |what: &'static str| move |error: io::Error| StartError::new(what, &error);
    let errno = |what: &'static str| move |errno: nix::Error| StartError::new(what, &errno.into());
    for fd in procs {
        nix::unistd::write(fd, b"0").map_err(errno("join the control group"))?;
    }
    setsid().map_err(errno("start a session"))?;
    let copies = match streams {
        Streams::Terminal { slave } => {
            sys::take_terminal(slave.as_fd()).map_err(step("take the terminal"))?;
            [slave.as_fd(); 3]
        }
        Streams::Attached(three) => three.each_ref().map(AsFd::as_fd),
    };
    // The sources lie above 2: init opened 0 to 2 before anything else.
    for (copy, to) in copies.into_iter().zip(0..) {
        sys::dup_to(copy, to).map_err(step("attach the streams"))?;
    }
    sys::cloexec_from(3).map_err(step("close descriptors"))?;
    sys::reset_signals();
    chdir(program.cwd.as_str())
        .map_err(|errno| StartError::new(format!("chdir {}", program.cwd), &errno.into()))
}

fn exec(program: &Program) -> StartError {
    let mut worst = nix::Error::ENOENT;
    for candidate in &program.candidates {
        let errno = match execve(candidate, &program.argv, &program.environment) {
            Err(errno) => errno,
            Ok(never) => match never {},
        };
        match errno {
            nix::Error::ENOENT | nix::Error::ENOTDIR => {}
            // As a shell does: look on, but remember that something was there.
            nix::Error::EACCES => worst = errno,
            _ => {
                worst = errno;
                break;
            }
        }
    }
    StartError::new(format!("exec {}", program.name), &worst.into())
}

//! The broker's side of the zygote: starting it, and having it make spawners.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::stat::Mode;
use nix::sys::time::TimeVal;
use nix::unistd::{Pid, fexecve, getpid, getppid};

use super::setup::Host;
use crate::fail;
use crate::packet::{self, Received};
use crate::protocol::PACKET_BYTES_MAX;
use crate::sys::{self, Fork};
use crate::zygote::ZygoteConfig;

/// How long it may take to answer: a fork takes a tenth of a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so many sandboxes it is started anew, so that not all of them share the places of things
/// in memory for ever.
const SPAWNERS_MAX: u32 = 64;

/// A zygote that serves.
#[derive(Debug)]
pub(super) struct Zygote {
    pid: Pid,
    control: OwnedFd,
    spawned: u32,
    /// One that waits for its order already.
    spare: Option<Spawner>,
}

/// A spawner without an order: a child of the broker, and the socket where it reads one.
#[derive(Debug)]
pub(super) struct Spawner {
    pub(super) pid: Pid,
    pub(super) socket: OwnedFd,
}

impl Spawner {
    fn lives(&self) -> bool {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }
}

impl Zygote {
    pub(super) fn start(host: &Host) -> io::Result<Zygote> {
        let (here, there) = packet::pair()?;
        let seconds = PATIENCE.as_secs().cast_signed();
        setsockopt(&here, sockopt::ReceiveTimeout, &TimeVal::new(seconds, 0))?;
        let broker = getpid();
        let pid = match sys::fork()? {
            Fork::Child => {
                let failed = match become_zygote(host, &there, broker) {
                    Err(error) => error,
                    Ok(never) => match never {},
                };
                eprintln!("wsm-sandbox: start the zygote: {failed}");
                sys::exit_now(1);
            }
            Fork::Parent(pid) => pid,
        };
        drop(there);
        let zygote = Zygote {
            pid,
            control: here,
            spawned: 0,
            spare: None,
        };
        let config = ZygoteConfig {
            broker: broker.as_raw(),
            instance: host.config.instance.clone(),
            stage: host.run_path.clone(),
            daemon: (host.config.daemon_uid, host.config.daemon_gid),
            layout: host.layout.clone(),
            fault: fail::wanted(),
        };
        packet::send(zygote.control.as_fd(), &config, &[host.run.as_fd()])?;
        Ok(zygote)
    }

    /// A spawner: the spare one, or one that it makes now.
    pub(super) fn spawner(&mut self) -> io::Result<Spawner> {
        match self.spare.take().filter(Spawner::lives) {
            Some(spare) => Ok(spare),
            None => self.spawn(),
        }
    }

    /// Has a spare spawner made.
    pub(super) fn make_ready(&mut self) -> io::Result<()> {
        if self.spare.is_none() {
            self.spare = Some(self.spawn()?);
        }
        Ok(())
    }

    fn spawn(&mut self) -> io::Result<Spawner> {
        let (socket, there) = packet::pair()?;
        packet::send_bytes(self.control.as_fd(), b"1", &[there.as_fd()])?;
        match packet::receive(self.control.as_fd(), PACKET_BYTES_MAX)? {
            Received::Packet(packet) => {
                self.spawned += 1;
                let pid = Pid::from_raw(serde_json::from_slice(&packet.bytes)?);
                Ok(Spawner { pid, socket })
            }
            Received::Nothing | Received::End => Err(io::Error::other("the zygote is gone")),
        }
    }

    /// Whether it has served long enough.
    pub(super) fn is_old(&self) -> bool {
        self.spawned >= SPAWNERS_MAX
    }

    /// Ends one that does not answer.
    pub(super) fn kill(self) {
        // A child that was not waited for, or gone: either way nobody else's.
        sys::kill(self.pid, libc::SIGKILL).unwrap_or(());
    }
}

fn become_zygote(
    host: &Host,
    control: &OwnedFd,
    broker: Pid,
) -> io::Result<std::convert::Infallible> {
    sys::reset_signals();
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != broker {
        return Err(io::Error::other("the broker died"));
    }
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    sys::cloexec_from(3)?;
    sys::dup_to(control.as_fd(), 0)?;
    sys::dup_to(null.as_fd(), 1)?;
    debug_assert!(
        host.shim_program.as_raw_fd() > 2,
        "0 to 2 are open since the start"
    );
    let environment: [&CStr; 0] = [];
    let argv = [c"wsm-shim", c"zygote"];
    Ok(fexecve(&host.shim_program, &argv, &environment)?)
}

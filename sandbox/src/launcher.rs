//! The launcher: gives up every right once, tests the walls from inside, then starts what the
//! shim orders.
//!
//! ```text
//! forked by init → closed (uid, capabilities, Landlock, seccomp) → tested → serving → ended
//! ```
//!
//! Every process of the agent descends from it, so that all are in one Landlock domain and may
//! signal each other. It holds no descriptor of what it started. It ends when the shim does.

mod confine;
mod start;
mod watch;

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use serde_json::value::to_raw_value;

use crate::ablation;
use crate::fail::{self, Context, failure};
use crate::init::Init;
use crate::launch::{Leaf, Order, PACKET_BYTES_MAX, Report};
use crate::packet::{self, Packet, Received};
use crate::protocol::{Failure, FailureKind};
use crate::spawn::{Leaves, Status, Tally};
use crate::spec::ProbeReport;
use crate::sys;
use watch::Watcher;

/// SIGKILL, as the shim's orders number signals.
const SIGKILL: i32 = Signal::SIGKILL as i32;

/// Runs until the shim ends. Gives the exit code.
pub(crate) fn run(init: Init) -> i32 {
    match close_and_test(&init) {
        Ok(()) => {}
        Err(failed) => {
            let told = packet::send(init.status.as_fd(), &Status::Failed(failed), &[]);
            return i32::from(told.is_err()) + 1;
        }
    }
    let Init {
        orders,
        status,
        leaves,
        lock: _lock,
        ..
    } = init;
    drop(status);
    if packet::send(orders.as_fd(), &Report::Ready, &[]).is_err() {
        return 0; // the shim is gone already
    }
    match Launcher::new(orders, leaves) {
        Ok(mut launcher) => launcher.serve(),
        Err(_) => 1,
    }
}

fn close_and_test(init: &Init) -> Result<(), Failure> {
    let outside = confine::listen_outside()?;
    fail::point("launcher.start")?;
    let landlock = confine::enter(init)?;
    fail::point("launcher.closed")?;
    let expected = confine::expected(init, landlock.as_ref(), &outside);
    let probes = confine::test(&expected)?;
    let broken: Vec<&ProbeReport> = probes.iter().filter(|probe| !probe.held).collect();
    if let Some(first) = broken.first().filter(|_| !ablation::lenient()) {
        return Err(failure(
            FailureKind::Unsupported,
            "test the sandbox from inside",
            format!(
                "{} of {} probes failed; first: {}: {} gave {}",
                broken.len(),
                probes.len(),
                first.layer,
                first.tried,
                first.saw
            ),
            "run `wsm doctor`; this is a defect of wsm or of the kernel's configuration",
        ));
    }
    fail::point("launcher.tested")?;
    let what = || "report the self-test".to_owned();
    let tested = Status::Tested {
        landlock,
        tally: Tally::of(&probes),
        probes: to_raw_value(&probes)
            .map_err(std::io::Error::from)
            .what(what)?,
    };
    packet::send(init.status.as_fd(), &tested, &[]).what(what)
}

/// The serving launcher.
#[derive(Debug)]
struct Launcher {
    orders: OwnedFd,
    leaves: Leaves,
    signals: SignalFd,
    running: HashMap<Pid, Running>,
    watcher: Option<Watcher>,
}

/// A process that it started.
#[derive(Debug)]
struct Running {
    /// The shim's number for it.
    id: u64,
    /// Its process group ends with it; what a command of the agent leaves lives on.
    service: bool,
}

impl Launcher {
    fn new(orders: OwnedFd, leaves: Leaves) -> nix::Result<Launcher> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&mask, flags)?;
        Ok(Launcher {
            orders,
            leaves,
            signals,
            running: HashMap::new(),
            watcher: None,
        })
    }

    fn serve(&mut self) -> i32 {
        loop {
            let timeout = self.watcher.as_ref().and_then(Watcher::due_in);
            let mut fds = vec![
                PollFd::new(self.orders.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            if let Some(watcher) = &self.watcher {
                fds.push(PollFd::new(watcher.as_fd(), PollFlags::POLLIN));
            }
            let timeout = timeout.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            });
            match poll(&mut fds, timeout) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(_) => return 1,
            }
            let ordered = fds[0].any().unwrap_or(true);
            drop(fds);
            while let Ok(Some(_)) = self.signals.read_signal() {}
            if self.reap().is_err() || self.report_changes().is_err() {
                return 0; // the shim is gone
            }
            if !ordered {
                continue;
            }
            match packet::receive(self.orders.as_fd(), PACKET_BYTES_MAX) {
                Ok(Received::Packet(packet)) => {
                    if self.obey(packet).is_err() {
                        return 0;
                    }
                }
                Ok(Received::Nothing) => {}
                Ok(Received::End) | Err(_) => return 0,
            }
        }
    }

    fn reap(&mut self) -> std::io::Result<()> {
        loop {
            let Ok(Some((pid, status))) = sys::reap() else {
                return Ok(());
            };
            if let Some(Running { id, service }) = self.running.remove(&pid) {
                if service {
                    // What it left behind would hold its port when it is started again. The number
                    // of a group that has members is not given to others.
                    sys::kill(Pid::from_raw(-pid.as_raw()), SIGKILL).unwrap_or(());
                }
                self.say(&Report::Exited { id, status })?;
            }
        }
    }

    fn report_changes(&mut self) -> std::io::Result<()> {
        let changed = self.watcher.as_mut().is_some_and(Watcher::changed);
        if changed {
            self.say(&Report::Changed)
        } else {
            Ok(())
        }
    }

    fn say(&self, report: &Report) -> std::io::Result<()> {
        packet::send(self.orders.as_fd(), report, &[])
    }

    fn obey(&mut self, packet: Packet) -> std::io::Result<()> {
        // The shim is ours but parses hostile bytes: an order that can't be read ends it all.
        match serde_json::from_slice(&packet.bytes)? {
            Order::Start { id, command, stdio } => {
                match start::start(&command, stdio, packet.fds, &self.leaves) {
                    Ok(started) => {
                        let service = matches!(command.leaf, Leaf::Service(_));
                        self.running.insert(started.pid, Running { id, service });
                        let report = Report::Started {
                            id,
                            pid: started.pid.as_raw(),
                        };
                        let master: Vec<_> = started.master.iter().map(AsFd::as_fd).collect();
                        packet::send(self.orders.as_fd(), &report, &master)
                    }
                    Err(failed) => {
                        let (what, errno) = (failed.what, failed.errno);
                        self.say(&Report::Failed { id, what, errno })
                    }
                }
            }
            Order::Signal { id, signal, group } => {
                let found = self.running.iter().find(|(_, running)| running.id == id);
                if let Some((pid, _)) = found {
                    let to = if group {
                        Pid::from_raw(-pid.as_raw())
                    } else {
                        *pid
                    };
                    // What can't be signalled (another user's) is none of the agent's own.
                    sys::kill(to, signal).unwrap_or(());
                }
                Ok(())
            }
            Order::Watch { directories } => {
                self.watcher = Watcher::new(directories).ok();
                Ok(())
            }
        }
    }
}

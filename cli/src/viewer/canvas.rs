//! The user's terminal as something that can be given away: it takes bytes, and nothing else can be
//! done with it.
//!
//! The shim that gets it runs the agent's output through parsers, so it shall not be able to read
//! keys or to change modes. Reading goes with the way it is opened; everything else that can be done
//! with a terminal is a device ioctl, which Landlock ties to the descriptor when it is opened.

use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::thread;

use landlock::{
    AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError, RulesetStatus,
};
use rustix::fs::{Mode, OFlags};

/// `None`: it can't be made here, and the viewer draws by itself.
pub(super) fn open() -> Option<OwnedFd> {
    if !io::stdout().is_terminal() {
        return None;
    }
    open_held("/proc/self/fd/1")
}

fn open_held(path: &'static str) -> Option<OwnedFd> {
    // What Landlock takes is taken from a thread of its own, which ends at once.
    let opened = thread::Builder::new().spawn(move || {
        let held = restrict().is_ok_and(|status| status == RulesetStatus::FullyEnforced);
        // Opened anew: flags of a descriptor that others share are not ours to change.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        held.then(|| rustix::fs::open(path, flags, Mode::empty()).ok())?
    });
    opened.ok()?.join().ok()?
}

/// Takes device ioctls from this thread, and from what it opens, for good.
fn restrict() -> Result<RulesetStatus, RulesetError> {
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::IoctlDev)?
        .create()?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    use rustix::termios::{
        QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcgetpgrp, tcgetwinsize,
    };

    use super::*;

    #[test]
    fn it_can_be_written_and_nothing_else() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let path: &'static str = path.leak();
        let ours = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let given = open_held(path).expect("Landlock with device ioctls (Linux 6.10)");
        assert_eq!(rustix::io::write(&given, b"seen").unwrap(), 4);
        let mut seen = [0; 8];
        assert_eq!(rustix::io::read(&master, &mut seen).unwrap(), 4);
        assert_eq!(rustix::io::read(&given, &mut seen), Err(Errno::BADF));
        assert_eq!(tcgetattr(&given).unwrap_err(), Errno::ACCESS);
        assert_eq!(tcgetwinsize(given.as_fd()).unwrap_err(), Errno::ACCESS);
        let all = tcflush(&given, QueueSelector::IOFlush);
        assert_eq!(all, Err(Errno::ACCESS));
        assert_eq!(tcgetpgrp(&given), Err(Errno::ACCESS));
        assert_eq!(ioctl_tiocexcl(&given), Err(Errno::ACCESS));
        // That keys wait, and neither which nor how many (ADR 10).
        rustix::io::write(&master, b"secret\n").unwrap();
        let mut ready = [PollFd::new(&given, PollFlags::IN)];
        assert_eq!(poll(&mut ready, None).unwrap(), 1);
        assert_eq!(rustix::io::ioctl_fionread(&given), Err(Errno::ACCESS));
        assert_eq!(rustix::io::ioctl_fionread(&ours), Ok(7));
        // What was open before, and what this thread opens, can do all that.
        assert!(tcgetattr(&ours).is_ok());
    }
}

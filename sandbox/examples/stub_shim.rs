//! A shim for tests of the broker: runs commands for whoever connects, one JSON document per line.
//! The real one is `wsm-shim`.

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use nix::cmsg_space;
use nix::fcntl::OFlag;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};
use wsm_sandbox::launch::{Command, Exit, Order, PACKET_BYTES_MAX, Report, ShimConfig, Stdio};

/// What a client asks.
#[derive(Deserialize)]
enum Ask {
    /// Run to the end, with the output of both streams.
    Run { command: Command, terminal: bool },
    /// Start, and leave it running.
    Start { command: Command },
    /// Watch directories, and wait for a change.
    Watch { directories: Vec<String> },
}

/// How it went.
#[derive(Serialize, Default)]
struct Told {
    out: String,
    exit: Option<Exit>,
    failed: Option<(String, i32)>,
    changed: bool,
}

struct Launcher {
    socket: RawFd,
    next: u64,
}

fn main() -> std::process::ExitCode {
    let code = wsm_sandbox::zygote::run(shim);
    u8::try_from(code).map_or(std::process::ExitCode::FAILURE, Into::into)
}

fn shim(config: &ShimConfig) -> std::io::Result<()> {
    let init = config.init_pid;
    // The descriptor is nobody else's, and stays open as long as this process.
    let listener = UnixListener::from(take(config.listen_fd));
    listener.set_nonblocking(false).expect("blocking");
    let mut launcher = Launcher {
        socket: config.launcher_fd,
        next: 1,
    };
    match launcher.report() {
        Some((Report::Ready, _)) => {}
        _ => return Ok(()),
    }
    std::thread::spawn(move || {
        let pid = nix::unistd::Pid::from_raw(init);
        nix::sys::wait::waitpid(pid, None).expect("a child");
        std::process::abort(); // init is gone, so is the shim
    });
    for stream in listener.incoming() {
        let stream = stream.expect("a client");
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
            let told = launcher.do_it(serde_json::from_str(&line).expect("a request"));
            let mut text = serde_json::to_string(&told).expect("serializes");
            text.push('\n');
            (&stream).write_all(text.as_bytes()).expect("a reader");
            line.clear();
        }
    }
    Ok(())
}

/// A copy of a descriptor that was handed over under a number (pidfd_getfd(2)): a bare number
/// is nothing that safe code can own.
fn take(fd: RawFd) -> OwnedFd {
    let me = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process exists");
    pidfd_getfd(me, fd, PidfdGetfdFlags::empty()).expect("the spawner handed it over")
}

impl Launcher {
    fn do_it(&mut self, ask: Ask) -> Told {
        self.next += 1;
        let id = self.next;
        match ask {
            Ask::Watch { directories } => {
                self.order(&Order::Watch { directories }, &[]);
                while !matches!(self.report(), Some((Report::Changed, _)) | None) {}
                Told {
                    changed: true,
                    ..Told::default()
                }
            }
            Ask::Start { command } => {
                let null = File::options()
                    .read(true)
                    .write(true)
                    .open("/dev/null")
                    .expect("null");
                let fds = [null.as_raw_fd(); 3];
                self.order(
                    &Order::Start {
                        id,
                        command,
                        stdio: Stdio::Attached,
                    },
                    &fds,
                );
                match self.report_of(id) {
                    (Report::Failed { what, errno, .. }, _) => Told {
                        failed: Some((what, errno)),
                        ..Told::default()
                    },
                    _ => Told::default(),
                }
            }
            Ask::Run { command, terminal } => self.run(id, command, terminal),
        }
    }

    fn run(&mut self, id: u64, command: Command, terminal: bool) -> Told {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let null = File::open("/dev/null").expect("null");
        let (stdio, fds) = if terminal {
            (Stdio::Terminal { cols: 80, rows: 24 }, vec![])
        } else {
            let out = write.as_raw_fd();
            (Stdio::Attached, vec![null.as_raw_fd(), out, out])
        };
        self.order(&Order::Start { id, command, stdio }, &fds);
        drop(write);
        let mut source = match self.report_of(id) {
            (Report::Failed { what, errno, .. }, _) => {
                return Told {
                    failed: Some((what, errno)),
                    ..Told::default()
                };
            }
            (_, fds) => File::from(fds.into_iter().next().unwrap_or(read)),
        };
        let mut bytes = Vec::new();
        drop(source.read_to_end(&mut bytes)); // a terminal ends with EIO
        loop {
            if let (Report::Exited { status, .. }, _) = self.report_of(id) {
                let out = String::from_utf8_lossy(&bytes).into_owned();
                return Told {
                    out,
                    exit: Some(status),
                    ..Told::default()
                };
            }
        }
    }

    fn order(&self, order: &Order, fds: &[RawFd]) {
        let bytes = serde_json::to_vec(order).expect("serializes");
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = if fds.is_empty() {
            &rights[..0]
        } else {
            &rights[..]
        };
        let iov = [IoSlice::new(&bytes)];
        sendmsg::<()>(self.socket, &iov, rights, MsgFlags::empty(), None).expect("a launcher");
    }

    fn report(&self) -> Option<(Report, Vec<OwnedFd>)> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = cmsg_space!([RawFd; 4]);
        let mut fds = Vec::new();
        let length = {
            let mut iov = [IoSliceMut::new(&mut bytes)];
            let message =
                recvmsg::<()>(self.socket, &mut iov, Some(&mut space), MsgFlags::empty()).ok()?;
            for part in message.cmsgs().ok()? {
                if let ControlMessageOwned::ScmRights(raw) = part {
                    fds.extend(raw.into_iter().map(take));
                }
            }
            message.bytes
        };
        Some((serde_json::from_slice(&bytes[..length]).ok()?, fds))
    }

    /// The next report of this process; others are of processes left running.
    fn report_of(&self, id: u64) -> (Report, Vec<OwnedFd>) {
        loop {
            let (report, fds) = self.report().unwrap_or_else(|| std::process::abort());
            let of = match &report {
                Report::Started { id, .. }
                | Report::Failed { id, .. }
                | Report::Exited { id, .. } => *id,
                Report::Ready | Report::Changed => 0,
            };
            if of == id {
                return (report, fds);
            }
        }
    }
}

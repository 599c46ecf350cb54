//! A real shim with a launcher that is only played: it opens real PTYs and starts real processes,
//! but without a sandbox around them.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::unistd::Pid;
use tempfile::TempDir;
use wsm_sandbox::launch::{self, Exit, Leaf, Order, PACKET_BYTES_MAX, Report, ShimConfig};
use wsm_terminal::protocol::{Decoder, Event, Frame, Hello, Io, Person, Process, Reply, Request};

/// Nothing here takes longer than this unless it is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const INCARNATION: u64 = 77;

pub(crate) struct Shim {
    pub(crate) dir: TempDir,
    child: Child,
    init: Pid,
    pub(crate) launcher: OwnedFd,
    launching: Option<thread::JoinHandle<()>>,
}

impl Shim {
    pub(crate) fn start() -> Shim {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        // As the spawner makes it: everybody may connect.
        for (path, mode) in [
            (dir.path().to_owned(), 0o755),
            (dir.path().join("sock"), 0o666),
        ] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .unwrap();
        let log = std::fs::File::create_new(dir.path().join("web.log")).unwrap();
        let log = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.path().join("web.log"))
            .inspect(|_| drop(log))
            .unwrap();
        let listener = inherit(listener.as_fd());
        let theirs = inherit(theirs.as_fd());
        let log = inherit(log.as_fd());
        let config = ShimConfig {
            agent: "test".into(),
            incarnation: INCARNATION,
            listen_fd: listener.as_raw_fd(),
            launcher_fd: theirs.as_raw_fd(),
            init_pid: 424_242,
            logs: [("web".to_owned(), log.as_raw_fd())].into(),
            recordings: Vec::new(),
            daemon_uid: 0,
            keep_fds: Vec::new(),
            reports: None,
        };
        let text = serde_json::to_string(&config).unwrap();
        std::fs::write(dir.path().join("config"), text).unwrap();
        let script = "sleep 1000 & echo $! > init; sed -i s/424242/$!/ config
            exec 9<config; exec \"$1\" --config-fd 9";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(std::env::var("WSM_SHIM").unwrap_or(env!("CARGO_BIN_EXE_wsm-shim").into()))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let init = eventually("init's pid", || {
            let text = std::fs::read_to_string(dir.path().join("init")).ok()?;
            text.trim().parse().ok().map(Pid::from_raw)
        });
        let launcher = ours.try_clone().unwrap();
        let launching = thread::spawn(move || {
            let children = Children::default();
            launch_loop(&Arc::new(ours), &children);
            // As they end with their sandbox; nobody else ends them.
            for pid in children.lock().unwrap().values() {
                let _gone = killpg(*pid, Signal::SIGKILL);
            }
        });
        Shim {
            dir,
            child,
            init,
            launcher,
            launching: Some(launching),
        }
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_with(None).expect("a hello")
    }

    /// With a ticket; `None`: the shim closed the connection without a hello.
    pub(crate) fn connect_with(&self, ticket: Option<&str>) -> Option<Client> {
        let socket = UnixStream::connect(self.dir.path().join("sock")).unwrap();
        Client::greet(socket, ticket)
    }

    /// As a client that knows no more of the protocol than this.
    pub(crate) fn connect_as(&self, speaks: u32) -> Client {
        let socket = UnixStream::connect(self.dir.path().join("sock")).unwrap();
        let mut hello = Hello::client(None);
        hello.speaks = speaks;
        Client::greet_with(socket, hello).expect("a hello")
    }

    pub(crate) fn kill_init(&self) {
        kill(self.init, Signal::SIGKILL).unwrap();
    }

    pub(crate) fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
    }

    pub(crate) fn init_lives(&self) -> bool {
        // A zombie of a shim that is gone may wait for its reaper.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.init));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        eventually("the shim's exit", || self.child.try_wait().unwrap()).code()
    }

    /// Resident memory and its peak in KiB.
    pub(crate) fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// The peak is what is resident now.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        if self.init_lives() {
            kill(self.init, Signal::SIGKILL).unwrap();
        }
        let launching = self.launching.take().unwrap().join();
        assert!(launching.is_ok() || thread::panicking());
    }
}

/// The same for a child to have, out of the way of the number that its script opens.
fn inherit(fd: BorrowedFd<'_>) -> OwnedFd {
    let fd = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(10)).unwrap();
    let fd = wsm_terminal::pty::adopt(fd).unwrap();
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    fd
}

pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "no {what} in time");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the launcher does, without the sandbox.
/// Process groups by number.
type Children = Arc<Mutex<HashMap<u64, Pid>>>;

fn launch_loop(socket: &Arc<OwnedFd>, children: &Children) {
    report(socket, &Report::Ready, &[]);
    loop {
        let mut packet = vec![0; PACKET_BYTES_MAX];
        let mut control = nix::cmsg_space!([RawFd; 3]);
        let mut slices = [IoSliceMut::new(&mut packet)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags);
        let Ok(message) = received else { return };
        let fds: Vec<RawFd> = message
            .cmsgs()
            .unwrap()
            .flat_map(|control| match control {
                ControlMessageOwned::ScmRights(fds) => fds,
                _ => Vec::new(),
            })
            .collect();
        let length = message.bytes;
        if length == 0 {
            return;
        }
        let fds: Vec<OwnedFd> = fds
            .into_iter()
            .map(|fd| wsm_terminal::pty::adopt(fd).unwrap())
            .collect();
        match serde_json::from_slice(&packet[..length]).unwrap() {
            Order::Start { id, command, stdio } => {
                start(socket, children, id, &command, stdio, fds)
            }
            Order::Signal { id, signal, group } => {
                let pid = children.lock().unwrap().get(&id).copied();
                let signal = Signal::try_from(signal).unwrap();
                if let Some(pid) = pid {
                    let sent = if group {
                        killpg(pid, signal)
                    } else {
                        kill(pid, signal)
                    };
                    sent.unwrap();
                }
            }
            Order::Watch { .. } => report(socket, &Report::Changed, &[]),
        }
    }
}

fn start(
    socket: &Arc<OwnedFd>,
    children: &Children,
    id: u64,
    command: &launch::Command,
    stdio: launch::Stdio,
    fds: Vec<OwnedFd>,
) {
    let mut master = None;
    let mut process = match stdio {
        launch::Stdio::Terminal { cols, rows } => {
            let size = Winsize {
                ws_row: rows,
                ws_col: cols,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            let pty = openpty(&size, None).unwrap();
            for fd in [&pty.master, &pty.slave] {
                fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
            }
            master = Some(pty.master);
            // Sets a new session and takes standard input for its terminal.
            let mut process = Command::new("setsid");
            process.arg("--ctty").args(&command.argv);
            process.stdin(pty.slave.try_clone().unwrap());
            process.stdout(pty.slave.try_clone().unwrap());
            process.stderr(pty.slave);
            process
        }
        launch::Stdio::Attached => {
            let mut process = Command::new(&command.argv[0]);
            process.args(&command.argv[1..]).process_group(0);
            let mut fds = fds.into_iter();
            process.stdin(fds.next().unwrap());
            process.stdout(fds.next().unwrap());
            process.stderr(fds.next().unwrap());
            process
        }
    };
    process.env_clear().envs(command.env.iter().cloned());
    process.current_dir(&command.cwd);
    let mut child = match process.spawn() {
        Ok(child) => child,
        Err(error) => {
            let what = format!("exec {}", command.argv[0]);
            let errno = error.raw_os_error().unwrap_or(0);
            return report(socket, &Report::Failed { id, what, errno }, &[]);
        }
    };
    drop(process);
    let pid = child.id().try_into().unwrap();
    children.lock().unwrap().insert(id, Pid::from_raw(pid));
    let fds: Vec<RawFd> = master.iter().map(AsRawFd::as_raw_fd).collect();
    report(socket, &Report::Started { id, pid }, &fds);
    let (socket, children) = (Arc::clone(socket), Arc::clone(children));
    thread::spawn(move || {
        let ended = child.wait().unwrap();
        children.lock().unwrap().remove(&id);
        let status = match ended.signal() {
            Some(signal) => Exit::Signal(signal),
            None => Exit::Code(ended.code().unwrap()),
        };
        report(&socket, &Report::Exited { id, status }, &[]);
    });
}

fn report(socket: &OwnedFd, report: &Report, fds: &[RawFd]) {
    let packet = serde_json::to_vec(report).unwrap();
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &[] } else { &rights[..] };
    let slices = [IoSlice::new(&packet)];
    // A shim that is gone hears nothing any more.
    let _gone = sendmsg::<()>(
        socket.as_raw_fd(),
        &slices,
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    );
}

/// A connection, as the daemon or a viewer has one.
pub(crate) struct Client {
    pub(crate) socket: UnixStream,
    decoder: Decoder,
    number: u64,
    pub(crate) waits_for: String,
    pub(crate) events: Vec<Event>,
}

impl Client {
    fn greet(socket: UnixStream, ticket: Option<&str>) -> Option<Client> {
        Client::greet_with(socket, Hello::client(ticket.map(str::to_owned)))
    }

    fn greet_with(socket: UnixStream, hello: Hello) -> Option<Client> {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut client = Client {
            socket,
            decoder: Decoder::default(),
            number: 0,
            waits_for: "a frame".into(),
            events: Vec::new(),
        };
        client.send(&Frame::Hello(hello));
        match client.receive()? {
            Frame::Hello(hello) => assert_eq!(hello.incarnation, INCARNATION),
            other => panic!("not a hello: {other:?}"),
        }
        Some(client)
    }

    pub(crate) fn ticket(&mut self, terminal: &str, read_only: bool) -> String {
        self.ticket_for(terminal, read_only, "")
    }

    /// A ticket that says who shows it.
    pub(crate) fn ticket_for(&mut self, terminal: &str, read_only: bool, user: &str) -> String {
        let person = Person {
            user: user.to_owned(),
            device: format!("{user}'s desk"),
        };
        match self.request(Request::Ticket {
            terminal: terminal.to_owned(),
            read_only,
            person,
            owner: false,
        }) {
            Reply::Ticket { ticket } => ticket,
            other => panic!("not a ticket: {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.socket.write_all(&bytes).unwrap();
    }

    /// `None`: the shim closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            let mut bytes = [0; 65536];
            match self
                .socket
                .read(&mut bytes)
                .unwrap_or_else(|error| panic!("{} did not come: {error}", self.waits_for))
            {
                0 => return None,
                length => self.decoder.push(&bytes[..length]),
            }
        }
    }

    pub(crate) fn request(&mut self, request: Request) -> Reply {
        self.number += 1;
        self.send(&Frame::Request(self.number, request));
        loop {
            match self.receive().expect("a reply") {
                Frame::Reply(number, reply) => {
                    assert_eq!(number, self.number);
                    return reply;
                }
                Frame::Event(event) => self.events.push(event),
                other => panic!("not a reply: {other:?}"),
            }
        }
    }

    pub(crate) fn event(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        if let Some(at) = self.events.iter().position(&wanted) {
            return self.events.remove(at);
        }
        loop {
            match self.receive().unwrap_or_else(|| panic!("no event {what}")) {
                Frame::Event(event) if wanted(&event) => return event,
                Frame::Event(event) => self.events.push(event),
                other => panic!("not an event: {other:?}"),
            }
        }
    }

    pub(crate) fn start(&mut self, process: &str, argv: &[&str], io: Io) -> Reply {
        self.start_in("/", process, argv, io)
    }

    pub(crate) fn start_in(&mut self, cwd: &str, process: &str, argv: &[&str], io: Io) -> Reply {
        self.request(Request::Start {
            process: process.into(),
            command: launch::Command {
                argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
                env: vec![
                    ("PATH".into(), "/usr/bin:/bin".into()),
                    ("TERM".into(), "xterm-256color".into()),
                ],
                cwd: cwd.into(),
                leaf: Leaf::Agent,
            },
            io,
            person: None,
        })
    }

    pub(crate) fn start_terminal(&mut self, process: &str, script: &str) -> Reply {
        let io = Io::Terminal {
            terminal: "main".into(),
            cols: 80,
            rows: 24,
            record: None,
        };
        self.start(process, &["bash", "-c", script], io)
    }

    pub(crate) fn capture(&mut self, history_lines: u32) -> String {
        let reply = self.request(Request::Capture {
            terminal: "main".into(),
            history_lines,
            styled: false,
        });
        match reply {
            Reply::Captured { text, .. } => text,
            other => panic!("not a capture: {other:?}"),
        }
    }

    pub(crate) fn wait_for_text(&mut self, text: &str) {
        eventually(text, || self.capture(0).contains(text).then_some(()));
    }

    pub(crate) fn list(&mut self) -> Vec<Process> {
        match self.request(Request::List) {
            Reply::Listed { processes } => processes,
            other => panic!("not a list: {other:?}"),
        }
    }
}

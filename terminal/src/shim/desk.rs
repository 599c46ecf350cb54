//! Where programs inside report to: a socket in the sandbox that only the agent's user gets through.
//!
//! A connection brings one line, a [`Report`], and is told `taken`. One that asks something stays
//! open until it is answered, or gone. Whoever sent it is a process of this agent: what it says is
//! believed of this agent and of no other, and everything that is kept has a bound.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use wsm_sandbox::launch::ReportsConfig;

use crate::protocol::{FRAME_BYTES_MAX, Fate, REPORT_BYTES_MAX, Report, Reported, Said, Verdict};
use crate::pty;

/// Connections at once; a further one takes the place of the oldest that has said nothing yet.
const CALLERS_MAX: usize = 32;
/// Of those, questions: one more is asked in the agent's own way.
const OPEN_MAX: usize = 16;
/// How long a whole report may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Reports kept for a daemon that is not there.
const KEPT_MAX: usize = 256;
/// Bytes of them; questions that are open stay beyond.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Reports are announced no closer than this.
const TELL_EVERY: Duration = Duration::from_millis(20);
/// Bytes of one answer: half a frame, since JSON of JSON is no longer than twice.
const ANSWER_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;
/// Questions that were let through to the terminal and are remembered.
const YIELDED_MAX: usize = 16;

const LISTENER: u64 = 0;

pub(super) struct Desk {
    listener: UnixListener,
    /// Who may report.
    uid: u32,
    epoll: Epoll,
    callers: BTreeMap<u64, Caller>,
    next_caller: u64,
    kept: VecDeque<(Reported, usize)>,
    kept_bytes: usize,
    next_seq: u64,
    yielded: VecDeque<u64>,
    news: bool,
    told: Option<Instant>,
}

struct Caller {
    socket: UnixStream,
    pid: i32,
    line: Vec<u8>,
    until: Instant,
    /// Number of the report that asks, and whether it covers the prompt.
    asks: Option<(u64, bool)>,
}

impl Desk {
    /// Takes over the socket that was made in the sandbox, if there is one.
    pub(super) fn open(config: Option<ReportsConfig>) -> io::Result<Option<Desk>> {
        let adopt = |it: ReportsConfig| {
            let listener = UnixListener::from(pty::adopt(it.listen_fd)?);
            Desk::new(listener, it.uid)
        };
        config.map(adopt).transpose()
    }

    fn new(listener: UnixListener, uid: u32) -> io::Result<Desk> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Desk {
            listener,
            uid,
            epoll,
            callers: BTreeMap::new(),
            next_caller: LISTENER + 1,
            kept: VecDeque::new(),
            kept_bytes: 0,
            next_seq: 1,
            yielded: VecDeque::new(),
            news: false,
            told: None,
        })
    }

    /// Says when there is something to do.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let reading = self.callers.values().filter(|it| it.asks.is_none());
        let tell = self.told.filter(|_| self.news).map(|at| at + TELL_EVERY);
        reading.map(|it| it.until).chain(tell).min()
    }

    /// Takes what there is.
    pub(super) fn ready(&mut self, scratch: &mut [u8], now: Instant) {
        let mut events = [EpollEvent::empty(); 16];
        let count = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        for event in &events[..count] {
            match event.data() {
                LISTENER => self.accept(now),
                caller => self.read(caller, scratch),
            }
        }
    }

    /// Drops who takes too long. Whether there are news to tell.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        self.callers
            .retain(|_, it| it.asks.is_some() || now < it.until);
        let tells = self.news && self.told.is_none_or(|at| now >= at + TELL_EVERY);
        if tells {
            self.news = false;
            self.told = Some(now);
        }
        tells
    }

    fn accept(&mut self, now: Instant) {
        let Ok((socket, _)) = self.listener.accept() else {
            return;
        };
        let Ok(peer) = getsockopt(&socket, PeerCredentials) else {
            return;
        };
        if peer.uid() != self.uid || socket.set_nonblocking(true).is_err() {
            return;
        }
        if self.callers.len() >= CALLERS_MAX {
            let mut reading = self.callers.iter().filter(|(_, it)| it.asks.is_none());
            let Some(oldest) = reading.next().map(|(id, _)| *id) else {
                return;
            };
            self.callers.remove(&oldest);
        }
        let id = self.next_caller;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
        if self.epoll.add(&socket, EpollEvent::new(flags, id)).is_err() {
            return;
        }
        self.next_caller += 1;
        let caller = Caller {
            socket,
            pid: peer.pid(),
            line: Vec::new(),
            until: now + PATIENCE,
            asks: None,
        };
        self.callers.insert(id, caller);
    }

    fn read(&mut self, id: u64, scratch: &mut [u8]) {
        let Some(caller) = self.callers.get_mut(&id) else {
            return;
        };
        match caller.socket.read(scratch) {
            Err(error) if again(&error) => {}
            Ok(0) | Err(_) => {
                let gone = self.callers.remove(&id);
                self.news |= gone.is_some_and(|it| it.asks.is_some());
            }
            // Who asks has nothing more to say.
            Ok(_) if caller.asks.is_some() => {}
            Ok(length) => {
                // Who sends byte by byte has nobody read all of it each time.
                let before = caller.line.len();
                caller.line.extend_from_slice(&scratch[..length]);
                let end = scratch[..length].iter().position(|&byte| byte == b'\n');
                match end.map(|end| before + end) {
                    Some(end) => self.take(id, end),
                    None if caller.line.len() > REPORT_BYTES_MAX => {
                        self.callers.remove(&id);
                    }
                    None => {}
                }
            }
        }
    }

    /// Takes a whole line. What is no report is nothing.
    fn take(&mut self, id: u64, end: usize) {
        let open = self.asking();
        let Some(caller) = self.callers.get_mut(&id) else {
            return;
        };
        let line = std::mem::take(&mut caller.line);
        let read = serde_json::from_slice::<Report>(&line[..end.min(REPORT_BYTES_MAX)]);
        let Ok(report) = read.map(Report::bounded) else {
            self.callers.remove(&id);
            return;
        };
        let seq = self.next_seq;
        self.next_seq += 1;
        let taken = caller.socket.write_all(b"taken\n").is_ok();
        let pid = caller.pid;
        match &report.said {
            Said::Asks(asking) if asking.answerable && taken && open < OPEN_MAX => {
                caller.asks = Some((seq, asking.covers));
            }
            _ => drop(self.callers.remove(&id)),
        }
        self.keep(Reported {
            seq,
            at_ms: clock(),
            pid,
            report,
        });
        self.news = true;
    }

    fn asking(&self) -> usize {
        let asks = self.callers.values().filter(|it| it.asks.is_some());
        asks.count()
    }

    fn keep(&mut self, reported: Reported) {
        let bytes = serde_json::to_vec(&reported).map_or(REPORT_BYTES_MAX, |text| text.len());
        self.kept_bytes += bytes;
        self.kept.push_back((reported, bytes));
        let mut at = 0;
        while self.kept.len() > KEPT_MAX || self.kept_bytes > KEPT_BYTES_MAX {
            let Some((oldest, _)) = self.kept.get(at) else {
                break;
            };
            let seq = oldest.seq;
            if self.callers.values().any(|it| asks(it, seq)) {
                at += 1;
            } else if let Some((_, bytes)) = self.kept.remove(at) {
                self.kept_bytes -= bytes;
            }
        }
    }

    /// What was reported after this number, as much as an answer holds; whether there is more.
    pub(super) fn since(&self, after: u64) -> (Vec<Reported>, bool) {
        let mut room = ANSWER_BYTES_MAX;
        let mut reports = Vec::new();
        for (reported, bytes) in self.kept.iter().filter(|(it, _)| it.seq > after) {
            if *bytes > room {
                return (reports, true);
            }
            room -= bytes;
            reports.push(reported.clone());
        }
        (reports, false)
    }

    /// Questions that wait, here or in the terminal.
    pub(super) fn fates(&self) -> Vec<(u64, Fate)> {
        let yielded = self.yielded.iter().map(|seq| (*seq, Fate::Yielded));
        let open = self.callers.values().filter_map(|it| it.asks);
        open.map(|(seq, _)| (seq, Fate::Open))
            .chain(yielded)
            .collect()
    }

    /// Answers a question, or lets the agent ask in its own way. Whether it was open.
    pub(super) fn decide(&mut self, report: u64, verdict: Option<&Verdict>) -> bool {
        let mut callers = self.callers.iter();
        let Some(id) = callers.find(|(_, it)| asks(it, report)).map(|(id, _)| *id) else {
            return false;
        };
        let Some(mut caller) = self.callers.remove(&id) else {
            return false;
        };
        let Some(verdict) = verdict else {
            return true;
        };
        let mut line = serde_json::to_vec(verdict).expect("our own types serialize");
        line.push(b'\n');
        // One that does not read was answered all the same: it is gone, or soon will be.
        caller.socket.write_all(&line).is_ok()
    }

    /// Somebody types in the terminal: what hides a prompt there is let through to it.
    pub(super) fn typed(&mut self) {
        let covering = |caller: &Caller| matches!(caller.asks, Some((_, true)));
        if !self.callers.values().any(covering) {
            return;
        }
        let covers = self.callers.iter().filter(|(_, it)| covering(it));
        let ids: Vec<u64> = covers.map(|(id, _)| *id).collect();
        for id in ids {
            if let Some((seq, _)) = self.callers.remove(&id).and_then(|it| it.asks) {
                self.yielded.push_back(seq);
                if self.yielded.len() > YIELDED_MAX {
                    self.yielded.pop_front();
                }
            }
        }
        self.news = true;
    }
}

fn asks(caller: &Caller, report: u64) -> bool {
    caller.asks.is_some_and(|(seq, _)| seq == report)
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use nix::unistd::getuid;

    use super::*;
    use crate::protocol::Asking;

    struct Scene {
        desk: Desk,
        dir: tempfile::TempDir,
    }

    impl Scene {
        fn new(uid: u32) -> Scene {
            let dir = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(dir.path().join("s")).unwrap();
            let desk = Desk::new(listener, uid).unwrap();
            Scene { desk, dir }
        }

        fn turn(&mut self) {
            let mut scratch = vec![0; 64 * 1024];
            for _ in 0..8 {
                self.desk.ready(&mut scratch, Instant::now());
            }
        }

        fn call(&mut self, line: &[u8]) -> BufReader<UnixStream> {
            let mut socket = UnixStream::connect(self.dir.path().join("s")).unwrap();
            self.turn();
            for part in line.chunks(32 * 1024) {
                // A caller that was dropped is told so by the next write.
                drop(socket.write_all(part));
                self.turn();
            }
            BufReader::new(socket)
        }

        fn says(&mut self, said: Said) -> BufReader<UnixStream> {
            let mut line = serde_json::to_vec(&report(said)).unwrap();
            line.push(b'\n');
            self.call(&line)
        }
    }

    fn report(said: Said) -> Report {
        Report {
            run: "r".into(),
            session: "s".into(),
            said,
        }
    }

    fn asks(covers: bool) -> Said {
        Said::Asks(Asking {
            permission: true,
            answerable: true,
            covers,
            ..Asking::default()
        })
    }

    fn line(socket: &mut BufReader<UnixStream>) -> String {
        let mut text = String::new();
        socket.read_line(&mut text).unwrap();
        text
    }

    #[test]
    fn a_question_waits_for_its_answer() {
        let mut scene = Scene::new(getuid().as_raw());
        let mut first = scene.says(Said::Interrupted);
        assert_eq!(
            (line(&mut first).as_str(), line(&mut first).as_str()),
            ("taken\n", "")
        );
        let mut asked = scene.says(asks(false));
        assert_eq!(line(&mut asked), "taken\n");
        assert!(scene.desk.tick(Instant::now()), "there are news");
        assert_eq!(scene.desk.since(0).0.len(), 2);
        assert_eq!(scene.desk.since(1).0[0].report.said, asks(false));
        assert_eq!(scene.desk.fates(), [(2, Fate::Open)]);
        scene.desk.typed();
        let verdict = Verdict {
            allow: false,
            message: "no".into(),
        };
        assert!(!scene.desk.decide(1, Some(&verdict)));
        assert!(scene.desk.decide(2, Some(&verdict)));
        let told: Verdict = serde_json::from_str(&line(&mut asked)).unwrap();
        assert_eq!(told, verdict);
        assert!(!scene.desk.decide(2, Some(&verdict)), "once");
        assert_eq!(scene.desk.fates(), []);
    }

    #[test]
    fn a_key_lets_through_what_covers_the_prompt() {
        let mut scene = Scene::new(getuid().as_raw());
        let mut covering = scene.says(asks(true));
        let _beside = scene.says(asks(false));
        scene.desk.typed();
        assert_eq!(
            (line(&mut covering).as_str(), line(&mut covering).as_str()),
            ("taken\n", "")
        );
        assert_eq!(scene.desk.fates(), [(2, Fate::Open), (1, Fate::Yielded)]);
        // Taken back by the agent.
        drop(_beside);
        scene.turn();
        assert_eq!(scene.desk.fates(), [(1, Fate::Yielded)]);
    }

    #[test]
    fn callers_are_bounded_and_strangers_are_not_heard() {
        let mut stranger = Scene::new(getuid().as_raw() + 1);
        drop(stranger.says(Said::Interrupted));
        assert_eq!(stranger.desk.since(0).0, []);
        let mut scene = Scene::new(getuid().as_raw());
        for rubbish in [&b"x\n"[..], b"{}\n", &[b'a'; 300_000]] {
            let mut caller = scene.call(rubbish);
            let mut end = Vec::new();
            drop(caller.read_to_end(&mut end));
            assert_eq!(end, b"");
        }
        assert!(scene.desk.callers.is_empty());
        let mut callers = Vec::new();
        for _ in 0..100 {
            callers.push(scene.says(asks(false)));
            let socket = UnixStream::connect(scene.dir.path().join("s")).unwrap();
            scene.turn();
            callers.push(BufReader::new(socket));
        }
        assert!(scene.desk.callers.len() <= CALLERS_MAX);
        assert_eq!(scene.desk.fates().len(), OPEN_MAX);
        for _ in 0..KEPT_MAX * 2 {
            drop(scene.says(Said::Failed {
                why: "x".repeat(9000),
            }));
        }
        assert!(scene.desk.kept.len() <= KEPT_MAX && scene.desk.kept_bytes <= KEPT_BYTES_MAX);
        // What is asked stays, however much is said.
        let (first, more) = scene.desk.since(0);
        assert_eq!(first[0].seq, 1);
        assert!(!more);
    }
}

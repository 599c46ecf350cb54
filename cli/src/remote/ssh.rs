//! Over nothing but ssh: it carries a socket on this machine to the daemon's on the other.
//!
//! One ssh for a command, started again when it has ended. It ends with us, whatever ends us. On the
//! other side the daemon sees the account that ssh logged in as, as if its command ran there.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixStream;
use wsm_api::client::{Connection, Dial, Promise, SOCKET_NAME};
use wsm_api::problem::Code;

use super::address::Machine;
use crate::failure::Failure;
use crate::render::clean;

/// Sockets that are carried: the API's, and the one that takes secrets.
const SOCKETS: [&str; 2] = [SOCKET_NAME, wsm_egress::protocol::SOCKET_NAME];

/// Longest path of a socket.
const SOCKET_PATH_MAX: usize = 107;

/// How often it is looked whether ssh has made the sockets.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Longest wait for ssh: a person may have to type a password.
const PATIENCE: Duration = Duration::from_secs(180);

/// What ssh said last is there so soon after a connection broke.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Lines of ssh that are kept, and how long one may be.
const LINES_MAX: usize = 5;
const LINE_BYTES_MAX: u64 = 400;

/// ssh, and where it listens.
#[derive(Debug)]
pub(super) struct Tunnel {
    given: String,
    machine: Machine,
    /// Questions may be asked, the first time.
    asks: bool,
    /// Ours alone.
    dir: TempDir,
    ssh: tokio::sync::Mutex<Option<Ssh>>,
    said: Said,
}

/// The process; it is killed when this is dropped.
#[derive(Debug)]
struct Ssh(Child);

impl Drop for Ssh {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Tunnel {
    pub(super) fn new(given: &str, machine: Machine, asks: bool) -> Result<Tunnel, Failure> {
        let failed = |e: io::Error| {
            Failure::new(
                Code::Failed,
                format!("make a directory for sockets: {e}"),
                "",
            )
        };
        let dir = tempfile::Builder::new()
            .prefix("wsm-ssh-")
            .tempdir_in(short_dir())
            .map_err(failed)?;
        let tunnel = Tunnel {
            given: given.to_owned(),
            machine,
            asks,
            dir,
            ssh: tokio::sync::Mutex::new(None),
            said: Said::default(),
        };
        let longest = SOCKETS.map(|name| tunnel.there(name).len());
        if longest.iter().any(|length| *length > SOCKET_PATH_MAX) {
            let hint = "run wsm on that machine: a socket's path has 107 bytes at most";
            let message = format!("--host {given}: the directory's path is too long");
            return Err(Failure::new(Code::Invalid, message, hint));
        }
        Ok(tunnel)
    }

    fn here(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn there(&self, name: &str) -> String {
        match &self.machine.dir {
            Some(dir) => format!("{dir}/run/{name}"),
            None => format!("/run/wsm/{name}"),
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        let mut held = self.ssh.lock().await;
        let runs = match held.as_mut() {
            Some(ssh) => ssh.0.try_wait()?.is_none(),
            None => false,
        };
        if !runs {
            // A password that was asked for once is not asked for behind somebody's back.
            let asks = self.asks && held.is_none();
            *held = None;
            *held = Some(self.start(asks).await?);
        }
        drop(held);
        Ok(Connection::new(
            UnixStream::connect(self.here(SOCKET_NAME)).await?,
        ))
    }

    async fn start(&self, asks: bool) -> io::Result<Ssh> {
        for name in SOCKETS {
            match fs::remove_file(self.here(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        self.said.clear();
        let mut child = self.command(asks)?.spawn()?;
        let shown = asks && io::stderr().is_terminal();
        let ready = Arc::clone(&self.said);
        if let Some(stderr) = child.stderr.take() {
            std::thread::Builder::new()
                .name("ssh".into())
                .spawn(move || listen(stderr, &ready, shown))?;
        }
        let mut ssh = Ssh(child);
        let stands = tokio::time::timeout(PATIENCE, self.until_it_stands(&mut ssh)).await;
        stands.map_err(|_| io::Error::other("ssh makes no connection"))??;
        self.said.stand();
        Ok(ssh)
    }

    /// ssh listens once it has logged in.
    async fn until_it_stands(&self, ssh: &mut Ssh) -> io::Result<()> {
        while !SOCKETS.iter().all(|name| self.here(name).exists()) {
            if let Some(status) = ssh.0.try_wait()? {
                tokio::time::sleep(LAST_WORDS).await;
                let said = self.said.all();
                return Err(io::Error::other(match said.as_str() {
                    "" => format!("ssh ended ({status})"),
                    said => format!("ssh: {said}"),
                }));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn command(&self, asks: bool) -> io::Result<Command> {
        let mut ssh = Command::new(std::env::current_exe()?);
        ssh.arg("follow").arg(std::process::id().to_string());
        ssh.args(arguments(&self.machine, asks));
        for name in SOCKETS {
            let here = self.here(name);
            ssh.arg("-L")
                .arg(format!("{}:{}", here.display(), self.there(name)));
        }
        ssh.arg("--").arg(&self.machine.name);
        ssh.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Ok(ssh)
    }
}

/// Keys, agents, names and host keys are as ssh's own configuration has them.
fn arguments(machine: &Machine, asks: bool) -> Vec<String> {
    let mut arguments: Vec<String> = ["ssh", "-N", "-T", "-a", "-x"].map(str::to_owned).into();
    let mut option = |text: &str| arguments.extend(["-o".to_owned(), text.to_owned()]);
    // A connection of ours alone, that notices when the other side is gone.
    option("ControlMaster=no");
    option("ControlPath=none");
    option("PermitLocalCommand=no");
    option("ConnectTimeout=15");
    option("ServerAliveInterval=5");
    option("ServerAliveCountMax=3");
    if !asks {
        option("BatchMode=yes");
    }
    if let Some(user) = &machine.user {
        arguments.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = machine.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments
}

/// A directory whose path leaves room for a socket's name, and has nothing that ssh expands.
fn short_dir() -> PathBuf {
    let good = |dir: &PathBuf| {
        let text = dir.to_str().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
        text.starts_with('/') && text.len() < 60 && text.bytes().all(plain) && dir.is_dir()
    };
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    own.filter(good).unwrap_or_else(|| PathBuf::from("/tmp"))
}

impl Dial for Tunnel {
    fn dial(&self) -> Promise<'_, io::Result<Connection>> {
        Box::pin(self.connect())
    }

    fn address(&self) -> &str {
        &self.given
    }

    fn run_dir(&self) -> Option<&Path> {
        Some(self.dir.path())
    }

    fn complaint(&self) -> Promise<'_, Option<String>> {
        Box::pin(async {
            tokio::time::sleep(LAST_WORDS).await;
            self.said.last().map(|line| format!("ssh: {line}"))
        })
    }
}

/// What ssh said last.
type Said = Arc<Words>;

#[derive(Debug, Default)]
struct Words {
    lines: Mutex<VecDeque<String>>,
    /// The connection stands: its words are kept, but no longer shown.
    stands: std::sync::atomic::AtomicBool,
}

impl Words {
    fn clear(&self) {
        self.lines().clear();
        self.stands
            .store(false, std::sync::atomic::Ordering::Relaxed);
    }

    fn stand(&self) {
        self.lines().clear();
        self.stands
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn hear(&self, line: String, shown: bool) {
        if shown && !self.stands.load(std::sync::atomic::Ordering::Relaxed) {
            crate::render::say(&line);
        }
        let mut lines = self.lines();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn all(&self) -> String {
        let lines: Vec<_> = self.lines().iter().cloned().collect();
        lines.join("; ")
    }

    fn last(&self) -> Option<String> {
        self.lines().back().cloned()
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what ssh says until it ends.
fn listen(stderr: ChildStderr, said: &Words, shown: bool) {
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        let read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            return;
        }
        let line = clean(String::from_utf8_lossy(&line).trim());
        if !line.is_empty() {
            said.hear(line, shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_given_stands_where_options_do() {
        let machine = Machine {
            user: Some("ann".into()),
            name: "build".into(),
            port: Some(2222),
            dir: Some("/srv/wsm".into()),
        };
        let tunnel = Tunnel::new("ssh://ann@build:2222/srv/wsm", machine, false).unwrap();
        let command = tunnel.command(false).unwrap();
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_str().unwrap())
            .collect();
        assert_eq!(words[2..4], ["ssh", "-N"]);
        assert_eq!(words[words.len() - 2..], ["--", "build"]);
        let forward = format!(
            "{}:/srv/wsm/run/wsm.sock",
            tunnel.here(SOCKET_NAME).display()
        );
        assert!(words.contains(&forward.as_str()), "{words:?}");
        assert!(words.windows(2).any(|pair| pair == ["-l", "ann"]));
        assert!(words.windows(2).any(|pair| pair == ["-p", "2222"]));
        assert!(words.contains(&"BatchMode=yes"));
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused() {
        let machine = Machine {
            user: None,
            name: "build".into(),
            port: None,
            dir: Some(format!("/{}", "d".repeat(100))),
        };
        assert!(Tunnel::new("ssh://build/d", machine, false).is_err());
    }
}

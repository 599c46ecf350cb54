//! Trying one check of a service.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsm_sandbox::launch::{Command, Exit, Leaf};
use wsm_template::resolved::Check;

use super::policy::describe;
use crate::port::SocketSource;
use crate::shim::{RunError, Shim, run_to_end};

/// A status line is shorter than this; a server that sends more without one speaks no HTTP.
const STATUS_LINE_BYTES_MAX: usize = 512;

/// Text of a failed command that goes into the outcome.
const QUOTE_CHARS_MAX: usize = 200;

/// What a check has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it passed.
    pub ok: bool,
    /// What was seen, a fragment.
    pub detail: String,
}

/// One check to try.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Name for an exec check's process, unique: `probe/db#17`.
    pub process: String,
    /// The service: its cgroup pays.
    pub service: String,
    /// What to try, placeholders replaced.
    pub check: Check,
    /// How long it may take.
    pub timeout: Duration,
    /// Environment of an exec check.
    pub env: Vec<(String, String)>,
    /// Working directory of an exec check.
    pub cwd: String,
}

/// Tries checks of one agent; cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober {
    /// Sockets of the agent's namespace.
    pub sockets: SocketSource,
    /// The agent's shim.
    pub shim: Shim,
    /// Ports inside, by name.
    pub ports: BTreeMap<String, u16>,
}

fn passed(detail: String) -> Outcome {
    Outcome { ok: true, detail }
}

fn failed(detail: String) -> Outcome {
    Outcome { ok: false, detail }
}

impl Prober {
    /// Tries a check; always answers within its timeout and what a kill takes.
    pub async fn run(&self, trial: Trial) -> Outcome {
        let timeout = trial.timeout;
        let late = || failed(format!("no answer within {} s", timeout.as_secs_f32()));
        match &trial.check {
            Check::Tcp { port } => match self.ports.get(port) {
                Some(port) => tokio::time::timeout(timeout, tcp(&self.sockets, *port))
                    .await
                    .unwrap_or_else(|_| late()),
                None => failed(format!("there is no port named {port}")),
            },
            Check::Http { port, path } => match self.ports.get(port) {
                Some(port) => tokio::time::timeout(timeout, http(&self.sockets, *port, path))
                    .await
                    .unwrap_or_else(|_| late()),
                None => failed(format!("there is no port named {port}")),
            },
            Check::Exec { command } => {
                let argv = command.clone();
                self.exec(argv, trial).await
            }
            Check::Log { contains } => failed(format!("{contains:?} is looked for in the log")),
        }
    }

    async fn exec(&self, argv: Vec<String>, trial: Trial) -> Outcome {
        let program = argv.first().cloned().unwrap_or_default();
        let command = Command {
            argv,
            env: trial.env,
            cwd: trial.cwd,
            leaf: Leaf::Service(trial.service),
        };
        match run_to_end(&self.shim, &trial.process, command, trial.timeout).await {
            Ok(output) if output.exit == Exit::Code(0) => passed(format!("{program} succeeded")),
            Ok(output) => {
                let said = last_line(&output.tail);
                failed(format!("{program} {}{said}", describe(output.exit)))
            }
            Err(RunError::TimedOut { after, tail }) => failed(format!(
                "{program} did not end within {} s{}",
                after.as_secs_f32(),
                last_line(&tail)
            )),
            Err(error) => failed(format!("{program} could not be run: {error}")),
        }
    }
}

/// `": the last line"` of the agent's own text, bounded and without control characters.
fn last_line(tail: &[u8]) -> String {
    let text = String::from_utf8_lossy(tail);
    let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else {
        return String::new();
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = line
        .trim()
        .chars()
        .take(QUOTE_CHARS_MAX)
        .map(plain)
        .collect();
    format!(": {line}")
}

async fn tcp(sockets: &SocketSource, port: u16) -> Outcome {
    match sockets.connect(port).await {
        Ok(_accepted) => passed(format!("port {port} accepts connections")),
        Err(error) => failed(unreachable(port, &error)),
    }
}

fn unreachable(port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("nothing listens on port {port}"),
        _ => format!("port {port} can't be reached: {error}"),
    }
}

async fn http(sockets: &SocketSource, port: u16, path: &str) -> Outcome {
    let bad = |c: char| c.is_control() || c == ' ';
    if !path.starts_with('/') || path.contains(bad) {
        return failed(format!("{path:?} is no path"));
    }
    let mut stream = match sockets.connect(port).await {
        Ok(stream) => stream,
        Err(error) => return failed(unreachable(port, &error)),
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: wsm-probe\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    let line = async {
        stream.write_all(request.as_bytes()).await?;
        read_line(&mut stream).await
    };
    match line.await.map(|line| status(&line)) {
        Ok(Some(status)) if status < 400 => passed(format!("GET {path} answered {status}")),
        Ok(Some(status)) => failed(format!("GET {path} on port {port} answered {status}")),
        Ok(None) => failed(format!("port {port} does not speak HTTP")),
        Err(error) => failed(format!("GET {path} on port {port} broke: {error}")),
    }
}

async fn read_line(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(STATUS_LINE_BYTES_MAX);
    let mut limited = stream.take(STATUS_LINE_BYTES_MAX as u64);
    while !line.contains(&b'\n') {
        if limited.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    Ok(line)
}

/// The code of `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let (digits, after) = rest.split_at_checked(3)?;
    let ends = matches!(after.first(), Some(b' ' | b'\r' | b'\n'));
    let code: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (ends && (100..600).contains(&code)).then_some(code)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::port::local_sockets;

    /// Answers every connection with `answer` and tells the first request.
    async fn server(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("open");
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (port, task)
    }

    #[tokio::test]
    async fn http_looks_at_the_status_only() {
        for (answer, ok, says) in [
            ("HTTP/1.1 200 OK\r\n\r\nhello", true, "GET /up answered 200"),
            (
                "HTTP/1.0 302\r\nLocation: /x\r\n\r\n",
                true,
                "GET /up answered 302",
            ),
            ("HTTP/1.1 503 Busy\r\n\r\n", false, "answered 503"),
            ("SSH-2.0-OpenSSH\r\n", false, "does not speak HTTP"),
            ("HTTP/1.1 2000 \r\n", false, "does not speak HTTP"),
            ("", false, "does not speak HTTP"),
        ] {
            let (port, task) = server(answer).await;
            let outcome = http(&local_sockets(), port, "/up").await;
            assert_eq!(outcome.ok, ok, "{answer}");
            assert!(outcome.detail.ends_with(says), "{}", outcome.detail);
            let request = task.await.expect("served");
            assert!(request.starts_with("GET /up HTTP/1.1\r\nHost: localhost:"));
        }
    }

    #[tokio::test]
    async fn a_path_can_not_smuggle_a_request() {
        let outcome = http(&local_sockets(), 1, "/ HTTP/1.1\r\nX: y").await;
        assert!(!outcome.ok && outcome.detail.ends_with("is no path"));
    }

    #[tokio::test]
    async fn tcp_tells_who_listens() {
        let listener = TcpListener::bind("[::1]:0").await.expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        assert!(tcp(&local_sockets(), port).await.ok);
        drop(listener);
        let outcome = tcp(&local_sockets(), port).await;
        assert_eq!(outcome, failed(format!("nothing listens on port {port}")));
    }

    #[test]
    fn quotes_the_last_line() {
        assert_eq!(last_line(b"a\nrefused\x1b[0m\n\n"), ": refused [0m");
        assert_eq!(last_line(b"\n"), "");
    }
}

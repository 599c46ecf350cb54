//! `/etc/wsm/hook KIND`: what an agent's own hooks start inside, to report what it does.
//!
//! ```text
//! agent ──hook, JSON on stdin──▶ hook KIND ──one bounded line──▶ shim ──▶ daemon
//!       ◀──────── its answer ───           ◀──── a verdict ─────
//! ```
//!
//! Each kind has an adapter: pure functions from what its hooks are told to what is reported, and
//! from a verdict to what that hook may answer. Whatever goes wrong here, the agent goes on in its
//! own way: nothing is printed, and the exit code is 0.

mod claude;
mod codex;
mod diff;
mod gemini;
mod opencode;
mod say;
mod transcript;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;
use wsm_sandbox::spec::INSIDE_REPORTS;

use crate::protocol::{REPORT_BYTES_MAX, Report, Said, Verdict};

/// The name that makes the program this helper.
pub const HOOK: &str = "hook";

/// Variable that holds the secret of the run.
pub const RUN_VARIABLE: &str = "WSM_RUN";

/// Longest event: a hook is told whole files.
const EVENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long the shim may take to take a report: it does nothing else for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one kind's hooks say and are told.
struct Adapter {
    /// Conversation and what is said; nothing for what tells nothing.
    hear: fn(&Value) -> Option<(String, Said)>,
    /// What the hook prints.
    answer: fn(&Verdict) -> Value,
    /// What was used so far, looked up where the event says.
    spent: fn(&Value) -> Option<Said>,
}

fn adapter(kind: &str) -> Option<Adapter> {
    let none = |_: &Value| None;
    Some(match kind {
        "claude" => Adapter {
            hear: claude::hear,
            answer: claude::answer,
            spent: transcript::claude,
        },
        "codex" => Adapter {
            hear: codex::hear,
            answer: claude::answer,
            spent: transcript::codex,
        },
        "gemini" => Adapter {
            hear: gemini::hear,
            answer: |_| Value::Null,
            spent: none,
        },
        "opencode" => Adapter {
            hear: opencode::hear,
            answer: opencode::answer,
            spent: none,
        },
        _ => return None,
    })
}

/// Does it all; never fails.
pub fn run(arguments: &[String]) {
    // A panic must neither be seen on the agent's screen nor be an exit code.
    std::panic::set_hook(Box::new(|_| {}));
    let _quiet = std::panic::catch_unwind(|| report(arguments));
}

fn report(arguments: &[String]) -> Option<()> {
    let run = std::env::var(RUN_VARIABLE).unwrap_or_default();
    let (kind, rest) = arguments.split_first()?;
    if kind == "say" {
        let said = say::hear(rest)?;
        let session = String::new();
        return tell(&Report { run, session, said }).map(drop);
    }
    let adapter = adapter(kind)?;
    let mut text = Vec::new();
    let mut input = io::stdin().lock().take(EVENT_BYTES_MAX);
    input.read_to_end(&mut text).ok()?;
    let event: Value = serde_json::from_slice(&text).ok()?;
    let (session, said) = (adapter.hear)(&event)?;
    if let Some(said) = (adapter.spent)(&event) {
        let (run, session) = (run.clone(), session.clone());
        tell(&Report { run, session, said });
    }
    let report = Report { run, session, said }.bounded();
    let answerable = matches!(&report.said, Said::Asks(asking) if asking.answerable);
    let mut socket = tell(&report)?;
    if !answerable {
        return None;
    }
    // The hook's own time is the bound; a connection that ends brings no answer.
    socket.get_ref().set_read_timeout(None).ok()?;
    let verdict: Verdict = serde_json::from_str(&line(&mut socket)?).ok()?;
    let answer = (adapter.answer)(&verdict);
    if !answer.is_null() {
        writeln!(io::stdout(), "{answer}").ok()?;
    }
    None
}

/// Sends a report, and waits until it is taken: the next one comes after it.
fn tell(report: &Report) -> Option<BufReader<UnixStream>> {
    let mut line_out = serde_json::to_vec(&report.clone().bounded()).ok()?;
    line_out.push(b'\n');
    let mut socket = UnixStream::connect(INSIDE_REPORTS).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    socket.write_all(&line_out).ok()?;
    let mut socket = BufReader::new(socket);
    (line(&mut socket)? == "taken\n").then_some(socket)
}

fn line(socket: &mut BufReader<UnixStream>) -> Option<String> {
    let mut text = String::new();
    let most = u64::try_from(REPORT_BYTES_MAX).unwrap_or(u64::MAX);
    socket.take(most).read_line(&mut text).ok()?;
    text.ends_with('\n').then_some(text)
}

/// A member of a document as text.
fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// The first line that says something.
fn first_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    lines
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

//! The attacker program: compiled once, run inside a sandbox or outside, told one case at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use wsm_tests::cli;

/// What came of one case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The child that did it, as the host numbers it; it still stands, unless it died.
    pub(crate) pid: Option<i32>,
    /// Result of each call, -errno for a failure.
    pub(crate) results: Vec<i64>,
    /// What each call said.
    pub(crate) said: Vec<Vec<u8>>,
    /// It ended by itself or hung.
    pub(crate) died: bool,
}

impl Outcome {
    /// The last call's result.
    pub(crate) fn last(&self) -> i64 {
        self.results.last().copied().unwrap_or(-1)
    }

    /// Everything that was said, as text.
    pub(crate) fn text(&self) -> String {
        let all: Vec<_> = self
            .said
            .iter()
            .map(|said| String::from_utf8_lossy(said))
            .collect();
        all.join("\n")
    }

    /// For the report.
    pub(crate) fn detail(&self) -> String {
        let shown = |result: &i64| match *result {
            result if (-4095..0).contains(&result) => errno(-result),
            result => result.to_string(),
        };
        let results: Vec<_> = self.results.iter().map(shown).collect();
        let text = self.text();
        let text: String = text
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(120)
            .collect();
        let died = if self.died { " died" } else { "" };
        format!("{}{died} {text}", results.join(" "))
            .trim()
            .to_owned()
    }
}

/// Name of an errno, for those that walls answer.
fn errno(number: i64) -> String {
    let known = [
        (1, "EPERM"),
        (2, "ENOENT"),
        (3, "ESRCH"),
        (9, "EBADF"),
        (11, "EAGAIN"),
        (12, "ENOMEM"),
        (13, "EACCES"),
        (14, "EFAULT"),
        (16, "EBUSY"),
        (17, "EEXIST"),
        (18, "EXDEV"),
        (20, "ENOTDIR"),
        (22, "EINVAL"),
        (24, "EMFILE"),
        (25, "ENOTTY"),
        (28, "ENOSPC"),
        (30, "EROFS"),
        (38, "ENOSYS"),
        (40, "ELOOP"),
        (92, "ENOPROTOOPT"),
        (93, "EPROTONOSUPPORT"),
        (94, "ESOCKTNOSUPPORT"),
        (95, "EOPNOTSUPP"),
        (97, "EAFNOSUPPORT"),
        (101, "ENETUNREACH"),
        (111, "ECONNREFUSED"),
    ];
    let found = known.iter().find(|(errno, _)| *errno == number);
    found.map_or_else(|| format!("errno {number}"), |(_, name)| (*name).to_owned())
}

/// The attacker, waiting for cases.
#[derive(Debug)]
pub(crate) struct Attacker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Its own pid on the host.
    pub(crate) host_pid: i32,
}

/// Compiles it, static, or takes the one that `WSM_ATTACKER` names.
pub(crate) fn compile(into: &Path) -> PathBuf {
    if let Some(made) = std::env::var_os("WSM_ATTACKER") {
        return made.into();
    }
    let program = into.join("attacker");
    let source = wsm_tests::repository::root().join("tests/attacker/attacker.c");
    let mut gcc = Command::new("gcc");
    gcc.args([
        "-O1", "-static", "-Wall", "-Wextra", "-Werror", "-pthread", "-o",
    ]);
    gcc.arg(&program).arg(source);
    cli::run(gcc, b"").ok();
    program
}

impl Attacker {
    /// Starts it by `command`, which may be a chain of programs; `find` says which pid of the host
    /// is the one that calls itself by the given number.
    pub(crate) fn start(mut command: Command, find: impl Fn(i32) -> Option<i32>) -> Attacker {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the attacker starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut attacker = Attacker {
            child,
            input,
            output,
            host_pid: 0,
        };
        let own = attacker.line()["pid"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok());
        let own = own.unwrap_or_else(|| panic!("{command:?} says no pid"));
        attacker.host_pid =
            find(own).unwrap_or_else(|| panic!("no process calls itself {own}: {command:?}"));
        attacker
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        if !matches!(read, Ok(1..)) {
            return Value::Null;
        }
        serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}"))
    }

    /// Runs a case; `None` when the attacker itself is gone. The child stays for the host to look at.
    pub(crate) fn run(&mut self, name: &str, calls: &str) -> Option<Outcome> {
        writeln!(self.input, "{name} {calls}").ok()?;
        self.input.flush().ok()?;
        let told = self.line();
        let pid = told["pid"].as_i64()?;
        let hex = |text: &Value| {
            let digits = text.as_str().unwrap_or_default().as_bytes();
            let byte = |pair: &[u8]| {
                let pair = std::str::from_utf8(pair).expect("hexadecimal digits");
                u8::from_str_radix(pair, 16).expect("hexadecimal digits")
            };
            digits.chunks(2).map(byte).collect::<Vec<u8>>()
        };
        let list = |key: &str| told[key].as_array().cloned().unwrap_or_default();
        Some(Outcome {
            pid: self.host_pid_of(i32::try_from(pid).ok()?),
            results: list("r").iter().map(|r| r.as_i64().unwrap_or(-1)).collect(),
            said: list("out").iter().map(hex).collect(),
            died: told["died"].is_i64(),
        })
    }

    /// Ends the child of the last case.
    pub(crate) fn end(&mut self) {
        let told = writeln!(self.input, "end").and_then(|()| self.input.flush());
        if told.is_ok() {
            self.line();
        }
    }

    /// The child that calls itself `inside`, on the host.
    fn host_pid_of(&self, inside: i32) -> Option<i32> {
        let pid = self.host_pid;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let mut children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        children.find(|child| innermost_pid(*child) == Some(inside))
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // What ended with its sandbox is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a process calls itself, in the innermost of its pid namespaces.
pub(crate) fn innermost_pid(host: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{host}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

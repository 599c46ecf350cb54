//! Running `wsm` once, and what came of it.

use std::process::{Command, Stdio};

use serde_json::Value;

/// How one command ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub line: String,
    /// Exit code; 128 + signal for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// It must have succeeded.
    ///
    /// # Panics
    /// If it has not.
    pub fn ok(self) -> Output {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// It must have failed with `code`, and have said what, why and what next.
    ///
    /// # Panics
    /// If it has not.
    pub fn fails(self, code: i32) -> Output {
        assert_eq!(self.code, code, "{self}");
        assert!(
            !self.stderr.trim().is_empty(),
            "a failure without a word: {self}"
        );
        assert!(!self.stderr.contains("panicked"), "{self}");
        self
    }

    /// Its standard error contains `text`.
    ///
    /// # Panics
    /// If it does not.
    pub fn says(self, text: &str) -> Output {
        let found = self.stderr.to_lowercase().contains(&text.to_lowercase());
        assert!(found, "{text:?} is not in what it said: {self}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("not JSON ({why}): {self}"))
    }

    /// Standard output without the white space at its end.
    #[must_use]
    pub fn text(&self) -> &str {
        self.stdout.trim_end()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Output {
            line,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "$ {line}\nexit code {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// Runs `command` to its end with `input` on its standard input.
///
/// # Panics
/// If it can't be started.
#[must_use = "say what you expect: ok(), fails(code) or look at the fields"]
pub fn run(mut command: Command, input: &[u8]) -> Output {
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    let line = format!("{command:?}");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|why| panic!("{line}: {why}"));
    let mut stdin = child.stdin.take().expect("asked for a pipe");
    let input = input.to_vec();
    // A command that ends early closes the pipe; that is no failure of the test.
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child
        .wait_with_output()
        .unwrap_or_else(|why| panic!("{line}: {why}"));
    writer.join().expect("the writer does not panic");
    let status = output.status;
    Output {
        line,
        code: status
            .code()
            .or(status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

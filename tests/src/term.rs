//! A terminal that a person sits at: a real PTY, kept by tmux.

use std::process::Command;

use crate::cli;
use crate::host;
use crate::wait::{self, PATIENCE};

/// A screen with a program on it.
#[derive(Debug)]
pub struct Term {
    directory: tempfile::TempDir,
}

impl Term {
    /// Starts `command` on a screen of this size. The environment is the command's own.
    ///
    /// # Panics
    /// If tmux can't be started.
    #[must_use]
    pub fn start(command: &Command, cols: u16, rows: u16) -> Term {
        let term = Term {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        let mut words = vec!["env".to_owned(), "-i".to_owned()];
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                words.push(quote(&format!(
                    "{}={}",
                    name.to_string_lossy(),
                    value.to_string_lossy()
                )));
            }
        }
        words.push(quote(&command.get_program().to_string_lossy()));
        words.extend(command.get_args().map(|arg| quote(&arg.to_string_lossy())));
        // The pane stays after its program, so that the last screen and the code can be read.
        let line = format!(
            "{}; printf '[ended %s]' $?; exec sleep infinity",
            words.join(" ")
        );
        let size = [cols.to_string(), rows.to_string()];
        term.tmux(&[
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "sh",
            "-c",
            &line,
        ])
        .ok();
        term
    }

    fn tmux(&self, args: &[&str]) -> cli::Output {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S")
            .arg(self.directory.path().join("tmux"))
            .args(["-f", "/dev/null"])
            .args(args);
        tmux.env_remove("TMUX")
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8");
        cli::run(tmux, b"")
    }

    /// Types text as it is, without Enter.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]).ok();
    }

    /// Presses a key by tmux's name for it: `Enter`, `C-c`, `C-\`.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]).ok();
    }

    /// Types a line and Enter.
    pub fn line(&self, text: &str) {
        self.type_text(text);
        self.press("Enter");
    }

    /// Changes the size of the window.
    pub fn resize(&self, cols: u16, rows: u16) {
        self.tmux(&[
            "resize-window",
            "-x",
            &cols.to_string(),
            "-y",
            &rows.to_string(),
        ])
        .ok();
    }

    /// Takes nothing more of what is written on it, until [`Term::thaw`].
    ///
    /// # Panics
    /// If tmux does not say its pid.
    #[must_use]
    pub fn freeze(&self) -> i32 {
        let pid = self.tmux(&["display-message", "-p", "#{pid}"]).ok().stdout;
        let pid = pid.trim().parse().expect("tmux's own pid");
        host::signal(pid, "STOP");
        pid
    }

    /// Goes on where [`Term::freeze`] stopped.
    pub fn thaw(&self, pid: i32) {
        host::signal(pid, "CONT");
    }

    /// What the screen shows.
    #[must_use]
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).ok().stdout
    }

    /// Waits until the screen shows `text`.
    pub fn wait_for(&self, text: &str) -> String {
        let look = || Some(self.screen()).filter(|screen| screen.contains(text));
        wait::until(&format!("{text:?} on the screen"), PATIENCE, look, || {
            self.screen()
        })
    }

    /// Waits until the program has ended; its exit code.
    pub fn wait_end(&self) -> i32 {
        let screen = self.wait_for("[ended ");
        let code = screen
            .rsplit_once("[ended ")
            .and_then(|(_, rest)| rest.split(']').next());
        code.and_then(|code| code.parse().ok()).unwrap_or(-1)
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        let ended = self.tmux(&["kill-server"]);
        if ended.code != 0 && !std::thread::panicking() {
            eprintln!("{ended}");
        }
    }
}

/// One word of a shell line.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

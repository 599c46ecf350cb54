//! What a shim tells by itself.

use serde::{Deserialize, Serialize};
use wsm_sandbox::launch::Exit;

/// What a shim tells its subscribers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A process ended.
    Exited {
        /// Which.
        process: String,
        /// How.
        exit: Exit,
    },
    /// A terminal began to write after a silence of [`QUIET_MS`], or fell silent that long.
    Activity {
        /// Terminal.
        terminal: String,
        /// Writing, or silent.
        active: bool,
    },
    /// The program rang the bell.
    Bell {
        /// Terminal.
        terminal: String,
    },
    /// The program set its title (sanitised, at most 256 bytes).
    Title {
        /// Terminal.
        terminal: String,
        /// New title.
        title: String,
    },
    /// The program asked for a notification (OSC 9, 99, 777), sanitised.
    Notice {
        /// Terminal.
        terminal: String,
        /// Text.
        text: String,
    },
    /// The program said where it stands (OSC 133, OSC 9;4).
    Mark {
        /// Terminal.
        terminal: String,
        /// What it said.
        mark: Mark,
    },
    /// Something below the watched directories changed.
    Changed,
    /// A service's log grew: ask for more with [`Request::Log`]. At most one every 100 ms each.
    Logged {
        /// Process.
        process: String,
    },
    /// Something was reported, or a question is open no more: ask for it with
    /// [`crate::protocol::Request::Reports`].
    Reported,
    /// Events were dropped because the subscriber did not read: list again.
    Missed,
}

/// What a program says about itself by OSC 133 (shells) and OSC 9;4 (progress).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// A prompt is being drawn.
    Prompt,
    /// The prompt is over, the person types.
    Input,
    /// A command runs.
    Running,
    /// The command ended.
    Finished {
        /// Its exit code, if told.
        code: Option<i32>,
    },
    /// Progress.
    Progress {
        /// 0 none, 1 normal, 2 error, 3 without a figure, 4 paused.
        state: u8,
        /// Percent, 0 to 100.
        percent: u8,
    },
}

/// Silence after which a terminal counts as quiet.
pub const QUIET_MS: u64 = 10_000;

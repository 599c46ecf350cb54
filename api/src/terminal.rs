//! Terminals, exec and typing.

use serde::{Deserialize, Serialize};

/// A request for a new shell terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTerminal {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// A terminal that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Opened {
    /// Its name, to attach to.
    pub terminal: String,
}

/// A wish to watch a terminal by a connection of one's own to the agent's shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTicket {
    /// Terminal.
    pub terminal: String,
    /// Only watch.
    #[serde(default)]
    pub read_only: bool,
}

/// What opens a connection to the agent's shim, once and within ten seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ticket {
    /// Name of the shim's socket in the run directory.
    pub socket: String,
    /// Goes into the hello.
    pub ticket: String,
}

/// Text to type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The text.
    pub text: String,
    /// Press Enter after it.
    pub enter: bool,
    /// Terminal, `main` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
}

/// A screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capture {
    /// Lines, each ending in `\n`.
    pub text: String,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// Cursor column, 0-based.
    pub cursor_col: u16,
    /// Cursor row, 0-based.
    pub cursor_row: u16,
    /// Title that the program set.
    pub title: String,
}

/// A command to run: first message (text, JSON) on the exec WebSocket. After it binary messages
/// are frames of the shim protocol (`Stdin`, `StdinEnd` up; `Stdout`, `Stderr`, `Exited` down);
/// a text message down is a [`crate::problem::Problem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// argv.
    pub argv: Vec<String>,
    /// Environment on top of the agent's.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
}

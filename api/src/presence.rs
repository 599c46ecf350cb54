//! Who is at an agent's terminals, and who may type.

use serde::{Deserialize, Serialize};

/// Everybody who looks at an agent's terminals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Presence {
    /// One for each viewer.
    pub viewers: Vec<Viewer>,
    /// Who may type, one for each terminal.
    pub leases: Vec<Lease>,
}

/// Somebody who looks at a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Viewer {
    /// Terminal.
    pub terminal: String,
    /// wsm user.
    pub user: String,
    /// What they sit at.
    pub device: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// Whether it is on a screen, as far as the viewer says.
    pub visible: bool,
    /// They can only look.
    pub read_only: bool,
    /// They have the keyboard.
    pub holds: bool,
    /// Columns of their screen.
    pub cols: u16,
    /// Rows of their screen.
    pub rows: u16,
}

/// Who may type into a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lease {
    /// Terminal.
    pub terminal: String,
    /// Counts up whenever the keyboard changes hands.
    pub epoch: u64,
    /// The user who has it; none: whoever types first gets it.
    pub holder: Option<String>,
    /// What they sit at; empty while it is kept for them.
    pub device: String,
    /// Users who asked for it, the first first.
    pub asked: Vec<String>,
    /// What is typed is recorded.
    #[serde(default)]
    pub recorded: bool,
}

/// A wish to change who may type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaseChange {
    /// Terminal, `main` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// How.
    pub act: LeaseAct,
    /// To whom it is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What can be done with a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LeaseAct {
    /// Ask for it: it comes when the holder grants it, or stops typing for 15 seconds.
    Request,
    /// Let go of it, or of the wish for it.
    Release,
    /// Hand it to somebody.
    Grant,
    /// Have it at once; the owner's and admins' to do, and written down.
    Take,
}

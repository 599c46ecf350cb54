//! Questions of agents that wait for a person, and the answers.

use serde::{Deserialize, Serialize};

/// Something that an agent waits for a person to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Question {
    /// Id, never used again by this agent.
    pub id: String,
    /// `permission`: it asks before it does something; `question`: it wants to know something.
    pub kind: String,
    /// The tool that it wants to use, as the agent calls it; `""` if it names none.
    pub tool: String,
    /// The command or the file; `""` if there is none. It ends with `…` where it is very long, and
    /// can't be answered from here then. Characters that nobody sees are written as `\u{…}`.
    pub command: String,
    /// What the agent says about it.
    pub detail: String,
    /// What an edit would change, as unified diff; `""` if it is none.
    pub diff: String,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    /// Whether `approve` and `deny` reach the agent; otherwise it is answered in the terminal.
    pub answerable: bool,
    /// How sure wsm is that it is still asked: `reported`, `signalled` or `guess`.
    pub confidence: String,
}

/// Says yes to a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Id of the question that was seen. Without there is no yes: another may be asked by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// For the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Says no to a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// Id of the question; may be left out while there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What the agent is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Longest note or message in bytes.
pub const MESSAGE_BYTES_MAX: usize = 2000;

/// What an agent says it has used, of the conversation that it is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spent {
    /// Tokens that went in.
    pub tokens_in: u64,
    /// Tokens that came out.
    pub tokens_out: u64,
    /// In dollars, as a decimal number; `""` where the agent does not tell.
    pub cost_usd: String,
}

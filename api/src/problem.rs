//! Errors as the API tells them: a stable code, what failed and why, what to do next.

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{message}")]
pub struct Problem {
    /// Stable code.
    pub code: Code,
    /// What failed and why, one sentence without a full stop.
    pub message: String,
    /// What to do next, `""` if there is nothing better.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// More than one thing wrong (a template's problems), each a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// Stable codes; the CLI's exit code follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request is malformed or its values can't be (HTTP 400, exit 2).
    Invalid,
    /// Policy, role, ceiling or trust forbids it (403, exit 3).
    Refused,
    /// Commands from the repository want the owner's trust first (403, exit 3). The details are
    /// one line for each, and last `digest SHA256`: what [`crate::agent::NewAgent::trust`] wants.
    Untrusted,
    /// The template writes below directories that were not granted; the details name them (403,
    /// exit 3).
    Ungranted,
    /// Nobody is known by what was shown: no token, a wrong one, one that has ended (401, exit 3).
    Unknown,
    /// No such agent, template, service, terminal (404, exit 4).
    NotFound,
    /// The state does not allow it now, or it exists (409, exit 1).
    Conflict,
    /// It took longer than allowed (504, exit 5).
    TimedOut,
    /// Named in the design but not built yet (501, exit 1).
    NotAvailable,
    /// The host or wsm failed (500, exit 1).
    Failed,
}

impl Problem {
    /// A problem without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem {
            code,
            message: message.into(),
            hint: hint.into(),
            details: Vec::new(),
        }
    }
}

impl Code {
    /// HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Code::Invalid => 400,
            Code::Refused | Code::Untrusted | Code::Ungranted => 403,
            Code::Unknown => 401,
            Code::NotFound => 404,
            Code::Conflict => 409,
            Code::TimedOut => 504,
            Code::NotAvailable => 501,
            Code::Failed => 500,
        }
    }

    /// Exit code of the CLI.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Code::Invalid => 2,
            Code::Refused | Code::Untrusted | Code::Ungranted | Code::Unknown => 3,
            Code::NotFound => 4,
            Code::TimedOut => 5,
            Code::Conflict | Code::NotAvailable | Code::Failed => 1,
        }
    }
}

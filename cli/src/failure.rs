//! How a verb ends: an exit code, or a problem that is told on standard error.

use std::io;

use wsm_api::client::ClientError;
use wsm_api::problem::{Code, Problem};

use crate::place::Place;

/// The daemon is not reachable.
const UNREACHABLE: u8 = 6;

/// Standard output was closed by its reader: what a shell shows for SIGPIPE.
const OUTPUT_CLOSED: u8 = 141;

/// Exit code of a verb that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    pub(crate) const DONE: Exit = Exit(0);
}

/// Why a verb did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// `None`: there is nobody to tell.
    pub(crate) problem: Option<Problem>,
    /// No daemon answered.
    unreachable: bool,
}

/// Result of a verb.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Problem::new(code, message, hint).into()
    }

    /// Output could not be written.
    pub(crate) fn output(error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure {
                code: OUTPUT_CLOSED,
                problem: None,
                unreachable: false,
            };
        }
        Failure::new(Code::Failed, format!("write the output: {error}"), "")
    }

    /// Like every other failure, but `exec` keeps a code of its own for them.
    pub(crate) fn with_code(self, code: u8) -> Failure {
        Failure { code, ..self }
    }

    /// Says which daemon was meant: a client knows its directory, not how the user named it.
    pub(crate) fn at(mut self, place: &Place) -> Failure {
        if let Some(problem) = self.problem.as_mut().filter(|_| self.unreachable) {
            problem.hint = if place.is_remote() {
                "does that machine answer, and is wsm up running on it?".to_owned()
            } else {
                format!("is wsm up running? start it with: {} up", place.prefix())
            };
        }
        if let Some(problem) = self.problem.as_mut().filter(|_| place.is_named()) {
            let prefix = place.prefix();
            let texts = [&mut problem.message, &mut problem.hint];
            for text in texts.into_iter().chain(&mut problem.details) {
                *text = text.replace("`wsm ", &format!("`{prefix} "));
            }
        }
        self
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure {
            code: problem.code.exit_code(),
            problem: Some(problem),
            unreachable: false,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Problem(problem) => problem.into(),
            ClientError::Unreachable { .. } | ClientError::Broken(_) => {
                let problem = Problem::new(Code::Failed, error.to_string(), "");
                Failure {
                    code: UNREACHABLE,
                    problem: Some(problem),
                    unreachable: true,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn exit_codes_follow_the_design() {
        let code = |code| Failure::new(code, "", "").code;
        assert_eq!(code(Code::Failed), 1);
        assert_eq!(code(Code::Conflict), 1);
        assert_eq!(code(Code::NotAvailable), 1);
        assert_eq!(code(Code::Invalid), 2);
        assert_eq!(code(Code::Refused), 3);
        assert_eq!(code(Code::Untrusted), 3);
        assert_eq!(code(Code::NotFound), 4);
        assert_eq!(code(Code::TimedOut), 5);
    }

    #[test]
    fn what_the_daemon_says_to_type_reaches_the_same_daemon() {
        let failure = || Failure::new(Code::NotFound, "no agent a", "see `wsm ls -a`");
        let hint = |place: &Place| failure().at(place).problem.unwrap().hint;
        assert_eq!(hint(&Place::new(None)), "see `wsm ls -a`");
        let own = Place::new(Some(Path::new("/own")));
        assert_eq!(hint(&own), "see `wsm --dir /own ls -a`");
    }

    #[test]
    fn an_unreachable_daemon_has_a_code_and_a_hint() {
        let place = "in /nowhere/run".into();
        let source = io::Error::from(io::ErrorKind::NotFound);
        let failure = Failure::from(ClientError::Unreachable { place, source });
        let failure = failure.at(&Place::new(Some(Path::new("/nowhere"))));
        assert_eq!(failure.code, 6);
        let problem = failure.problem.unwrap();
        assert_eq!(
            problem.hint,
            "is wsm up running? start it with: wsm --dir /nowhere up"
        );
        assert!(
            problem
                .message
                .starts_with("no daemon answers in /nowhere/run: ")
        );
    }
}

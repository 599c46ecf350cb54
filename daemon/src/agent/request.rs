//! Which request is accepted in which state: pure, so that the whole table is a test.

use wsm_api::agent::State;

use crate::facade::Verb;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Do it.
    Accept,
    /// It is so already: success, nothing to do.
    Already,
    /// Not now.
    Refuse(&'static str),
}

/// Decides on a verb. `trashed` agents can only be restored.
#[must_use]
pub fn decide(state: State, trashed: bool, verb: Verb) -> Decision {
    use Decision::{Accept, Already, Refuse};
    use State::{
        Blocked, Creating, Failed, Idle, Lost, Paused, SettingUp, Starting, Stopped, Stopping,
        Working,
    };
    if trashed {
        return match verb {
            Verb::Restore => Accept,
            Verb::Stop => Already,
            _ => Refuse("it lies in the trash"),
        };
    }
    match (verb, state) {
        (Verb::Restore, _) => Already,
        (Verb::Start, Stopped | Failed | Lost) => Accept,
        (Verb::Start, Creating | SettingUp | Starting | Working | Blocked | Idle) => Already,
        (Verb::Start, Paused) => Refuse("it is paused"),
        (Verb::Start | Verb::Restart, Stopping) => Refuse("it is being stopped"),
        (Verb::Stop, Stopped | Stopping) => Already,
        (Verb::Stop, _) => Accept,
        (Verb::Restart, Creating | SettingUp) => Refuse("it is being made"),
        (Verb::Restart, _) => Accept,
        (Verb::Pause, Working | Blocked | Idle) => Accept,
        (Verb::Pause, Paused) => Already,
        (Verb::Pause, _) => Refuse("only a running agent can be paused"),
        (Verb::Resume, Paused) => Accept,
        (Verb::Resume, Working | Blocked | Idle) => Already,
        (Verb::Resume, _) => Refuse("it is not paused"),
    }
}

/// Whether the agent's processes are there to be asked (attach, exec, send, capture).
#[must_use]
pub fn runs(state: State) -> bool {
    matches!(
        state,
        State::SettingUp | State::Starting | State::Working | State::Blocked | State::Idle
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: [Verb; 6] = [
        Verb::Start,
        Verb::Stop,
        Verb::Restart,
        Verb::Pause,
        Verb::Resume,
        Verb::Restore,
    ];

    #[test]
    fn asking_again_for_what_is_so_is_a_success() {
        assert_eq!(decide(State::Stopped, false, Verb::Stop), Decision::Already);
        assert_eq!(
            decide(State::Working, false, Verb::Start),
            Decision::Already
        );
        assert_eq!(decide(State::Paused, false, Verb::Pause), Decision::Already);
        assert_eq!(decide(State::Idle, false, Verb::Resume), Decision::Already);
    }

    #[test]
    fn the_trash_can_only_be_left() {
        for state in State::ALL {
            for verb in VERBS {
                let accepted = decide(state, true, verb) == Decision::Accept;
                assert_eq!(accepted, verb == Verb::Restore, "{state} {verb:?}");
            }
        }
    }

    #[test]
    fn a_stop_is_never_refused() {
        for state in State::ALL {
            for trashed in [false, true] {
                assert!(!matches!(
                    decide(state, trashed, Verb::Stop),
                    Decision::Refuse(_)
                ));
            }
        }
    }

    #[test]
    fn nothing_is_started_twice() {
        for state in State::ALL {
            let accepted = decide(state, false, Verb::Start) == Decision::Accept;
            let rests = matches!(state, State::Stopped | State::Failed | State::Lost);
            assert_eq!(accepted, rests, "{state}");
        }
    }
}

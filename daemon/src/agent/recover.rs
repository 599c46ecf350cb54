//! What a new daemon makes of an agent that an earlier one left, at whatever instruction.

use wsm_api::agent::State;
use wsm_sandbox::protocol::Listed;
use wsm_template::resolved::Restart;
use wsm_terminal::protocol::{Reply, Request};

use super::credentials;
use super::driver::{Driver, Next, Stage};
use super::make;
use crate::actor::Who;
use crate::engine::{WSM, row};
use crate::record::{Phase, Record, Wanted};

/// What is to be done: decided from what was written and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Begin, or begin again.
    Start,
    /// Go on with the sandbox that stands.
    Adopt,
    /// Take down what is left, then rest.
    Close(State, String),
    /// Take down what is left, then begin again.
    Restart,
    /// It rests.
    Rest,
    /// Go on removing it.
    Erase,
}

/// Decides. `shim`: whether its shim lives; `left`: whether anything of a sandbox is there.
pub(super) fn decide(record: &Record, boot_id: &str, shim: bool, left: bool) -> Recovery {
    use State::{Creating, Failed, Lost, SettingUp, Starting, Stopped, Stopping};
    let state = record.state;
    if record.wanted == Wanted::Erased {
        return Recovery::Erase;
    }
    let rests = matches!(state, Stopped | Failed | Lost);
    if shim && !rests && record.trashed_ms.is_none() && state != Stopping {
        return Recovery::Adopt;
    }
    if rests {
        let reason = record.reason.clone();
        return if left {
            Recovery::Close(state, reason)
        } else {
            Recovery::Rest
        };
    }
    if record.trashed_ms.is_some() {
        // It was killed before it could say that it stops.
        let stopped = (Stopped, "stopped while wsm was restarted".to_owned());
        let (state, reason) = record.ending.clone().unwrap_or(stopped);
        return Recovery::Close(state, reason);
    }
    if state == Stopping && record.wanted == Wanted::Running {
        return match &record.ending {
            Some((state, reason)) => Recovery::Close(*state, reason.clone()),
            None => Recovery::Restart,
        };
    }
    if state == Stopping || record.wanted == Wanted::Stopped {
        return Recovery::Close(Stopped, "stopped while wsm was restarted".into());
    }
    let unfinished = matches!(state, Creating | SettingUp | Starting);
    if record.phase < Phase::Setup || (unfinished && record.boot_id == boot_id) {
        return Recovery::Start;
    }
    if record.boot_id == boot_id {
        let reason = "its shim was killed, and its processes with it; the work is there";
        return Recovery::Close(Lost, reason.into());
    }
    if record.resolved.agent.restart == Restart::Never {
        Recovery::Close(Stopped, "the machine was restarted while it ran".into())
    } else {
        Recovery::Start
    }
}

impl Driver {
    /// Goes on from where the record says.
    pub(super) async fn recover(&mut self, listed: Option<Listed>) {
        self.settle_bring().await;
        self.clean_logins().await;
        let shim = listed
            .as_ref()
            .is_some_and(|listed| listed.shim_pid.is_some());
        match decide(&self.record, &self.engine.boot_id, shim, listed.is_some()) {
            Recovery::Start => {
                let actor = Who::from(&*self.record.owner);
                self.begin_start(&actor);
            }
            Recovery::Adopt => self.adopt_all().await,
            Recovery::Close(state, reason) => self.close(Next::Rest(state, reason)),
            Recovery::Restart => self.close(Next::Restart),
            Recovery::Rest => {}
            Recovery::Erase => self.erase(),
        }
    }

    /// Gets the values that the agent sees, for what is started in it from now on.
    async fn see_again(&mut self) {
        let mut equipped = self.record.clone();
        if let Err(problem) = self.engine.egress.equip(&mut equipped, false).await {
            tracing::warn!(agent = %self.record.name, %problem, "what it may see is not known");
            return;
        }
        let seen = credentials::visible(&equipped).map(|(name, own)| credentials::seen(name, own));
        let seen = seen.collect::<Vec<_>>().join("; ");
        self.record = equipped;
        self.commit(row(
            WSM,
            "credential.visible",
            self.record.id.as_str(),
            seen,
        ));
    }

    /// A pause or a resume may have broken off between the kernel and the record, which was not
    /// acknowledged then: the record holds.
    async fn as_recorded(&self) {
        let frozen = self.record.state == State::Paused;
        if let Err(problem) = self.ask_freeze(frozen).await {
            tracing::warn!(agent = %self.record.name, %problem, "freeze or thaw as recorded");
        }
    }

    async fn adopt_all(&mut self) {
        self.as_recorded().await;
        let listed = match make::reconnect(&self.engine, &self.record).await {
            Some((shim, events)) => {
                let listed = shim.request(Request::List).await;
                self.shim = Some(shim);
                self.events = Some(events);
                listed.ok()
            }
            None => None,
        };
        let Some(Reply::Listed { processes }) = listed else {
            let reason = "its shim does not answer";
            return self.close(Next::Rest(State::Lost, reason.into()));
        };
        // Egress has outlived the last daemon, or is told when it is back: nobody waits for it.
        let (engine, record) = (std::sync::Arc::clone(&self.engine), self.record.clone());
        tokio::spawn(async move {
            if let Err(problem) = engine.egress.serve(&engine.etc_dir, &record).await {
                tracing::warn!(agent = %record.name, %problem, "no way out");
            }
        });
        // Values that it sees are written down nowhere.
        if credentials::visible(&self.record).next().is_some() {
            self.see_again().await;
        }
        self.watch_work().await;
        if self.record.phase < Phase::Made {
            return self.set_up();
        }
        self.stage = Stage::Running;
        tracing::info!(agent = %self.record.name, actor = WSM, "adopted");
        self.adopt(&processes).await;
        if self.stage == Stage::Running {
            self.adopt_services(processes).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    const BOOT: &str = "boot-1";

    fn decided(state: State, phase: Phase, wanted: Wanted, shim: bool) -> Recovery {
        let mut record = record();
        (record.state, record.phase, record.wanted) = (state, phase, wanted);
        record.boot_id = BOOT.into();
        decide(&record, BOOT, shim, shim)
    }

    #[test]
    fn what_runs_is_adopted_and_never_started_again() {
        for state in [
            State::Working,
            State::Idle,
            State::Blocked,
            State::Paused,
            State::Starting,
        ] {
            assert_eq!(
                decided(state, Phase::Made, Wanted::Running, true),
                Recovery::Adopt
            );
        }
    }

    #[test]
    fn a_dead_shim_is_lost_only_if_something_ran() {
        let lost = decided(State::Working, Phase::Made, Wanted::Running, false);
        assert!(matches!(lost, Recovery::Close(State::Lost, _)), "{lost:?}");
        let again = decided(State::Creating, Phase::Workspace, Wanted::Running, false);
        assert_eq!(again, Recovery::Start);
        let again = decided(State::Starting, Phase::Made, Wanted::Running, false);
        assert_eq!(again, Recovery::Start);
    }

    #[test]
    fn a_reboot_is_no_loss() {
        let mut record = record();
        (record.state, record.phase) = (State::Working, Phase::Made);
        record.boot_id = "another".into();
        let stopped = decide(&record, BOOT, false, false);
        assert!(
            matches!(stopped, Recovery::Close(State::Stopped, _)),
            "{stopped:?}"
        );
        record.resolved.agent.restart = Restart::Always;
        assert_eq!(decide(&record, BOOT, false, false), Recovery::Start);
    }

    #[test]
    fn what_rests_stays_as_it_is() {
        for state in [State::Stopped, State::Failed, State::Lost] {
            assert_eq!(
                decided(state, Phase::Made, Wanted::Stopped, false),
                Recovery::Rest
            );
            let cleaned = decided(state, Phase::Made, Wanted::Stopped, true);
            assert!(
                matches!(cleaned, Recovery::Close(s, _) if s == state),
                "{cleaned:?}"
            );
        }
    }

    #[test]
    fn a_stop_ends_as_it_was_meant() {
        let mut record = record();
        (record.state, record.phase) = (State::Stopping, Phase::Made);
        record.ending = Some((State::Failed, "service db: it broke".into()));
        let failed = decide(&record, BOOT, true, true);
        assert_eq!(
            failed,
            Recovery::Close(State::Failed, "service db: it broke".into())
        );
        record.ending = None;
        assert_eq!(decide(&record, BOOT, true, true), Recovery::Restart);
        record.wanted = Wanted::Stopped;
        let stopped = decide(&record, BOOT, true, true);
        assert!(
            matches!(stopped, Recovery::Close(State::Stopped, _)),
            "{stopped:?}"
        );
    }

    #[test]
    fn what_went_to_the_trash_is_stopped() {
        let mut record = record();
        (record.state, record.phase) = (State::Working, Phase::Made);
        (record.boot_id, record.trashed_ms) = (BOOT.into(), Some(1));
        for shim in [false, true] {
            let stopped = decide(&record, BOOT, shim, true);
            assert!(
                matches!(stopped, Recovery::Close(State::Stopped, _)),
                "{stopped:?}"
            );
        }
    }

    #[test]
    fn a_removal_goes_on() {
        for shim in [false, true] {
            for state in State::ALL {
                assert_eq!(
                    decided(state, Phase::Made, Wanted::Erased, shim),
                    Recovery::Erase
                );
            }
        }
    }
}

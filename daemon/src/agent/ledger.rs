//! What the driver changed, and what of it is written: nothing is shown before its row is.
//!
//! A database that says no (the disk is full) stops no agent and loses no change: rows wait here in
//! their order and are tried again, and the newest record goes along with them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};

use crate::engine::{WSM, row, store_problem};
use crate::record::Record;
use crate::store::{Change, Row, Store};

/// Rows that wait for the disk, for each agent: hours of what an agent does on its own. Of more the
/// oldest are counted, and the count is written.
const ROWS_MAX: usize = 500;

/// Pauses between two tries: the first, doubled each time up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// What is so, but not written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// The state.
    pub state: State,
    /// Why.
    pub reason: String,
    /// Nothing of it is left.
    pub erased: bool,
    /// It lies in the trash.
    pub trashed: bool,
    /// What comes next is begun when this is written.
    pub held: bool,
    /// What the database said.
    pub why: Problem,
}

/// One agent's changes on their way into the database.
#[derive(Debug)]
pub(super) struct Ledger {
    waiting: VecDeque<Row>,
    dropped: u64,
    erased: bool,
    refusal: Option<Refusal>,
    recorded: Arc<Record>,
}

/// What the database said last, and when it is asked again.
#[derive(Debug)]
struct Refusal {
    why: Problem,
    retry: Instant,
    pause: Duration,
}

impl Ledger {
    /// Of a record that is in the database.
    pub(super) fn new(recorded: Record) -> Ledger {
        Ledger {
            waiting: VecDeque::new(),
            dropped: 0,
            erased: false,
            refusal: None,
            recorded: Arc::new(recorded),
        }
    }

    /// A change happened, or is about to.
    pub(super) fn push(&mut self, row: Row) {
        self.waiting.push_back(row);
        if self.waiting.len() > ROWS_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    /// The newest change shall not happen after all.
    pub(super) fn take_back(&mut self) {
        self.waiting.pop_back();
        if self.waiting.is_empty() {
            self.refusal = None;
        }
    }

    /// The agent itself goes with the next write.
    pub(super) fn erase(&mut self) {
        self.erased = true;
    }

    /// Writes what waits, with the record as it is now, or nothing.
    pub(super) fn write(&mut self, store: &Store, record: &Record, now: Instant) -> bool {
        let Some(first) = self.waiting.front().cloned() else {
            return true;
        };
        let mut change = Change::new(first);
        for row in self.waiting.iter().skip(1) {
            change = change.row(row.clone());
        }
        if self.dropped > 0 {
            let message = format!(
                "{} changes before these are not told: the database took none for too long",
                self.dropped
            );
            change = change.row(row(WSM, "journal.missed", record.id.as_str(), message));
        }
        change = if self.erased {
            change.erased(record.id.as_str())
        } else {
            change.agent(record)
        };
        match store.commit(&change) {
            Ok(_) => {
                self.waiting.clear();
                (self.dropped, self.refusal) = (0, None);
                self.recorded = Arc::new(record.clone());
                true
            }
            Err(error) => {
                let pause = match &self.refusal {
                    // Each change tries anew; only the tries between them get rarer.
                    Some(before) if now < before.retry => before.pause,
                    Some(before) => (before.pause * 2).min(PAUSE_MAX),
                    None => PAUSE_FIRST,
                };
                if self.refusal.is_none() {
                    tracing::error!(agent = %record.name, %error, "can't write what happened");
                }
                self.refusal = Some(Refusal {
                    why: store_problem(&error),
                    retry: now + pause,
                    pause,
                });
                false
            }
        }
    }

    /// Whether all is written.
    pub(super) fn is_clean(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the agent is gone from the database.
    pub(super) fn is_erased(&self) -> bool {
        self.erased && self.is_clean()
    }

    /// When it is tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.refusal.as_ref().map(|refusal| refusal.retry)
    }

    /// What the database said last.
    pub(super) fn why(&self) -> Problem {
        let unknown = || Problem::new(Code::Failed, "the database was not asked yet", "");
        self.refusal
            .as_ref()
            .map_or_else(unknown, |refusal| refusal.why.clone())
    }

    /// The record as it was last written: all that is shown.
    pub(super) fn recorded(&self) -> Arc<Record> {
        Arc::clone(&self.recorded)
    }

    /// What is so beyond that.
    pub(super) fn unrecorded(&self, record: &Record, held: bool) -> Option<Unrecorded> {
        (!self.is_clean()).then(|| Unrecorded {
            state: record.state,
            reason: record.reason.clone(),
            erased: self.erased,
            trashed: record.trashed_ms.is_some(),
            held,
            why: self.why(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::tests::record;

    /// One thing that happens.
    #[derive(Debug, Clone)]
    enum Step {
        /// A change, with this much to say.
        Change(State, usize),
        /// A change that is only made if it can be written.
        Ask(State),
        /// The time for another try has come.
        Retry,
        /// The disk is full, except for this many pages.
        Full(u32),
        /// There is room again.
        Freed,
    }

    fn step() -> impl Strategy<Value = Step> {
        let state = || proptest::sample::select(State::ALL.to_vec());
        prop_oneof![
            4 => (state(), 0_usize..9000).prop_map(|(state, size)| Step::Change(state, size)),
            1 => state().prop_map(Step::Ask),
            2 => Just(Step::Retry),
            1 => (0_u32..4).prop_map(Step::Full),
            1 => Just(Step::Freed),
        ]
    }

    struct Scene {
        _dir: tempfile::TempDir,
        store: Store,
        record: Record,
        ledger: Ledger,
        /// Messages of all changes, in their order.
        said: Vec<String>,
        now: Instant,
    }

    impl Scene {
        fn new() -> Scene {
            let dir = tempfile::tempdir().expect("a directory");
            let store = Store::open(&dir.path().join("wsm.db")).expect("a new database");
            let record = record();
            let made = row("ada", "agent.created", record.id.as_str(), "made");
            let seq = store.commit(&Change::new(made).agent(&record));
            assert_eq!(seq.expect("there is room"), 1);
            Scene {
                _dir: dir,
                store,
                ledger: Ledger::new(record.clone()),
                record,
                said: vec!["made".to_owned()],
                now: Instant::now(),
            }
        }

        fn change(&mut self, state: State, size: usize) -> bool {
            let message = format!("{} {}", self.said.len(), "x".repeat(size));
            self.record.state = state;
            self.record.reason.clone_from(&message);
            let told = row(WSM, "agent.state", self.record.id.as_str(), &*message);
            self.said.push(message);
            self.ledger.push(told);
            self.ledger.write(&self.store, &self.record, self.now)
        }

        fn take(&mut self, step: &Step) {
            match *step {
                Step::Change(state, size) => {
                    self.change(state, size);
                }
                Step::Ask(state) => {
                    let before = self.record.clone();
                    if !self.change(state, 5000) {
                        self.record = before;
                        self.ledger.take_back();
                        self.said.pop();
                    }
                }
                Step::Retry => {
                    self.now = self.ledger.due().unwrap_or(self.now);
                    self.ledger.write(&self.store, &self.record, self.now);
                }
                Step::Full(pages) => self.store.leave_pages(Some(pages)),
                Step::Freed => self.store.leave_pages(None),
            }
        }

        fn stored(&self) -> Record {
            self.store.agents().expect("it reads").remove(0)
        }

        fn journal(&self) -> Vec<String> {
            let rows = self.store.journal(0, 1000).expect("it reads");
            rows.into_iter().map(|row| row.message).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_shown_is_written_and_nothing_is_lost(steps in prop::collection::vec(step(), 1..60)) {
            let mut scene = Scene::new();
            for step in &steps {
                scene.take(step);
                let journal = scene.journal();
                prop_assert_eq!(&journal[..], &scene.said[..journal.len()], "in order, once each");
                let shown = scene.ledger.recorded();
                prop_assert_eq!(&*shown, &scene.stored(), "shown is what is written");
                prop_assert_eq!(scene.ledger.is_clean(), journal.len() == scene.said.len());
                prop_assert_eq!(scene.ledger.due().is_some(), !scene.ledger.is_clean());
            }
            scene.take(&Step::Freed);
            scene.take(&Step::Retry);
            prop_assert_eq!(scene.journal(), scene.said.clone());
            prop_assert_eq!(&scene.stored(), &scene.record);
        }
    }

    #[test]
    fn a_full_disk_says_so_and_is_asked_ever_more_rarely() {
        let mut scene = Scene::new();
        scene.store.leave_pages(Some(0));
        assert!(!scene.change(State::Stopped, 9000));
        let told = scene.ledger.unrecorded(&scene.record, false);
        let told = told.expect("it is not written");
        assert!(told.why.message.contains("full"), "{:?}", told.why);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let due = scene.ledger.due().expect("it is tried again");
            pauses.push(due - scene.now);
            scene.take(&Step::Retry);
        }
        assert_eq!(pauses[0], PAUSE_FIRST);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[7], PAUSE_MAX);
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_lost_is_counted() {
        let mut scene = Scene::new();
        scene.store.leave_pages(Some(0));
        scene.change(State::Idle, 9000);
        for _ in 0..ROWS_MAX + 6 {
            scene.change(State::Idle, 900);
        }
        scene.take(&Step::Freed);
        scene.take(&Step::Retry);
        let journal = scene.journal();
        assert_eq!(journal.len(), 1 + ROWS_MAX + 1);
        let last = journal.last().expect("rows");
        assert!(last.starts_with("7 changes before these"), "{last}");
    }

    #[test]
    fn an_agent_that_is_gone_goes_when_there_is_room() {
        let mut scene = Scene::new();
        scene.store.leave_pages(Some(0));
        scene.ledger.erase();
        assert!(!scene.change(State::Stopping, 9000));
        assert!(!scene.ledger.is_erased());
        assert_eq!(scene.store.agents().expect("it reads").len(), 1);
        scene.take(&Step::Freed);
        scene.take(&Step::Retry);
        assert!(scene.ledger.is_erased());
        assert_eq!(scene.store.agents().expect("it reads").len(), 0);
        assert_eq!(scene.journal(), scene.said);
    }
}

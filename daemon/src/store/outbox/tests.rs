//! From a row to a delivery, over a real database.

use wsm_api::agent::State;
use wsm_api::notify::Rules as Written;

use super::*;
use crate::actor::Who;
use crate::engine::{WSM, row};
use crate::notify::message::Message;
use crate::record::tests::record;
use crate::store::{Change, ChannelRow, Notify, People, ShareRow, Store, UserRow};

struct Scene {
    dir: tempfile::TempDir,
    store: Store,
    record: Record,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("wsm.db")).unwrap();
        let mut record = record();
        record.resolved.agent.kind = wsm_template::resolved::Kind::Command;
        record.state = State::Starting;
        let made = row("ada", "agent.created", record.id.as_str(), "made");
        store.commit(&Change::new(made).agent(&record)).unwrap();
        Scene { dir, store, record }
    }

    /// The daemon dies and another one begins.
    fn again(&mut self) {
        self.store = Store::open(&self.dir.path().join("wsm.db")).unwrap();
    }

    fn becomes(&mut self, actor: &str, state: State) {
        let before = self.record.state;
        self.record.state = state;
        self.record.reason = format!("it is {state}");
        let id = self.record.id.clone();
        let told = row(actor, "agent.state", id.as_str(), "x");
        let told = told.changed(before.as_str(), state.as_str());
        let change = Change::new(told).agent(&self.record);
        self.store.commit(&change).unwrap();
    }

    fn says(&self, row: Row) {
        let change = Change::new(row).agent(&self.record);
        self.store.commit(&change).unwrap();
    }

    fn channel(&self, id: &str, address: &str) -> ChannelRow {
        self.channel_of("push", id, address)
    }

    fn channel_of(&self, kind: &str, id: &str, address: &str) -> ChannelRow {
        let channel = ChannelRow {
            id: id.into(),
            user: "ada".into(),
            kind: kind.into(),
            label: String::new(),
            address: address.into(),
            origin: "https://push.example".into(),
            device: None,
            page: String::new(),
            secret: vec![1],
            generation: 0,
            created_ms: 1,
        };
        let told = row("ada", "channel.added", "user:ada", id);
        let change = Change::new(told).notify(Notify::Channel(channel));
        self.store.commit(&change).unwrap();
        let all = self.store.channels("ada", 0).unwrap();
        all.into_iter().find(|channel| channel.id == id).unwrap()
    }

    fn due(&self) -> Vec<Due> {
        self.store.due(now_ms() + 60_000, 10).unwrap()
    }

    fn tell_all(&self) {
        for due in self.due() {
            let told = Settled::Told {
                message: Box::new(Message::test("ada", due.notice.seq)),
                expires_ms: u64::MAX / 4,
            };
            self.store.settle(&due.notice, &told, now_ms()).unwrap();
        }
    }

    fn waiting(&self) -> Vec<Delivery> {
        self.store.deliverable(now_ms() + 60_000, 10).unwrap()
    }
}

#[test]
fn what_was_written_is_told_by_the_next_daemon() {
    let mut scene = Scene::new();
    scene.channel("one", "https://push.example/1");
    scene.becomes(WSM, State::Working);
    scene.becomes(WSM, State::Blocked);
    scene.again();
    let due = scene.due();
    assert_eq!(due.len(), 1);
    assert_eq!(
        (&*due[0].notice.user, due[0].notice.kind),
        ("ada", Kind::Blocked)
    );
    assert!(due[0].may_see);
    scene.tell_all();
    scene.again();
    let waiting = scene.waiting();
    assert_eq!(waiting.len(), 1, "once for its one channel");
    scene
        .store
        .delivered(waiting[0].id, "sent", "201", 1)
        .unwrap();
    assert!(scene.waiting().is_empty() && scene.due().is_empty());
    assert_eq!(scene.store.deliveries("ada", 10).unwrap()[0].status, "sent");
}

#[test]
fn what_is_over_is_not_told_and_what_was_told_is_set_right() {
    let mut scene = Scene::new();
    scene.channel("one", "https://push.example/1");
    scene.becomes(WSM, State::Working);
    scene.becomes(WSM, State::Blocked);
    scene.becomes(WSM, State::Working);
    assert!(scene.due().is_empty());
    scene.becomes(WSM, State::Blocked);
    scene.tell_all();
    // Not delivered yet: the new one takes its place.
    let answered = row("ben", "question.answered", scene.record.id.as_str(), "x");
    scene.says(answered);
    let due = scene.due();
    assert_eq!(due[0].notice.kind, Kind::Over);
    assert_eq!(due[0].notice.told, Some(Kind::Blocked));
    assert_eq!(due[0].notice.actor, "ben");
    scene.tell_all();
    let all = scene.store.deliveries("ada", 10).unwrap();
    let status: Vec<_> = all.iter().map(|one| one.status.as_str()).collect();
    assert_eq!(status, ["waiting", "replaced"]);
}

#[test]
fn a_question_keeps_its_name_when_its_state_is_told_besides() {
    let mut scene = Scene::new();
    scene.becomes(WSM, State::Working);
    let asked = row(WSM, "question.asked", scene.record.id.as_str(), "rm -rf?");
    scene.says(asked.changed("", "q7"));
    scene.becomes(WSM, State::Blocked);
    let due = scene.due();
    assert_eq!((due.len(), &*due[0].notice.about), (1, "q7"));
    let answered = |question: &str| {
        let told = row("ben", "question.answered", scene.record.id.as_str(), "x");
        scene.says(told.changed(question, "approved"));
        scene.due().len()
    };
    assert_eq!(answered("q6"), 1, "another question's answer");
    assert_eq!(answered("q7"), 0);
}

#[test]
fn limits_and_keyboards_are_told_to_whom_they_concern() {
    let scene = Scene::new();
    let id = scene.record.id.as_str();
    scene.says(row(
        WSM,
        "agent.limit",
        id,
        "the command reached its memory limit",
    ));
    let taken = row(
        "ben",
        "lease.taken",
        id,
        "takes the keyboard of main by force",
    );
    scene.says(taken.changed("eve", "ben"));
    let mut told: Vec<_> = scene
        .due()
        .into_iter()
        .map(|due| (due.notice.user, due.notice.kind))
        .collect();
    told.sort();
    let wanted = [("ada", Kind::Limit), ("eve", Kind::Lease)];
    assert_eq!(told, wanted.map(|(user, kind)| (user.to_owned(), kind)));
}

#[test]
fn those_it_is_shared_with_are_told_if_they_want_it() {
    let mut scene = Scene::new();
    let share = |user: &str| ShareRow {
        agent: scene.record.id.to_string(),
        user: user.to_owned(),
        role: crate::role::AgentRole::Approver,
        made_by: "ada".into(),
        created_ms: 0,
        expires_ms: None,
    };
    for user in ["ben", "eve"] {
        let known = UserRow {
            name: user.into(),
            role: crate::role::HostRole::Member,
            uid: None,
            created_ms: 0,
        };
        let told = row("ada", "agent.shared", scene.record.id.as_str(), user);
        let change = Change::new(told).people(People::Known(known));
        let change = change.people(People::Share(share(user)));
        scene.store.commit(&change).unwrap();
    }
    let rules = Written {
        shared: Some(true),
        ..Written::default()
    };
    let text = Some(serde_json::to_string(&rules).unwrap());
    let told = row("ben", "notify.rules", "user:ben", "x");
    let change = Change::new(told).notify(Notify::Rules("ben".into(), String::new(), text));
    scene.store.commit(&change).unwrap();
    scene.becomes(WSM, State::Working);
    scene.becomes(WSM, State::Failed);
    let mut users: Vec<_> = scene.due().into_iter().map(|d| d.notice.user).collect();
    users.sort();
    assert_eq!(users, ["ada", "ben"]);
    // Who may not see it any more is told nothing.
    let told = row("ada", "agent.unshared", scene.record.id.as_str(), "ben");
    let gone = People::Unshare(scene.record.id.to_string(), "ben".into());
    scene.store.commit(&Change::new(told).people(gone)).unwrap();
    let due = scene.due();
    let ben = due.iter().find(|due| due.notice.user == "ben").unwrap();
    assert!(!ben.may_see);
}

#[test]
fn a_subscription_that_was_renewed_is_not_removed_for_its_old_one() {
    let scene = Scene::new();
    let old = scene.channel("old", "https://push.example/1");
    let new = scene.channel("new", "https://push.example/1");
    let all = scene.store.channels("ada", 0).unwrap();
    assert_eq!(all, std::slice::from_ref(&new));
    assert_eq!(new.generation, old.generation + 1);
    let remove = |id: &str, generation| {
        let told = row(WSM, "channel.gone", "user:ada", id);
        let gone = Notify::ChannelGone(id.into(), Some(generation));
        scene.store.commit(&Change::new(told).notify(gone))
    };
    assert!(remove("new", old.generation).is_err());
    remove("new", new.generation).unwrap();
    assert!(scene.store.channels("ada", 0).unwrap().is_empty());
}

#[test]
fn a_service_that_says_when_is_left_alone_until_then() {
    let mut scene = Scene::new();
    scene.channel("one", "https://push.example/1");
    scene.channel("two", "https://push.example/2");
    scene.becomes(WSM, State::Working);
    scene.becomes(WSM, State::Failed);
    scene.tell_all();
    let waiting = scene.waiting();
    assert_eq!(waiting.len(), 2);
    let later = now_ms() + 600_000;
    let origin = Some("https://push.example");
    scene
        .store
        .deliver_again(waiting[0].id, "429", later, origin)
        .unwrap();
    assert!(scene.waiting().is_empty(), "neither is tried before");
    let again = scene.store.deliverable(later, 10).unwrap();
    assert_eq!(again.len(), 2);
    assert_eq!(again[0].attempts + again[1].attempts, 1);
}

#[test]
fn whoever_ends_ends_what_hangs_on_it() {
    let mut scene = Scene::new();
    scene.channel("one", "https://push.example/1");
    scene.becomes(WSM, State::Working);
    scene.becomes(WSM, State::Failed);
    scene.tell_all();
    let told = row("ada", "channel.removed", "user:ada", "one");
    let gone = Notify::ChannelGone("one".into(), None);
    scene.store.commit(&Change::new(told).notify(gone)).unwrap();
    assert!(scene.waiting().is_empty());
    assert_eq!(scene.store.deliveries("ada", 1).unwrap()[0].status, "gone");
    scene.becomes(WSM, State::Working);
    scene.becomes(WSM, State::Failed);
    assert_eq!(scene.due().len(), 1);
    let erased = row(Who::wsm(), "agent.erased", scene.record.id.as_str(), "x");
    let change = Change::new(erased).erased(scene.record.id.as_str());
    scene.store.commit(&change).unwrap();
    assert!(scene.due().is_empty());
}

#[test]
fn several_are_told_in_one_but_for_programs() {
    let mut scene = Scene::new();
    scene.channel("phone", "https://push.example/1");
    scene.channel_of("webhook", "hook", "https://push.example/2");
    scene.becomes(WSM, State::Working);
    scene.becomes(WSM, State::Failed);
    let limit = || row(WSM, "agent.limit", scene.record.id.as_str(), "memory");
    scene.says(limit());
    let together = |due: &[Due]| {
        let message = |due: &Due| Message {
            seq: due.notice.seq,
            ..Message::new(due.notice.kind, &scene.record.name, &due.notice.text)
        };
        let messages: Vec<_> = due.iter().map(message).collect();
        let summary = Message::many(&messages.iter().collect::<Vec<_>>()).unwrap();
        let all: Vec<_> = due.iter().map(|due| &due.notice).zip(&messages).collect();
        let times = (now_ms(), u64::MAX / 4);
        scene.store.settle_together(&all, &summary, times).unwrap();
    };
    // A newer one took the place of one of them: nothing is told of any, yet.
    let due = scene.due();
    scene.says(limit());
    together(&due);
    assert_eq!((scene.waiting().len(), scene.due().len()), (0, 2));
    together(&scene.due());
    assert!(scene.due().is_empty());
    let told = scene.store.deliveries("ada", 10).unwrap();
    let of = |id: &str| {
        let theirs = |one: &&Delivery| one.channel.as_ref().is_some_and(|it| it.id == id);
        let titles = told
            .iter()
            .filter(theirs)
            .map(|one| one.message.title.clone());
        titles.collect::<Vec<_>>()
    };
    assert_eq!(of("phone").len(), 1);
    assert!(of("phone")[0].starts_with("2 agents: "), "{told:#?}");
    assert_eq!(of("hook").len(), 2, "{told:#?}");
}

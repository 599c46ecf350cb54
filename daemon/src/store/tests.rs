//! Upgrades: a database of every older version is brought to this one, with all that it holds.

use super::*;
use crate::actor::Who;
use crate::audit::{Known, hex};
use crate::engine::row;
use crate::record::tests::record;
use crate::role::{AgentRole, HostRole, Scope};

/// A database as the version `version` left it, with an agent, a port, a trust and two rows.
fn older(path: &Path, version: u32) {
    let mut connection = Connection::open(path).expect("a new database");
    for sql in &SCHEMA[..version as usize] {
        connection.execute_batch(sql).expect("the schema holds");
    }
    let record = serde_json::to_string(&record()).expect("it serializes");
    connection
        .execute(
            "INSERT INTO agent (id, name, record) VALUES ('abcdefgh1234', 'a', ?1)",
            [record],
        )
        .expect("an agent");
    connection
        .execute_batch(
            "INSERT INTO port VALUES (20000, 'abcdefgh1234', 'web');
             INSERT INTO trust VALUES ('ada', '/home/ada/shop', 'digest');
             INSERT INTO journal (at_ms, actor, verb, subject, message)
             VALUES (1, 'ada', 'agent.created', 'abcdefgh1234', 'made'),
                    (2, 'wsm', 'agent.state', 'abcdefgh1234', 'idle: quiet');",
        )
        .expect("rows");
    if version >= journal::CHAINED {
        let tx = connection.transaction().expect("nobody else is there");
        journal::chain_all(&tx).expect("they are chained in");
        tx.commit().expect("a disk");
    }
    connection
        .pragma_update(None, "user_version", version)
        .expect("a version");
}

#[test]
fn every_older_database_is_brought_along() {
    for version in 1..SCHEMA_VERSION {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("wsm.db");
        older(&path, version);
        // Twice: the second time there is nothing to do.
        for _ in 0..2 {
            let store = Store::open(&path).expect("it is brought along");
            assert_eq!(store.agents().expect("it reads"), [record()]);
            assert!(store.leased_ports().expect("it reads").contains(&20000));
            assert!(
                store
                    .trusts("ada", "/home/ada/shop", "digest")
                    .expect("it reads")
            );
            let rows = store.journal(0, 10).expect("it reads");
            let told: Vec<_> = rows
                .iter()
                .map(|r| (r.seq, &*r.actor, &*r.message))
                .collect();
            assert_eq!(told, [(1, "ada", "made"), (2, "wsm", "idle: quiet")]);
            assert_eq!(store.users().expect("it reads"), []);
            let verdict = store.verify(&Known::default()).expect("it reads");
            assert_eq!(
                (verdict.rows, verdict.findings),
                (2, Vec::new()),
                "chained in"
            );
        }
    }
}

#[test]
fn a_newer_database_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("wsm.db");
    drop(Store::open(&path).expect("a new database"));
    let connection = Connection::open(&path).expect("it opens");
    let newer = SCHEMA_VERSION + 1;
    connection
        .pragma_update(None, "user_version", newer)
        .expect("a version");
    let refused = Store::open(&path).expect_err("it is newer");
    assert!(
        matches!(refused, StoreError::Newer(found) if found == newer),
        "{refused}"
    );
}

fn user(name: &str) -> People {
    People::Known(UserRow {
        name: name.to_owned(),
        role: HostRole::Member,
        uid: None,
        created_ms: 1,
    })
}

fn told() -> Row {
    row(Who::from("ada"), "test", "host", "something")
}

fn token_of_bob() -> TokenRow {
    TokenRow {
        id: "t".into(),
        user: "bob".into(),
        label: "ci".into(),
        hash: [7; 32],
        scope: Scope::Drive,
        agents: Some(["x".to_owned()].into()),
        created_ms: 1,
        expires_ms: 2,
        revoked_ms: None,
        used_ms: None,
        address: String::new(),
    }
}

#[test]
fn people_read_back_and_go_with_all_that_is_theirs() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(&dir.path().join("wsm.db")).expect("a new database");
    let record = record();
    let token = token_of_bob();
    let share = ShareRow {
        agent: record.id.to_string(),
        user: "bob".into(),
        role: AgentRole::Driver,
        made_by: "ada".into(),
        created_ms: 1,
        expires_ms: Some(100),
    };
    let change = Change::new(told())
        .agent(&record)
        .people(user("bob"))
        .people(People::Token(token.clone()))
        .people(People::Share(share.clone()));
    store.commit(&change).expect("it is written");
    assert_eq!(
        store.token_by_hash(&[7; 32]).expect("it reads"),
        Some(token)
    );
    assert_eq!(store.token_by_hash(&[8; 32]).expect("it reads"), None);
    assert_eq!(store.shares(record.id.as_str()).expect("it reads"), [share]);
    let at = |now| {
        store
            .shared(record.id.as_str(), "bob", now)
            .expect("it reads")
    };
    assert_eq!((at(99), at(100)), (Some(AgentRole::Driver), None));
    assert_eq!(store.shared_with("bob", 99).expect("it reads").len(), 1);
    let revoke = || Change::new(told()).people(People::TokenRevoked("t".into(), 5));
    store.commit(&revoke()).expect("it is good until then");
    assert!(matches!(store.commit(&revoke()), Err(StoreError::Gone)));
    let gone = Change::new(told()).people(People::UserGone("bob".into()));
    store.commit(&gone).expect("all of it goes");
    assert_eq!(store.users().expect("it reads"), []);
    assert_eq!(store.tokens(None).expect("it reads"), []);
    assert_eq!(store.shared_with("bob", 0).expect("it reads").len(), 0);
}

#[test]
fn nothing_is_made_with_what_has_just_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(&dir.path().join("wsm.db")).expect("a new database");
    let token = token_of_bob();
    let session = |id: &str, token: Option<&str>, passkey: Option<&str>| {
        let device = DeviceRow {
            id: id.into(),
            user: "bob".into(),
            label: String::new(),
            kind: "session".into(),
            hash: Some([id.as_bytes()[0]; 32]),
            credential: None,
            scope: Scope::Drive,
            agents: None,
            token: token.map(str::to_owned),
            passkey: passkey.map(str::to_owned),
            created_ms: 1,
            expires_ms: None,
            revoked_ms: None,
            used_ms: None,
            address: String::new(),
        };
        // As a session is made: its user is one from then on, if it was none.
        let change = Change::new(told()).people(user("bob"));
        store.commit(&change.people(People::Device(device)))
    };
    let change = Change::new(told()).people(user("bob"));
    let change = change.people(People::Token(token));
    store.commit(&change).expect("it is written");
    session("a", Some("t"), None).expect("by a token");
    session("k", None, None).expect("a passkey");
    session("b", None, Some("k")).expect("by a passkey");
    let ends = Change::new(told()).people(People::TokenRevoked("t".into(), 5));
    let ends = ends.people(People::DeviceRevoked("k".into(), 5));
    store.commit(&ends).expect("both end");
    for (token, passkey) in [(Some("t"), None), (None, Some("k")), (Some("none"), None)] {
        let made = session("c", token, passkey);
        assert!(matches!(made, Err(StoreError::Gone)), "{made:?}");
    }
    let gone = Change::new(told()).people(People::UserGone("bob".into()));
    store.commit(&gone).expect("all of it goes");
    assert!(session("c", Some("t"), None).is_err());
    assert_eq!(store.users().expect("it reads"), [], "nobody comes back");
}

#[test]
fn links_end_with_the_right_of_who_made_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(&dir.path().join("wsm.db")).expect("a new database");
    let mut agent = record();
    let owner = agent.owner.clone();
    let link = |made_by: &str| LinkRow {
        id: made_by.into(),
        agent: record().id.to_string(),
        owner: record().owner,
        hash: [made_by.as_bytes()[0]; 32],
        made_by: made_by.into(),
        created_ms: 1,
        expires_ms: 100,
        used_ms: None,
        address: String::new(),
    };
    let make = || {
        let change = Change::new(told()).agent(&agent);
        let change = change.people(user("bob")).people(user("eve"));
        [owner.as_str(), "bob", "eve"]
            .into_iter()
            .fold(change, |all, by| all.people(People::Link(link(by))))
    };
    store.commit(&make()).expect("it is written");
    let left = || {
        let links = store.links(record().id.as_str()).expect("it reads");
        links.into_iter().map(|link| link.id).collect::<Vec<_>>()
    };
    assert_eq!(left().len(), 3);
    // Who is no administrator any more keeps those of its own agents.
    for by in ["bob", &owner] {
        let gone = People::LinksOfOthersGone(by.to_owned());
        store.commit(&Change::new(told()).people(gone)).expect("so");
    }
    assert!(!left().contains(&"bob".to_owned()) && left().contains(&owner));
    let gone = Change::new(told()).people(People::UserGone("eve".into()));
    store.commit(&gone).expect("all of it goes");
    assert_eq!(left(), [owner.as_str()]);
    // Handed over and back: no link of before is good again.
    for to in ["bob", &owner] {
        agent.owner = to.to_owned();
        let handed = Change::new(told()).agent(&agent);
        store.commit(&handed).expect("it is handed over");
    }
    assert_eq!(left(), Vec::<String>::new());
}

#[test]
fn agents_rows_never_push_peoples_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("wsm.db");
    let store = Store::open(&path).expect("a new database");
    let write = |actor: &str, number: u32| {
        let row = row(actor, "test", "host", format!("{number}"));
        store.commit(&Change::new(row)).expect("it is written");
    };
    for number in 0..60 {
        write("wsm", number);
        if number % 10 == 0 {
            write("ada", number);
        }
    }
    let shorten = || {
        let mut connection = store.lock();
        let tx = connection.transaction().expect("it begins");
        journal::shorten(&tx, 20).expect("it is shortened");
        tx.commit().expect("it ends");
    };
    shorten();
    let rows = store.journal(0, 1_000).expect("it reads");
    let of = |actor: &str| rows.iter().filter(|row| row.actor == actor).count();
    assert_eq!((of("ada"), of("wsm")), (6, 20));
    for _ in 0..2 {
        let verdict = store.verify(&Known::default()).expect("it reads");
        assert_eq!((verdict.rows, verdict.findings), (26, Vec::new()));
        // All of a chain may go: what comes next goes on from where it was.
        let ends = store.settled_ends().expect("it reads");
        assert_eq!(store.bases_at(1_000).expect("it reads"), ends);
        let change = Change::new(row("ada", "journal.rotated", "host", "")).rotated(1_000);
        store.commit(&change).expect("it is rotated");
        for number in 0..25 {
            write("wsm", number);
        }
        assert_ne!(store.ends().expect("it reads"), ends);
        let [person, wsm] = ends.map(|end| format!("{} {}", end.seq, hex(&end.chain)));
        let known = |told: &str| {
            let mut known = Known::default();
            known.read(&format!("0 {told}{person} {wsm}\n"));
            store.verify(&known).expect("it reads").findings
        };
        assert_eq!(known(""), Vec::new());
        assert_eq!(known("rotated "), Vec::new());
        assert_eq!(store.bases().expect("it reads"), ends);
    }
}

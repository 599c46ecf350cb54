//! When new tokens are asked for, how often, and what is left after each end.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::engine::vault::{Content, New};

const HOUR_MS: u64 = 3_600_000;

struct World {
    logins: Arc<Logins>,
    secrets: Arc<Secrets>,
    dir: tempfile::TempDir,
    asked: Arc<AtomicUsize>,
}

fn value(text: &str) -> Value {
    Value::new(text.to_owned().into()).unwrap()
}

/// A login that ends so many milliseconds from now.
fn login(left_ms: u64) -> Login {
    Login {
        kind: Kind::Claude,
        access: value("old"),
        refresh: Some(value("once")),
        since_ms: now_ms() - HOUR_MS,
        until_ms: now_ms() + left_ms,
        account: BTreeMap::new(),
    }
}

impl World {
    /// The server answers this, after `go` if there is one.
    fn new(status: u16, answer: &serde_json::Value, go: Option<Arc<Notify>>) -> World {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Arc::new(Secrets::open(dir.path(), None));
        let asked = Arc::new(AtomicUsize::new(0));
        let (counts, text) = (Arc::clone(&asked), answer.to_string());
        let ask: Ask = Box::new(move |_, _| {
            counts.fetch_add(1, Ordering::SeqCst);
            let (text, go) = (text.clone(), go.clone());
            Box::pin(async move {
                if let Some(go) = go {
                    go.notified().await;
                }
                Ok((status, Zeroizing::new(text.into_bytes())))
            })
        });
        World {
            logins: Arc::new(Logins::asking(Arc::clone(&secrets), ask)),
            secrets,
            dir,
            asked,
        }
    }

    fn bring(&self, login: Login) {
        self.secrets
            .keep(New {
                owner: Some("ada".into()),
                name: "claude-login".into(),
                hosts: Vec::new(),
                expires_ms: None,
                visible: false,
                content: Content::Login(Box::new(login)),
            })
            .unwrap();
    }

    async fn access(&self) -> Result<String, String> {
        let access = self.logins.access("ada", Kind::Claude).await;
        access.map(|value| value.reveal().to_owned())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn granted() -> serde_json::Value {
    json!({ "access_token": "new", "refresh_token": "twice", "expires_in": 3600 })
}

#[tokio::test]
async fn one_that_is_good_is_used_as_it_is() {
    let world = World::new(200, &granted(), None);
    assert!(
        world
            .access()
            .await
            .unwrap_err()
            .contains("wsm secret login claude")
    );
    world.bring(login(HOUR_MS));
    assert_eq!(world.access().await.unwrap(), "old");
    assert_eq!(world.asked(), 0);
    assert!(
        world
            .secrets
            .about("ada", Kind::Claude)
            .unwrap()
            .used_ms
            .is_some()
    );
}

#[tokio::test]
async fn one_that_ends_is_renewed_once_for_all_and_kept() {
    let go = Arc::new(Notify::new());
    let world = World::new(200, &granted(), Some(Arc::clone(&go)));
    world.bring(login(1_000));
    // Whoever asked first is gone: the answer is kept all the same.
    let gone = tokio::time::timeout(Duration::from_millis(50), world.access()).await;
    assert!(gone.is_err());
    let (one, two, ()) = tokio::join!(world.access(), world.access(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        go.notify_one();
    });
    assert_eq!(
        (one.unwrap().as_str(), two.unwrap().as_str()),
        ("new", "new")
    );
    assert_eq!(world.asked(), 1);
    let again = Secrets::open(world.dir.path(), None);
    let (kept, refused) = again.login("ada", Kind::Claude).unwrap();
    assert_eq!(kept.refresh.unwrap().reveal(), "twice");
    assert_eq!(refused, None);
}

#[tokio::test]
async fn one_that_was_revoked_says_what_to_do_and_is_not_asked_for_again() {
    let world = World::new(400, &json!({ "error": "invalid_grant" }), None);
    world.bring(login(0));
    for _ in 0..3 {
        let why = world.access().await.unwrap_err();
        assert!(why.contains("invalid_grant"), "{why}");
        assert!(why.contains("`wsm secret login claude`"), "{why}");
    }
    assert_eq!(world.asked(), 1);
    // Also after a restart.
    let again = Secrets::open(world.dir.path(), None);
    assert!(again.login("ada", Kind::Claude).unwrap().1.is_some());
    world.bring(login(HOUR_MS));
    assert_eq!(world.access().await.unwrap(), "old");
}

#[tokio::test]
async fn a_server_that_is_away_is_not_asked_without_end() {
    let world = World::new(503, &json!({}), None);
    world.bring(login(1_000));
    // Good for a second: that is used up.
    for _ in 0..5 {
        assert_eq!(world.access().await.unwrap(), "old");
    }
    assert_eq!(world.asked(), 1);
    world.bring(login(0));
    let why = world.access().await.unwrap_err();
    assert!(
        why.contains("HTTP 503") && why.contains("tried again"),
        "{why}"
    );
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_token_that_was_rejected_is_renewed_but_not_at_will() {
    let world = World::new(200, &granted(), None);
    world.bring(login(HOUR_MS));
    world.logins.rejected("ada", Kind::Claude, value("another"));
    assert_eq!(world.access().await.unwrap(), "old");
    world.logins.rejected("ada", Kind::Claude, value("old"));
    assert_eq!(world.access().await.unwrap(), "new");
    world.logins.rejected("ada", Kind::Claude, value("new"));
    assert_eq!(world.access().await.unwrap(), "new");
    assert_eq!(world.asked(), 1);
}

/// A disk that is full when a new token comes: the old one is worth nothing any more, so what came
/// is used, and written when that is possible.
#[tokio::test]
async fn what_can_not_be_written_is_not_lost() {
    let world = World::new(200, &granted(), None);
    world.bring(login(0));
    let taken = world.dir.path().join("secrets.new");
    std::fs::create_dir(&taken).unwrap();
    assert_eq!(world.access().await.unwrap(), "new");
    std::fs::remove_dir(&taken).unwrap();
    world.secrets.flush();
    let again = Secrets::open(world.dir.path(), None);
    assert_eq!(
        again.login("ada", Kind::Claude).unwrap().0.access.reveal(),
        "new"
    );
}

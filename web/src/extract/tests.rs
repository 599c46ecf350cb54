//! A request is let in by its head: what ends before it acts ends it too.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wsm_api::invite::{InvitationClaim, NewInvitation};
use wsm_api::user::NewToken;
use wsm_daemon::actor::Actor;
use wsm_daemon::facade::Daemon;
use wsm_daemon::role::HostRole;

use crate::net::{bounds::Crowd, talk};
use crate::peer::{Origin, Peer};

/// Whoever says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with root and ada, an admin who came by an invitation.
struct Scene {
    _dir: tempfile::TempDir,
    router: Router,
    daemon: Daemon,
    root: Actor,
    /// Header of her session, and of a token of hers.
    cookie: String,
    bearer: String,
    device: String,
    token: String,
}

impl Scene {
    async fn new() -> Scene {
        let dir = tempfile::tempdir().expect("a directory");
        let (router, daemon) = crate::fuzz::edge(dir.path());
        let root = Actor::local("root", 0, HostRole::Admin);
        let ada = NewInvitation {
            user: Some("ada".into()),
            role: Some("admin".into()),
            ..NewInvitation::default()
        };
        let (_, code) = daemon.invite(&root, ada).await.expect("root may");
        let claim = InvitationClaim {
            code,
            user: None,
            device_name: "laptop".into(),
        };
        let made = daemon.invite_claim(claim, "192.0.2.7").await.expect("good");
        let new = NewToken {
            user: Some("ada".into()),
            scope: "admin".into(),
            ..NewToken::default()
        };
        let token = daemon.token_new(&root, new).await.expect("root may");
        Scene {
            _dir: dir,
            router,
            daemon,
            root,
            cookie: format!(
                "Cookie: __Host-wsm={}\r\nOrigin: https://wsm.test\r\nx-wsm: 1",
                made.cookie
            ),
            bearer: format!("Authorization: Bearer {}", token.value),
            device: made.entered.device.id,
            token: token.token.id,
        }
    }

    fn connect(&self) -> DuplexStream {
        let address = SocketAddr::from(([192, 0, 2, 7], 1));
        let (seat, face) = Crowd::default().admit(address.ip(), false).expect("a seat");
        let peer = Peer::new(Origin::Net { address, face }, seat);
        let (here, there) = tokio::io::duplex(1 << 16);
        tokio::spawn(talk(there, peer, self.router.clone()));
        here
    }

    /// Asks with a body of which the last byte is missing; it was let in.
    async fn withheld(&self, path: &str, who: &str, body: &str) -> DuplexStream {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: wsm.test\r\n{who}\r\nExpect: 100-continue\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("it listens");
        // Said when the body is waited for.
        let mut told = [0; 25];
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut told)).await;
        read.expect("in time").expect("it says something");
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        let all_but_one = &body.as_bytes()[..length - 1];
        stream.write_all(all_but_one).await.expect("it listens");
        stream
    }

    /// How many tokens ada has that are good.
    async fn tokens(&self) -> usize {
        let tokens = self.daemon.tokens(&self.root).await.expect("root may");
        tokens.iter().filter(|token| token.state == "good").count()
    }

    async fn role_of_ada(&self) -> String {
        let users = self.daemon.users(&self.root).await.expect("root may");
        let ada = users.into_iter().find(|user| user.name == "ada");
        ada.map(|ada| ada.role).unwrap_or_default()
    }
}

async fn answer(mut stream: DuplexStream) -> String {
    let mut heard = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut heard)).await;
    read.expect("in time").expect("an answer");
    heard
}

/// The rest of a request that was withheld.
async fn rest(mut stream: DuplexStream) -> String {
    stream.write_all(b"}").await.expect("it listens");
    answer(stream).await
}

#[tokio::test]
async fn what_is_good_makes_a_token() {
    let scene = Scene::new().await;
    let asks = scene.withheld("/v1/tokens", &scene.cookie, "{\"scope\":\"own\"}");
    let heard = rest(asks.await).await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    assert_eq!(scene.tokens().await, 2);
}

#[tokio::test]
async fn a_session_that_ended_makes_nothing_more() {
    let scene = Scene::new().await;
    let asks = scene.withheld("/v1/tokens", &scene.cookie, "{\"scope\":\"admin\"}");
    let asks = asks.await;
    let ended = scene.daemon.device_remove(&scene.root, &scene.device);
    ended.await.expect("root may");
    let heard = rest(asks).await;
    assert!(heard.starts_with("HTTP/1.1 401"), "{heard}");
    assert_eq!(scene.tokens().await, 1);
}

#[tokio::test]
async fn nobody_gives_itself_back_what_was_taken() {
    let scene = Scene::new().await;
    let admin = "{\"role\":\"admin\"}";
    let path = "/v1/users/ada/role";
    let by_session = scene.withheld(path, &scene.cookie, admin).await;
    let by_token = scene.withheld(path, &scene.bearer, admin).await;
    let own = scene.withheld("/v1/tokens", &scene.cookie, "{\"scope\":\"own\"}");
    let own = own.await;
    let demoted = scene.daemon.user_role(&scene.root, "ada", "member");
    demoted.await.expect("root may");
    for asks in [by_session, by_token, own] {
        let heard = rest(asks).await;
        assert!(heard.starts_with("HTTP/1.1 403"), "{heard}");
    }
    assert_eq!(scene.role_of_ada().await, "member");
    assert_eq!(scene.tokens().await, 1);
}

#[tokio::test]
async fn who_waits_for_news_hears_none_when_its_way_in_has_ended() {
    let scene = Scene::new().await;
    let newest = scene
        .daemon
        .feed(&scene.root, None, false)
        .expect("root may");
    let (newest, who) = (newest.seq(), &scene.bearer);
    let mut stream = scene.connect();
    let head = format!(
        "GET /v1/audit?after={newest}&wait_ms=60000 HTTP/1.1\r\nHost: wsm.test\r\n{who}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it listens");
    // It is waited for when it was noted that the token was used: nothing waits in between.
    let used = async {
        let used = |tokens: Vec<wsm_api::user::Token>| tokens.iter().any(|it| !it.used.is_empty());
        while !used(scene.daemon.tokens(&scene.root).await.expect("root may")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, used).await.expect("in time");
    let ended = scene.daemon.token_remove(&scene.root, &scene.token);
    ended.await.expect("root may");
    let heard = answer(stream).await;
    assert!(heard.starts_with("HTTP/1.1 401"), "{heard}");
    assert!(heard.contains("what you came in with has ended"), "{heard}");
}

//! The whole edge: a stranger's connection, with the router, the guard and a daemon behind it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsm_api::user::{NewToken, NewUser};
use wsm_daemon::actor::Actor;
use wsm_daemon::engine;
use wsm_daemon::facade::Daemon;
use wsm_daemon::role::HostRole;

use crate::net::{bounds::Crowd, guard::guard, talk};
use crate::peer::{Origin, Peer};
use crate::{Config, Edge, config, router};

/// Conversations with one daemon: its journal shall not fill the memory.
const CONVERSATIONS_MAX: u32 = 20_000;

/// Longer ones hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// What stands for a token that is good, and may only look.
const TOKEN: u8 = b'$';

struct World {
    runtime: tokio::runtime::Runtime,
    router: Router,
    token: String,
    dir: PathBuf,
    talked: u32,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// What a stranger says on a connection; `$` is a token.
///
/// # Panics
/// An answer is none, or somebody got something without a token.
pub fn http(data: &[u8]) {
    WORLD.with_borrow_mut(|held| {
        let world = held.get_or_insert_with(World::new);
        world.talk(data);
        if world.talked > CONVERSATIONS_MAX {
            *held = None;
        }
    });
}

impl World {
    fn new() -> World {
        let dir = std::env::temp_dir().join(format!("wsm-fuzz-http-{}", std::process::id()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("it needs little");
        let (router, token) = runtime.block_on(served(&dir));
        World {
            runtime,
            router,
            token,
            dir,
            talked: 0,
        }
    }

    fn talk(&mut self, data: &[u8]) {
        self.talked += 1;
        let known = data.contains(&TOKEN);
        let said = data.split(|byte| *byte == TOKEN).collect::<Vec<_>>();
        let said = said.join(self.token.as_bytes());
        // Another address each time: guessing is not what is tried here.
        let [_, a, b, c] = self.talked.to_be_bytes();
        let address = SocketAddr::from(([198, a, b, c], 1));
        let router = self.router.clone();
        let heard = self.runtime.block_on(async {
            let (seat, face) = Crowd::default().admit(address.ip(), false).expect("a seat");
            let peer = Peer::new(Origin::Net { address, face }, seat);
            let (mut here, there) = tokio::io::duplex(1 << 20);
            let client = async {
                // Whoever was hung up on can't say the rest.
                drop(here.write_all(&said).await);
                drop(here.shutdown().await);
                let mut heard = Vec::new();
                drop(here.read_to_end(&mut heard).await);
                heard
            };
            let both = async { tokio::join!(talk(there, peer, router), client).1 };
            let heard = tokio::time::timeout(PATIENCE, both).await;
            heard.expect("a conversation comes to an end")
        });
        sound(&heard, known);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// An answer is HTTP, is nobody else's business, and without a token a refusal or a page.
fn sound(heard: &[u8], known: bool) {
    if heard.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(heard);
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .or(text.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3));
    let status: u16 = status.and_then(|s| s.parse().ok()).expect("a status line");
    assert!((100..600).contains(&status), "{status}");
    let page = [200, 303, 304].contains(&status) && !text.contains("application/json");
    // 501: the pages are not built in, or the host is not called by a name that passkeys could be for.
    let refused = (400..500).contains(&status) || status == 501;
    assert!(known || page || refused || status == 100, "{text}");
}

async fn served(dir: &Path) -> (Router, String) {
    let (router, daemon) = edge(dir);
    let root = Actor::local("root", 0, HostRole::Admin);
    let ann = NewUser {
        name: "ann".into(),
        role: "member".into(),
        account: None,
    };
    daemon.user_add(&root, ann).await.expect("she is new");
    let new = NewToken {
        user: Some("ann".into()),
        scope: "view".into(),
        ..NewToken::default()
    };
    let made = daemon.token_new(&root, new).await.expect("root may");
    (router, made.value)
}

/// The edge as the network sees it, called `wsm.test`, and what stands behind it.
pub(crate) fn edge(dir: &Path) -> (Router, Daemon) {
    for part in ["state", "run", "etc"] {
        std::fs::create_dir_all(dir.join(part)).expect("a place for it");
    }
    let parts = engine::Config {
        state_dir: dir.join("state"),
        run_dir: dir.join("run"),
        etc_dir: dir.join("etc"),
        page: None,
        admins: Vec::new(),
    };
    let daemon = Daemon::alone(&parts).expect("an empty place");
    let text = "[web]\nlisten = \"127.0.0.1:1\"\ntls = \"off\"\nnames = [\"wsm.test\"]";
    let net = config::parse(text, dir).expect("it is in order");
    let net = net.expect("the table is there").into();
    let (_, closing) = tokio::sync::watch::channel(());
    let edge = Edge::new(daemon.clone(), Config::default(), Some(net), None, closing);
    let guard = axum::middleware::from_fn_with_state(edge.clone(), guard);
    (router::router(edge).layer(guard), daemon)
}

//! Five people at one agent, each from elsewhere: the owner with a token, three who were invited
//! with their browsers, and a stranger. Invite, watch, ask for the keyboard, type, hand over, revoke.

use std::os::unix::fs::FileExt;

use serde_json::{Value, json};
use wsm_tests::browser::Browser;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

use super::Served;

/// What the handoff's note says: it is found again in the database's file.
const NOTE: &str = "please-finish-this-one";

/// Somebody whom root invites, in a browser of its own.
fn invited(served: &Served, name: &str, role: &str) -> Browser {
    let share = format!("anns={role}");
    let link = served
        .wsm
        .wsm(&["invite", "--user", name, "--share", &share, "-q"])
        .ok();
    let (_, code) = link.text().split_once("/#invite=").expect("a code");
    let browser = served.browser();
    let claim = json!({"code": code, "device_name": format!("{name}s phone")});
    let entered = browser.post("/v1/invitations/claim", claim).ok();
    assert_eq!(entered["user"], name);
    browser
}

/// The people, and what each has open.
struct Scene {
    served: Served,
    ann: Persona,
    eve: Persona,
    token: String,
    /// Drives, and owns in the end.
    dan: Browser,
    /// Approves.
    alan: Browser,
    /// Looks.
    vera: Browser,
    /// Has a session, and nothing to do with it.
    stranger: Browser,
}

impl Scene {
    fn set() -> Scene {
        let served = Served::start("");
        let (ann, eve) = (Persona::new("ann"), Persona::new("eve"));
        let repo = Repo::small(&ann, "project");
        served.wsm.new_agent_as(&ann, &repo, "shell", "anns");
        let token = served.token(&ann, "own");
        let strangers = served.token(&eve, "own");
        Scene {
            dan: invited(&served, "dan", "driver"),
            alan: invited(&served, "alan", "approver"),
            vera: invited(&served, "vera", "viewer"),
            stranger: served.signed_in(&strangers, "eves phone"),
            served,
            ann,
            eve,
            token,
        }
    }

    /// The owner, over the network.
    fn anns(&self, args: &[&str]) -> wsm_tests::cli::Output {
        self.served.there(&self.ann, &self.token, args)
    }
}

#[test]
fn five_people_at_one_agent() {
    let scene = Scene::set();
    let attach = scene
        .served
        .command(&scene.ann, &scene.token, &["attach", "anns"]);
    let window = Term::start(&attach, 100, 30);
    window.wait_for("$");
    they_watch(&scene, &window);
    they_ask_and_type(&scene, &window);
    it_is_handed_over(&scene, &window);
    they_are_sent_away(&scene);
    it_is_written_down(&scene);
    one_byte_shows(&scene);
}

fn they_watch(scene: &Scene, window: &Term) {
    for browser in [&scene.alan, &scene.vera] {
        assert_eq!(browser.attach("anns", json!({})), 403, "they may only look");
        assert_eq!(browser.watch("anns"), 101);
    }
    assert_eq!(scene.dan.attach("anns", json!({})), 101);
    window.line("echo owner-$((6*7))");
    window.wait_for("owner-42");
    for browser in [&scene.dan, &scene.alan, &scene.vera] {
        browser.hears("owner-42");
    }
    // The owner is told who looks, and from what.
    let who = scene
        .anns(&["who", "anns", "--json"])
        .ok()
        .json()
        .to_string();
    for name in [scene.ann.name(), "dan", "alan", "vera", "veras phone"] {
        assert!(who.contains(name), "{name}: {who}");
    }
    // To a stranger there is nothing at all.
    let stranger = &scene.stranger;
    assert_eq!(stranger.get("/v1/agents").ok(), json!([]));
    for path in ["", "/capture", "/diff", "/who", "/shares"] {
        assert_eq!(
            stranger.get(&format!("/v1/agents/anns{path}")).status,
            404,
            "{path}"
        );
    }
    assert_eq!(stranger.attach("anns", json!({})), 404);
    assert_eq!(stranger.watch("anns"), 404);
}

fn they_ask_and_type(scene: &Scene, window: &Term) {
    // Whoever only looks types nothing, by no way.
    let send = json!({"text": "echo never", "enter": true});
    for browser in [&scene.alan, &scene.vera] {
        browser.type_text("echo never\n");
        browser.hears("[refused]");
        assert_eq!(
            browser.post("/v1/agents/anns/send", send.clone()).status,
            403
        );
        let request = json!({"act": "request"});
        assert_eq!(browser.post("/v1/agents/anns/lease", request).status, 403);
    }
    // The driver neither, while the owner has the keyboard; then it asks.
    scene.dan.type_text("echo never\n");
    scene.dan.hears("[refused]");
    scene.dan.lease(json!("request"));
    window.wait_for("dan asks for the keyboard");
    scene.anns(&["lease", "anns", "grant", "dan"]).ok();
    scene.dan.holds(true);
    scene.dan.type_text("echo driver-$((40+4))\n");
    for browser in [&scene.dan, &scene.alan, &scene.vera] {
        browser.hears("driver-44");
    }
    window.wait_for("driver-44");
    assert!(!window.screen().contains("never"), "{}", window.screen());
    // The owner's alone.
    for (path, body) in [
        ("/v1/agents/anns/merge", json!({})),
        (
            "/v1/agents/anns/shares",
            json!({"user": "vera", "role": "driver"}),
        ),
        ("/v1/agents/anns/handoff", json!({"to": "dan", "note": ""})),
    ] {
        assert_eq!(scene.dan.post(path, body).status, 403, "{path}");
    }
}

fn it_is_handed_over(scene: &Scene, window: &Term) {
    let offer = ["handoff", "anns", "--to", "dan", "--note", NOTE];
    scene.anns(&offer).ok();
    let offers = scene.dan.get("/v1/handoffs").ok();
    assert_eq!(
        (&offers[0]["note"], &offers[0]["to"]),
        (&json!(NOTE), &json!("dan"))
    );
    let id = offers[0]["id"].as_str().expect("an id");
    for other in [&scene.vera, &scene.stranger] {
        let accept = format!("/v1/handoffs/{id}/accept");
        assert!([403, 404].contains(&other.post(&accept, Value::Null).status));
    }
    scene
        .dan
        .post(&format!("/v1/handoffs/{id}/accept"), Value::Null)
        .ok();
    assert_ne!(window.wait_end(), 0, "the giver's window is closed");
    let _ = scene.anns(&["show", "anns"]).fails(4);
    assert_eq!(scene.dan.get("/v1/agents/anns").ok()["owner"], "dan");
    scene.dan.type_text("echo mine-$((40+5))\n");
    scene.vera.hears("mine-45");
}

fn they_are_sent_away(scene: &Scene) {
    // The new owner ends a share; an admin removes a user.
    scene.dan.delete("/v1/agents/anns/shares/vera").ok();
    assert!(scene.vera.ends() < 5.0);
    assert_eq!(scene.vera.watch("anns"), 404);
    assert!(
        scene.alan.stands(0.1),
        "whose share stands is not disturbed"
    );
    scene.served.wsm.wsm(&["user", "rm", "alan"]).ok();
    assert!(scene.alan.ends() < 5.0);
    assert_eq!(scene.alan.get("/v1/whoami").status, 401);
    scene.dan.type_text("echo still-$((40+6))\n");
    scene.dan.hears("still-46");
}

fn it_is_written_down(scene: &Scene) {
    let told = scene.dan.get("/v1/audit?subject=anns&limit=1000").ok();
    let told = told.as_array().expect("rows");
    let of = |verb: &str| -> Vec<(&str, &str)> {
        let rows = told.iter().filter(|row| row["verb"] == verb);
        let text = |row: &'_ Value, key: &str| -> &str {
            let found = told.iter().find(|one| *one == row).expect("it is there");
            found[key].as_str().unwrap_or_default()
        };
        rows.map(|row| (text(row, "actor"), text(row, "address")))
            .collect()
    };
    let from = "127.0.0.1";
    let ann = scene.ann.name();
    assert_eq!(
        of("agent.shared"),
        [("dan", from), ("alan", from), ("vera", from)]
    );
    assert_eq!(of("handoff.offered"), [(ann, from)]);
    assert_eq!(of("handoff.accepted"), [("dan", from)]);
    assert_eq!(of("agent.unshared"), [("dan", from)]);
    let accepted = scene.served.rows("handoff.accepted");
    let via = accepted[0]["via"].as_str().unwrap_or_default();
    assert!(via.starts_with("device:"), "{accepted:?}");
    let offered = scene.served.rows("handoff.offered");
    let via = offered[0]["via"].as_str().unwrap_or_default();
    assert!(via.starts_with("token:"), "{offered:?}");
    for (verb, count) in [
        ("invite.made", 3),
        ("invite.claimed", 3),
        ("session.made", 4),
        ("user.removed", 1),
    ] {
        assert_eq!(scene.served.rows(verb).len(), count, "{verb}");
    }
    // A stranger reads of itself alone.
    let strangers = scene.stranger.get("/v1/audit").ok();
    let name = scene.eve.name();
    let all = strangers.as_array().expect("rows").iter();
    assert!(all.clone().all(|row| row["actor"] == name), "{strangers}");
    assert_eq!(scene.stranger.get("/v1/audit/verify").status, 403);
}

fn one_byte_shows(scene: &Scene) {
    let wsm = &scene.served.wsm;
    wsm.wsm(&["audit", "verify"]).ok();
    wsm.down();
    let path = wsm.dir().join("state/daemon/wsm.db");
    let mut fold = wsm.root().command("python3");
    let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA \
                  wal_checkpoint(TRUNCATE)').fetchall()";
    fold.args(["-c", script]).arg(&path);
    wsm_tests::cli::run(fold, b"").ok();
    let bytes = std::fs::read(&path).expect("root reads");
    let file = std::fs::File::options().write(true).open(&path);
    let file = file.expect("root writes");
    let note = NOTE.as_bytes();
    let places: Vec<_> = (0..bytes.len() - note.len())
        .filter(|at| bytes[*at..].starts_with(note))
        .collect();
    assert!(!places.is_empty(), "the note is in the journal");
    for at in places {
        file.write_all_at(b"P", at as u64).expect("root writes");
    }
    drop(file);
    wsm.up();
    wait::until_true("the daemon", || wsm.wsm(&["status"]).code == 0);
    let found = wsm.wsm(&["audit", "verify", "--json"]);
    assert_eq!(found.code, 1, "{found}");
    assert!(found.stdout.contains("changed"), "{found}");
}

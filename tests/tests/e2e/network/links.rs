//! Links to watch by, and live streams for asciinema's player.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::repository;
use wsm_tests::term::Term;
use wsm_tests::wait;

use super::{Served, cli};
use crate::ending::Running;

impl Served {
    /// A link to an agent of ann's, made as JSON tells it.
    fn link(&self, ann: &Persona, more: &[&str]) -> Value {
        let args = [&["share", "anns", "--link", "--json"], more].concat();
        self.wsm.wsm_as(ann, &args).ok().json()
    }

    /// Opens a link as nobody in particular: the status.
    fn opens(&self, code: &str) -> String {
        let body = format!("{{\"code\":\"{code}\"}}");
        let answer = self.say(&format!(
            "POST /v1/links/open HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        ));
        super::status(&answer).to_owned()
    }
}

/// Opens a link from ninety addresses: how often it was let in.
const FROM_MANY: &str = r#"
import http.client, sys
host, port, body = sys.argv[1], int(sys.argv[2]), '{"code":"%s"}' % sys.argv[3]
good = 0
for n in range(90):
    there = http.client.HTTPConnection(host, port, timeout=20, source_address=(f"127.0.2.{n + 1}", 0))
    there.request("POST", "/v1/links/open", body, {"Content-Type": "application/json"})
    good += there.getresponse().status == 200
    there.close()
print(good)
"#;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("a text")
}

#[test]
fn who_has_a_link_watches_and_does_nothing_else() {
    let served = Served::start("tls = \"off\"");
    let (ann, eve) = (Persona::new("ann"), Persona::new("eve"));
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "anns");
    served.wsm.new_agent_as(&ann, &repo, "shell", "hidden");
    // Who may not share it makes none, nor does a token of who may.
    let refused = served.wsm.wsm_as(&eve, &["share", "anns", "--link"]);
    assert_eq!(refused.code, 4, "{refused}");
    let token = served.token(&ann, "own");
    let refused = served.there(&ann, &token, &["share", "anns", "--link"]);
    assert_eq!(refused.code, 3, "{refused}");
    let made = served.link(&ann, &[]);
    let code = text(&made, "code");
    let url = format!(
        "{}/#watch={code}",
        served.url().replace("127.0.0.1", "wsm.test")
    );
    assert_eq!(text(&made, "url"), url);
    let kept = served.wsm.dir().join("state/daemon");
    let mut grep = served.wsm.root().command("grep");
    grep.args(["-rc", code]).arg(kept);
    assert_eq!(cli::run(grep, b"").code, 1, "the value is nowhere");

    assert_eq!(served.opens(code), "200");
    assert_eq!(served.opens(&format!("{code}0")), "401");
    let there = |args: &[&str]| served.there(&eve, code, args);
    let who = there(&["whoami", "--json"]).ok().json();
    assert!(text(&who, "user").starts_with("link:"), "{who}");
    let seen = there(&["ls", "--json"]).ok().json();
    assert_eq!(seen.as_array().map(Vec::len), Some(1), "{seen}");
    assert_eq!(
        (&seen[0]["name"], &seen[0]["workspace"]),
        (&"anns".into(), &"".into())
    );
    served
        .wsm
        .wsm_as(&ann, &["send", "anns", "echo seen-$((6*7))"])
        .ok();
    let look = served.command(&eve, code, &["attach", "anns", "--read-only"]);
    let look = Term::start(&look, 80, 24);
    look.wait_for("seen-42");
    assert_eq!(there(&["show", "hidden"]).code, 4);
    only_looks(&served, &ann, &eve, code);

    let listed = served.wsm.wsm_as(&ann, &["share", "anns"]).ok();
    let id = text(&made["link"], "id");
    assert!(
        listed.stdout.contains(id) && listed.stdout.contains("127.0.0.1"),
        "{listed}"
    );
    served
        .wsm
        .wsm_as(&ann, &["unshare", "anns", "--link", id])
        .ok();
    assert_ne!(look.wait_end(), 0);
    assert_eq!(there(&["whoami"]).code, 3);
    assert_eq!(served.opens(code), "401");
    it_ends_by_its_time_and_with_its_owner(&served, &ann, &eve);
}

#[test]
fn a_link_fills_no_journal_wherever_it_is_opened() {
    let served = Served::start("tls = \"off\"");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "anns");
    let made = served.link(&ann, &[]);
    let mut many = Command::new("python3");
    let port = served.address.port().to_string();
    many.args(["-c", FROM_MANY, "127.0.0.1", &port, text(&made, "code")]);
    assert_eq!(cli::run(many, b"").ok().text(), "90");
    let told = ["audit", "query", "--verb", "agent.link-opened", "--json"];
    let rows = served.wsm.wsm(&told).ok().stdout.lines().count();
    // 60 at once, and one more every six seconds.
    assert!((60..80).contains(&rows), "{rows} rows");
}

#[test]
fn a_browser_keeps_a_link_beside_its_session() {
    for tls in ["", "tls = \"off\""] {
        let served = Served::start(tls);
        let (ann, eve) = (Persona::new("ann"), Persona::new("eve"));
        let repo = Repo::small(&ann, "project");
        served.wsm.new_agent_as(&ann, &repo, "shell", "anns");
        let made = served.link(&ann, &[]);
        let opened = json!({"code": text(&made, "code")});
        let guest = served.browser();
        // A page of somebody else's opens nothing that would be kept.
        for headers in [
            json!({"x-wsm": null}),
            json!({"Origin": "https://evil.test"}),
        ] {
            guest
                .ask("POST", "/v1/links/open", opened.clone(), headers)
                .ok();
            assert_eq!(guest.get("/v1/whoami").status, 401);
        }
        guest.post("/v1/links/open", opened.clone()).ok();
        assert_eq!(guest.get("/v1/whoami").ok()["scope"], "watch");
        let seen = guest.get("/v1/agents").ok();
        assert_eq!(seen.as_array().map(Vec::len), Some(1), "{seen}");
        assert_eq!(guest.get("/v1/agents/anns/capture").status, 200);
        let foreign = json!({"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"});
        let read = guest.ask("GET", "/v1/agents/anns/capture", Value::Null, foreign);
        assert_eq!(read.status, 403);
        let send = json!({"text": "x", "enter": true});
        assert_eq!(guest.post("/v1/agents/anns/send", send).status, 403);
        // Who is signed in stays so.
        let token = served.token(&eve, "own");
        let signed_in = served.signed_in(&token, "laptop");
        signed_in.post("/v1/links/open", opened).ok();
        assert_eq!(signed_in.get("/v1/whoami").ok()["user"], eve.name());
        let id = text(&made["link"], "id");
        let end = ["unshare", "anns", "--link", id];
        served.wsm.wsm_as(&ann, &end).ok();
        assert_eq!(guest.get("/v1/whoami").status, 401);
    }
}

/// What whoever has the link is refused, and without a name.
fn only_looks(served: &Served, ann: &Persona, eve: &Persona, code: &str) {
    let there = |args: &[&str]| served.there(eve, code, args);
    for args in [
        &["attach", "anns"][..],
        &["send", "anns", "x"],
        &["diff", "anns"],
        &["logs", "anns"],
        &["who", "anns"],
        &["rec", "ls", "anns"],
        &["share", "anns"],
        &["audit", "query"],
        &["stop", "anns"],
        &["token", "ls"],
        &["share", "anns", "--link"],
    ] {
        let refused = there(args);
        assert!([3, 2].contains(&refused.code), "{refused}");
        assert!(!refused.stderr.contains(ann.name()), "{refused}");
    }
    assert_eq!(there(&["exec", "anns", "--", "true"]).code, 125);
}

fn it_ends_by_its_time_and_with_its_owner(served: &Served, ann: &Persona, eve: &Persona) {
    let short = served.link(ann, &["--expires", "4s"]);
    let look = |code: &str| {
        let look = served.command(eve, code, &["attach", "anns", "--read-only"]);
        let look = Term::start(&look, 80, 24);
        look.wait_for("seen-42");
        look
    };
    assert_ne!(look(text(&short, "code")).wait_end(), 0);
    let handed = served.link(ann, &[]);
    let look = look(text(&handed, "code"));
    served
        .wsm
        .wsm_as(ann, &["handoff", "anns", "--to", eve.name()])
        .ok();
    served.wsm.wsm_as(eve, &["accept", "anns"]).ok();
    assert_ne!(look.wait_end(), 0);
    assert_eq!(served.opens(text(&handed, "code")), "401");
    it_ends_with_the_right_of_who_made_it(served, ann, eve);
    // What came back is another's work as well: the old link stays what it is.
    served
        .wsm
        .wsm_as(eve, &["handoff", "anns", "--to", ann.name()])
        .ok();
    served.wsm.wsm_as(ann, &["accept", "anns"]).ok();
    assert_eq!(served.opens(text(&handed, "code")), "401");
    let told = served
        .wsm
        .wsm(&["audit", "query", "--subject", "anns", "--json"])
        .ok();
    for verb in [
        "agent.linked",
        "agent.link-opened",
        "agent.unlinked",
        "agent.link-ended",
    ] {
        assert!(told.stdout.contains(verb), "{verb}: {told}");
    }
}

/// An administrator's, to an agent of somebody else's: ann's, to what is eve's.
fn it_ends_with_the_right_of_who_made_it(served: &Served, ann: &Persona, eve: &Persona) {
    let role = |role: &str| {
        served.wsm.wsm(&["user", "role", ann.name(), role]).ok();
    };
    role("admin");
    let made = served.link(ann, &[]);
    let code = text(&made, "code");
    let look = served.command(eve, code, &["attach", "anns", "--read-only"]);
    let look = Term::start(&look, 80, 24);
    look.wait_for("seen-42");
    role("member");
    assert_ne!(look.wait_end(), 0);
    assert_eq!(served.opens(code), "401");
    role("admin");
    assert_eq!(served.opens(code), "401", "it is gone");
    role("member");
}

/// asciinema's player, and what it made of a stream so far.
struct Player {
    child: Child,
    events: Receiver<Value>,
    seen: String,
}

impl Player {
    fn watch(url: &str) -> Player {
        let script = repository::root().join("tools/alis/watch.mjs");
        let mut node = Command::new("node");
        node.arg(script).arg(url).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event");
                if tell.send(event).is_err() {
                    break;
                }
            }
        });
        Player {
            child,
            events,
            seen: String::new(),
        }
    }

    /// Waits until the stream showed this; the event that did.
    fn until(&mut self, what: &str) -> Value {
        // One that can't get in tells so again and again.
        let deadline = Instant::now() + wait::PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|why| panic!("{what}: {why}: {}", self.seen));
            match text(&event, "event") {
                "reset" => self.seen = event["data"]["init"].as_str().unwrap_or("").to_owned(),
                "output" => self
                    .seen
                    .push_str(event["data"].as_str().unwrap_or_default()),
                _ => {}
            }
            if text(&event, "event") == what || self.seen.contains(what) {
                return event;
            }
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn asciinemas_player_watches_live() {
    let served = Served::start("tls = \"off\"");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "anns");
    let send = |line: &str| served.wsm.wsm_as(&ann, &["send", "anns", line]).ok();
    send("echo before-$((6*7))");
    served.wsm.wait_screen("anns", "before-42");
    let made = served.link(&ann, &[]);
    let live = text(&made, "live").replace("wsm.test", "127.0.0.1");
    let mut player = Player::watch(&live);
    let first = player.until("before-42");
    assert_eq!(
        text(&first, "event"),
        "reset",
        "the screen is there at once"
    );
    assert_eq!(first["data"]["size"]["cols"], 120);
    // Every line, in order, and characters of every width.
    send("for i in $(seq 2000); do echo \"n$i 漢🎉é\"; done; echo all-$((6*7))");
    player.until("all-42");
    let (window, holds) = (player.seen.as_str(), "n2000 漢🎉é");
    assert!(window.contains(holds), "{window}");
    assert!(!window.contains('\u{fffd}'), "{window}");
    // Who has the keyboard has another size: the picture follows.
    let term = Term::start(&served.wsm.command(&ann, &["attach", "anns"]), 100, 30);
    term.line("echo wide-$((6*7))");
    player.until("wide-42");
    let mut late = Player::watch(&live);
    assert_eq!(late.until("reset")["data"]["size"]["cols"], 100);
    // The end of the right is the end, and no reason to come back.
    let id = text(&made["link"], "id");
    served
        .wsm
        .wsm_as(&ann, &["unshare", "anns", "--link", id])
        .ok();
    player.until("ended");
    late.until("ended");
    let mut gone = Player::watch(&live);
    gone.until("loading");
    // It would try on until nobody gets in from its address.
    drop(gone);

    // The same with the agent's end.
    let made = served.link(&ann, &[]);
    let mut player = Player::watch(&text(&made, "live").replace("wsm.test", "127.0.0.1"));
    player.until("wide-42");
    served.wsm.wsm_as(&ann, &["stop", "anns"]).ok();
    player.until("ended");
}

#[test]
fn a_token_that_ends_takes_its_connections_along() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "anns");
    for ends in ["rm", "time"] {
        let token = match ends {
            "rm" => served.token(&ann, "drive"),
            _ => {
                let args = [
                    "token",
                    "new",
                    "short",
                    "--scope",
                    "drive",
                    "--expires",
                    "8s",
                    "-q",
                ];
                served.wsm.wsm_as(&ann, &args).ok().text().to_owned()
            }
        };
        let window = Term::start(&served.command(&ann, &token, &["attach", "anns"]), 80, 24);
        window.wait_for("$");
        let mut running = Running::start(served.command(&ann, &token, &[]), "exec sleep 77010");
        if ends == "rm" {
            let listed = served.wsm.wsm_as(&ann, &["token", "ls", "-q"]).ok();
            served
                .wsm
                .wsm_as(&ann, &["token", "rm", listed.text()])
                .ok();
        }
        assert_ne!(window.wait_end(), 0, "{ends}");
        let (code, said) = running.end();
        assert_eq!(code, 125, "{ends}: {said}");
        wait::until_true("the end of what ran", || {
            let line = ["exec", "anns", "--", "pgrep", "-f", "^sleep 77010"];
            served.wsm.wsm_as(&ann, &line).code == 1
        });
    }
}

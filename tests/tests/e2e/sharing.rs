//! Sharing, roles and the audit log: what each person may, seen from that person's side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use wsm_tests::cli::{self, Output};
use wsm_tests::instance::{Instance, Part};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

#[test]
fn an_agent_is_shared_driven_and_taken_back() {
    let wsm = Instance::start();
    let (ann, bob) = (Persona::new("ann"), Persona::new("bob"));
    let repo = Repo::small(&ann, "project");
    let agent = wsm.new_agent_as(&ann, &repo, "shell", "anns");
    let hidden = wsm.wsm_as(&bob, &["show", "anns"]);
    assert_eq!(hidden.code, 4, "{hidden}");
    assert!(!hidden.stderr.contains(ann.name()), "{hidden}");
    let refused = wsm.wsm_as(&bob, &["share", "anns", "--with", bob.name()]);
    assert_eq!(refused.code, 4, "{refused}");
    let nobody = wsm.wsm_as(&ann, &["share", "anns", "--with", "no-such-user"]);
    assert_eq!(nobody.code, 4, "{nobody}");

    wsm.wsm_as(&ann, &["share", "anns", "--with", bob.name()])
        .ok();
    let seen = wsm.wsm_as(&bob, &["ls", "--json"]).ok();
    assert!(seen.stdout.contains(&agent.id), "{seen}");
    wsm.wsm_as(&bob, &["capture", "anns"]).ok();
    for args in [
        &["send", "anns", "x"][..],
        &["stop", "anns"],
        &["share", "anns", "--with", bob.name(), "--role", "driver"],
        &["rm", "anns"],
        &["merge", "anns"],
        &["policy", "allow", "anns", "example.org"],
    ] {
        let refused = wsm.wsm_as(&bob, args);
        assert_eq!(refused.code, 3, "a viewer: {refused}");
    }
    let exec = wsm.wsm_as(&bob, &["exec", "anns", "--", "true"]);
    assert_eq!(exec.code, 125, "a viewer: {exec}");

    wsm.wsm_as(
        &ann,
        &["share", "anns", "--with", bob.name(), "--role", "driver"],
    )
    .ok();
    wsm.wsm_as(&bob, &["exec", "anns", "--", "touch", "bobs"])
        .ok();
    assert_eq!(wsm.wsm_as(&bob, &["merge", "anns"]).code, 3);
    assert_eq!(
        wsm.wsm_as(&bob, &["unshare", "anns", "--with", ann.name()])
            .code,
        3
    );
    wsm.wsm_as(&bob, &["stop", "anns"]).ok();
    wsm.wsm_as(&bob, &["start", "anns"]).ok();

    wsm.wsm_as(&ann, &["unshare", "anns", "--with", bob.name()])
        .ok();
    assert_eq!(wsm.wsm_as(&bob, &["capture", "anns"]).code, 4);
    // What bob did himself he may always see.
    let own = ["audit", "query", "--subject", &agent.id, "--json"];
    let own = rows(&wsm.wsm_as(&bob, &own).ok());
    assert!(own.iter().all(|row| row["actor"] == bob.name()), "{own:?}");

    // One that ends by itself is nothing any more.
    let short = ["share", "anns", "--with", bob.name(), "--expires", "2s"];
    wsm.wsm_as(&ann, &short).ok();
    wsm.wsm_as(&bob, &["capture", "anns"]).ok();
    wait::until_true("the end of the share", || {
        wsm.wsm_as(&bob, &["capture", "anns"]).code == 4
    });

    the_journal_names_both(&wsm, &ann, &bob);
}

fn the_journal_names_both(wsm: &Instance, ann: &Persona, bob: &Persona) {
    let told = rows(
        &wsm.wsm_as(ann, &["audit", "query", "--subject", "anns", "--json"])
            .ok(),
    );
    let of = |verb: &str| -> Vec<(String, String, String)> {
        let rows = told.iter().filter(|row| row["verb"] == verb);
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        rows.map(|row| (text(row, "via"), text(row, "before"), text(row, "after")))
            .collect()
    };
    let via = format!("uid:{}", ann.uid());
    let row = |before: &str, after: &str| (via.clone(), before.to_owned(), after.to_owned());
    let shared = [
        row("", "viewer"),
        row("viewer", "driver"),
        row("", "viewer"),
    ];
    assert_eq!(of("agent.shared"), shared);
    assert_eq!(of("agent.unshared"), [row("driver", "")]);
    let bobs: Vec<_> = told
        .iter()
        .filter(|row| row["actor"] == bob.name())
        .collect();
    assert!(
        !bobs.is_empty()
            && bobs
                .iter()
                .all(|row| row["via"] == format!("uid:{}", bob.uid()))
    );
}

fn rows(ran: &Output) -> Vec<Value> {
    let row = |line: &str| serde_json::from_str(line).expect("a row");
    ran.stdout.lines().map(row).collect()
}

/// One request over the daemon's socket; prints the status.
const ASK: &str = r#"
import socket, sys
for line in sys.stdin.read().splitlines():
    method, path = line.split(" ")
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(sys.argv[1])
    path += {"/wait": "?until=idle&timeout_ms=1", "/check": "?target=example.org"}.get(path[path.rfind("/"):], "")
    socketed = path.endswith(("/attach", "/exec", "/live")) or "/live/" in path
    how = "Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
          "Sec-WebSocket-Protocol: v1.alis\r\n" \
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" if socketed else "close"
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: wsm\r\nConnection: {how}\r\n"
                 "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n".encode())
    print(line, sock.makefile("rb").readline().split(b" ")[1].decode())
"#;

/// What the table of rights says holds on the wire: every route of an agent, asked by a stranger
/// and by a viewer.
#[test]
fn every_route_asks_who_it_is() {
    let wsm = Instance::start();
    let (ann, bob, eve) = (
        Persona::new("ann"),
        Persona::new("bob"),
        Persona::new("eve"),
    );
    let repo = Repo::small(&ann, "project");
    wsm.new_agent_as(&ann, &repo, "shell", "anns");
    wsm.wsm_as(&ann, &["share", "anns", "--with", bob.name()])
        .ok();
    let table = wsm_tests::repository::root().join("docs/rights.md");
    let table = std::fs::read_to_string(table).expect("the table");
    let routes: Vec<Vec<&str>> = table
        .lines()
        // Of a share it matters whose it is: the story above has both.
        .filter(|line| line.contains(" /v1/") && !line.contains("/shares/{user}"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert!(routes.len() > 40, "{}", routes.len());
    let asked: String = routes
        .iter()
        .map(|row| row[1].replace("{agent}", "anns") + "\n")
        .collect();
    let asked = asked
        .replace("{user}", "nobody")
        .replace("{token}", "none")
        .replace("{device}", "none")
        .replace("{pairing}", "none")
        .replace("{invitation}", "none")
        .replace("{offered}", "none")
        .replace("{link}", "none")
        .replace("{code}", "none");
    let asked = asked
        .replace("{secret}", "none")
        .replace("{service}", "none");
    let socket = wsm.dir().join("run/wsm.sock");
    let answers = |who: &Persona| -> BTreeMap<String, u16> {
        let mut ask = who.command("python3");
        ask.args(["-c", ASK]).arg(&socket);
        let said = cli::run(ask, asked.as_bytes()).ok().stdout;
        let line = |line: &str| {
            let (route, status) = line.rsplit_once(' ').expect("an answer");
            (route.to_owned(), status.parse().expect("a status"))
        };
        said.lines().map(line).collect()
    };
    let (stranger, viewer) = (answers(&eve), answers(&bob));
    for (row, asked) in routes.iter().zip(asked.lines()) {
        let expected = |answer: &str, status: u16| match answer {
            "yes" => status != 403,
            "no" => status == 403,
            _ => status == 404,
        };
        for (who, answer, status) in [
            ("stranger", row[3], stranger[asked]),
            ("viewer", row[4], viewer[asked]),
        ] {
            // A body that is missing is told before anybody is asked for.
            let unread = status == 400 && !row[1].starts_with("GET");
            assert!(
                expected(answer, status) || unread,
                "{who} {asked}: {answer}, {status}"
            );
        }
    }
    wsm.inside("anns", "true").ok();
}

/// Does something to the database that only its file allows; prints nothing.
const TAMPER: &str = r#"
import hashlib, json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
kind, first, second = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
COLUMNS = "seq, at_ms, actor, via, address, verb, subject, message, before, after, prev"
if kind == "change":
    db.execute("UPDATE journal SET message = message || ? WHERE seq = ?", (sys.argv[5], first))
elif kind == "unchange":
    db.execute("UPDATE journal SET message = substr(message, 1, length(message) - 1) WHERE seq = ?", (first,))
elif kind == "take":
    db.execute("CREATE TABLE taken AS SELECT * FROM journal WHERE seq >= ? AND seq <= ?", (first, second))
    db.execute("DELETE FROM journal WHERE seq >= ? AND seq <= ?", (first, second))
elif kind == "give":
    db.execute("INSERT INTO journal SELECT * FROM taken")
    db.execute("DROP TABLE taken")
elif kind == "swap":
    for was, now in ((first, -1), (second, first), (-1, second)):
        db.execute("UPDATE journal SET seq = ? WHERE seq = ?", (now, was))
elif kind == "put":
    db.execute(f"INSERT INTO journal ({COLUMNS}, chain, class) SELECT ?, at_ms, actor, via, address, verb, subject, message, before, after, prev, chain, class FROM journal WHERE seq = ?", (second, first))
elif kind == "anew":
    db.execute("UPDATE journal SET message = 'nothing happened' WHERE seq = ?", (first,))
    ends = {"person": (0, bytes(32)), "wsm": (0, bytes(32))}
    for row in db.execute(f"SELECT {COLUMNS}, class FROM journal ORDER BY seq").fetchall():
        *fields, kind = row
        fields[-1], before = ends[kind]
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
        chain = hashlib.sha256(before + text.encode()).digest()
        db.execute("UPDATE journal SET prev = ?, chain = ? WHERE seq = ?", (fields[-1], chain, fields[0]))
        ends[kind] = (fields[0], chain)
elif kind == "behind":
    # Everything up to there is taken out, and the rest follows what was made up.
    ends = {}
    for name, at in (("person", first), ("wsm", second)):
        ends[name] = (at, b"x" * 32)
        db.execute("INSERT INTO journal_base (class, seq, chain) VALUES (?, ?, ?)", (name, *ends[name]))
        db.execute("DELETE FROM journal WHERE class = ? AND seq <= ?", (name, at))
    for row in db.execute(f"SELECT {COLUMNS}, class FROM journal ORDER BY seq").fetchall():
        *fields, kind = row
        fields[-1], before = ends[kind]
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
        chain = hashlib.sha256(before + text.encode()).digest()
        db.execute("UPDATE journal SET prev = ?, chain = ? WHERE seq = ?", (fields[-1], chain, fields[0]))
        ends[kind] = (fields[0], chain)
db.commit()
"#;

/// An instance with twelve people, whose journal somebody is at.
struct Tampered {
    wsm: Instance,
}

impl Tampered {
    fn start() -> Tampered {
        let wsm = Instance::start();
        for number in 0..12 {
            wsm.wsm(&["user", "add", &format!("person-{number}")]).ok();
        }
        Tampered { wsm }
    }

    fn tamper(&self, kind: &str, first: u64, second: u64) {
        let mut python = self.wsm.root().command("python3");
        python.args(["-c", TAMPER]);
        python.arg(self.wsm.dir().join("state/daemon/wsm.db"));
        python.args([kind, &first.to_string(), &second.to_string(), "x"]);
        cli::run(python, b"").ok();
    }

    fn verify(&self) -> (i32, Value) {
        let ran = self.wsm.wsm(&["audit", "verify", "--json"]);
        let told = serde_json::from_str(&ran.stdout).expect("a document");
        (ran.code, told)
    }

    fn found(&self, what: &str) -> Vec<(u64, String)> {
        let (code, told) = self.verify();
        assert_eq!(code, 1, "{what}: {told}");
        let findings = told["findings"].as_array().expect("findings");
        let one = |told: &Value| {
            let seq = told["seq"].as_u64().expect("a number");
            (seq, told["wrong"].as_str().expect("a word").to_owned())
        };
        findings.iter().map(one).collect()
    }

    /// The newest row of a journal that is right.
    fn green(&self) -> u64 {
        let (code, told) = self.verify();
        assert_eq!(code, 0, "{told}");
        told["person"]["seq"].as_u64().expect("a number")
    }

    /// The same, once it has a checkpoint: that of what was just verified.
    fn settled(&self) -> u64 {
        let newest = self.green();
        wait::until_true("a checkpoint of the newest row", || {
            self.green();
            let text = std::fs::read_to_string(self.checkpoints()).unwrap_or_default();
            text.lines()
                .any(|line| line.split(' ').nth(1) == Some(&newest.to_string()))
        });
        newest
    }

    fn checkpoints(&self) -> PathBuf {
        self.wsm.dir().join("state/checkpoints")
    }
}

fn wrong(seq: u64, word: &str) -> (u64, String) {
    (seq, word.to_owned())
}

#[test]
fn what_is_done_to_the_journal_shows() {
    let it = Tampered::start();
    let newest = it.settled();
    let (one, other) = (newest - 6, newest - 3);

    it.tamper("change", one, 0);
    assert_eq!(it.found("a change"), [wrong(one, "changed")]);
    it.tamper("unchange", one, 0);
    it.green();
    it.tamper("take", one, one);
    assert_eq!(it.found("a row that is gone"), [wrong(one, "removed")]);
    it.tamper("give", 0, 0);
    it.green();
    it.tamper("swap", one, other);
    assert_eq!(
        it.found("rows that were moved"),
        [wrong(one, "moved"), wrong(other, "moved")]
    );
    it.tamper("swap", one, other);
    it.green();
    it.tamper("take", newest, newest);
    assert_eq!(it.found("the end that is gone"), [wrong(newest, "cut-off")]);
    it.tamper("give", 0, 0);
    it.green();
    it.tamper("put", one, newest + 1);
    let put = it.found("a row that was put in");
    assert_eq!(put, [wrong(newest + 1, "inserted")]);
    it.tamper("take", newest + 1, newest + 1);
    it.green();
    it.tamper("anew", one, 0);
    let anew = it.found("a chain made anew");
    assert_eq!(
        anew.first().map(|(_, word)| &**word),
        Some("rewritten"),
        "{anew:?}"
    );
    // With a checkpoint of it, as brokers of before would take it.
    let text = std::fs::read_to_string(it.checkpoints()).expect("checkpoints");
    let (_, told) = it.verify();
    let end = |chain: &str| format!("{} {}", told[chain]["seq"], told[chain]["chain"]);
    let over = format!("9 {} {}\n", end("person"), end("wsm")).replace('"', "");
    std::fs::write(it.checkpoints(), text + &over).expect("it is written");
    let over = it.found("a checkpoint that was said over");
    assert!(over.contains(&wrong(newest, "rewritten")), "{over:?}");
}

#[test]
fn what_is_done_to_the_journal_shows_behind_its_base_too() {
    let it = Tampered::start();
    let newest = it.settled();
    it.wsm.wsm(&["user", "add", "one-more"]).ok();
    it.tamper("behind", newest, 1);
    let behind = it.found("bases that root does not know of");
    for word in ["removed", "rewritten"] {
        assert!(behind.contains(&wrong(newest, word)), "{behind:?}");
    }
    assert!(behind.contains(&wrong(1, "removed")), "{behind:?}");
    // Nor do they get into root's file: what was gone at first is said there already.
    it.wsm.kill_and_recover(&[Part::Daemon]);
    assert_eq!(it.found("the same after a new start"), behind);
}

#[test]
fn the_journal_is_exported_and_goes_on() {
    let wsm = Instance::start();
    for number in 0..5 {
        wsm.wsm(&["user", "add", &format!("person-{number}")]).ok();
    }
    let export = |name: &str| {
        let file = wsm.dir().join(name);
        let path = file.to_string_lossy().into_owned();
        wsm.wsm(&["audit", "export", "--rotate", "-o", &path]).ok();
        let text = std::fs::read_to_string(&file).expect("it was written");
        let line = |line: &str| serde_json::from_str::<Value>(line).expect("a line");
        text.lines().map(line).collect::<Vec<_>>()
    };
    let first = export("first.jsonl");
    wsm.wsm(&["user", "rm", "person-1"]).ok();
    let second = export("second.jsonl");
    let seq = |line: &Value| line["metadata"]["sequence"].as_u64().expect("a number");
    let numbers: Vec<u64> = first.iter().chain(&second).map(seq).collect();
    let whole: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, whole, "no gap, and no row twice");
    assert_eq!(second[0]["api"]["operation"], "journal.rotated");
    assert_eq!(second[0]["class_uid"], 6003);
    let told = wsm.wsm(&["audit", "query", "-q"]).ok().stdout;
    assert_eq!(told.lines().count(), 1, "what was exported is out: {told}");
    let told = wsm.wsm(&["audit", "verify"]).ok().stdout;
    assert!(told.contains("was exported and taken out"), "{told}");
    let file = wsm.dir().join("state/checkpoints");
    let kept = std::fs::read_to_string(&file).expect("checkpoints");
    let words: Vec<_> = kept
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|word| word.starts_with(|first: char| first.is_alphabetic()))
        .collect();
    assert_eq!(words, ["begins", "rotated", "rotated"]);
    let again = wsm.dir().join("first.jsonl");
    let again = wsm.wsm(&["audit", "export", "-o", &again.to_string_lossy()]);
    assert_ne!(again.code, 0, "nothing is written over");
}

#[test]
fn users_and_tokens_are_kept() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    assert_eq!(wsm.wsm_as(&ann, &["whoami", "-q"]).ok().text(), ann.name());
    assert_eq!(wsm.wsm_as(&ann, &["user", "ls"]).code, 3);
    assert_eq!(wsm.wsm_as(&ann, &["user", "add", "eve"]).code, 3);
    wsm.wsm(&["user", "add", "robot"]).ok();
    assert_eq!(wsm.wsm(&["user", "add", "robot"]).code, 1);
    assert_eq!(wsm.wsm(&["user", "add", "../x"]).code, 2);
    let made = wsm
        .wsm_as(&ann, &["token", "new", "ci", "--scope", "drive", "-q"])
        .ok();
    assert!(
        made.text().starts_with("wsm_") && made.text().len() == 56,
        "{made}"
    );
    assert_eq!(
        wsm.wsm_as(&ann, &["token", "new", "--scope", "admin"]).code,
        2
    );
    assert_eq!(
        wsm.wsm_as(&ann, &["token", "new", "--user", "robot"]).code,
        3
    );
    let database = wsm.dir().join("state/daemon");
    let mut grep = wsm.root().command("grep");
    grep.args(["-rc", made.text()]).arg(&database);
    assert_eq!(cli::run(grep, b"").code, 1, "the value is nowhere");
    let id = wsm
        .wsm_as(&ann, &["token", "ls", "-q"])
        .ok()
        .text()
        .to_owned();
    let bob = Persona::new("bob");
    assert_eq!(wsm.wsm_as(&bob, &["token", "rm", &id]).code, 4);
    wsm.wsm_as(&ann, &["token", "rm", &id]).ok();
    let told = wsm.wsm_as(&ann, &["token", "ls"]).ok();
    assert!(told.stdout.contains("revoked"), "{told}");
    wsm.wsm(&["user", "role", ann.name(), "admin"]).ok();
    wsm.wsm_as(&ann, &["user", "ls"]).ok();
    wsm.wsm(&["user", "rm", ann.name()]).ok();
    assert_eq!(wsm.wsm_as(&ann, &["user", "ls"]).code, 3);
}

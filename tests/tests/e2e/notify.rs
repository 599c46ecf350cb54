//! People are called: by Web Push, ntfy, a webhook and mail, whoever dies meanwhile, and nowhere
//! that root does not permit.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use wsm_tests::cli::{self, Output};
use wsm_tests::instance::{Instance, Part};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::wait::{self, PATIENCE};

/// It fails when a line is typed.
const TEMPLATE: &str = r#"
schema = 1
name = "fails"
description = "fails when told to"
[agent]
kind = "command"
command = ["sh", "-c", "read line; exit 3"]
"#;

/// An instance that may speak with services of the test's own.
struct World {
    services: Child,
    wsm: Instance,
    dir: PathBuf,
    port: u64,
    keys: Value,
}

impl Drop for World {
    fn drop(&mut self) {
        let ended = self.services.kill().and_then(|()| self.services.wait());
        ended.expect("a child of ours");
    }
}

fn run(root: &Persona, dir: &Path, line: &str) {
    let mut words = line.split(' ');
    let mut command = root.command(words.next().expect("a program"));
    command.args(words).current_dir(dir);
    cli::run(command, b"").ok();
}

impl World {
    fn new() -> World {
        let wsm = Instance::start();
        let (root, dir) = (wsm.root(), wsm.root().home().join("services"));
        fs::create_dir(&dir).expect("a new directory");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        let made =
            format!("openssl req -x509 {key} -days 2 -subj /CN=test -keyout ca.key -out ca.pem");
        run(root, &dir, &made);
        let name = "subjectAltName=DNS:localhost";
        let asked =
            format!("openssl req {key} -subj /CN=fake -keyout key.pem -out csr -addext {name}");
        run(root, &dir, &asked);
        let signed = "openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                      -copy_extensions copyall -out cert.pem";
        run(
            root,
            &dir,
            &signed.split_whitespace().collect::<Vec<_>>().join(" "),
        );
        run(
            root,
            &dir,
            "npm install --no-audit --no-fund --loglevel=error http_ece@1.2.1",
        );
        let mut node = root.command("node");
        let script = dir.join("services.js");
        fs::write(&script, include_str!("notify/services.js")).expect("our own file");
        node.arg(script).arg(&dir).stdout(Stdio::piped());
        let mut services = node.spawn().expect("node runs");
        let mut line = String::new();
        let out = services.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        let port = told["port"].as_u64().expect("a port");
        let config = format!(
            "[notify]\nurl = \"https://wsm.test\"\ncontact = \"mailto:root@wsm.test\"\n\
             push = [\"localhost:{port}\"]\n\
             permit = [{{ names = [\"localhost\"], cidr = \"127.0.0.0/8\" }}, \
             {{ names = [\"localhost\"], cidr = \"::1/128\" }}]\n\
             [notify.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"off\"\nfrom = \"wsm <wsm@wsm.test>\"\n",
            told["mail"]
        );
        fs::write(wsm.dir().join("etc/config.toml"), config).expect("root writes");
        wsm.host_template("fails", TEMPLATE);
        wsm.trust(&fs::read_to_string(dir.join("ca.pem")).expect("openssl wrote it"));
        World {
            services,
            wsm,
            dir,
            port,
            keys: told["keys"].clone(),
        }
    }

    /// A request to the API, as root.
    fn api(&self, method: &str, path: &str, body: &Value) -> (String, Value) {
        let mut curl = self.wsm.root().command("curl");
        curl.args(["-sS", "-w", "\n%{http_code}", "-X", method, "--unix-socket"])
            .arg(self.wsm.dir().join("run/wsm.sock"))
            .args(["-H", "content-type: application/json", "-d"])
            .arg(body.to_string())
            .arg(format!("http://wsm{path}"));
        let out = cli::run(curl, b"").ok();
        let (text, status) = out.stdout.rsplit_once('\n').expect("a status");
        let body = serde_json::from_str(text).unwrap_or(Value::Null);
        (status.to_owned(), body)
    }

    /// A browser of root's subscribes.
    fn subscribe(&self, name: &str) -> String {
        let new = json!({
            "endpoint": format!("https://localhost:{}/push/{name}", self.port),
            "keys": self.keys,
            "label": name,
            "page": "https://phone.test/",
        });
        let (status, channel) = self.api("POST", "/v1/push/subscriptions", &new);
        assert_eq!(status, "200", "{channel}");
        channel["id"].as_str().expect("an id").to_owned()
    }

    fn notify(&self, args: &[&str]) -> Output {
        self.wsm.wsm(&[&["notify"], args].concat())
    }

    /// What the services got by this way.
    fn got(&self, by: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.join("got.jsonl")).unwrap_or_default();
        let all = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        all.filter(|one: &Value| one["by"] == by).collect()
    }

    fn deliveries(&self) -> Vec<Value> {
        let told = self.notify(&["deliveries", "--json"]).ok().json();
        told.as_array().expect("a list").clone()
    }

    fn wait(&self, what: &str, look: impl Fn() -> bool) {
        wait::until(
            what,
            PATIENCE,
            || look().then_some(()),
            || format!("{:#?}\n{}", self.deliveries(), self.wsm.log()),
        );
    }

    /// An agent that failed just now.
    fn fail(&self, name: &str) {
        let repo = Repo::small(self.wsm.root(), name);
        self.wsm.new_agent(&repo, "fails", name);
        self.wsm.wait_state(name, "working,idle");
        self.wsm.wsm(&["send", name, "now"]).ok();
        self.wsm.wait_state(name, "failed");
    }
}

#[test]
fn a_person_is_told_by_every_channel_and_each_says_what_became_of_it() {
    let world = World::new();
    world
        .notify(&["rules", "--dwell", "2s", "--cooldown", "1s"])
        .ok();
    for name in ["ok", "busy", "gone"] {
        world.subscribe(name);
    }
    let root = format!("https://localhost:{}", world.port);
    let add = |kind: &str, address: &str| {
        world
            .notify(&["add", kind, address, "-q"])
            .ok()
            .text()
            .to_owned()
    };
    let ntfy = format!("{root}/wsm-topic");
    let token = ["notify", "add", "ntfy", &ntfy, "--token", "-q"];
    world.wsm.wsm_with(&token, b"tk_very_secret\n").ok();
    let secret = add("webhook", &format!("{root}/hook/x"));
    add("email", "ada@wsm.test");
    let shown = world.notify(&["ls", "--json"]).ok().stdout;
    assert!(
        !shown.contains("tk_very_secret") && !shown.contains(&secret),
        "{shown}"
    );
    assert!(
        !shown.contains("/push/ok") && !shown.contains("/hook"),
        "{shown}"
    );

    world.fail("broken");
    world.wait("both browsers, ntfy, webhook and mail to get it", || {
        world.got("push").len() == 2
            && ["hook", "mail"].iter().all(|by| world.got(by).len() == 1)
            && world.got("").len() == 1
    });
    let push = world.got("push");
    let first = push
        .iter()
        .find(|one| one["name"] == "ok")
        .expect("it came");
    assert_eq!(first["vapid"]["good"], true);
    assert_eq!(first["vapid"]["aud"], root, "with its port");
    assert_eq!(first["vapid"]["sub"], "mailto:root@wsm.test");
    let (_, key) = world.api("GET", "/v1/push/key", &json!({}));
    assert_eq!(first["vapid"]["key"], key["key"]);
    assert_eq!(first["urgency"], "high");
    assert!(first["bytes"] == 512 + 102, "padded: {first}");
    let message = &first["message"]["notification"];
    assert_eq!(first["message"]["web_push"], 8030);
    assert_eq!(message["title"], "broken failed");
    assert_eq!(message["navigate"], "https://phone.test/#/agents/broken");
    assert_eq!(message["data"]["agent"], "broken");
    assert_eq!(message["tag"], first["topic"]);

    let ntfy = &world.got("")[0];
    assert_eq!(ntfy["headers"]["authorization"], "Bearer tk_very_secret");
    let body: Value = serde_json::from_str(ntfy["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body["topic"], "wsm-topic");
    assert_eq!(body["click"], "https://wsm.test/#/agents/broken");
    check_signature(&world, &secret);
    let mail = world.got("mail")[0]["lines"].to_string();
    assert!(
        mail.contains("Subject: broken failed") && mail.contains("Auto-Submitted"),
        "{mail}"
    );

    outcomes(&world);
}

/// 410 removes, 429 waits as long as it was told.
fn outcomes(world: &World) {
    world.wait("every delivery to end", || {
        world
            .deliveries()
            .iter()
            .all(|one| one["status"] != "waiting")
    });
    let told = world.deliveries();
    let of = |label: &str| told.iter().find(|one| one["label"] == label);
    assert_eq!(of("busy").expect("it is told")["attempts"], 2, "{told:#?}");
    assert!(told.iter().any(|one| one["status"] == "gone"), "{told:#?}");
    let left = world.notify(&["ls", "--json"]).ok().json();
    let labels: Vec<_> = left.as_array().expect("a list").iter().collect();
    assert!(labels.iter().all(|one| one["label"] != "gone"), "{left}");
    assert_eq!(labels.len(), 5);
}

/// As standardwebhooks.com says, by another implementation of HMAC.
fn check_signature(world: &World, secret: &str) {
    let hook = &world.got("hook")[0];
    let script = "const c=require('crypto'),[s,i,t,b]=process.argv.slice(1);\
        console.log('v1,'+c.createHmac('sha256',Buffer.from(s.slice(6),'base64')).update(`${i}.${t}.${b}`).digest('base64'))";
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let head = |name: &str| text(&hook["headers"][name]);
    let mut node = world.wsm.root().command("node");
    node.args(["-e", script, "--", secret]).args([
        head("webhook-id"),
        head("webhook-timestamp"),
        text(&hook["body"]),
    ]);
    let signature = cli::run(node, b"").ok().text().to_owned();
    assert_eq!(signature, head("webhook-signature"));
}

#[test]
fn a_daemon_that_dies_between_commit_and_send_loses_nothing() {
    let world = World::new();
    world
        .notify(&["rules", "--dwell", "2s", "--cooldown", "1s"])
        .ok();
    world.subscribe("ok");
    let points = [
        "after commit.agent.state.failed",
        "before notify.failed",
        "after notify.failed",
        "before notify.push",
        "after notify.push",
    ];
    for (number, point) in points.into_iter().enumerate() {
        let name = format!("broken-{number}");
        let repo = Repo::small(world.wsm.root(), &name);
        world.wsm.new_agent(&repo, "fails", &name);
        world.wsm.wait_state(&name, "working,idle");
        let daemon = world.wsm.pid_of(Part::Daemon);
        let fault = world.wsm.dir().join("state/daemon/fault");
        let mut file = fs::File::create(&fault).expect("root writes");
        file.write_all(point.as_bytes()).expect("root writes");
        world.wsm.wsm(&["send", &name, "now"]).ok();
        world.wait(&format!("the daemon to die {point}"), || !fault.exists());
        world.wsm.wait_ready();
        assert_ne!(world.wsm.pid_of(Part::Daemon), daemon, "{point}");
        let title = format!("{name} failed");
        let of = |one: &Value| one["message"]["notification"]["title"] == title.as_str();
        world.wait(&format!("{title:?}, {point}"), || {
            world.got("push").iter().any(of)
        });
        world.wait("it to be written down", || {
            let told = world.deliveries();
            told.iter()
                .any(|one| one["title"] == title && one["status"] == "sent")
        });
        // Twice at worst, and then the second takes the first one's place.
        let got: Vec<_> = world.got("push").into_iter().filter(of).collect();
        let again = usize::from(point == "after notify.push");
        assert_eq!(got.len(), 1 + again, "{point}: {got:#?}");
        assert!(got.iter().all(|one| one["topic"] == got[0]["topic"]));
    }
}

/// Agents that come to an end one after the other ring a few times, and all of them are told.
#[test]
fn many_agents_do_not_ring_as_often() {
    let world = World::new();
    world
        .notify(&["rules", "--dwell", "2s", "--cooldown", "8s"])
        .ok();
    world.subscribe("ok");
    let names: Vec<String> = (0..8).map(|number| format!("many-{number}")).collect();
    for name in &names {
        let repo = Repo::small(world.wsm.root(), name);
        world.wsm.new_agent(&repo, "fails", name);
        world.wsm.wait_state(name, "working,idle");
    }
    for name in &names {
        world.wsm.wsm(&["send", name, "now"]).ok();
    }
    let text = |one: &Value, key: &str| {
        let told = &one["message"]["notification"][key];
        told.as_str().unwrap_or_default().to_owned()
    };
    let told = |name: &String| {
        let of = |one: &Value| {
            let (title, body) = (text(one, "title"), text(one, "body"));
            title == format!("{name} failed") || body.split(", ").any(|it| it == name)
        };
        world.got("push").iter().filter(|one| of(one)).count()
    };
    world.wait("all of them to be told", || {
        names.iter().all(|it| told(it) > 0)
    });
    let got = world.got("push");
    assert!(names.iter().all(|it| told(it) == 1), "{got:#?}");
    assert!((2..=5).contains(&got.len()), "{got:#?}");
    let many = |one: &&Value| text(one, "title").ends_with(" agents failed");
    let many = got.iter().find(many).expect("several in one");
    assert_eq!(text(many, "navigate"), "https://phone.test/#/");
    assert_eq!(text(many, "tag"), many["topic"].as_str().expect("a topic"));
}

#[test]
fn an_offer_rings_at_once_and_what_was_answered_is_set_right() {
    let world = World::new();
    let ben = Persona::new("ben");
    let hook = format!("https://localhost:{}/hook/ben", world.port);
    let by = |args: &[&str]| world.wsm.wsm_as(&ben, args).ok();
    by(&["notify", "add", "webhook", &hook, "-q"]);
    let repo = Repo::small(world.wsm.root(), "given");
    world.wsm.new_agent(&repo, "fails", "given");
    let offer = [
        "handoff",
        "given",
        "--to",
        ben.name(),
        "--note",
        "have a look",
    ];
    world.wsm.wsm(&offer).ok();
    let body = |number: usize| {
        let got = world.got("hook");
        let text = got.get(number)?["body"].as_str()?.to_owned();
        serde_json::from_str::<Value>(&text).ok()
    };
    world.wait("the offer to ring", || body(0).is_some());
    let first = body(0).expect("it came");
    assert_eq!(first["type"], "agent.handoff");
    assert_eq!(first["data"]["body"], "root offers it to you: have a look");
    by(&["decline", "given"]);
    world.wait("it to be set right", || body(1).is_some());
    let second = body(1).expect("it came");
    assert_eq!(second["type"], "agent.over");
    assert_eq!(
        second["data"]["body"],
        format!("answered by {}", ben.name())
    );
    assert_eq!(second["data"]["tag"], first["data"]["tag"]);
    // One's own: nobody sees another's, or what became of it.
    assert_eq!(world.notify(&["ls", "-q"]).ok().text(), "");
}

#[test]
fn nothing_is_sent_where_root_does_not_permit() {
    let wsm = Instance::start();
    let root = wsm.root();
    let keys = json!({
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    });
    let subscribe = |endpoint: &str| {
        let mut curl = root.command("curl");
        curl.args(["-sS", "-w", "\n%{http_code}", "-X", "POST", "--unix-socket"])
            .arg(wsm.dir().join("run/wsm.sock"))
            .args([
                "-d",
                &json!({ "endpoint": endpoint, "keys": keys }).to_string(),
            ])
            .arg("http://wsm/v1/push/subscriptions");
        cli::run(curl, b"").ok().stdout
    };
    for endpoint in [
        "https://10.0.0.1/x",
        "https://localhost/x",
        "https://evil.example/x.apple.com/",
        "http://fcm.googleapis.com/x",
        "push.example.net",
        "/foo",
    ] {
        let answer = subscribe(endpoint);
        assert!(answer.ends_with("\n400"), "{endpoint}: {answer}");
    }
    // A name that leads to this machine, and addresses that are not public: tried, and refused.
    for address in [
        "http://localhost:9/x",
        "https://127.0.0.1/x",
        "https://10.255.255.1/x",
        "https://[::1]/x",
    ] {
        wsm.wsm(&["notify", "add", "webhook", address, "-q"]).ok();
    }
    wsm.wsm(&["notify", "add", "email", "ada@wsm.test"])
        .fails(1);
    wsm.wsm(&["notify", "test"]).ok();
    let failed = || {
        let told = wsm.wsm(&["notify", "deliveries", "--json"]).ok().json();
        let told = told.as_array().expect("a list").clone();
        let refused = |one: &&Value| {
            one["status"] == "failed"
                && one["outcome"]
                    .as_str()
                    .is_some_and(|why| why.contains("[notify] permit"))
        };
        (told.iter().filter(refused).count() == 4).then_some(())
    };
    wait::until("four refusals", PATIENCE, failed, || {
        wsm.wsm(&["notify", "deliveries"]).to_string()
    });
}

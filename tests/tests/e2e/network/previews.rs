//! Previews: pages that agents serve, on origins of their own or below a secret path.

use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use wsm_tests::cli;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

use super::Served;

/// Tells what it was asked, and says what it must not.
const ECHO: &str = r#"schema = 1
name = "echo"
extends = ["shell"]
[agent]
wait_for = ["web"]
[ports]
web = { inside = 8123, protocol = "http" }
db = { inside = 8124 }
[services.web]
ready = { tcp = "web", timeout = "30s" }
command = ["python3", "-u", "-c", '''
import http.server, json
class Echo(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = json.dumps([self.command, self.path, dict(self.headers.items())]).encode()
        self.send_response(302 if self.path == "/go" else 200)
        for name, value in [("Set-Cookie", "own=1; Domain=wsm.test; Path=/"),
                            ("Set-Cookie", "__Host-wsm=evil; Secure; Path=/"),
                            ("Service-Worker-Allowed", "/"), ("Clear-Site-Data", "*"),
                            ("Location", "http://localhost:8123/there")]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
http.server.ThreadingHTTPServer(("127.0.0.1", 8123), Echo).serve_forever()
''']
"#;

const HOST: &str = "web--shown.wsm.test";

/// One request to a name of this host: status, head in lower case, body.
fn ask(
    served: &Served,
    host: &str,
    path: &str,
    headers: &[&str],
    more: &[&str],
) -> (u16, String, String) {
    let mut curl = Command::new("curl");
    let url = format!("http://{}{path}", served.address);
    curl.args([
        "-si",
        "--max-time",
        "30",
        "-H",
        &format!("Host: {host}"),
        &url,
    ]);
    for header in headers {
        curl.args(["-H", header]);
    }
    curl.args(more);
    let answer = cli::run(curl, b"").ok().stdout;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    (
        status.expect("a status"),
        head.to_lowercase(),
        body.to_owned(),
    )
}

/// Opens a preview with a token; what is answered.
fn open(served: &Served, token: &str, agent: &str, port: &str) -> (u16, Value) {
    let bearer = format!("Authorization: Bearer {token}");
    let body = json!({"port": port, "path": "/first?x=1"}).to_string();
    let path = format!("/v1/agents/{agent}/previews");
    let (status, _, body) = ask(served, "wsm.test", &path, &[&bearer], &["-d", &body]);
    (status, serde_json::from_str(&body).expect("JSON"))
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let begins = format!("{name}: ");
    head.lines().find_map(|line| line.strip_prefix(&begins))
}

/// The cookie of a preview that was opened with this token.
fn entered(served: &Served, token: &str) -> String {
    let (status, opened) = open(served, token, "shown", "web");
    assert_eq!(
        (status, &opened["own_origin"]),
        (200, &json!(true)),
        "{opened}"
    );
    let url = opened["url"].as_str().expect("a URL");
    let path = url
        .strip_prefix(&format!("https://{HOST}"))
        .expect("its own origin");
    let (status, head, _) = ask(served, HOST, path, &[], &[]);
    assert_eq!(
        (status, value(&head, "location")),
        (303, Some("/first?x=1")),
        "{head}"
    );
    assert!(
        head.contains("clear-site-data"),
        "a browser that knew another: {head}"
    );
    assert_eq!(ask(served, HOST, path, &[], &[]).0, 401, "it is good once");
    let cookie = value(&head, "set-cookie").expect("a cookie");
    assert!(
        cookie.contains("httponly") && cookie.contains("secure"),
        "{cookie}"
    );
    assert!(!cookie.contains("domain"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair");
    let secret = pair.strip_prefix("__host-wsm-preview=").expect("its name");
    format!("Cookie: a=1; __Host-wsm-preview={secret}; __Host-wsm=of-our-own")
}

#[test]
fn a_page_has_an_origin_of_its_own_and_nothing_of_ours() {
    let served = Served::start("tls = \"off\"\npreview = \"*.wsm.test\"");
    let (ann, eve) = (Persona::new("ann"), Persona::new("eve"));
    let repo = Repo::small(&ann, "project");
    served.wsm.host_template("echo", ECHO);
    served.wsm.new_agent_as(&ann, &repo, "echo", "shown");
    served.wsm.new_agent_as(&ann, &repo, "echo", "other");
    let token = served.token(&ann, "own");

    strangers_are_led_to_the_login(&served, &token, &served.token(&eve, "own"));
    let cookie = entered(&served, &token);
    let evil = "X-Forwarded-Host: evil";
    let (status, head, body) = ask(&served, HOST, "/v1/status", &[&cookie, evil], &[]);
    assert_eq!(status, 200, "{head} {body}");
    let seen: Value = serde_json::from_str(&body).expect("the agent's own answer");
    assert_eq!((&seen[0], &seen[1]), (&json!("GET"), &json!("/v1/status")));
    let heard = |name: &str| {
        let all = seen[2].as_object().expect("headers");
        all.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, it)| it.clone())
    };
    assert_eq!(heard("cookie"), Some(json!("a=1")), "nothing of ours");
    assert_eq!(heard("host"), Some(json!("localhost:8123")));
    assert_eq!(heard("x-forwarded-host"), Some(json!(HOST)));
    let cookies: Vec<_> = head
        .lines()
        .filter(|line| line.starts_with("set-cookie"))
        .collect();
    assert_eq!(cookies, ["set-cookie: own=1; path=/"], "confined");
    for gone in ["service-worker-allowed", "clear-site-data"] {
        assert!(value(&head, gone).is_none(), "{gone}: {head}");
    }
    assert!(
        head.contains("frame-ancestors 'self' https://wsm.test"),
        "{head}"
    );
    let (status, head, _) = ask(&served, HOST, "/go", &[&cookie], &[]);
    assert_eq!((status, value(&head, "location")), (302, Some("/there")));

    // It is good for this port of this agent, asked by its own pages.
    let others = ["web--other.wsm.test", "db--shown.wsm.test", "wsm.test"];
    for host in others {
        let status = ask(&served, host, "/v1/status", &[&cookie], &[]).0;
        assert_eq!(status, 401, "{host}");
    }
    let sibling = [
        &*cookie,
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Mode: no-cors",
    ];
    assert_eq!(ask(&served, HOST, "/x", &sibling, &[]).0, 403);
    let forged = [&*cookie, "Origin: https://web--other.wsm.test"];
    assert_eq!(ask(&served, HOST, "/x", &forged, &["-d", "x"]).0, 403);
    let own = format!("Origin: https://{HOST}");
    assert_eq!(
        ask(&served, HOST, "/x", &[&cookie, &own], &["-d", "x"]).0,
        200
    );

    a_viewer_looks_and_no_more(&served, &ann, &eve, &served.token(&eve, "own"));
    it_ends_with_the_way_in(&served, &ann, &cookie);
    a_name_that_is_given_again_is_another(&served, &ann, &repo);
    let agent = served.wsm.agent("shown");
    served.wsm.wsm_as(&ann, &["stop", &agent.id]).ok();
    let bearer = format!("Authorization: Bearer {}", served.token(&ann, "own"));
    let (status, _, body) = ask(&served, HOST, "/", &[&bearer], &[]);
    assert_eq!(status, 409, "{body}");
}

fn strangers_are_led_to_the_login(served: &Served, token: &str, theirs: &str) {
    let html = "Accept: text/html";
    let (status, head, _) = ask(served, HOST, "/x?y=1", &[html], &[]);
    let to = "https://wsm.test/preview/open?agent=shown&port=web&to=/x%3fy%3d1";
    assert_eq!(
        (status, value(&head, "location")),
        (303, Some(to)),
        "{head}"
    );
    assert_eq!(ask(served, HOST, "/x", &[], &[]).0, 401);
    assert_eq!(
        ask(served, HOST, "/x", &["Cookie: __Host-wsm-preview=0"], &[]).0,
        401
    );
    assert_eq!(open(served, theirs, "shown", "web").0, 404);
    assert_eq!(open(served, token, "shown", "nothing").0, 404);
    assert_eq!(
        open(served, token, "shown", "db").0,
        400,
        "it speaks no HTTP"
    );
    let (status, head, _) = ask(served, "wsm.test", "/preview/open", &[], &[]);
    assert_eq!(status, 200);
    assert!(head.contains("script-src 'self'"), "{head}");
}

fn a_viewer_looks_and_no_more(served: &Served, ann: &Persona, eve: &Persona, token: &str) {
    let bearer = format!("Authorization: Bearer {token}");
    assert_eq!(ask(served, HOST, "/", &[&bearer], &[]).0, 404);
    let share = ["share", "shown", "--with", eve.name()];
    served.wsm.wsm_as(ann, &share).ok();
    let cookie = entered(served, token);
    for way in [&cookie, &bearer] {
        assert_eq!(ask(served, HOST, "/", &[way], &[]).0, 200);
        assert_eq!(ask(served, HOST, "/", &[way], &["-d", "x"]).0, 403);
    }
    let (_, _, body) = ask(served, HOST, "/", &[&bearer], &[]);
    assert!(!body.contains(token), "a token of ours stays here: {body}");
    let end = ["unshare", "shown", "--with", eve.name()];
    served.wsm.wsm_as(ann, &end).ok();
    assert_eq!(ask(served, HOST, "/", &[&cookie], &[]).0, 404);
}

/// What a browser keeps of an agent is none of the next one's of that name: it is led to where that
/// is forgotten.
fn a_name_that_is_given_again_is_another(served: &Served, ann: &Persona, repo: &Repo) {
    let cookie = entered(served, &served.token(ann, "own"));
    assert_eq!(ask(served, HOST, "/", &[&cookie], &[]).0, 200);
    let rm = ["rm", "--purge", "shown"];
    served.wsm.wsm_as(ann, &rm).ok();
    served.wsm.new_agent_as(ann, repo, "echo", "shown");
    assert_eq!(ask(served, HOST, "/", &[&cookie], &[]).0, 401);
    let (status, head, _) = ask(served, HOST, "/", &[&cookie, "Accept: text/html"], &[]);
    assert_eq!(status, 303, "{head}");
}

fn it_ends_with_the_way_in(served: &Served, ann: &Persona, cookie: &str) {
    assert_eq!(ask(served, HOST, "/", &[cookie], &[]).0, 200);
    let ids = served.wsm.wsm_as(ann, &["token", "ls", "-q"]).ok();
    for id in ids.text().lines() {
        served.wsm.wsm_as(ann, &["token", "rm", id]).ok();
    }
    assert_eq!(ask(served, HOST, "/", &[cookie], &[]).0, 401);
}

#[test]
fn without_a_wildcard_a_page_has_no_origin_at_all() {
    let served = Served::start("tls = \"off\"");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.host_template("echo", ECHO);
    served.wsm.new_agent_as(&ann, &repo, "echo", "shown");
    let token = served.token(&ann, "own");
    let (status, opened) = open(&served, &token, "shown", "8123");
    assert_eq!(
        (status, &opened["own_origin"]),
        (200, &json!(false)),
        "{opened}"
    );
    let url = opened["url"].as_str().expect("a URL");
    let path = &url[url.find("/preview/").expect("below a path")..];
    let root = path.strip_suffix("/first?x=1").expect("where to");
    let ours = "Cookie: __Host-wsm=of-our-own";
    let (status, head, body) = ask(&served, "wsm.test", path, &[ours, "Origin: null"], &[]);
    assert_eq!(status, 200, "{body}");
    assert!(
        body.contains("/first?x=1") && !body.contains("of-our-own"),
        "{body}"
    );
    assert!(
        !body.contains(root),
        "the secret is not the agent's to know: {body}"
    );
    let policy = head
        .lines()
        .find(|line| line.contains("sandbox allow-scripts"));
    let policy = policy.expect("a sandbox");
    assert!(
        !policy.contains("same-origin") && !policy.contains("top-navigation"),
        "{policy}"
    );
    assert_eq!(value(&head, "access-control-allow-origin"), Some("*"));
    assert_eq!(value(&head, "referrer-policy"), Some("no-referrer"));
    assert!(value(&head, "set-cookie").is_none(), "{head}");
    assert!(value(&head, "x-frame-options").is_none(), "{head}");
    let (_, head, _) = ask(&served, "wsm.test", &format!("{root}/go"), &[], &[]);
    assert_eq!(value(&head, "location"), Some(&*format!("{root}/there")));
    let worker = ask(&served, "wsm.test", path, &["Service-Worker: script"], &[]);
    assert_eq!(worker.0, 403);
    for other in ["/preview/", "/preview/0000/", "/preview/../v1/status"] {
        let (status, head, _) = ask(&served, "wsm.test", other, &[], &["--path-as-is"]);
        assert_eq!(status, 404, "{other}");
        assert!(head.contains("default-src 'none'"), "{other}: {head}");
    }
    it_ends_with_the_way_in_below_a_path(&served, &ann, path);
}

fn it_ends_with_the_way_in_below_a_path(served: &Served, ann: &Persona, path: &str) {
    let ids = served.wsm.wsm_as(ann, &["token", "ls", "-q"]).ok();
    for id in ids.text().lines() {
        served.wsm.wsm_as(ann, &["token", "rm", id]).ok();
    }
    assert_eq!(ask(served, "wsm.test", path, &[], &[]).0, 401);
}

/// What a browser does with Vite: pages, modules, and the socket by which they change while one
/// looks.
#[test]
fn a_real_vite_changes_its_page_while_one_looks() {
    let modules = wsm_tests::repository::root().join("mobile-pwa/node_modules");
    assert!(modules.join("vite").exists(), "tools/pwa installs it");
    let served = Served::start("tls = \"off\"\npreview = \"*.wsm.test\"");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    let files = [
        ("package.json", r#"{"type":"module"}"#),
        ("index.html", "<script type=module src=/main.js></script>"),
        (
            "main.js",
            "export const word = 'before'\nimport.meta.hot?.accept()\n",
        ),
    ];
    for (name, text) in files {
        repo.write(name, text);
    }
    repo.commit("vite");
    let library = ann.home().join("lib");
    let mut copy = Command::new("cp");
    std::fs::create_dir(&library).expect("root writes");
    copy.arg("-r").arg(&modules).arg(&library);
    cli::run(copy, b"").ok();
    let mut own = Command::new("chown");
    own.args(["-R", ann.name()]).arg(&library);
    cli::run(own, b"").ok();
    let vite = library.join("node_modules/vite/bin/vite.js");
    let text = format!(
        "schema = 1\nname = \"vite\"\nextends = [\"frontend\"]\n\
         [agent]\nwait_for = [\"web\"]\n[filesystem]\nread = [{library:?}]\n[services.web]\n\
         command = [\"node\", {vite:?}, \"--host\", \"127.0.0.1\", \"--port\", \
         \"{{port.web}}\", \"--strictPort\"]\n"
    );
    served.wsm.host_template("vite", &text);
    let agent = served.wsm.new_agent_as(&ann, &repo, "vite", "shown");
    let cookie = entered(&served, &served.token(&ann, "own"));
    let get = |path: &str| {
        let (status, _, body) = ask(&served, HOST, path, &[&cookie, "Accept: */*"], &[]);
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    assert!(get("/first?x=1").contains("/@vite/client"));
    assert!(get("/main.js").contains("before"));
    let client = get("/@vite/client");
    let token = client
        .split("wsToken = \"")
        .nth(1)
        .and_then(|it| it.split('"').next());
    let token = token.expect("its client knows a token");

    let mut socket = served.connect();
    let request = format!(
        "GET /?token={token} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://{HOST}\r\n{cookie}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: vite-hmr\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).expect("it reads");
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a socket");
    let mut heard = Vec::new();
    let mut hear = |what: &str| {
        wait::until_true(what, || {
            let mut buffer = [0; 4096];
            if let Ok(read @ 1..) = socket.read(&mut buffer) {
                heard.extend_from_slice(&buffer[..read]);
            }
            String::from_utf8_lossy(&heard).contains(what)
        });
    };
    hear("HTTP/1.1 101");
    hear("\"connected\"");
    let changed = "echo \"export const word = 'after'; import.meta.hot?.accept()\" >main.js";
    served.wsm.inside(&agent.id, changed).ok();
    hear("\"update\"");
    assert!(get("/main.js").contains("after"));
    // A page of another preview does not get the socket.
    let forged = request.replace(
        &format!("Origin: https://{HOST}"),
        "Origin: https://web--x.wsm.test",
    );
    assert_eq!(super::status(&served.say(&forged)), "403");
}

#[test]
fn what_an_agent_uses_is_told_as_a_whole_and_by_service() {
    let served = Served::start("tls = \"off\"");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.host_template("echo", ECHO);
    repo.write("big", &"0123456789abcdef".repeat(3 << 16));
    repo.commit("much");
    served.wsm.new_agent_as(&ann, &repo, "echo", "busy");
    let spin =
        "(while :; do :; done) >/dev/null 2>&1 & dd if=/dev/zero of=/dev/shm/x bs=1M count=64";
    served.wsm.inside("busy", spin).ok();
    let bearer = format!("Authorization: Bearer {}", served.token(&ann, "view"));
    let usage = || {
        let (status, _, body) = ask(
            &served,
            "wsm.test",
            "/v1/agents/busy/usage",
            &[&bearer],
            &[],
        );
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON")
    };
    let busy = |sample: &Value| {
        let cpu = sample["cpu_milli"].as_u64();
        // Where the host has no v2 tree nobody counts the time of one agent.
        cpu.is_none_or(|cpu| cpu > 100) && sample["memory_bytes"].as_u64() > Some(64 << 20)
    };
    wait::until_true("a busy look", || {
        usage()["samples"]
            .as_array()
            .is_some_and(|all| all.iter().any(busy))
    });
    let last = usage()["samples"]
        .as_array()
        .and_then(|all| all.last().cloned());
    let last = last.expect("a look");
    assert!(last["services"]["web"].is_object(), "{last}");
    assert!(last["seconds"].as_u64() >= Some(1), "{last}");
    wait::until_true("its disk space", || usage()["disk"].is_object());
    let disk = &usage()["disk"];
    let mebibytes = |part: &str| disk[part].as_u64().unwrap_or(u64::MAX) >> 20;
    assert_eq!(
        (mebibytes("workspace_bytes"), &disk["exact"]),
        (3, &Value::Bool(true))
    );
    assert_eq!(mebibytes("state_bytes"), 0, "{disk}");
    served.wsm.wsm_as(&ann, &["show", "busy"]).ok();
    let shown = served.wsm.wsm_as(&ann, &["show", "busy"]).ok();
    assert!(shown.stdout.contains("MEMORY"), "{shown}");
    assert!(shown.stdout.contains("disk: 3 MiB workspace"), "{shown}");
    let eve = Persona::new("eve");
    let theirs = format!("Authorization: Bearer {}", served.token(&eve, "own"));
    let (status, ..) = ask(
        &served,
        "wsm.test",
        "/v1/agents/busy/usage",
        &[&theirs],
        &[],
    );
    assert_eq!(status, 404);
    let open = served
        .there(&eve, &served.token(&ann, "own"), &["open", "busy", "web"])
        .ok();
    assert!(open.text().contains("/preview/"), "{open}");
}

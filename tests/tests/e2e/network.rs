//! The API over the network: every verb with a token, nothing for strangers, nothing for long.

#[path = "network/acme.rs"]
mod acme;
#[path = "network/browsers.rs"]
mod browsers;
#[path = "network/feed.rs"]
mod feed;
#[path = "network/links.rs"]
mod links;
#[path = "network/pages.rs"]
mod pages;
#[path = "network/passkeys.rs"]
mod passkeys;
#[path = "network/personas.rs"]
mod personas;
#[path = "network/previews.rs"]
mod previews;
#[path = "network/repositories.rs"]
mod repositories;
#[path = "network/strangers.rs"]
mod strangers;
#[path = "network/upgrade.rs"]
mod upgrade;
#[path = "network/verbs.rs"]
mod verbs;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use wsm_tests::browser::Browser;
use wsm_tests::cli::{self, Output};
use wsm_tests::instance::{self, Instance, Part};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

/// An instance that serves on loopback.
struct Served {
    wsm: Instance,
    address: SocketAddr,
    scheme: &'static str,
    pin: String,
}

impl Served {
    fn start(more: &str) -> Served {
        Served::of(Instance::start(), more)
    }

    fn of(wsm: Instance, more: &str) -> Served {
        let served = Served::configured(wsm, more);
        let status = served.wsm.wsm(&["status", "--json"]).ok().json();
        assert_eq!(status["web"]["problem"], "", "{status}");
        served
    }

    /// Whatever comes of it.
    fn configured(wsm: Instance, more: &str) -> Served {
        let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = probe.local_addr().expect("it is bound");
        drop(probe);
        let config = wsm.dir().join("etc/config.toml");
        let mut text = std::fs::read_to_string(&config).unwrap_or_default();
        text.push_str(&format!(
            "\n[web]\nlisten = \"{address}\"\nnames = [\"wsm.test\"]\n{more}\n"
        ));
        std::fs::write(&config, text).expect("root writes");
        wsm.down();
        wsm.up();
        let status = wsm.wsm(&["status", "--json"]).ok().json();
        let scheme = match more.contains("\"off\"") {
            true => "http",
            false => "https",
        };
        let pin = status["web"]["certificate"].as_str().unwrap_or_default();
        Served {
            pin: pin.to_owned(),
            wsm,
            address,
            scheme,
        }
    }

    fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// A token of `who`.
    fn token(&self, who: &Persona, scope: &str) -> String {
        let args = ["token", "new", "test", "--scope", scope, "-q"];
        self.wsm.wsm_as(who, &args).ok().text().to_owned()
    }

    /// A browser that shows this host by its name, or as `localhost` where no TLS is.
    fn browser(&self) -> Browser {
        let name = match self.scheme {
            "https" => "wsm.test",
            _ => "localhost",
        };
        let url = format!("{}://{name}:{}", self.scheme, self.address.port());
        Browser::open(&url, self.address)
    }

    /// One that came in with a token.
    fn signed_in(&self, token: &str, device: &str) -> Browser {
        let browser = self.browser();
        let entered = browser.post(
            "/v1/session",
            json!({"token": token, "device_name": device}),
        );
        assert_eq!(entered.ok()["device"]["name"], device);
        browser
    }

    /// Rows of the journal with this verb, as root sees them.
    fn rows(&self, verb: &str) -> Vec<Value> {
        let told = self.wsm.wsm(&["audit", "query", "--verb", verb, "--json"]);
        let row = |line: &str| serde_json::from_str(line).expect("a row");
        told.ok().stdout.lines().map(row).collect()
    }

    /// `wsm --host https://… args` with a token, by an account that has nothing to do with it.
    fn command(&self, who: &Persona, token: &str, args: &[&str]) -> Command {
        let mut command = who.command(instance::program("wsm"));
        command.env("WSM_TOKEN", token).env("WSM_HOST", self.url());
        if !self.pin.is_empty() {
            command.env("WSM_HOST_CERT", &self.pin);
        }
        command.args(args);
        command
    }

    fn there(&self, who: &Persona, token: &str, args: &[&str]) -> Output {
        cli::run(self.command(who, token, args), b"")
    }

    /// Says this to the port, and hears what it answers until it closes or says no more.
    fn say(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).expect("it reads");
        stream
            .set_read_timeout(Some(Duration::from_secs(3)))
            .expect("a socket");
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..read]);
            if answer.windows(4).any(|end| end == b"\r\n\r\n") {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("it listens")
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[test]
fn every_verb_with_a_token() {
    let served = Served::start("");
    let (ann, eve) = (Persona::new("ann"), Persona::new("eve"));
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "far");
    let token = served.token(&ann, "own");
    // Whoever holds the token is its user, whatever account that is here.
    let there = |args: &[&str]| served.there(&eve, &token, args);
    let who = there(&["whoami", "--json"]).ok().json();
    assert_eq!(who["user"], ann.name());
    assert_eq!(who["address"], "127.0.0.1");
    for args in [
        &["status"][..],
        &["ls"],
        &["show", "far"],
        &["explain", "far"],
        &["ports", "far"],
        &["svc", "ls", "far"],
        &["capture", "far"],
        &["logs", "far"],
        &["diff", "far"],
        &["policy", "show", "far"],
        &["template", "ls"],
        &["doctor"],
        &["secret", "ls"],
        &["token", "ls"],
        &["stop", "far"],
        &["start", "far"],
        &[
            "wait",
            "far",
            "--until",
            "working,idle,blocked",
            "--timeout",
            "30s",
        ],
        &["pause", "far"],
        &["resume", "far"],
        &["restart", "far"],
        &["send", "far", "echo $((6*7))-typed"],
    ] {
        let _ = there(args).ok();
    }
    wait::until_true("what was typed", || {
        there(&["capture", "far"]).stdout.contains("42-typed")
    });
    let exec = ["exec", "far", "--", "sh", "-c", "cat; exit 7"];
    let big = vec![b'x'; 3 << 20];
    let ran = cli::run(served.command(&eve, &token, &exec), &big);
    assert_eq!((ran.code, ran.stdout.len()), (7, big.len()));
    let commit = "echo x >x && git add x && git commit -qm x && git rev-parse HEAD";
    let made = there(&["exec", "far", "--", "sh", "-c", commit]).ok();
    wait::until_true("the commit", || repo.commit_of("wsm/far") == made.text());
    let _ = there(&["merge", "far"]).ok();
    let path = repo.path().to_string_lossy();
    let _ = there(&["new", &path, "-d"]).fails(2);
    let _ = cli::run(served.command(&eve, &token, &["secret", "set", "k"]), b"v").fails(3);
    let _ = there(&["stop", "nobody"])
        .fails(4)
        .says(&format!("`wsm --host {} ls -a`", served.url()));
}

#[test]
fn a_token_reaches_no_further_than_it_says_and_no_longer() {
    let served = Served::start("");
    let (ann, eve) = (Persona::new("ann"), Persona::new("eve"));
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "far");
    let token = served.token(&ann, "own");
    let there = |args: &[&str]| served.there(&eve, &token, args);
    let view = served.token(&ann, "view");
    let seen = served.there(&eve, &view, &["ls", "-q"]).ok();
    assert_eq!(seen.stdout.lines().count(), 1);
    let _ = served
        .there(&eve, &view, &["stop", "far"])
        .fails(3)
        .says("scope");
    let mine = served.token(&eve, "own");
    assert_eq!(served.there(&eve, &mine, &["ls", "-q"]).ok().stdout, "");
    let _ = served.there(&eve, &mine, &["show", "far"]).fails(4);
    let id = there(&["whoami", "--json"]).json()["via"].to_string();
    let id = id.trim_matches('"').trim_start_matches("token:").to_owned();
    served.wsm.wsm_as(&ann, &["token", "rm", &id]).ok();
    let _ = there(&["ls"]).fails(3).says("token");
}

#[test]
fn who_the_server_is_and_who_we_are() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let token = served.token(&ann, "view");
    let run = |pin: Option<&str>, token: Option<&str>| {
        let mut command = ann.command(instance::program("wsm"));
        command.args(["--host", &served.url(), "ls"]);
        if let Some(pin) = pin {
            command.args(["--host-cert", pin]);
        }
        if let Some(token) = token {
            command.env("WSM_TOKEN", token);
        }
        cli::run(command, b"")
    };
    let pin = Some(served.pin.as_str());
    let _ = run(pin, Some(&token)).ok();
    // The system does not know a certificate of our own; another one is not pinned.
    let _ = run(None, Some(&token)).fails(6).says("certificate");
    let wrong = format!("sha256:{}", "00".repeat(32));
    let _ = run(Some(&wrong), Some(&token)).fails(6).says(&served.pin);
    let _ = run(pin, None).fails(3).says("wsm_token");
    let _ = run(pin, Some("wsm_nothing")).fails(3).says("not good");
    let _ = run(pin, Some("a b")).fails(2);
    // A file of one's own, and of nobody else's.
    let hosts = ann.home().join(".config/wsm/hosts.toml");
    let mut write = ann.command("sh");
    let text = format!(
        "[\"{}\"]\ntoken = \"{token}\"\ncertificate = \"{}\"",
        served.url(),
        served.pin
    );
    let script = "mkdir -p ~/.config/wsm && umask 077 && printf '%s\\n' \"$1\" >\"$2\"";
    write.args(["-c", script, "sh", &text]).arg(&hosts);
    cli::run(write, b"").ok();
    let _ = run(None, None).ok();
    let mut open = ann.command("chmod");
    open.arg("644").arg(&hosts);
    cli::run(open, b"").ok();
    let _ = run(None, None).fails(2).says("chmod 600");
}

#[test]
fn an_attachment_comes_back_over_the_network() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "kept");
    let token = served.token(&ann, "own");
    let attach = served.command(&ann, &token, &["attach", "kept"]);
    let term = Term::start(&attach, 100, 24);
    term.wait_for("$");
    term.line("echo one-$((6*7))");
    term.wait_for("one-42");
    served.wsm.kill(&[Part::Daemon]);
    served.wsm.recover(&[Part::Daemon]);
    served
        .wsm
        .wsm(&["send", "kept", "echo mean-$((6*7))-while"])
        .ok();
    let screen = term.wait_for("mean-42-while");
    assert_eq!(screen.matches("one-42").count(), 1, "{screen}");
    served.wsm.down();
    term.wait_for("trying again");
    served.wsm.up();
    wait::until_true("the picture", || !term.screen().contains("trying again"));
    term.line("echo again-$((6*7))");
    let screen = term.wait_for("again-42");
    assert!(!screen.contains("trying again"), "{screen}");
    // A token that ends, ends what it opened at the next connection.
    let id = served.wsm.wsm_as(&ann, &["token", "ls", "-q"]).ok();
    served.wsm.wsm_as(&ann, &["token", "rm", id.text()]).ok();
    served.wsm.kill(&[Part::Daemon]);
    served.wsm.recover(&[Part::Daemon]);
    assert_eq!(term.wait_end(), 3, "{}", term.screen());
}

//! A person's browser, as far as wsm can tell: cookies, origins, WebSockets; over TLS or without.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Python speaks TLS and has a cookie's rules in few lines.
const BROWSER: &str = include_str!("browser.py");

/// A browser; ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u64,
    /// JSON.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Panics
    /// It is none.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }
}

impl Browser {
    /// One that shows `url`, whose name leads to `address`.
    ///
    /// # Panics
    /// There is no Python.
    #[must_use]
    pub fn open(url: &str, address: SocketAddr) -> Browser {
        let mut child = Command::new("python3")
            .args(["-c", BROWSER, url, &address.ip().to_string()])
            .arg(address.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let orders = child.stdin.take().expect("asked for a pipe");
        let answers = BufReader::new(child.stdout.take().expect("asked for a pipe"));
        Browser {
            child,
            pipes: RefCell::new((orders, answers)),
        }
    }

    fn order(&self, order: &Value) -> Value {
        let mut pipes = self.pipes.borrow_mut();
        let line = format!("{order}\n");
        pipes.0.write_all(line.as_bytes()).expect("it reads");
        let mut answer = String::new();
        pipes.1.read_line(&mut answer).expect("it answers");
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("it ended at {order}"))
    }

    /// A request of a page of the same origin, but for `headers` (null leaves one out).
    pub fn ask(&self, method: &str, path: &str, body: Value, headers: Value) -> Answer {
        let order = json!({"do": "ask", "method": method, "path": path, "body": body,
            "headers": headers});
        let told = self.order(&order);
        Answer {
            status: told["status"].as_u64().expect("a status"),
            body: told["body"].clone(),
        }
    }

    /// `GET`.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null, json!({}))
    }

    /// `POST` of a document.
    #[must_use]
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, body, json!({}))
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, Value::Null, json!({}))
    }

    /// Opens the main terminal of an agent in a WebSocket; the status.
    #[must_use]
    pub fn attach(&self, agent: &str, headers: Value) -> u64 {
        let path = format!("/v1/agents/{agent}/attach");
        let told = self.order(&json!({"do": "attach", "path": path, "headers": headers}));
        told["status"].as_u64().expect("a status")
    }

    /// The same, only to look.
    #[must_use]
    pub fn watch(&self, agent: &str) -> u64 {
        let path = format!("/v1/agents/{agent}/attach?read_only=true");
        let told = self.order(&json!({"do": "attach", "path": path, "read_only": true}));
        told["status"].as_u64().expect("a status")
    }

    /// Types into the terminal.
    pub fn type_text(&self, text: &str) {
        let _ = self.order(&json!({"do": "type", "text": text}));
    }

    /// Something about the lease: `request`, `release`, `take`, or `{"grant": {"to": USER}}`.
    pub fn lease(&self, act: Value) {
        let _ = self.order(&json!({"do": "lease", "act": act}));
    }

    /// Waits until the terminal has shown this.
    ///
    /// # Panics
    /// It does not.
    pub fn hears(&self, text: &str) {
        let told = self.order(&json!({"do": "hears", "text": text}));
        assert_eq!(told["is"], true, "{text:?} is not in {}", told["heard"]);
    }

    /// Waits until this browser has the keyboard, or has it no more.
    ///
    /// # Panics
    /// It is not so.
    pub fn holds(&self, yes: bool) {
        let told = self.order(&json!({"do": "holds", "yes": yes}));
        assert_eq!(told["is"], true, "{told}");
    }

    /// Waits until the WebSocket has ended, and tells how many seconds that took.
    ///
    /// # Panics
    /// It stands.
    pub fn ends(&self) -> f64 {
        let told = self.order(&json!({"do": "ends"}));
        assert_eq!(told["is"], true, "it stands");
        told["after"].as_f64().expect("seconds")
    }

    /// Whether the WebSocket still stands after this many seconds.
    #[must_use]
    pub fn stands(&self, seconds: f64) -> bool {
        self.order(&json!({"do": "ends", "within": seconds}))["is"] == false
    }

    /// Its cookies, as one header.
    #[must_use]
    pub fn cookies(&self) -> String {
        let told = self.order(&json!({"do": "jar"}));
        let jar = told["jar"].as_object().expect("a jar");
        let pair = |(name, value): (&String, &Value)| {
            format!("{name}={}", value.as_str().unwrap_or_default())
        };
        jar.iter().map(pair).collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

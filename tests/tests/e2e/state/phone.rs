//! A phone that is rung up by a push, and answers by its notification: Chromium of that size, with
//! wsm's own pages (`mobile-pwa/e2e/rung.mjs`).

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};
use wsm_api::question::Question;

use crate::credentials::World;

/// Ends when it is dropped.
pub(crate) struct Phone {
    child: Child,
    pipes: RefCell<(Option<ChildStdin>, BufReader<ChildStdout>)>,
}

impl Drop for Phone {
    fn drop(&mut self) {
        // It closes its browser when nothing more is asked of it.
        drop(self.pipes.get_mut().0.take());
        self.child.wait().expect("a child of ours");
    }
}

impl Phone {
    /// Root's, who has wsm served to it and lets it be rung up.
    pub(crate) fn of(world: &World) -> Phone {
        let (wsm, root) = (&world.wsm, world.wsm.root());
        let dir = root.home().join("phone");
        fs::create_dir(&dir).expect("a new directory");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mobile-pwa/e2e/rung.mjs");
        let mut node = root.command("node");
        node.arg(program).arg(&dir);
        node.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node runs");
        let orders = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let phone = Phone {
            child,
            pipes: RefCell::new((Some(orders), answers)),
        };
        let told = phone.answer("its service");
        let text = |key: &str| told[key].as_str().expect("a text").to_owned();

        let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = probe.local_addr().expect("it is bound");
        drop(probe);
        let config = wsm.dir().join("etc/config.toml");
        let before = fs::read_to_string(&config).expect("it is there");
        let web =
            format!("[web]\nlisten = \"{address}\"\nnames = [\"localhost\"]\ntls = \"off\"\n");
        fs::write(&config, format!("{before}\n{web}{}", text("config"))).expect("root writes");
        wsm.trust(&(world.authority() + &text("authority")));
        wsm.wsm(&["notify", "rules", "--dwell", "1s", "--cooldown", "1s"])
            .ok();
        let token = wsm.wsm(&["token", "new", "phone", "--scope", "own", "-q"]);
        let url = format!("http://localhost:{}", address.port());
        phone.order(json!({"do": "come", "url": url, "token": token.ok().text()}));
        phone
    }

    fn answer(&self, what: &str) -> Value {
        let mut line = String::new();
        let mut pipes = self.pipes.borrow_mut();
        pipes.1.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the phone ended at {what}"))
    }

    fn order(&self, order: Value) -> Value {
        let line = format!("{order}\n");
        let mut pipes = self.pipes.borrow_mut();
        let orders = pipes.0.as_mut().expect("it is open");
        orders.write_all(line.as_bytes()).expect("it reads");
        drop(pipes);
        self.answer(&line)
    }

    /// Says yes by the notification: at once where that shows all of the question, else on the page
    /// that it opens.
    pub(crate) fn approve(&self, agent: &str, question: &Question) {
        let order = json!({"do": "approve", "agent": agent, "question": question.id});
        let told = self.order(order);
        let body = told["body"].as_str().expect("a text");
        let whole = question.diff.is_empty() && body.contains(&question.command);
        assert_eq!(told["by"] == "button", whole, "{told} {question:?}");
        self.order(json!({"do": "over", "agent": agent, "body": "answered by root"}));
    }
}

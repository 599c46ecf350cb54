//! The live feed, as a browser follows it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use serde_json::Value;
use wsm_tests::instance::Part;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::wait::PATIENCE;

use super::Served;

/// One event.
#[derive(Debug, Clone)]
struct Said {
    name: String,
    id: u64,
    data: Value,
}

/// A feed that is being read.
struct Feed {
    curl: Child,
    said: Receiver<Said>,
}

impl Feed {
    /// Follows it with these further arguments of curl.
    fn open(mut curl: Command, more: &[&str]) -> Feed {
        curl.args(["-sSN", "--fail"]).args(more);
        curl.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut curl = curl.spawn().expect("curl starts");
        let lines = BufReader::new(curl.stdout.take().expect("a pipe")).lines();
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let (mut name, mut id) = (String::new(), 0);
            for line in lines.map_while(Result::ok) {
                let Some((key, value)) = line.split_once(": ") else {
                    continue;
                };
                match key {
                    "event" => name = value.to_owned(),
                    "id" => id = value.parse().expect("a number"),
                    "data" => {
                        let data = serde_json::from_str(value).expect("JSON");
                        let name = std::mem::take(&mut name);
                        if sender.send(Said { name, id, data }).is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
        Feed { curl, said }
    }

    /// By the Unix socket, as `who`.
    fn here(served: &Served, who: &Persona) -> Feed {
        let mut curl = who.command("curl");
        let socket = served.wsm.dir().join("run/wsm.sock");
        curl.arg("--unix-socket").arg(socket);
        Feed::open(curl, &["http://wsm/v1/feed"])
    }

    /// Over the network, with a token.
    fn there(served: &Served, token: &str, more: &[&str]) -> Feed {
        let bearer = format!("Authorization: Bearer {token}");
        let url = format!("{}/v1/feed", served.url());
        let mut args = vec!["-k", "-H", &bearer, &url];
        args.extend(more);
        Feed::open(Command::new("curl"), &args)
    }

    /// The first event that is meant; those before it are passed over.
    fn next(&self, what: &str, meant: impl Fn(&Said) -> bool) -> Said {
        let end = Instant::now() + PATIENCE;
        let mut passed = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(said) if meant(&said) => return said,
                Ok(said) => passed.push(said),
                Err(why) => panic!("no {what}: {why}; before it: {passed:#?}"),
            }
        }
    }

    /// Waits until it ends; what was said meanwhile.
    fn end(mut self) -> Vec<Said> {
        let mut rest = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(said) => rest.push(said),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it goes on: {rest:?}"),
            }
        }
        self.curl.wait().expect("our child");
        rest
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.curl.kill());
        drop(self.curl.wait());
    }
}

fn journal(verb: &str) -> impl Fn(&Said) -> bool {
    move |said| said.name == "journal" && said.data["verb"] == verb
}

fn state(name: &str, state: &str) -> impl Fn(&Said) -> bool {
    let (name, state) = (name.to_owned(), state.to_owned());
    move |said| said.name == "agent" && said.data["name"] == *name && said.data["state"] == *state
}

#[test]
fn each_sees_what_it_may_as_it_happens() {
    let served = Served::start("");
    let (ann, bob) = (Persona::new("ann"), Persona::new("bob"));
    let repo = Repo::small(&ann, "project");
    let agent = served.wsm.new_agent_as(&ann, &repo, "shell", "near");
    let id = agent.id.as_str();
    let anns = Feed::here(&served, &ann);
    let bobs = Feed::there(&served, &served.token(&bob, "own"), &[]);
    let first = anns.next("list", |said| said.name == "agents");
    assert_eq!(first.data[0]["id"], *id);
    assert_eq!(first.data.as_array().map(Vec::len), Some(1));
    let none = bobs.next("list", |said| said.name == "agents");
    assert_eq!(none.data.as_array().map(Vec::len), Some(0));

    served.wsm.wsm_as(&ann, &["stop", "near"]).ok();
    anns.next("stop", state("near", "stopped"));
    anns.next("row", journal("agent.state"));
    let share = ["share", "near", "--with", bob.name()];
    served.wsm.wsm_as(&ann, &share).ok();
    // It is there for bob from now on, with what is told of it, and nothing from before.
    let seen = bobs.next("the agent", |said| said.data["id"] == *id);
    assert_eq!(
        (&*seen.name, &seen.data["state"]),
        ("agent", &Value::from("stopped"))
    );
    served.wsm.wsm_as(&ann, &["start", "near"]).ok();
    bobs.next("start", state("near", "working"));
    let end = ["unshare", "near", "--with", bob.name()];
    served.wsm.wsm_as(&ann, &end).ok();
    let gone = bobs.next("its end", |said| said.name == "gone");
    assert_eq!(gone.data["id"], *id);

    served.wsm.wsm_as(&ann, &["rm", "near"]).ok();
    anns.next("trash", |said| said.name == "gone");
    served.wsm.wsm_as(&ann, &["rm", "--purge", "near"]).ok();
    anns.next("the last row", journal("agent.purged"));
    served.wsm.wsm_as(&ann, &["token", "new", "t", "-q"]).ok();
    anns.next("her own row", journal("token.made"));
    drop(anns);
    let said: Vec<_> = bobs.said.try_iter().collect();
    assert!(said.is_empty(), "bob was told of what is not his: {said:?}");
}

#[test]
fn it_goes_on_where_it_was_and_ends_with_the_way_in() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "kept");
    let token = served.token(&ann, "own");
    let feed = Feed::there(&served, &token, &[]);
    feed.next("list", |said| said.name == "agents");
    served.wsm.wsm_as(&ann, &["pause", "kept"]).ok();
    let last = feed.next("pause", journal("agent.state")).id;
    drop(feed);
    served.wsm.wsm_as(&ann, &["resume", "kept"]).ok();
    served.wsm.kill_and_recover(&[Part::Daemon]);
    let header = format!("Last-Event-ID: {last}");
    let feed = Feed::there(&served, &token, &["-H", &header]);
    let first = feed.next("list", |said| said.name == "agents");
    assert_eq!(first.id, last);
    let row = feed.next("what was missed", |said| said.name == "journal");
    assert!(row.id > last);
    assert_eq!(row.data["verb"], "agent.state", "{row:?}");

    let id = served.wsm.wsm_as(&ann, &["token", "ls", "-q"]).ok();
    let id = id.text().lines().next().expect("one").to_owned();
    served.wsm.wsm_as(&ann, &["token", "rm", &id]).ok();
    feed.end();
    let mut refused = Command::new("curl");
    refused.args(["-sk", "-o", "/dev/null", "-w", "%{http_code}"]);
    refused.arg(format!("{}/v1/feed", served.url()));
    assert_eq!(wsm_tests::cli::run(refused, b"").text(), "401");
}

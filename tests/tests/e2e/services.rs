//! Services and ports: the same inside, leased outside, watched, restarted, given back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use wsm_api::service::ServiceState;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

/// A page server that says who it is; python3 is on every Debian with our packages.
const WEB: &str = r#"schema = 1
name = "web"
description = "A page on a port"
[agent]
kind = "shell"
wait_for = ["web"]
[services.web]
command = ["python3", "-u", "-m", "http.server", "{port.web}", "--bind", "127.0.0.1"]
restart = "always"
ready = { http = "web", timeout = "20s" }
[ports]
web = { inside = 8000, protocol = "http" }
"#;

/// Fetches `path` by a connection of our own, as a browser on the host would.
pub(crate) fn fetch(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn outside(wsm: &Instance, name: &str) -> u16 {
    let agent = wsm.agent(name);
    agent
        .ports
        .iter()
        .find_map(|port| port.outside)
        .unwrap_or_else(|| panic!("{agent:?}"))
}

#[test]
fn three_agents_with_the_same_inside_port() {
    let wsm = Instance::start();
    wsm.host_template("web", WEB);
    let repo = Repo::small(wsm.root(), "project");
    let names = ["one", "two", "three"];
    for name in names {
        wsm.new_agent(&repo, "web", name);
        wsm.inside(name, &format!("echo 'I am {name}' >who.txt"))
            .ok();
    }
    let mut ports: Vec<_> = names.map(|name| outside(&wsm, name)).into();
    for (name, port) in names.into_iter().zip(&ports) {
        let page = fetch(*port, "/who.txt").expect("the leased port answers");
        assert!(page.ends_with(&format!("I am {name}\n")), "{page}");
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3, "each has a port of its own");

    let listed = wsm.wsm(&["ports", "--json"]).ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(3), "{listed}");
    assert_eq!(listed[0]["ports"][0]["inside"], 8000);

    let port = outside(&wsm, "two");
    wsm.wsm(&["stop", "two"]).ok();
    wait::until_true("the port to be given back", || fetch(port, "/").is_err());
    assert!(
        fetch(outside(&wsm, "one"), "/who.txt").is_ok(),
        "the neighbour is not touched"
    );
    wsm.wsm(&["start", "two"]).ok();
    wsm.wait_state("two", "working,idle");
    assert_eq!(
        outside(&wsm, "two"),
        port,
        "links stay valid over a restart"
    );
    assert!(fetch(port, "/who.txt").is_ok());
}

#[test]
fn service_that_dies_is_started_again() {
    let wsm = Instance::start();
    wsm.host_template("web", WEB);
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "web", "served");
    wsm.inside("served", "pkill -KILL -f '[h]ttp.server'").ok();
    let back = || {
        let agent = wsm.agent("served");
        agent
            .services
            .iter()
            .any(|s| s.restarts >= 1 && s.state == ServiceState::Ready)
    };
    wait::until_true("the service to be back", back);
    assert!(fetch(outside(&wsm, "served"), "/").is_ok());
    let log = wsm.wsm(&["logs", "served", "web"]).ok().stdout;
    assert!(log.contains("GET /"), "{log}");

    wsm.wsm(&["svc", "stop", "served", "web"]).ok();
    wait::until_true("the service to end", || {
        wsm.agent("served").services[0].state == ServiceState::Stopped
    });
    wsm.wsm(&["svc", "start", "served", "web"]).ok();
    wait::until_true("the service to be ready", || {
        wsm.agent("served").services[0].state == ServiceState::Ready
    });
}

#[test]
fn service_that_never_becomes_ready_fails_the_agent_with_its_words() {
    let wsm = Instance::start();
    let broken = WEB
        .replace("name = \"web\"\n", "name = \"broken\"\n")
        .replace(
            r#""python3", "-u", "-m", "http.server", "{port.web}", "--bind", "127.0.0.1""#,
            r#""sh", "-c", "echo the flux is low >&2; exit 3""#,
        )
        .replace("restart = \"always\"", "restart = \"never\"");
    wsm.host_template("broken", &broken);
    let repo = Repo::small(wsm.root(), "project");
    let path = repo.path().to_string_lossy();
    let args = [
        "new",
        &path,
        "--template",
        "broken",
        "--name",
        "sad",
        "--detach",
        "--no-input",
    ];
    let failed = wsm.wsm(&args).fails(1);
    wsm.remember_agents();
    assert!(failed.stderr.contains("web"), "{failed}");
    let agent = wsm.agent("sad");
    assert_eq!(agent.state.as_str(), "failed", "{agent:?}");
    let log = wsm.wsm(&["logs", "sad", "web"]).ok().stdout;
    assert!(log.contains("the flux is low"), "{log}");
}

#[test]
fn order_init_and_variables() {
    let wsm = Instance::start();
    wsm.host_template(
        "ordered",
        r#"schema = 1
name = "ordered"
description = "Two services, one after the other"
[agent]
kind = "shell"
wait_for = ["second"]
[env]
WEB_URL = "{url.web}"
[services.first]
init = ["sh", "-c", "date +%s%N >{state}/made"]
command = ["sh", "-c", "test -f {state}/made && touch {workspace}/first && exec sleep 1000"]
ready = { exec = ["test", "-f", "first"], timeout = "20s" }
[services.second]
depends_on = ["first"]
command = ["sh", "-c", "test -f {workspace}/first && echo at last && exec sleep 1000"]
ready = { log = "at last", timeout = "20s" }
[ports]
web = { inside = 3000, protocol = "http" }
"#,
    );
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "ordered", "orderly");
    assert!(
        agent
            .services
            .iter()
            .all(|s| s.state == ServiceState::Ready),
        "{agent:?}"
    );
    let url = wsm.inside("orderly", "echo $WEB_URL").ok();
    assert_eq!(url.text(), agent.ports[0].url);

    let made = wsm
        .inside("orderly", "cat /var/lib/agent/first/made")
        .ok()
        .stdout;
    wsm.wsm(&["restart", "orderly"]).ok();
    wsm.wait_state("orderly", "working,idle");
    let again = wsm
        .inside("orderly", "cat /var/lib/agent/first/made")
        .ok()
        .stdout;
    assert_eq!(made, again, "init runs once");
}

#[test]
fn taken_port_is_a_clear_error() {
    let wsm = Instance::start();
    wsm.host_template("web", WEB);
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "web", "first");
    let port = outside(&wsm, "first");
    wsm.wsm(&["stop", "first"]).ok();
    let stranger = std::net::TcpListener::bind(("127.0.0.1", port)).expect("it was given back");
    let started = wsm.wsm(&["start", "first"]);
    let agent = wsm.wait_state("first", "working,idle,failed");
    // Either another port is leased, or the error names the port; a stranger is never served.
    if agent.state.as_str() == "failed" {
        assert!(
            agent.reason.contains(&port.to_string()),
            "{agent:?} {started}"
        );
    } else {
        assert_ne!(outside(&wsm, "first"), port);
    }
    drop(stranger);
}

#[test]
fn agents_made_at_once_never_share_a_port() {
    let wsm = Instance::start();
    let ports = (0..8).map(|n| format!("p{n} = {{ inside = {} }}\n", 9000 + n));
    let text = format!(
        "schema = 1\nname = \"many\"\ndescription = \"x\"\n[agent]\nkind = \"shell\"\n[ports]\n{}",
        ports.collect::<String>()
    );
    wsm.host_template("many", &text);
    let repo = Repo::small(wsm.root(), "project");
    let path = repo.path().to_string_lossy().into_owned();
    let begin = |n: usize| {
        let name = format!("at-once-{n}");
        let args = ["new", &path, "-t", "many", "--name", &name, "--detach"];
        let mut new = wsm.command(wsm.root(), &args);
        new.stdin(Stdio::null()).stdout(Stdio::null());
        new.spawn().expect("wsm starts")
    };
    let begun: Vec<_> = (0..6).map(begin).collect();
    for mut new in begun {
        assert!(new.wait().expect("our child").success());
    }
    wsm.remember_agents();
    let agents = wsm.list();
    let all: Vec<_> = agents
        .iter()
        .flat_map(|agent| agent.ports.iter().filter_map(|port| port.outside))
        .collect();
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (48, 48), "{agents:#?}");
    assert_eq!(wsm.end(), Vec::<String>::new());
}

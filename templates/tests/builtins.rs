//! The built-in templates, the starter, and the generated documents.

use std::collections::BTreeMap;
use std::path::Path;

use insta::assert_snapshot;
use wsm_template::Request;
use wsm_template::Source;
use wsm_template::Sources;
use wsm_template::Vars;
use wsm_template::expand_all;
use wsm_template::init_text;
use wsm_template::list;
use wsm_template::resolve;
use wsm_template::resolved::Layer;
use wsm_template::schema;
use wsm_template::validate;
use wsm_template::validate_text;

#[test]
fn every_builtin_resolves_without_trust() {
    for info in list(&Sources::default()) {
        let request = Request {
            template: info.name.clone(),
            ..Request::default()
        };
        let found = resolve(&Sources::default(), &request).unwrap_or_else(|p| panic!("{p}"));
        assert_eq!(found.trust, None);
        assert_eq!(found.warnings, []);
        assert!(!found.resolved.agent.command.is_empty());
        assert!(info.valid && info.layer == Layer::Builtin && !info.description.is_empty());
    }
    let names: Vec<String> = list(&Sources::default())
        .into_iter()
        .map(|info| info.name)
        .collect();
    assert_snapshot!(names.join(" "), @"aider backend claude code-hosts codex data frontend gemini node opencode shell");
}

#[test]
fn the_backend_has_an_api_only_when_one_is_named() {
    let mut request = Request {
        template: "backend".to_owned(),
        ..Request::default()
    };
    let found = resolve(&Sources::default(), &request).unwrap().resolved;
    assert_eq!(found.services.keys().collect::<Vec<_>>(), ["db"]);
    assert_eq!(found.agent.wait_for, ["db"]);
    request.set = BTreeMap::from([("api".to_owned(), "npm run api".to_owned())]);
    let found = resolve(&Sources::default(), &request).unwrap().resolved;
    assert_eq!(found.agent.wait_for, ["db", "api"]);
    let vars = Vars {
        params: found.params.clone(),
        ports: BTreeMap::from([("db".to_owned(), 5432), ("api".to_owned(), 8000)]),
        state: Some("/var/lib/agent/db".to_owned()),
        ..Vars::default()
    };
    let argv = |name: &str| {
        expand_all(&found.services[name].command, &vars)
            .unwrap()
            .join(" ")
    };
    assert_snapshot!(argv("db"), @"postgres -D /var/lib/agent/db/pg -p 5432 -h 127.0.0.1 -k /var/lib/agent/db");
    assert_snapshot!(argv("api"), @"bash -c npm run api");
}

#[test]
fn two_templates_work_together() {
    let text = "schema = 1\nextends = [\"frontend\", \"claude\"]".to_owned();
    let sources = Sources {
        user: vec![Source {
            file: "web.toml".to_owned(),
            text,
        }],
        ..Sources::default()
    };
    let request = Request {
        template: "web".to_owned(),
        ..Request::default()
    };
    let found = resolve(&sources, &request).unwrap().resolved;
    assert_eq!(found.agent.command, ["claude"]);
    assert!(found.services.contains_key("web"));
}

#[test]
fn the_starter_is_valid_as_it_stands() {
    let source = Source {
        file: "mine.toml".to_owned(),
        text: init_text("mine"),
    };
    assert_eq!(
        validate_text(&Sources::default(), Layer::User, source.clone()),
        []
    );
    // Also with everything that it only suggests.
    let text = source
        .text
        .replace("\n# [", "\n[")
        .replace("\n# web =", "\nweb =");
    let text = text
        .replace("\n# command", "\ncommand")
        .replace("\n# ready", "\nready");
    let text = text
        .replace("\n# memory", "\nmemory")
        .replace("\n# NODE", "\nNODE");
    let uncommented = Source { text, ..source };
    assert_eq!(
        validate_text(&Sources::default(), Layer::User, uncommented),
        []
    );
}

#[test]
fn a_text_takes_the_place_of_the_file_it_will_replace() {
    let old = Source {
        file: "mine.toml".to_owned(),
        text: "schema = 7".to_owned(),
    };
    let sources = Sources {
        user: vec![old.clone()],
        ..Sources::default()
    };
    assert_eq!(validate(&sources, "mine").len(), 1);
    let new = Source {
        text: "schema = 1".to_owned(),
        ..old
    };
    assert_eq!(validate_text(&sources, Layer::User, new), []);
}

/// The whole example of the design, without what is not available yet.
#[test]
fn the_example_of_the_design_resolves() {
    let text = r#"
schema = 1
name = "example"
description = "Vite dev server with a database"
extends = ["node"]
[params.task]
type = "string"
default = ""
[workspace]
branch = "wsm/{agent}"
base = "HEAD"
copy = [".env.local"]
setup = ["npm ci --prefer-offline"]
teardown = []
[agent]
kind = "claude"
command = ["claude"]
prompt = "{param.task}"
wait_for = ["db"]
restart = "never"
[env]
NODE_ENV = "development"
[files]
"~/.npmrc" = "fund=false\n"
[services.db]
command = ["postgres", "-D", "{state}/pg", "-p", "{port.db}"]
init = ["initdb", "-D", "{state}/pg"]
depends_on = []
restart = "on-failure"
ready  = { tcp = "db", timeout = "30s" }
health = { exec = ["pg_isready", "-p", "{port.db}"], interval = "10s", failures = 3 }
stop   = { signal = "INT", grace = "10s" }
limits = { memory = "1G" }
[ports]
web = { inside = 5173, protocol = "http" }
db = { inside = 5432, publish = false }
[filesystem]
read = ["/opt/sdk"]
write = []
[network]
egress = "none"
[limits]
cpu = 2.0
memory = "4G"
pids = 512
disk = "20G"
[sandbox]
landlock = "required"
"#;
    let source = Source {
        file: "x.toml".to_owned(),
        text: text.to_owned(),
    };
    let sources = Sources {
        host: vec![source],
        ..Sources::default()
    };
    let request = Request {
        template: "example".to_owned(),
        ..Request::default()
    };
    let found = resolve(&sources, &request)
        .unwrap_or_else(|p| panic!("{p}"))
        .resolved;
    assert_eq!(found.limits.cpu_milli, Some(2000));
    assert_eq!(found.services["db"].limits.memory_bytes, Some(1 << 30));
    assert_eq!(found.provenance["services.db.health.exec"].line, 31);
}

/// Compares a generated document with the committed one; `WSM_UPDATE=1` rewrites it.
fn generated(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(file);
    if std::env::var_os("WSM_UPDATE").is_some() {
        std::fs::write(&path, text).expect("docs/ can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is out of date: run with WSM_UPDATE=1",
        path.display()
    );
}

#[test]
fn the_documents_are_up_to_date() {
    generated("template.schema.json", &schema::json());
    generated("templates.md", &schema::markdown());
}

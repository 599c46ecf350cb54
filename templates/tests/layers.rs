//! Layers: who wins, who may, and what needs consent.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use proptest::prelude::*;
use wsm_template::Request;
use wsm_template::Resolution;
use wsm_template::Source;
use wsm_template::Sources;
use wsm_template::list;
use wsm_template::resolve;
use wsm_template::resolved::Check;
use wsm_template::resolved::Layer;
use wsm_template::resolved::Limits;

fn source(file: &str, text: &str) -> Source {
    Source {
        file: file.to_owned(),
        text: format!("schema = 1\n{text}"),
    }
}

fn request(template: &str) -> Request {
    Request {
        template: template.to_owned(),
        ..Request::default()
    }
}

fn resolved(sources: &Sources, template: &str) -> Resolution {
    resolve(sources, &request(template)).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a_later_layer_wins_and_the_value_knows_it() {
    let sources = Sources {
        host: vec![source(
            "/etc/wsm/templates/node.toml",
            "env.NODE_ENV = \"host\"\nenv.HOST = \"1\"",
        )],
        user: vec![source(
            "u/frontend.toml",
            "env.NODE_ENV = \"user\"\nports.web.inside = 3000",
        )],
        ..Sources::default()
    };
    let found = resolved(&sources, "frontend").resolved;
    assert_eq!(found.env["NODE_ENV"], "user");
    assert_eq!(found.env["HOST"], "1");
    assert_eq!(found.ports["web"].inside, 3000);
    assert_eq!(found.description, "A Vite dev server on a port of its own");
    let origin = &found.provenance["ports.web.inside"];
    assert_eq!(
        (origin.layer, origin.file.as_str(), origin.line),
        (Layer::User, "u/frontend.toml", 3)
    );
    assert_eq!(
        found.provenance["services.web.command"].file,
        "builtin:frontend"
    );
    assert_eq!(found.provenance["env.HOST"].layer, Layer::Host);
    assert_eq!(found.provenance["files.\"~/.npmrc\""].file, "builtin:node");
}

#[test]
fn parents_come_first_and_arrays_replace() {
    let sources = Sources {
        user: vec![
            source(
                "a.toml",
                "workspace.copy = [\"a\"]\nenv.A = \"a\"\nenv.X = \"a\"",
            ),
            source(
                "b.toml",
                "workspace.copy = [\"b\"]\nenv.B = \"b\"\nenv.X = \"b\"",
            ),
            source("c.toml", "extends = [\"a\", \"b\"]\nenv.C = \"c\""),
        ],
        ..Sources::default()
    };
    let found = resolved(&sources, "c").resolved;
    assert_eq!(found.workspace.copy, ["b"]);
    let env: Vec<(&str, &str)> = found
        .env
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(env, [("A", "a"), ("B", "b"), ("C", "c"), ("X", "b")]);
}

#[test]
fn another_check_replaces_the_inherited_one() {
    let sources = Sources {
        user: vec![source("frontend.toml", "services.web.ready.tcp = \"web\"")],
        ..Sources::default()
    };
    let ready = resolved(&sources, "frontend").resolved.services["web"]
        .ready
        .clone();
    let ready = ready.expect("the service has a probe");
    assert_eq!(
        ready.check,
        Check::Tcp {
            port: "web".to_owned()
        }
    );
    assert_eq!(ready.timeout.as_secs(), 60);
}

#[test]
fn circles_of_templates_are_told() {
    let sources = Sources {
        user: vec![
            source("a.toml", "extends = [\"b\"]"),
            source("b.toml", "extends = [\"a\"]"),
        ],
        ..Sources::default()
    };
    let found = resolve(&sources, &request("a")).unwrap_err();
    assert_snapshot!(found.to_string(), @r#"
    b.toml:2: extends: extends itself: a -> b -> a
      hint: a file builds on the same name in lower layers without saying so
    "#);
}

#[test]
fn a_repository_may_narrow_and_never_widen() {
    let above = Source {
        file: "u/t.toml".to_owned(),
        text: "schema = 1\nlimits = { memory = \"4G\", cpu = 2 }\nports.db = { inside = 5432, publish = false }\n\
               filesystem = { read = [\"/opt/sdk\"], write = [\"/srv/data\"] }\n"
            .to_owned(),
    };
    let with = |text: &str| Sources {
        user: vec![above.clone()],
        repository: vec![source(".wsm/t.toml", text)],
        default_limits: Limits {
            pids: Some(512),
            ..Limits::default()
        },
        ..Sources::default()
    };
    let narrower = "limits = { memory = \"1G\", cpu = 0.5, pids = 100 }\n\
                    filesystem = { read = [\"/opt/sdk/bin\", \"/srv/data/x\"], write = [] }\n\
                    network.egress = \"none\"\nsandbox.landlock = \"required\"\nports.web.inside = 3000\n";
    let found = resolved(&with(narrower), "t");
    assert_eq!(found.resolved.limits.memory_bytes, Some(1 << 30));
    assert_eq!(
        found.resolved.filesystem.read,
        ["/opt/sdk/bin", "/srv/data/x"]
    );
    assert_eq!(found.trust, None);

    let wider = "limits = { memory = \"5G\", cpu = 2.001, pids = 513 }\nports.db.publish = true\n\
                 filesystem = { read = [\"/opt/sdk2\"], write = [\"/opt/sdk\"] }\n\
                 network.egress = \"open\"\nsandbox.landlock = \"best-effort\"\n\
                 credentials.x.secret = \"y\"\n";
    let found = resolve(&with(wider), &request("t")).unwrap_err();
    let lines: Vec<String> = found
        .0
        .iter()
        .map(|p| format!("{}: {}", p.key, p.message))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    limits.cpu: is above the limit that holds without it
    limits.memory: is above the limit that holds without it
    limits.pids: is above the limit that holds without it
    ports.db.publish: would publish a port that is not published
    filesystem.read: "/opt/sdk2" is not granted by the layers above it
    filesystem.write: "/opt/sdk" is not granted by the layers above it
    network.egress: is more than "none"
    sandbox.landlock: is less than "required"
    credentials.x.secret: may not be set by a repository
    "#);
}

#[test]
fn a_repository_may_shorten_the_allow_list() {
    let with = |above: &str, below: &str| Sources {
        user: vec![source(
            "t.toml",
            &format!("extends = [\"shell\"]\n[network]\n{above}\n"),
        )],
        repository: vec![source(".wsm/t.toml", &format!("[network]\n{below}\n"))],
        ..Sources::default()
    };
    let list = "egress = \"allow\"\nallow = [\"a.example\", \"@npm\"]";
    let shorter = resolved(&with(list, "allow = [\"@npm\"]"), "t");
    assert_eq!(shorter.resolved.network.allow, ["@npm"]);
    let open = resolved(
        &with(
            "egress = \"open\"",
            "egress = \"allow\"\nallow = [\"b.example\"]",
        ),
        "t",
    );
    assert_eq!(open.resolved.network.allow, ["b.example"]);
    for wider in [
        "allow = [\"@npm\", \"b.example\"]",
        "allow = [\"*.a.example\"]",
        "egress = \"open\"",
        "expose.db = { host = \"127.0.0.1:5433\", at = 5433 }",
    ] {
        assert!(
            resolve(&with(list, wider), &request("t")).is_err(),
            "{wider}"
        );
    }
}

#[test]
fn a_repository_may_guard_more_and_use_less() {
    let with = |above: &str, below: &str| Sources {
        user: vec![source("t.toml", above)],
        repository: vec![source(".wsm/t.toml", below)],
        ..Sources::default()
    };
    let above = "filesystem.protect = [\".vscode/\"]\nfilesystem.hide = [\".env\"]\n\
                 tools.allow = [\"git\", \"node\"]\nsandbox.devices = [\"/dev/kvm\"]\nagent.kind = \"shell\"";
    for narrower in [
        "filesystem.protect = [\".vscode/\", \".mcp.json\"]",
        "filesystem.hide = [\".env\", \"keys\"]",
        "tools.allow = [\"git\"]",
        "sandbox.devices = []",
    ] {
        let found = resolve(&with(above, narrower), &request("t"));
        assert!(found.is_ok(), "{narrower}: {found:?}");
    }
    let first = "filesystem.protect = [\"a\"]\ntools.allow = [\"git\"]";
    assert!(resolve(&with("agent.kind = \"shell\"", first), &request("t")).is_ok());
    for wider in [
        "filesystem.protect = []",
        "filesystem.protect = [\".vscode\"]",
        "filesystem.hide = [\"keys\"]",
        "tools.allow = [\"git\", \"curl\"]",
        "sandbox.devices = [\"/dev/kvm\", \"/dev/fuse\"]",
        "sandbox.debug = true",
    ] {
        assert!(
            resolve(&with(above, wider), &request("t")).is_err(),
            "{wider}"
        );
    }
    let nothing = with("agent.kind = \"shell\"", "sandbox.devices = [\"/dev/kvm\"]");
    assert!(resolve(&nothing, &request("t")).is_err());
}

#[test]
fn what_a_template_says_of_rights_must_fit_together() {
    let text = "agent.command = [\"node\"]\nagent.kind = \"command\"\ntools.allow = [\"git\"]\n\
                services.db = { command = [\"postgres\"], ready = { exec = [\"sh\", \"-c\", \"x\"] } }\n\
                filesystem.read = [\"/opt/sdk\"]\nfilesystem.protect = [\"/opt/sdk/a\"]\n\
                filesystem.hide = [\"/opt/sdk/key\", \"/opt/other\"]";
    let sources = Sources {
        user: vec![source("t.toml", text)],
        ..Sources::default()
    };
    let found = resolve(&sources, &request("t")).unwrap_err().to_string();
    assert_snapshot!(found, @r#"
    t.toml:4: tools.allow: "node" is started by agent.command
      hint: add it to the list
    t.toml:4: tools.allow: "postgres" is started by services.db.command
      hint: add it to the list
    t.toml:7: filesystem.protect: "/opt/sdk/a" is not shown to the agent
      hint: name it below the workspace, or below a directory of this table
    t.toml:8: filesystem.hide: "/opt/other" is not shown to the agent
      hint: name it below the workspace, or below a directory of this table
    "#);
}

#[test]
fn what_a_repository_would_run_needs_consent_again_on_change() {
    let with = |setup: &str| Sources {
        repository: vec![source(
            ".wsm/app.toml",
            &format!(
                "extends = [\"shell\"]\nworkspace.setup = [\"{setup}\"]\nworkspace.copy = [\".env\"]\n\
                 env.LD_PRELOAD = \"x\"\nports.web.inside = 3000\nworkspace.branch = \"app/{{agent}}\"\n\
                 services.web = {{ command = [\"sh\", \"-c\", \"a\\u001b\\u202e\"] }}"
            ),
        )],
        ..Sources::default()
    };
    let first = resolved(&with("make"), "app")
        .trust
        .expect("commands need trust");
    assert_snapshot!(first.what.join("\n"), @r#"
    env.LD_PRELOAD = "x"
    services.web.command = ["sh", "-c", "a\u{1b}\u{202e}"]
    workspace.copy = [".env"]
    workspace.setup = ["make"]
    "#);
    assert_eq!(resolved(&with("make"), "app").trust.as_ref(), Some(&first));
    let changed = resolved(&with("make all"), "app")
        .trust
        .expect("commands need trust");
    assert_ne!(changed.digest, first.digest);
    // The same text in the user's own layer is the user's own.
    let own = Sources {
        user: with("make").repository,
        ..Sources::default()
    };
    assert_eq!(resolved(&own, "app").trust, None);
}

#[test]
fn rights_that_a_repository_draws_in_by_extends_need_consent() {
    let sources = Sources {
        user: vec![source(
            "secret.toml",
            "filesystem.read = [\"/srv/secret\"]\nenv.KEY = \"s3cret\"\nagent.kind = \"claude\"",
        )],
        repository: vec![source(
            ".wsm/app.toml",
            "extends = [\"secret\", \"node\"]\nagent.kind = \"shell\"",
        )],
        ..Sources::default()
    };
    let trust = resolved(&sources, "app").trust.expect("rights need trust");
    assert_snapshot!(trust.what.join("\n"), @r#"
    agent.kind = "shell"
    extends "secret": env.KEY
    extends "secret": filesystem.read = ["/srv/secret"]
    "#);
    assert_eq!(resolved(&sources, "secret").trust, None);
    let sources = Sources {
        repository: vec![source(".wsm/app.toml", "extends = [\"gemini\"]\n")],
        ..Sources::default()
    };
    let trust = resolved(&sources, "app").trust.expect("a credential");
    assert_snapshot!(trust.what.join("\n"), @r#"
    extends "gemini": credentials.gemini.env = "GEMINI_API_KEY"
    extends "gemini": credentials.gemini.header = "x-goog-api-key"
    extends "gemini": credentials.gemini.hosts = ["generativelanguage.googleapis.com"]
    extends "gemini": credentials.gemini.prefix = "AIza"
    extends "gemini": credentials.gemini.secret = "gemini-api-key"
    extends "gemini": network.egress = "allow"
    "#);
}

#[test]
fn templates_of_others_do_not_stand_in_the_way() {
    let sources = Sources {
        repository: vec![source(".wsm/broken.toml", "agent = [")],
        ..Sources::default()
    };
    let found = resolved(&sources, "shell");
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(
        !list(&sources)
            .iter()
            .find(|info| info.name == "broken")
            .unwrap()
            .valid
    );
    assert!(resolve(&sources, &request("broken")).is_err());
}

#[test]
fn a_layer_has_a_bounded_number_of_files() {
    let files = |count: usize| Sources {
        repository: (0..count)
            .map(|n| source(&format!(".wsm/t{n}.toml"), ""))
            .collect(),
        ..Sources::default()
    };
    assert_eq!(
        resolved(&files(wsm_template::FILES_MAX), "t255").warnings,
        []
    );
    let past = resolved(&files(wsm_template::FILES_MAX + 1), "t255");
    assert_snapshot!(past.warnings[0].to_string(), @".wsm/t256.toml: left out: more than 256 templates in one place");
    let twice = Sources {
        host: vec![source("a/x.toml", ""), source("b/x.toml", "")],
        ..Sources::default()
    };
    let found = resolve(&twice, &request("x")).unwrap_err();
    assert_snapshot!(found.to_string(), @r#"
    b/x.toml: name: "x" is also in a/x.toml
      hint: give one of them another name
    "#);
}

#[test]
fn the_request_is_on_top_and_its_text_is_only_text() {
    let mut request = request("claude");
    request.prompt = Some("say {agent} and {nonsense}".to_owned());
    request.base = Some("v1.0".to_owned());
    request.set = BTreeMap::from([("task".to_owned(), "unused {x}".to_owned())]);
    let found = resolve(&Sources::default(), &request).unwrap().resolved;
    assert_eq!(found.workspace.base, "v1.0");
    assert_eq!(found.provenance["agent.prompt"].file, "--prompt");
    assert_eq!(found.provenance["params.task"].layer, Layer::Request);
    let vars = wsm_template::Vars {
        params: found.params.clone(),
        ..Default::default()
    };
    let argv = found.agent.argv(&vars, None).unwrap();
    assert_eq!(argv, ["claude", "say {agent} and {nonsense}"]);
    request.prompt = None;
    let found = resolve(&Sources::default(), &request).unwrap().resolved;
    assert_eq!(
        found.agent.argv(&vars, None).unwrap(),
        ["claude", "unused {x}"]
    );
}

fn maybe_limit() -> impl Strategy<Value = Option<u16>> {
    proptest::option::of(1..2000u16)
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("/(opt|srv)(/[ab]){0,3}", 0..4)
}

fn text(pids: Option<u16>, memory: Option<u16>, read: &[String], write: &[String]) -> String {
    let pids = pids.map_or(String::new(), |n| format!("limits.pids = {n}\n"));
    let memory = memory.map_or(String::new(), |n| format!("limits.memory = \"{n}M\"\n"));
    format!("{pids}{memory}filesystem.read = {read:?}\nfilesystem.write = {write:?}\n")
}

proptest! {
    #[test]
    fn no_repository_ever_widens(
        above in (maybe_limit(), maybe_limit(), paths(), paths()),
        below in (maybe_limit(), maybe_limit(), paths(), paths()),
        default in 1..2000u32,
    ) {
        let (pids, memory, read, write) = &above;
        let lower = source("t.toml", &text(*pids, *memory, read, write));
        let (repo_pids, repo_memory, repo_read, repo_write) = &below;
        let repository = source(".wsm/t.toml", &text(*repo_pids, *repo_memory, repo_read, repo_write));
        let sources = Sources {
            user: vec![lower],
            default_limits: Limits { pids: Some(default), ..Limits::default() },
            ..Sources::default()
        };
        let without = resolved(&sources, "t").resolved;
        let with = Sources { repository: vec![repository], ..sources };
        let Ok(found) = resolve(&with, &request("t")) else { return Ok(()) };
        let found = found.resolved;
        prop_assert!(found.limits.pids.unwrap_or(default) <= without.limits.pids.unwrap_or(default));
        if let Some(bound) = without.limits.memory_bytes {
            prop_assert!(found.limits.memory_bytes.is_some_and(|bytes| bytes <= bound));
        }
        let inside = |path: &str, granted: &[String]| {
            granted.iter().any(|g| path == g || path.starts_with(&format!("{g}/")))
        };
        for path in &found.filesystem.write {
            prop_assert!(inside(path, &without.filesystem.write));
        }
        for path in &found.filesystem.read {
            prop_assert!(inside(path, &without.filesystem.read) || inside(path, &without.filesystem.write));
        }
    }

    #[test]
    fn the_same_file_once_more_changes_nothing(values in (maybe_limit(), maybe_limit(), paths(), paths())) {
        let (pids, memory, read, write) = &values;
        let file = source("t.toml", &text(*pids, *memory, read, write));
        let once = Sources { host: vec![file.clone()], ..Sources::default() };
        let twice = Sources { user: vec![file], ..once.clone() };
        let mut first = resolved(&once, "t").resolved;
        let mut second = resolved(&twice, "t").resolved;
        first.provenance.clear();
        second.provenance.clear();
        prop_assert_eq!(first, second);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", keys in "([a-z.]{1,12} = (\\[\\]|1|\"\\{[a-z.]{0,9}\\}\")\n){0,8}") {
        for text in [text.clone(), keys.clone(), format!("schema = 1\n{keys}")] {
            let sources = Sources {
                repository: vec![Source { file: ".wsm/t.toml".to_owned(), text }],
                ..Sources::default()
            };
            list(&sources);
            drop(resolve(&sources, &request("t")));
        }
    }
}

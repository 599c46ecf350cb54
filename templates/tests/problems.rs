//! What a person is told about a bad template: every problem at once, with file, line and hint.

#[path = "shared/told.rs"]
mod told;

use insta::assert_snapshot;
use wsm_template::{Request, Source, Sources, resolve, validate};

use told::{problems, user};

/// A file with many faults.
const MANY_FAULTS: &str = r#"
schema = 1
nmae = "x"

[agent]
kind = "cloude"
comand = ["x"]
wait_for = ["bd"]

[workspace]
copy = ["../secret", "/etc/passwd", ".git/hooks"]
setup = ["echo \"{param.task}\"", "echo {prot.web}"]

[ports]
web = { inside = 80, protocol = "htpp" }
db = { inside = 5432, publish = false }
api = { inside = 5432 }

[services.db]
command = ["postgres", "-p", "{port.bd}", "{agnet}", "{url.db}"]
ready = { tcp = "bd", http = "web", timeout = "30" }
depends_on = ["web"]

[services.web]
depends_on = ["db"]
limits = { memory = "4GB" }

[env]
"BAD-NAME" = "{state}"

[limits]
cpu = "two"
memory = 4
"#;

#[test]
fn all_problems_come_at_once() {
    assert_snapshot!(problems(MANY_FAULTS), @r#"
    t.toml:3: nmae: unknown key
      hint: did you mean `name`?
    t.toml:6: agent.kind: unknown value "cloude"
      hint: did you mean `claude`?
    t.toml:7: agent.comand: unknown key
      hint: did you mean `command`?
    t.toml:8: agent.wait_for: there is no service "bd"
      hint: did you mean `db`?
    t.toml:11: workspace.copy: "../secret" has an empty, `.` or `..` part
      hint: write the path plainly
    t.toml:11: workspace.copy: ".git/hooks" is git's own
      hint: nothing may be put below .git
    t.toml:11: workspace.copy: "/etc/passwd" is not relative
      hint: write a path below the checkout
    t.toml:12: workspace.setup: "{param.task}" is not declared as a parameter
      hint: there is none
    t.toml:12: workspace.setup: "{prot.web}" is not a placeholder
      hint: did you mean `port`? Or write {{prot.web} for a literal brace
    t.toml:12: workspace.setup: placeholder {param.task} inside quotes
      hint: wsm quotes the value itself: let it stand as a word of its own
    t.toml:15: ports.web.inside: is out of range
      hint: write a number from 1024 to 65535
    t.toml:15: ports.web.protocol: unknown value "htpp"
      hint: did you mean `http`?
    t.toml:16: ports.db.inside: 5432 is also port "api"
      hint: give each port a number of its own
    t.toml:20: services.db.command: "{agnet}" is not a placeholder
      hint: did you mean `agent`? Or write {{agnet} for a literal brace
    t.toml:20: services.db.command: "{port.bd}" is not declared as a port
      hint: did you mean `db`?
    t.toml:20: services.db.command: "{url.db}" has no URL: the port is not published
      hint: remove `publish = false` of port db, or use {port.db}
    t.toml:21: services.db.ready: has more than one check: tcp, http
      hint: give exactly one of tcp, http, exec, log
    t.toml:21: services.db.ready.tcp: there is no port "bd"
      hint: did you mean `db`?
    t.toml:21: services.db.ready.timeout: "30" is not a duration
      hint: write a whole number and ms, s, m, h or d, such as "500ms" or "30s"
    t.toml:22: services.db.depends_on: services wait for each other: db -> web -> db
      hint: remove one of these dependencies
    t.toml:24: services.web.command: is missing
      hint: a service needs `command = ["…"]`
    t.toml:26: services.web.limits.memory: "4GB" is not a size
      hint: write a number and K, M, G or T (powers of 1024), such as "512M" or "1.5G"
    t.toml:29: env: "BAD-NAME" is not a variable name
      hint: use letters, digits and _, not beginning with a digit
    t.toml:29: env.BAD-NAME: "{state}" is a service's directory
      hint: it can only be used below [services]
    t.toml:32: limits.cpu: expected a number of cores, found string
      hint: write 2.0 or 0.5
    t.toml:33: limits.memory: expected a size, found integer
      hint: write a string such as "512M" or "4G"
    "#);
}

#[test]
fn features_that_do_not_exist_are_refused_by_name() {
    let text = r#"
schema = 1
[workspace]
warm = ["node_modules"]
[credentials.anthropic]
secret = "x"
hosts = ["a.example.com"]
header = "x-api-key"
visible = false
"#;
    let found = problems(text);
    assert_eq!(found.matches("not available yet").count(), 1, "{found}");
    assert_snapshot!(found
            .lines()
            .filter(|line| !line.contains("hint"))
            .collect::<Vec<_>>()
            .join("\n"), @r#"
    t.toml:4: workspace.warm: not available yet (copy-on-write directories)
    "#);
    // What asks for nothing is no request for the feature.
    let nothing =
        "schema = 1\nnetwork.egress = \"none\"\nworkspace.warm = []\nsandbox.debug = false\n";
    assert_eq!(validate(&user(nothing), "t"), []);
}

#[test]
fn what_a_kind_has_no_way_for_is_refused() {
    let text = r#"
schema = 1
[agent]
kind = "aider"
resume = true
model = "x"
permissions = "edits"
idle_stop = "4h"
[agent.mcp.a]
command = ["a"]
[agent.mcp.b]
command = ["b"]
url = "https://b.example.com"
"#;
    let found = problems(text);
    assert_snapshot!(found
            .lines()
            .filter(|line| !line.contains("hint"))
            .collect::<Vec<_>>()
            .join("\n"), @r#"
    t.toml:7: agent.permissions: an agent of kind `aider` has no way for this
    t.toml:10: agent.mcp: an agent of kind `aider` has no way for this
    t.toml:13: agent.mcp.b: needs either `command` or `url`
    "#);
    let claude = text
        .replace("aider", "claude")
        .replace("url = ", "env.URL = ");
    assert_eq!(validate(&user(&claude), "t"), []);
    let shell = "schema = 1\n[agent]\nmodel = \"x\"\nidle_stop = \"1h\"\n";
    assert!(problems(shell).contains("kind `shell`"));
}

#[test]
fn people_are_told_about_what_there_is() {
    let found = problems("schema = 1\nnotify.on = [\"blocked\", \"finishd\"]\n");
    assert!(found.contains("\"finishd\" is no event"), "{found}");
    assert!(found.contains("finished"), "{found}");
}

#[test]
fn a_network_that_means_nothing_is_a_problem() {
    let cases = [
        "schema = 1\nnetwork.allow = [\"example.com\"]",
        "schema = 1\nnetwork = { egress = \"open\", allow = [\"example.com\"] }",
        "schema = 1\nnetwork.expose.db = { host = \"127.0.0.1:5433\" }",
        "schema = 1\nnetwork.expose.db = { host = \"db:5433\", at = 5433 }",
        "schema = 1\nnetwork.expose.db = { host = \"127.0.0.1:5433\", at = 80 }",
        "schema = 1\nnetwork.expose.db = { host = \"169.254.169.254:80\", at = 8080 }",
    ];
    assert_snapshot!(told(&cases), @r#"
    network.allow = ["example.com"]
    t.toml:2: network.allow: has no meaning without network.egress = "allow"
      hint: set it, or leave the list out

    network = { egress = "open", allow = ["example.com"] }
    t.toml:2: network.allow: has no meaning without network.egress = "allow"
      hint: set it, or leave the list out

    network.expose.db = { host = "127.0.0.1:5433" }
    t.toml:2: network.expose.db: is missing
      hint: write { host = "127.0.0.1:5433", at = 5433 }

    network.expose.db = { host = "db:5433", at = 5433 }
    t.toml:2: network.expose.db.host: "db:5433" is not an address with a port
      hint: write it as 127.0.0.1:5433

    network.expose.db = { host = "127.0.0.1:5433", at = 80 }
    t.toml:2: network.expose.db.at: is out of range
      hint: write a number from 1024 to 65535

    network.expose.db = { host = "169.254.169.254:80", at = 8080 }
    t.toml:2: network.expose.db.host: 169.254.169.254:80 is not on the host's own loopback
      hint: name it in network.allow; a private address is permitted in the host's config.toml
    "#);
}

/// What is said about each case.
fn told(cases: &[&str]) -> String {
    let mut told = String::new();
    for case in cases {
        let line = case.strip_prefix("schema = 1\n").unwrap_or(case);
        told.push_str(&format!("{line}\n{}\n\n", problems(case)));
    }
    told
}

#[test]
fn faults_of_files_are_told() {
    let cases = [
        "agent.kind = \"shell\"",
        "schema = 2",
        "schema = 1\nname = \"No Name\"",
        "schema = 1\nextends = [\"fronted\"]",
        "schema = 1\nextends = [\"t\"]",
        "schema = 1\nagent = 3",
        "schema = 1\nenv = [1",
        "schema = 1\nschema = 1",
    ];
    assert_snapshot!(told(&cases), @r#"
    agent.kind = "shell"
    t.toml: schema: is missing
      hint: begin the file with `schema = 1`

    schema = 2
    t.toml:1: schema: must be 1
      hint: write 1

    name = "No Name"
    t.toml:2: name: "No Name" is not a name
      hint: use a-z, 0-9 and -, at most 40, beginning and ending with a letter or digit

    extends = ["fronted"]
    t.toml:2: extends: there is no template "fronted"
      hint: did you mean `frontend`?

    extends = ["t"]
    t.toml:2: extends: extends itself: t -> t
      hint: a file builds on the same name in lower layers without saying so

    agent = 3
    t.toml:2: agent: expected a table, found integer

    env = [1
    t.toml:2: is not TOML: unclosed array, expected `]`

    schema = 1
    t.toml:2: is not TOML: duplicate key
    "#);
}

#[test]
fn faults_of_agents_and_parameters_are_told() {
    let cases = [
        "schema = 1\nagent.kind = \"command\"",
        "schema = 1\nagent.command = []",
        "schema = 1\nagent.prompt = \"hello\"",
        "schema = 1\nparams.n = { type = \"int\" }",
        "schema = 1\nparams.n = { type = \"int\", default = \"x\" }",
        "schema = 1\nparams.n = { required = true }",
    ];
    assert_snapshot!(told(&cases), @r#"
    agent.kind = "command"
    t.toml:2: agent.command: is missing
      hint: kind `command` needs `command = ["…"]`

    agent.command = []
    t.toml:2: agent.command: is empty
      hint: give the program's name

    agent.prompt = "hello"
    t.toml:2: agent.prompt: this kind of agent has no way to be given a prompt
      hint: use a parameter in agent.command, and --set

    params.n = { type = "int" }
    t.toml:2: params.n: an int needs a default
      hint: add `default = …` or `required = true`

    params.n = { type = "int", default = "x" }
    t.toml:2: params.n: default "x" is not a whole number

    params.n = { required = true }
    t.toml:2: params.n: is required
      hint: give it with --set NAME=VALUE
    "#);
}

#[test]
fn faults_of_services_and_ports_are_told() {
    let cases = [
        "schema = 1\nservices.x = {}",
        "schema = 1\nservices.x = { command = [\"a\"], ready = { timeout = \"3s\" } }",
        "schema = 1\nservices.x = { command = [\"a\"], when = \"nope\" }",
        "schema = 1\nservices.x = { command = [\"a\"], depends_on = [\"x\"] }",
        "schema = 1\nports.x = {}",
        "schema = 1\nports.x.inside = 70000",
        "schema = 1\nservices.x = { command = [\"a\"], stop = { signal = \"SEGV\", grace = \"0s\" } }",
    ];
    assert_snapshot!(told(&cases), @r#"
    services.x = {}
    t.toml:2: services.x.command: is missing
      hint: a service needs `command = ["…"]`

    services.x = { command = ["a"], ready = { timeout = "3s" } }
    t.toml:2: services.x.ready: says not what to check
      hint: give exactly one of tcp, http, exec, log

    services.x = { command = ["a"], when = "nope" }
    t.toml:2: services.x.when: there is no parameter "nope"
      hint: there is none

    services.x = { command = ["a"], depends_on = ["x"] }
    t.toml:2: services.x.depends_on: services wait for each other: x -> x
      hint: remove one of these dependencies

    ports.x = {}
    t.toml:2: ports.x.inside: is missing
      hint: a port needs `inside = NUMBER`

    ports.x.inside = 70000
    t.toml:2: ports.x.inside: is out of range
      hint: write a number from 1024 to 65535

    services.x = { command = ["a"], stop = { signal = "SEGV", grace = "0s" } }
    t.toml:2: services.x.stop.grace: is zero
      hint: write 1ms or more
    t.toml:2: services.x.stop.signal: unknown value "SEGV"
      hint: there is TERM, INT, QUIT, HUP, USR1, USR2, KILL
    "#);
}

#[test]
fn faults_of_values_are_told() {
    let cases = [
        "schema = 1\nenv.A = 3",
        "schema = 1\nenv.A = \"{url}\"",
        "schema = 1\nfiles.\"../x\" = \"\"",
        "schema = 1\nfilesystem.read = [\"opt\", \"/proc/1\", \"/var/tmp/x\", \"/\"]",
        "schema = 1\nworkspace.branch = \"x/{port.web}\"",
        "schema = 1\nworkspace.base = \"--upload-pack=x\"",
        "schema = 1\nlimits.cpu = 0.0001",
        "schema = 1\nlimits.pids = 0",
        "schema = 1\nenv.A = \"a\\u0000b\"",
    ];
    assert_snapshot!(told(&cases), @r#"
    env.A = 3
    t.toml:2: env.A: expected a string, found integer

    env.A = "{url}"
    t.toml:2: env.A: "{url}" is not a placeholder
      hint: write {url.NAME}

    files."../x" = ""
    t.toml:2: files: "../x" has an empty, `.` or `..` part
      hint: write the path plainly

    filesystem.read = ["opt", "/proc/1", "/var/tmp/x", "/"]
    t.toml:2: filesystem.read: "/proc/1" lies below /proc, which every sandbox has of its own
      hint: choose another place
    t.toml:2: filesystem.read: "/var/tmp/x" lies below /var/tmp, which every sandbox has of its own
      hint: choose another place
    t.toml:2: filesystem.read: "opt" is not absolute
      hint: write the path from / on
    t.toml:2: filesystem.read: is the whole file system
      hint: name a directory

    workspace.branch = "x/{port.web}"
    t.toml:2: workspace.branch: "{port.web}" is not known yet when the branch is made
      hint: use {agent}, {owner}, {repo}, {host} or {param.NAME}

    workspace.base = "--upload-pack=x"
    t.toml:2: workspace.base: "--upload-pack=x" is not a branch or revision
      hint: see `git check-ref-format`

    limits.cpu = 0.0001
    t.toml:2: limits.cpu: is not a number of cores
      hint: write 0.01 to 1024, such as 2.0

    limits.pids = 0
    t.toml:2: limits.pids: is out of range
      hint: write a number from 1 to 4194304

    env.A = "a\u0000b"
    t.toml:2: env.A: contains a NUL byte
      hint: no program can be given one
    "#);
}

#[test]
fn requests_are_checked_too() {
    let text = "schema = 1\n[params.level]\nchoices = [\"low\", \"high\"]\ndefault = \"low\"\n[params.n]\ntype = \"int\"\ndefault = 1\n[params.id]\npattern = \"[a-z]*\"\n";
    let request = Request {
        template: "t".to_owned(),
        set: [("level", "hihg"), ("n", "x"), ("lvel", "1"), ("id", "9")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        prompt: Some("do it".to_owned()),
        base: Some("-x".to_owned()),
    };
    let found = resolve(&user(text), &request).unwrap_err();
    assert_snapshot!(found.to_string(), @r#"
    --base: "-x" is not a branch or revision
      hint: see `git check-ref-format`
    --prompt: agent.prompt: this kind of agent has no way to be given a prompt
      hint: use a parameter in agent.command, and --set
    --set: the template has no parameter "lvel"
      hint: did you mean `level`?
    --set: id: "9" does not match the pattern "[a-z]*"
    --set: level: "hihg" is not one of the choices
      hint: did you mean `high`?
    --set: n: "x" is not a whole number
    "#);
    let nobody = Request {
        template: "frontent".to_owned(),
        ..Request::default()
    };
    let found = resolve(&Sources::default(), &nobody).unwrap_err();
    assert_snapshot!(found.to_string(), @r#"
    --template: there is no template "frontent"
      hint: did you mean `frontend`?
    "#);
}

#[test]
fn limits_hold_at_the_limit_and_one_past() {
    let bytes = |extra: usize| {
        let head = "schema = 1\n#";
        format!(
            "{head}{}",
            "x".repeat(wsm_template::TEMPLATE_BYTES_MAX - head.len() + extra)
        )
    };
    assert_eq!(validate(&user(&bytes(0)), "t"), []);
    assert_snapshot!(problems(&bytes(1)), @r#"t.toml: is larger than 65536 bytes"#);

    let entries = |count: usize| {
        let lines: String = (0..count).map(|n| format!("V{n} = \"x\"\n")).collect();
        format!("schema = 1\n[env]\n{lines}")
    };
    assert_eq!(
        validate(&user(&entries(wsm_template::ENTRIES_MAX)), "t"),
        []
    );
    assert!(problems(&entries(wsm_template::ENTRIES_MAX + 1)).contains("more than 128 entries"));

    let services = |count: usize| {
        let lines: String = (0..count)
            .map(|n| format!("s{n}.command = [\"x\"]\n"))
            .collect();
        format!("schema = 1\n[services]\n{lines}")
    };
    assert_eq!(
        validate(&user(&services(wsm_template::SERVICES_MAX)), "t"),
        []
    );
    assert!(problems(&services(wsm_template::SERVICES_MAX + 1)).contains("more than 32"));

    let chain = |links: usize| {
        let link = |n: usize| Source {
            file: format!("t{n}.toml"),
            text: if n == links {
                "schema = 1".to_owned()
            } else {
                format!("schema = 1\nextends = [\"t{}\"]", n + 1)
            },
        };
        let mut sources = Sources {
            user: (0..=links).map(link).collect(),
            ..Sources::default()
        };
        sources.user[0].file = "t.toml".to_owned();
        sources
    };
    assert_eq!(validate(&chain(wsm_template::EXTENDS_DEPTH_MAX), "t"), []);
    let found = validate(&chain(wsm_template::EXTENDS_DEPTH_MAX + 1), "t");
    assert!(
        found[0].message.contains("more than 8 templates in a row"),
        "{found:?}"
    );
}

//! What a person is told about credentials in a template that can't be.

#[path = "shared/told.rs"]
mod told;

use insta::assert_snapshot;
use wsm_template::{Request, Source, Sources, resolve};

use told::problems;

#[test]
fn credentials_say_which_secret_goes_where() {
    let text = r#"
schema = 1
[env]
KEY = "{credential.modle}"
[credentials.model]
secret = "model-key"
[credentials.two]
secret = "x"
hosts = ["a.example.com"]
header = "x key"
env = "NO-NAME"
prefix = "sk "
[credentials.three]
hosts = ["a.example.com"]
header = "authorization: Bearer"
"#;
    assert_snapshot!(problems(text), @r#"
    t.toml:4: env.KEY: "{credential.modle}" is not declared as a credential
      hint: did you mean `model`?
    t.toml:6: credentials.model.header: is missing
      hint: say where it stands in a request: header, basic or body
    t.toml:6: credentials.model.hosts: is missing
      hint: where it goes: hosts = ["api.example.com"]
    t.toml:10: credentials.two.header: "x key" is no name of a header
      hint: write "x-api-key", or "authorization: Bearer {secret}"
    t.toml:11: credentials.two.env: "NO-NAME" is no name of a variable
      hint: write it as ANTHROPIC_API_KEY
    t.toml:12: credentials.two.prefix: is not up to 32 letters, digits, - and _
      hint: what its values begin with: "sk-"
    t.toml:14: credentials.three.secret: is missing
      hint: the name that `wsm secret set` is given, or `login`
    t.toml:15: credentials.three.header: "Bearer" has not one {secret}
      hint: write "x-api-key", or "authorization: Bearer {secret}"
    "#);
}

fn layer(file: &str, text: &str) -> Source {
    Source {
        file: file.to_owned(),
        text: format!("schema = 1\n{text}"),
    }
}

fn request() -> Request {
    Request {
        template: "t".to_owned(),
        ..Request::default()
    }
}

fn resolved(sources: &Sources) -> wsm_template::resolved::Resolved {
    let found = resolve(sources, &request()).unwrap_or_else(|problems| panic!("{problems}"));
    found.resolved
}

#[test]
fn hosts_of_credentials_are_allowed_unless_the_repository_says_less() {
    let above = layer(
        "t.toml",
        "[network]\negress = \"allow\"\nallow = [\"b.example.com\"]\n\
         [credentials.model]\nsecret = \"key\"\nhosts = [\"a.example.com\"]\nheader = \"X-Api-Key\"\n",
    );
    let with = |below: &str| Sources {
        user: vec![above.clone()],
        repository: vec![layer(".wsm/t.toml", below)],
        ..Sources::default()
    };
    let found = resolved(&with("description = \"x\"\n"));
    assert_eq!(found.network.allow, ["b.example.com", "a.example.com"]);
    let header = found.credentials["model"].header.as_ref().expect("one");
    assert_eq!((&*header.name, &*header.value), ("x-api-key", "{secret}"));
    let found = resolved(&with("network.allow = [\"b.example.com\"]\n"));
    assert_eq!(found.network.allow, ["b.example.com"]);
    for change in [
        "credentials.model.hosts = [\"evil.example.net\"]\n",
        "credentials.model.header = \"x-other\"\n",
        "credentials.model.env = \"OTHER\"\n",
        "credentials.other = { secret = \"key\", hosts = [\"a.example.com\"], basic = true }\n",
    ] {
        let refused = resolve(&with(change), &request()).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("may not be set by a repository"),
            "{change}: {refused}"
        );
    }
}

#[test]
fn a_login_says_by_itself_where_it_goes() {
    let text =
        "[network]\negress = \"allow\"\n[credentials.me]\nlogin = \"codex\"\nwebsocket = true\n";
    let sources = Sources {
        user: vec![layer("t.toml", text)],
        ..Sources::default()
    };
    let found = resolved(&sources);
    let own = &found.credentials["me"];
    assert_eq!((own.login.as_str(), own.websocket), ("codex", true));
    // Only while there is one: without, nothing more is reached.
    assert!(found.network.allow.is_empty());
    assert_eq!(own.hosts, ["chatgpt.com", "auth.openai.com"]);
    let narrowed = Sources {
        repository: vec![layer(".wsm/t.toml", "network.allow = []\n")],
        ..sources
    };
    assert!(resolved(&narrowed).credentials["me"].hosts.is_empty());
    let text = r#"
schema = 1
[credentials.one]
login = "gemini"
[credentials.two]
login = "claude"
hosts = ["evil.example.net"]
visible = true
"#;
    assert_snapshot!(problems(text));
}

#[test]
fn a_visible_secret_goes_nowhere_but_inside() {
    let text = "[credentials.me]\nsecret = \"gemini-login\"\nvisible = true\n[files]\n\"~/.x\" = \"{credential.me}\"\n";
    let sources = Sources {
        user: vec![layer("t.toml", text)],
        ..Sources::default()
    };
    assert!(resolved(&sources).credentials["me"].visible);
    let text = r#"
schema = 1
[credentials.me]
secret = "key"
visible = true
hosts = ["api.example.com"]
header = "x-api-key"
"#;
    assert_snapshot!(problems(text));
}

//! Logins: kept and renewed outside, placeholders inside.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wsm_tests::cli::Output;
use wsm_tests::instance::Part;
use wsm_tests::wait;

use super::{VALUE, World};

/// Brings the login that the fake gives out first; it ends so many seconds from now. The program's
/// file is where the program keeps it, in root's home of this test.
pub(super) fn bring(world: &World, kind: &str, left_s: i64) {
    let (access, refresh) = (format!("{VALUE}-access-0"), format!("{VALUE}-refresh-0"));
    bring_tokens(world, kind, left_s, &access, &refresh).ok();
}

fn bring_tokens(world: &World, kind: &str, left_s: i64, access: &str, refresh: &str) -> Output {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time");
    let end = now + left_s;
    let (file, text) = if kind == "claude" {
        let login = json!({ "claudeAiOauth": { "accessToken": access, "refreshToken": refresh,
            "expiresAt": end * 1000, "scopes": ["user:inference", "user:profile"],
            "subscriptionType": "max", "rateLimitTier": "default_claude_max_5x" } });
        (".claude/.credentials.json", login)
    } else {
        let account = json!({ "https://api.openai.com/auth": {
            "chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1" } });
        let login = json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null,
            "tokens": { "id_token": jwt(&account, "signature"), "account_id": "acc-1",
                "access_token": jwt(&json!({ "exp": end }), access), "refresh_token": refresh },
            "last_refresh": "2026-01-01T00:00:00Z" });
        (".codex/auth.json", login)
    };
    let path = world.wsm.root().home().join(file);
    fs::create_dir_all(path.parent().expect("a directory")).expect("root's home");
    fs::write(&path, serde_json::to_string_pretty(&text).expect("JSON")).expect("root's home");
    let said = world.wsm.wsm(&["secret", "login", kind]);
    // Not to be found where it was by a search of the host.
    fs::remove_file(path).expect("it is there");
    said
}

fn jwt(claims: &Value, signature: &str) -> String {
    let mut python = std::process::Command::new("python3");
    let line = "import base64,sys; print(base64.urlsafe_b64encode(sys.argv[1].encode()).decode().rstrip('='))";
    python.args(["-c", line, &claims.to_string()]);
    let encoded = wsm_tests::cli::run(python, b"").ok().text().to_owned();
    format!("eyJhbGciOiJub25lIn0.{encoded}.{signature}")
}

/// How often the fake was asked for tokens.
pub(super) fn tokens(world: &World) -> usize {
    let asked = world.requests();
    let path = |r: &&Value| {
        r["path"]
            .as_str()
            .is_some_and(|p| p.ends_with("/oauth/token"))
    };
    asked.iter().filter(path).count()
}

impl World {
    fn logged(&self) {
        let template = "schema = 1\nname = \"logged\"\nextends = [\"shell\"]\n[network]\n\
             egress = \"allow\"\n[credentials.me]\nlogin = \"claude\"\n";
        self.wsm.host_template("logged", template);
        self.new_agent("logged", "logged");
    }

    /// Does what a program does with its file: `WHAT` is a member of it.
    fn curl(&self, what: &str, rest: &str) -> Output {
        let read = format!(
            "python3 -c 'import json,os; print(json.load(open(os.path.expanduser(\"~/.claude/.credentials.json\")))[\"claudeAiOauth\"][\"{what}\"])'"
        );
        let line = format!("WHAT=$({read}); curl -sS --max-time 40 -w '<%{{http_code}}>' {rest}");
        self.wsm.inside("logged", &line)
    }

    /// The answer and its status, `<000>` without one.
    fn models(&self) -> String {
        let rest = "-H \"authorization: Bearer $WHAT\" https://api.anthropic.com/v1/models";
        self.curl("accessToken", rest).stdout
    }

    /// What the fake was given last as bearer.
    fn bearer(&self) -> String {
        let asked = self.requests();
        let bearer = |r: &Value| r["headers"]["authorization"].as_str().map(str::to_owned);
        asked
            .iter()
            .rev()
            .find_map(bearer)
            .expect("a request with one")
    }

    fn tell_the_fake(&self, what: &str) {
        let dir = self.log.parent().expect("a directory");
        fs::write(dir.join(what), "").expect("our own file");
    }
}

#[test]
fn a_login_is_renewed_outside_and_kept() {
    let world = World::new();
    bring(&world, "claude", -60);
    let listed = world.wsm.wsm(&["secret", "ls", "--json"]).ok().json();
    assert_eq!(listed[0]["name"], "claude-login", "{listed}");
    assert_eq!(listed[0]["login"], "claude", "{listed}");
    world.logged();
    let file = world.wsm.inside(
        "logged",
        "stat -c %a ~/.claude/.credentials.json && cat ~/.claude/.credentials.json",
    );
    let file = file.ok().stdout;
    assert!(file.starts_with("600\n"), "{file}");
    assert!(file.contains("sk-ant-oat01-wsm-placeholder-"), "{file}");
    assert!(file.contains("\"subscriptionType\":\"max\""), "{file}");
    // It had ended: a new token was got, once.
    for _ in 0..2 {
        assert!(world.models().ends_with("<200>"));
        assert_eq!(world.bearer(), format!("Bearer {VALUE}-access-1"));
    }
    assert_eq!(tokens(&world), 1);
    // What came is kept, the refresh token too: the next one needs it.
    world.wsm.kill_and_recover(&[Part::Egress]);
    wait::until_true("it is put in again", || world.models().ends_with("<200>"));
    assert_eq!(tokens(&world), 1);
    world.tell_the_fake("rejected");
    assert!(world.models().ends_with("<401>"));
    assert!(world.models().ends_with("<200>"));
    assert_eq!(world.bearer(), format!("Bearer {VALUE}-access-2"));
    assert_eq!(tokens(&world), 2);
    // A program that wants a new one by itself gets what it has, and the server hears nothing of it.
    let url = "https://platform.claude.com/v1/oauth/token";
    let rest = format!(
        "-H 'content-type: application/json' -d \"{{\\\"refresh_token\\\":\\\"$WHAT\\\"}}\" {url}"
    );
    let said = world.curl("refreshToken", &rest).ok().stdout;
    assert!(
        said.contains("sk-ant-oat01-wsm-placeholder-") && said.ends_with("<200>"),
        "{said}"
    );
    let said = world
        .curl("refreshToken", &format!("-d refresh_token=stolen {url}"))
        .ok()
        .stdout;
    assert!(
        said.contains("kept outside") && said.ends_with("<403>"),
        "{said}"
    );
    assert_eq!(tokens(&world), 2);
    // It does not make a key of it, nor send it elsewhere.
    for url in [
        "https://api.anthropic.com/api/oauth/claude_cli/create_api_key",
        url,
    ] {
        let said = world.curl(
            "accessToken",
            &format!("-H \"authorization: Bearer $WHAT\" {url}"),
        );
        assert!(said.ok().stdout.ends_with("<403>"), "{url}");
    }
    world.nowhere_inside("logged");
    world.nowhere_on_the_host();
    let shown = world.wsm.wsm(&["show", "logged", "--json"]).ok().json();
    let own = &shown["credentials"][0];
    assert_eq!(
        (&own["ready"], &own["visible"]),
        (&json!(true), &json!(false)),
        "{own}"
    );
    assert_ne!(own["used"], "", "{own}");
    world.wsm.wsm(&["secret", "rm", "claude-login"]).ok();
    let said = world.models();
    assert!(said.contains("wsm secret login claude"), "{said}");
}

#[test]
fn a_login_that_was_revoked_says_what_to_do() {
    let world = World::new();
    bring(&world, "claude", -60);
    world.logged();
    world.tell_the_fake("revoked");
    for _ in 0..2 {
        let said = world.models();
        assert!(
            said.contains("wsm secret login claude") && said.ends_with("<403>"),
            "{said}"
        );
    }
    assert_eq!(tokens(&world), 1);
    let listed = world.wsm.wsm(&["secret", "ls"]).ok().stdout;
    assert!(listed.contains("REFUSED (invalid_grant"), "{listed}");
    let shown = world.wsm.wsm(&["show", "logged"]).ok().stdout;
    assert!(shown.contains("wsm secret login claude"), "{shown}");
    let told = || {
        let told = world.wsm.wsm(&["explain", "logged"]).ok().stdout;
        told.contains("invalid_grant")
    };
    wait::until_true("it is explained", told);
    // Logged in again, it works without a restart.
    let dir = world.log.parent().expect("a directory");
    fs::remove_file(dir.join("revoked")).expect("it is there");
    bring(&world, "claude", 3600);
    assert!(world.models().ends_with("<200>"));
    assert_eq!(world.bearer(), format!("Bearer {VALUE}-access-0"));
}

#[test]
fn what_is_no_login_is_not_taken() {
    let world = World::new();
    let login = |kind: &str, more: &[&str], text: &str| {
        let line = [&["secret", "login", kind, "--from", "-"], more].concat();
        world.wsm.wsm_with(&line, text.as_bytes())
    };
    login("claude", &[], "{}")
        .fails(2)
        .says("anthropic-api-key");
    login("codex", &[], r#"{"OPENAI_API_KEY":"sk-x"}"#)
        .fails(2)
        .says("openai-api-key");
    login("claude", &[], VALUE).fails(2);
    login("claude", &["--visible"], "{}")
        .fails(2)
        .says("never visible");
    login("gemini", &[], "{}").fails(3).says("--visible");
    login("other", &[], "{}").fails(2).says("no kind of login");
    world.wsm.wsm(&["secret", "login", "claude"]).fails(1);
    // Nothing else is kept under its name.
    world
        .set(&["claude-login"])
        .fails(2)
        .says("secret login claude");
    let ended = r#"{"claudeAiOauth":{"accessToken":"x","expiresAt":1}}"#;
    login("claude", &[], ended).fails(2).says("has ended");
    world.nowhere_on_the_host();
}

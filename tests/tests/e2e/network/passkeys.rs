//! Passkeys, with an authenticator of openssl: made by who is in, shown by who wants in.

use std::process::Command;

use serde_json::{Value, json};
use wsm_tests::browser::Browser;
use wsm_tests::cli;
use wsm_tests::persona::Persona;
use wsm_tests::term::Term;

use super::Served;

const AUTHENTICATOR: &str = include_str!("authenticator.py");

/// Where the authenticator's page is.
struct Page {
    origin: String,
    key: tempfile::TempDir,
}

impl Page {
    fn credential(&self, verb: &str, origin: &str, options: &Value) -> Value {
        let mut python = Command::new("python3");
        python.args(["-c", AUTHENTICATOR, verb]);
        python.arg(self.key.path()).arg(origin);
        cli::run(python, options.to_string().as_bytes()).ok().json()
    }

    /// Makes a passkey; the status.
    fn make(&self, browser: &Browser) -> Value {
        let options = browser
            .post("/v1/passkeys/register/start", Value::Null)
            .ok();
        let credential = self.credential("create", &self.origin, &options);
        let new = json!({"credential": credential, "name": "key"});
        let device = browser
            .post("/v1/passkeys/register/finish", new.clone())
            .ok();
        let again = browser.post("/v1/passkeys/register/finish", new);
        assert_eq!(again.status, 400, "a question is answered once");
        device
    }

    /// Logs in by it; the answer and what was sent.
    fn show(&self, browser: &Browser, user: Option<&str>) -> (wsm_tests::browser::Answer, Value) {
        let start = json!({"user": user});
        let options = browser.post("/v1/passkeys/login/start", start).ok();
        let credential = self.credential("get", &self.origin, &options);
        let sent = json!({"credential": credential, "device_name": "by key"});
        (
            browser.post("/v1/passkeys/login/finish", sent.clone()),
            sent,
        )
    }
}

/// A browser that ann paired.
fn paired(served: &Served, ann: &Persona) -> Browser {
    let term = Term::start(&served.wsm.command(ann, &["pair"]), 100, 50);
    let screen = term.wait_for("/#pair=");
    let (_, code) = screen.split_once("/#pair=").expect("a code");
    let code = code.split_whitespace().next().expect("a code");
    let browser = served.browser();
    let claimed = browser
        .post(
            "/v1/pairings/claim",
            json!({"code": code, "device_name": "phone"}),
        )
        .ok();
    term.wait_for("[y/N]");
    term.line("y");
    assert_eq!(term.wait_end(), 0);
    let redeem = json!({"claim": claimed["claim"]});
    browser.post("/v1/pairings/redeem", redeem).ok();
    browser
}

#[test]
fn a_passkey_is_made_shown_and_ended() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let token = served.token(&ann, "own");
    let page = Page {
        origin: format!("https://wsm.test:{}", served.address.port()),
        key: tempfile::tempdir().expect("a directory"),
    };
    let lent = served.signed_in(&token, "with a token");
    let start = "/v1/passkeys/register/start";
    assert_eq!(
        lent.post(start, Value::Null).status,
        403,
        "no token makes another way in"
    );
    let phone = paired(&served, &ann);
    let passkey = page.make(&phone);
    assert_eq!(
        (&passkey["kind"], &passkey["user"]),
        (&json!("passkey"), &json!(ann.name()))
    );

    let browser = served.browser();
    let (entered, sent) = page.show(&browser, None);
    assert_eq!(entered.ok()["user"], ann.name());
    let replayed = served.browser().post("/v1/passkeys/login/finish", sent);
    assert_eq!(replayed.status, 401, "a signature is good once");
    let (entered, _) = page.show(&served.browser(), Some(ann.name()));
    assert_eq!(entered.ok()["user"], ann.name());
    assert_eq!(browser.get("/v1/whoami").ok()["device"], "by key");

    // Somebody else's page, and who is not known, look like each other.
    let options = browser.post("/v1/passkeys/login/start", json!({})).ok();
    let credential = page.credential("get", "https://evil.test", &options);
    let stolen = json!({"credential": credential});
    assert_eq!(
        browser.post("/v1/passkeys/login/finish", stolen).status,
        401
    );
    let of = |user: &str| {
        let told = browser
            .post("/v1/passkeys/login/start", json!({"user": user}))
            .ok();
        told["allowCredentials"].clone()
    };
    assert_eq!(of("nobody-at-all"), of("nobody-at-all"));
    assert_ne!(of("nobody-at-all"), of("nobody-else"));
    assert_eq!(of("nobody-at-all").as_array().map(Vec::len), Some(1));
    assert_eq!(of(ann.name()).as_array().map(Vec::len), Some(1));
    let bare = Browser::open(
        &format!("https://127.0.0.1:{}", served.address.port()),
        served.address,
    );
    let refused = bare.post("/v1/passkeys/login/start", json!({}));
    assert_eq!(refused.status, 501, "{refused:?}");
    assert!(refused.body.to_string().contains("wsm.test"), "{refused:?}");

    // It ends, and what came in by it.
    let id = passkey["id"].as_str().expect("an id");
    served.wsm.wsm_as(&ann, &["device", "rm", id]).ok();
    assert_eq!(browser.get("/v1/whoami").status, 401);
    assert_eq!(page.show(&served.browser(), None).0.status, 401);
    assert_eq!(
        phone.get("/v1/whoami").status,
        200,
        "it came by another way"
    );
    assert_eq!(served.rows("passkey.made").len(), 1);
}

//! Browsers: sessions, devices, pairing, invitations; and that what ends takes its windows along.

use serde_json::{Value, json};
use wsm_tests::browser::Browser;
use wsm_tests::cli;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

use super::Served;

/// Ann with an agent, and a token of hers.
fn with_agent(served: &Served, ann: &Persona, scope: &str) -> String {
    let repo = Repo::small(ann, "project");
    served.wsm.new_agent_as(ann, &repo, "shell", "anns");
    served.token(ann, scope)
}

#[test]
fn a_session_is_a_cookie_for_pages_of_ours() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let token = with_agent(&served, &ann, "own");
    let stranger = served.browser();
    assert_eq!(stranger.get("/v1/whoami").status, 401);
    let evil = json!({"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"});
    let sign_in = json!({"token": token, "device_name": "laptop"});
    for headers in [
        evil.clone(),
        json!({"x-wsm": null}),
        json!({"Sec-Fetch-Site": "same-site"}),
    ] {
        let refused = stranger.ask("POST", "/v1/session", sign_in.clone(), headers);
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    assert_eq!(
        stranger
            .post("/v1/session", json!({"token": "wsm_no"}))
            .status,
        401
    );

    let browser = served.signed_in(&token, "laptop");
    others_pages_do_nothing(&browser, ann.name(), &evil);
    it_is_lent_and_ends(&served, &browser);
}

fn others_pages_do_nothing(browser: &Browser, ann: &str, evil: &Value) {
    let who = browser.get("/v1/whoami").ok();
    assert_eq!(
        (&who["user"], &who["device"]),
        (&json!(ann), &json!("laptop"))
    );
    assert_eq!(who["scope"], "own");
    let stop = "/v1/agents/anns/pause";
    for headers in [
        evil.clone(),
        json!({"x-wsm": null}),
        json!({"Origin": null, "Sec-Fetch-Site": null}),
        json!({"Origin": "https://wsm.test:1", "Sec-Fetch-Site": null}),
        json!({"Sec-Fetch-Site": "same-site"}),
    ] {
        let refused = browser.ask("POST", stop, Value::Null, headers.clone());
        assert_eq!(refused.status, 403, "{headers}: {refused:?}");
    }
    for headers in [
        evil.clone(),
        json!({"Sec-Fetch-Site": "same-site", "Origin": null}),
    ] {
        assert_eq!(
            browser
                .ask("GET", "/v1/agents", Value::Null, headers.clone())
                .status,
            403
        );
        assert_eq!(browser.attach("anns", headers), 403);
    }
    let bare = json!({"Origin": null, "Sec-Fetch-Site": null, "x-wsm": null});
    assert_eq!(
        browser.attach("anns", bare),
        403,
        "a WebSocket says where it comes from"
    );
    browser.post(stop, Value::Null).ok();
    browser.post("/v1/agents/anns/resume", Value::Null).ok();
    // A browser's WebSocket has no header of the page's own.
    assert_eq!(
        browser.attach("anns", json!({"x-wsm": null, "Sec-Fetch-Site": null})),
        101
    );
    browser.hears("$");
    browser.type_text("echo typed-$((6*7))\n");
    browser.hears("typed-42");
}

fn it_is_lent_and_ends(served: &Served, browser: &Browser) {
    // What was made with a token makes no other way in, and nothing of it is in the database.
    for (path, body) in [
        ("/v1/tokens", json!({"scope": "view"})),
        ("/v1/pairings", Value::Null),
    ] {
        assert_eq!(browser.post(path, body).status, 403, "{path}");
    }
    let cookie = browser.cookies();
    assert!(
        cookie.starts_with("__Host-wsm=") && cookie.len() == 63,
        "{cookie}"
    );
    let mut grep = served.wsm.root().command("grep");
    let database = served.wsm.dir().join("state/daemon");
    grep.args(["-rc", cookie.trim_start_matches("__Host-wsm=")])
        .arg(database);
    assert_eq!(cli::run(grep, b"").code, 1, "the value is nowhere");

    // Whoever signs out is out, here and in what stands open.
    browser.delete("/v1/session").ok();
    assert!(browser.ends() < 5.0);
    assert_eq!(browser.cookies(), "");
    assert_eq!(browser.get("/v1/whoami").status, 401);
    let again = json!({"Cookie": cookie});
    assert_eq!(
        browser.ask("GET", "/v1/whoami", Value::Null, again).status,
        401
    );
    let rows = served.rows("session.made");
    assert_eq!(rows.len(), 1, "{rows:?}");
    let via = rows[0]["via"].as_str().unwrap_or_default();
    assert!(
        via.starts_with("device:") && rows[0]["address"] == "127.0.0.1",
        "{rows:?}"
    );
    assert_eq!(served.rows("device.revoked")[0]["via"], via);
}

#[test]
fn what_ends_takes_its_windows_along() {
    let served = Served::start("tls = \"off\"");
    let ann = Persona::new("ann");
    let token = with_agent(&served, &ann, "own");
    let repo = Repo::small(&ann, "other");
    served.wsm.new_agent_as(&ann, &repo, "shell", "second");
    let browser = served.signed_in(&token, "tablet");
    assert_eq!(browser.attach("anns", json!({})), 101);
    // A program with the token itself, and one with a token that ends by its time.
    let program = served.browser();
    let bearer = |token: &str| json!({"Authorization": format!("Bearer {token}")});
    assert_eq!(program.attach("anns", bearer(&token)), 101);
    let short = ["token", "new", "--scope", "own", "--expires", "4s", "-q"];
    let short = served.wsm.wsm_as(&ann, &short).ok().text().to_owned();
    let brief = served.browser();
    assert_eq!(brief.attach("second", bearer(&short)), 101);
    brief.ends();
    let late = brief.ask("GET", "/v1/whoami", Value::Null, bearer(&short));
    assert_eq!(late.status, 401, "{late:?}");
    assert!(browser.stands(0.1) && program.stands(0.1));

    // `wsm device rm`: that device alone.
    let other = served.signed_in(&token, "other");
    assert_eq!(other.attach("second", json!({})), 101);
    let devices = served
        .wsm
        .wsm_as(&ann, &["device", "ls", "--json"])
        .ok()
        .json();
    let named = |name: &str| {
        let all = devices.as_array().expect("a list").iter();
        let found = all.filter(|one| one["name"] == name && one["state"] == "good");
        let ids: Vec<_> = found
            .map(|one| one["id"].as_str().expect("an id"))
            .collect();
        assert_eq!(ids.len(), 1, "{devices}");
        ids[0].to_owned()
    };
    let id = named("other");
    let eve = Persona::new("eve");
    let _ = served.wsm.wsm_as(&eve, &["device", "rm", &id]).fails(4);
    served.wsm.wsm_as(&ann, &["device", "rm", &id]).ok();
    assert!(other.ends() < 5.0);
    assert_eq!(other.get("/v1/whoami").status, 401);
    assert!(browser.stands(0.1) && program.stands(0.1));

    // The token, and with it the session that was made with it.
    let tokens = served
        .wsm
        .wsm_as(&ann, &["token", "ls", "--json"])
        .ok()
        .json();
    let good = tokens.as_array().expect("a list").iter();
    let good = good
        .filter(|one| one["state"] == "good")
        .collect::<Vec<_>>();
    let id = good[0]["id"].as_str().expect("an id");
    served.wsm.wsm_as(&ann, &["token", "rm", id]).ok();
    assert!(browser.ends() < 5.0 && program.ends() < 5.0);
    assert_eq!(browser.get("/v1/whoami").status, 401);

    // Guessing is as slow as with tokens, whatever is guessed.
    let guess = |path: &str, body: Value| served.browser().post(path, body).status;
    let mut codes = Vec::new();
    // Enough of them for a slow machine: one is forgiven every three seconds.
    for _ in 0..15 {
        codes.push(guess("/v1/session", json!({"token": "wsm_guess"})));
        codes.push(guess("/v1/pairings/claim", json!({"code": "guess"})));
        codes.push(guess("/v1/pairings/redeem", json!({"claim": "guess"})));
        codes.push(guess("/v1/invitations/claim", json!({"code": "guess"})));
    }
    assert!(
        codes.iter().all(|code| [401, 429].contains(code)),
        "{codes:?}"
    );
    assert!(codes.contains(&429), "{codes:?}");
}

/// What stands behind the `#` of a link, after `key=`.
fn code(url: &str, key: &str) -> String {
    let start = format!("/#{key}=");
    let (_, code) = url
        .split_once(&start)
        .unwrap_or_else(|| panic!("{start} is not in {url}"));
    code.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_device_is_paired_by_a_code_and_a_number() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let token = with_agent(&served, &ann, "own");
    let term = Term::start(&served.wsm.command(&ann, &["pair"]), 100, 50);
    let screen = term.wait_for("/#pair=");
    assert!(
        screen.contains('\u{2580}') || screen.contains('\u{2584}'),
        "no picture: {screen}"
    );
    assert!(screen.contains("https://wsm.test:"), "{screen}");
    let secret = code(&screen, "pair");
    let phone = served.browser();
    let claim = json!({"code": secret, "device_name": "phone"});
    let claimed = phone.post("/v1/pairings/claim", claim.clone()).ok();
    assert_eq!(
        phone.post("/v1/pairings/claim", claim).status,
        401,
        "it is good once"
    );
    let redeem = json!({"claim": claimed["claim"]});
    let number = claimed["number"].as_str().expect("a number");
    let screen = term.wait_for(number);
    assert!(screen.contains("\"phone\""), "{screen}");
    assert_eq!(
        phone.post("/v1/pairings/redeem", redeem.clone()).status,
        202
    );
    assert_eq!(phone.get("/v1/whoami").status, 401, "not yet");
    term.line("y");
    assert_eq!(term.wait_end(), 0);
    let entered = phone.post("/v1/pairings/redeem", redeem.clone()).ok();
    assert_eq!(entered["user"], ann.name());
    assert_eq!(
        phone.post("/v1/pairings/redeem", redeem).status,
        401,
        "it is good once"
    );
    assert_eq!(phone.attach("anns", json!({})), 101);
    phone.hears("$");

    let tablet = from_the_phone_another(&served, &ann, &phone, &token);
    whoever_says_no(&served, &ann);
    let devices = tablet.get("/v1/devices").ok();
    let all = devices.as_array().expect("a list").iter();
    let mut phones = all.filter(|one| one["name"] == "phone");
    let id = phones.next().expect("the phone")["id"].as_str();
    let id = id.expect("an id");
    tablet.delete(&format!("/v1/devices/{id}")).ok();
    assert!(phone.ends() < 5.0);
    assert_eq!(served.rows("pairing.confirmed").len(), 2);
    assert_eq!(served.rows("pairing.ended").len(), 1);
    assert_eq!(served.rows("session.made").len(), 3);
}

/// Here the page compares the numbers.
fn from_the_phone_another(served: &Served, ann: &Persona, phone: &Browser, token: &str) -> Browser {
    let begun = phone.post("/v1/pairings", Value::Null).ok();
    let id = begun["id"].as_str().expect("an id");
    let secret = code(begun["url"].as_str().expect("a link"), "pair");
    assert_eq!(begun["code"], secret.as_str());
    let tablet = served.browser();
    let claimed = tablet
        .post(
            "/v1/pairings/claim",
            json!({"code": secret, "device_name": "tablet"}),
        )
        .ok();
    let seen = phone.get(&format!("/v1/pairings/{id}")).ok();
    assert_eq!(
        (&seen["number"], &seen["device_name"]),
        (&claimed["number"], &json!("tablet"))
    );
    let confirm = format!("/v1/pairings/{id}/confirm");
    assert_eq!(phone.post(&confirm, json!({"number": "x"})).status, 403);
    let eve = served.signed_in(token, "with a token");
    assert_eq!(eve.get(&format!("/v1/pairings/{id}")).status, 403);
    phone
        .post(&confirm, json!({"number": claimed["number"]}))
        .ok();
    let redeem = json!({"claim": claimed["claim"]});
    assert_eq!(
        tablet.post("/v1/pairings/redeem", redeem).ok()["user"],
        ann.name()
    );

    tablet
}

fn whoever_says_no(served: &Served, ann: &Persona) {
    let term = Term::start(&served.wsm.command(ann, &["pair"]), 100, 50);
    let secret = code(&term.wait_for("/#pair="), "pair");
    let thief = served.browser();
    let claimed = thief
        .post("/v1/pairings/claim", json!({"code": secret}))
        .ok();
    term.wait_for("[y/N]");
    term.line("n");
    assert_eq!(term.wait_end(), 3);
    let redeem = json!({"claim": claimed["claim"]});
    assert_eq!(thief.post("/v1/pairings/redeem", redeem).status, 401);
}

#[test]
fn somebody_is_invited_and_comes() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let token = with_agent(&served, &ann, "own");
    let invite = |args: &[&str]| served.wsm.wsm(&[&["invite"], args].concat());
    let _ = served.wsm.wsm_as(&ann, &["invite"]).fails(3);
    let _ = invite(&["--user", "../x"]).fails(2);
    let _ = invite(&["--share", "nothing=viewer"]).fails(4);
    let _ = invite(&["--share", "anns=owner"]).fails(2);
    let link = invite(&["--user", "carl", "--share", "anns=driver", "-q"]).ok();
    let secret = code(link.text(), "invite");
    let carl = served.browser();
    let claim = json!({"code": secret, "device_name": "carls"});
    let entered = carl.post("/v1/invitations/claim", claim.clone()).ok();
    assert_eq!(
        (&entered["user"], &entered["role"]),
        (&json!("carl"), &json!("member"))
    );
    assert_eq!(
        served.browser().post("/v1/invitations/claim", claim).status,
        401
    );
    assert_eq!(carl.attach("anns", json!({})), 101);
    carl.hears("$");
    carl.type_text("echo carls-$((6*7))\n");
    carl.hears("carls-42");
    assert_eq!(carl.get("/v1/users").status, 403);

    a_name_is_chosen(&served, &ann);
    what_is_not_good(&served, &ann);
    // A user that is removed is out at once.
    served.wsm.wsm(&["user", "rm", "carl"]).ok();
    assert!(carl.ends() < 5.0);
    assert_eq!(carl.get("/v1/whoami").status, 401);
    assert_eq!(served.rows("invite.claimed").len(), 2);
    let shared = served.rows("agent.shared");
    assert!(
        shared.len() == 1 && shared[0]["actor"] == "carl",
        "{shared:?}"
    );
    served.there(&ann, &token, &["ls"]).ok();
}

/// Whoever is invited by no name chooses one that is nobody's.
fn a_name_is_chosen(served: &Served, ann: &Persona) {
    let invite = |args: &[&str]| served.wsm.wsm(&[&["invite"], args].concat());
    let link = invite(&["--json"]).ok().json();
    let secret = code(link["url"].as_str().expect("a link"), "invite");
    let dora = served.browser();
    let come = |name: Value| {
        dora.post(
            "/v1/invitations/claim",
            json!({"code": secret, "user": name}),
        )
    };
    assert_eq!(come(Value::Null).status, 400);
    for name in ["carl", "root", ann.name(), "a b"] {
        assert!([400, 409].contains(&come(json!(name)).status), "{name}");
    }
    assert_eq!(come(json!("dora")).ok()["user"], "dora");
    assert_eq!(dora.get("/v1/agents/anns").status, 404);
}

/// Taken back, ended by time, or by who invited no admin any more.
fn what_is_not_good(served: &Served, ann: &Persona) {
    let invite = |args: &[&str]| served.wsm.wsm(&[&["invite"], args].concat());
    let link = invite(&["--user", "erik", "--json"]).ok().json();
    let id = link["invitation"]["id"].as_str().expect("an id");
    let listed = invite(&["--ls"]).ok().stdout;
    assert!(
        listed.contains(id) && listed.contains("claimed"),
        "{listed}"
    );
    invite(&["--rm", id]).ok();
    let short = invite(&["--user", "fay", "--expires", "1s", "--json"])
        .ok()
        .json();
    served.wsm.wsm(&["user", "role", ann.name(), "admin"]).ok();
    let anns = served
        .wsm
        .wsm_as(ann, &["invite", "--user", "gus", "--json"])
        .ok()
        .json();
    served.wsm.wsm(&["user", "role", ann.name(), "member"]).ok();
    wait::until_true("its end", || {
        invite(&["--ls"]).ok().stdout.contains("expired")
    });
    for link in [link, short, anns] {
        let secret = code(link["url"].as_str().expect("a link"), "invite");
        let claim = json!({"code": secret});
        let come = served.browser().post("/v1/invitations/claim", claim);
        assert_eq!(come.status, 401, "{link}");
    }
}

//! Files as the programs write them, answers as the servers give them.

use proptest::prelude::*;

use super::codex::CLAIM;
use super::*;

const PLACEHOLDER: &str = "wsm-placeholder-abcdefghijkmnpqrstuvwxyz23456789";
const NOW: u64 = 1_800_000_000_000;

fn token(claims: &Json) -> String {
    jwt(claims, "signature")
}

fn claude() -> String {
    json!({ "claudeAiOauth": {
        "accessToken": "sk-ant-oat01-real", "refreshToken": "sk-ant-ort01-real", "expiresAt": NOW + 5,
        "scopes": ["user:inference", "user:profile"], "subscriptionType": "max", "rateLimitTier": null,
    }, "organizationUuid": "o" })
    .to_string()
}

fn codex() -> String {
    let id = json!({ "email": "ada@example.org", CLAIM: {
        "chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1" } });
    json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2026-01-01T00:00:00Z",
        "tokens": { "id_token": token(&id), "access_token": token(&json!({ "exp": NOW / 1000 + 60 })),
            "refresh_token": "rt_real", "account_id": "acc-1" } })
    .to_string()
}

fn logins() -> [Login; 2] {
    [(Kind::Claude, claude()), (Kind::Codex, codex())]
        .map(|(kind, text)| import(kind, text.as_bytes(), NOW).unwrap())
}

#[test]
fn a_programs_file_is_read() {
    let [claude, codex] = logins();
    assert_eq!(claude.access.reveal(), "sk-ant-oat01-real");
    assert_eq!(claude.refresh.unwrap().reveal(), "sk-ant-ort01-real");
    assert_eq!(claude.until_ms, NOW + 5);
    assert_eq!(claude.account["scopes"], "user:inference user:profile");
    assert_eq!(claude.account.len(), 2);
    assert_eq!(codex.refresh.unwrap().reveal(), "rt_real");
    assert_eq!(codex.until_ms, NOW + 60_000);
    let account: Vec<_> = codex.account.values().map(String::as_str).collect();
    assert_eq!(account, ["acc-1", "pro", "user-1"]);
}

#[test]
fn what_is_no_login_is_told_without_what_it_is() {
    let key = r#"{"OPENAI_API_KEY":"sk-very-real"}"#;
    let why = import(Kind::Codex, key.as_bytes(), NOW).unwrap_err().0;
    assert!(why.contains("openai-api-key"), "{why}");
    let long = vec![b' '; TEXT_BYTES_MAX + 1];
    assert!(import(Kind::Codex, &long, NOW).is_err());
    for text in [
        "sk-very-real",
        r#"{"claudeAiOauth":"sk-very-real"}"#,
        r#"{"claudeAiOauth":{"accessToken":["sk-very-real"]}}"#,
        r#"{"claudeAiOauth":{"accessToken":"sk-very-real","expiresAt":"sk-very-real"}}"#,
        r#"{"claudeAiOauth":{"accessToken":"a\nb"}}"#,
    ] {
        let why = import(Kind::Claude, text.as_bytes(), NOW).unwrap_err().0;
        assert!(!why.contains("very-real"), "{why}");
    }
}

/// What the agent is shown can be read by the same program, and holds nothing of value.
#[test]
fn the_stand_is_of_the_same_form_and_of_no_value() {
    for login in logins() {
        let shown = stand(&login, PLACEHOLDER);
        let answered = answer(&login, PLACEHOLDER);
        for text in [&shown.text, &answered] {
            assert!(!text.contains("real"), "{text}");
            assert!(text.contains(&access(login.kind, PLACEHOLDER)));
            assert!(text.contains(&refresh(login.kind, PLACEHOLDER)));
        }
        let read = import(login.kind, shown.text.as_bytes(), NOW).unwrap();
        assert_eq!(read.account, login.account);
        assert_eq!(read.until_ms, NEVER_S * 1000);
        assert_eq!(read.access.reveal(), access(login.kind, PLACEHOLDER));
    }
}

#[test]
fn a_renewal_asks_with_the_refresh_token() {
    let [mut claude, codex] = logins();
    claude.refresh = Some(Value::new("a\"b\\c".to_owned().into()).unwrap());
    let asked: Json = serde_json::from_slice(&renewal(&claude).unwrap()).unwrap();
    assert_eq!(asked["refresh_token"], "a\"b\\c");
    assert_eq!(asked["scope"], "user:inference user:profile");
    let asked: Json = serde_json::from_slice(&renewal(&codex).unwrap()).unwrap();
    assert_eq!(
        asked,
        json!({ "grant_type": "refresh_token", "refresh_token": "rt_real",
            "client_id": Kind::Codex.facts().client })
    );
    claude.refresh = None;
    assert_eq!(renewal(&claude), None);
}

#[test]
fn a_new_token_takes_the_place_of_the_old() {
    let [claude, codex] = logins();
    let new = |login: &Login, answer: &Json| match renewed(
        login,
        200,
        answer.to_string().as_bytes(),
        NOW,
    ) {
        Renewed::New(login) => *login,
        other => panic!("{other:?}"),
    };
    let answer = json!({ "access_token": "new", "refresh_token": "newer", "expires_in": 8 });
    let next = new(&claude, &answer);
    assert_eq!((next.access.reveal(), next.until_ms), ("new", NOW + 8000));
    assert_eq!(next.refresh.unwrap().reveal(), "newer");
    assert_eq!(next.account, claude.account);
    // The server's clock is days off: how long it lives is what counts.
    let access = token(&json!({ "iat": 1000, "exp": 1100 }));
    let next = new(&codex, &json!({ "access_token": access }));
    assert_eq!(next.until_ms, NOW + 100_000);
    assert_eq!(next.refresh, codex.refresh);
    let next = new(
        &claude,
        &json!({ "access_token": "x", "expires_in": u64::MAX }),
    );
    assert_eq!(next.until_ms, NOW + LIFE_S_MAX * 1000);
}

#[test]
fn a_refusal_for_good_is_told_from_one_for_now() {
    let [claude, _] = logins();
    let came = |status, text: &str| renewed(&claude, status, text.as_bytes(), NOW);
    let refused = |why: &str| Renewed::Refused(why.to_owned());
    let failed = |why: &str| Renewed::Failed(why.to_owned());
    assert_eq!(
        came(400, r#"{"error":"invalid_grant","error_description":"x"}"#),
        refused("invalid_grant (HTTP 400)")
    );
    assert_eq!(
        came(401, r#"{"error":{"code":"refresh_token_reused"}}"#),
        refused("refresh_token_reused (HTTP 401)")
    );
    assert_eq!(came(401, "<html>"), refused("HTTP 401"));
    assert_eq!(
        came(400, r#"{"error":"invalid_request"}"#),
        failed("invalid_request (HTTP 400)")
    );
    assert_eq!(came(503, r#"{"error":"\u001b[2J"}"#), failed("HTTP 503"));
    assert!(matches!(came(200, "{}"), Renewed::Failed(_)));
    assert!(matches!(
        came(200, r#"{"access_token":"a\r\nb"}"#),
        Renewed::Failed(_)
    ));
}

proptest! {
    #[test]
    fn no_text_breaks_anything(text in prop::collection::vec(any::<u8>(), 0..300), status in 100_u16..600) {
        for login in logins() {
            drop(import(login.kind, &text, NOW));
            drop(renewed(&login, status, &text, NOW));
        }
        if let Ok(text) = std::str::from_utf8(&text) {
            drop(claims(text));
        }
    }
}

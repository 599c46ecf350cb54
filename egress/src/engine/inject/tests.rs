//! What the heads of requests become.

use hyper::Request;
use proptest::prelude::*;

use super::*;
use crate::credential::CredentialSpec;
use crate::login::Kind;

const MODEL: &str = "sk-placeholder-0123456789";
const FORGE: &str = "gh-placeholder-9876543210";
const LOGIN: [&str; 2] = ["cl-placeholder-0123456789", "cx-placeholder-0123456789"];
const VALUE: &str = "the-real-one \"\\:";

fn header(name: &str, value: &str) -> Place {
    let (name, value) = (name.into(), value.into());
    Place::Header { name, value }
}

pub(in crate::engine) fn credentials() -> Credentials {
    let model = CredentialSpec {
        name: "model".into(),
        owner: "ann".into(),
        secret: "model-key".into(),
        hosts: vec!["api.example".into(), "other.example:8443".into()],
        places: vec![
            header("x-api-key", "{secret}"),
            header("authorization", "Bearer {secret}"),
        ],
        paths: Vec::new(),
        placeholder: MODEL.into(),
        websocket: false,
        login: None,
    };
    let forge = CredentialSpec {
        name: "forge".into(),
        hosts: vec!["git.example".into()],
        places: vec![Place::Basic],
        paths: vec!["/org/repo".into()],
        placeholder: FORGE.into(),
        ..model.clone()
    };
    let login =
        |name: &str, kind| CredentialSpec::of_login(name, "ann", kind, LOGIN[kind as usize]);
    let logins = [login("claude", Kind::Claude), login("codex", Kind::Codex)];
    let [claude, codex] = logins;
    Credentials::compile(&[model, forge, claude, codex]).unwrap()
}

fn value(_: &Credential) -> Result<Value, String> {
    Ok(Value::new(VALUE.to_owned().into()).unwrap())
}

/// A request's headers afterwards.
fn sent(host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Vec<String>, Misuse> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let credentials = credentials();
    let search = Search::new(&credentials);
    let (host, port) = Host::parse_with_port(host).unwrap();
    let target = (&host, port.unwrap_or(443));
    inject(&mut parts, target, &credentials, &search, value)?;
    let shown =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    Ok(parts.headers.iter().map(shown).collect())
}

fn encoded(text: &str) -> String {
    format!("Basic {}", BASE64.encode(text))
}

#[test]
fn a_value_stands_where_the_placeholder_stood() {
    let bearer = format!("bEARER {MODEL}");
    for (header, wanted) in [
        (("x-api-key", MODEL), format!("x-api-key: {VALUE}")),
        (
            ("authorization", bearer.as_str()),
            format!("authorization: Bearer {VALUE}"),
        ),
    ] {
        for host in ["api.example", "other.example:8443"] {
            let out = sent(host, "/v1", &[("accept", "*/*"), header]).unwrap();
            assert_eq!(out, ["accept: */*".to_owned(), wanted.clone()]);
        }
    }
    for (pair, wanted) in [
        (format!("git:{FORGE}"), format!("git:{VALUE}")),
        (format!("{FORGE}:"), format!("{VALUE}:")),
        (format!("{FORGE}:x"), format!("{VALUE}:x")),
    ] {
        let out = sent(
            "git.example",
            "/org/repo/info",
            &[("authorization", &encoded(&pair))],
        );
        assert_eq!(
            out.unwrap(),
            [format!("authorization: {}", encoded(&wanted))]
        );
    }
}

#[test]
fn anywhere_else_it_is_a_misuse() {
    let twice = format!("{MODEL}{MODEL}");
    let both = encoded(&format!("{FORGE}:{FORGE}"));
    let colon = encoded(&format!("a:b:{FORGE}"));
    let right = encoded(&format!("git:{FORGE}"));
    let mixed = encoded(&format!("{MODEL}:{FORGE}"));
    for (host, path, name, value) in [
        ("api.example:8443", "/", "x-api-key", MODEL),
        ("other.example", "/", "x-api-key", MODEL),
        ("evil.example", "/", "x-api-key", MODEL),
        ("git.example", "/org/repo", "x-api-key", MODEL),
        ("api.example", "/", "x-other", MODEL),
        ("api.example", "/", "cookie", MODEL),
        ("api.example", "/", "authorization", MODEL),
        ("api.example", "/", "x-api-key", &twice),
        (
            "api.example",
            "/",
            "x-api-key",
            " sk-placeholder-0123456789x",
        ),
        (
            "api.example",
            "/?k=sk-placeholder-0123456789",
            "accept",
            "*/*",
        ),
        (
            "api.example",
            "/sk%2Dplaceholder-0123456789",
            "accept",
            "*/*",
        ),
        (
            "api.example",
            "/",
            "authorization",
            &encoded(&format!("git:{MODEL}")),
        ),
        ("git.example", "/org/repo", "authorization", &both),
        ("git.example", "/org/repo", "authorization", &colon),
        ("git.example", "/org/repo", "authorization", &mixed),
        ("git.example", "/org/other", "authorization", &right),
        ("git.example", "/org/repo/../other", "authorization", &right),
        ("api.example", "/", "authorization", &right),
    ] {
        let out = sent(host, path, &[(name, value)]);
        assert!(
            matches!(out, Err(Misuse::Misplaced { .. })),
            "{host}{path} {name}: {value}: {out:?}"
        );
    }
    let out = sent(
        "api.example",
        "/",
        &[("x-api-key", MODEL), ("x-api-key", "x")],
    );
    assert!(matches!(out, Err(Misuse::Misplaced { .. })));
}

#[test]
fn without_a_value_nothing_is_sent() {
    let request = Request::get("/").header("x-api-key", MODEL);
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let credentials = credentials();
    let search = Search::new(&credentials);
    let host = Host::parse("api.example").unwrap();
    let missing = |_: &Credential| Err("there is none".to_owned());
    let out = inject(&mut parts, (&host, 443), &credentials, &search, missing);
    assert!(matches!(out, Err(Misuse::NoValue { .. })));
}

proptest! {
    /// The value is nowhere but in the declared place, whatever is asked.
    #[test]
    fn the_value_is_in_its_place_alone(
        host in prop_oneof![Just("api.example"), Just("other.example"), Just("git.example"), Just("evil.example")],
        port in prop_oneof![Just(443_u16), Just(8443)],
        path in prop_oneof!["/", "/org/repo", "/org/repo/x", "/x\\?k=sk-placeholder-0123456789"],
        headers in prop::collection::vec((
            prop_oneof!["x-api-key", "authorization", "cookie", "x-other"],
            prop_oneof![
                Just(MODEL.to_owned()), Just(format!("Bearer {MODEL}")), Just(format!("Bearer {FORGE}")),
                Just(encoded(&format!("git:{FORGE}"))), Just(encoded(&format!("git:{MODEL}"))),
                Just("none".to_owned()), Just(format!("{MODEL},{FORGE}")),
            ],
        ), 0..4),
    ) {
        let pairs: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let Ok(out) = sent(&format!("{host}:{port}"), &path, &pairs) else { return Ok(()) };
        let model = [format!("x-api-key: {VALUE}"), format!("authorization: Bearer {VALUE}")];
        let forge = format!("authorization: {}", encoded(&format!("git:{VALUE}")));
        for line in out {
            prop_assert!(!line.contains(MODEL) && !line.contains(FORGE));
            let secret = line.contains("the-real-one") || line == forge;
            let for_model = (host == "api.example" && port == 443) || (host == "other.example" && port == 8443);
            let placed = (for_model && model.contains(&line))
                || (host == "git.example" && port == 443 && path.starts_with("/org/repo") && line == forge);
            prop_assert!(!secret || placed, "{}", line);
        }
    }
}

/// The access token alone, whole, goes to its hosts and paths; the refresh token has no place.
#[test]
fn a_login_is_put_in_where_its_kind_says() {
    for (kind, host, path, elsewhere) in [
        (
            Kind::Claude,
            "api.anthropic.com",
            "/v1/messages",
            "/api/oauth/claude_cli/create_api_key",
        ),
        (
            Kind::Codex,
            "chatgpt.com",
            "/backend-api/codex/responses",
            "/backend-api/conversations",
        ),
    ] {
        let own = LOGIN[kind as usize];
        let access = format!("Bearer {}", forms::access(kind, own));
        let header = [("authorization", access.as_str())];
        let filled = sent(host, path, &header).unwrap();
        assert_eq!(filled, [format!("authorization: Bearer {VALUE}")]);
        assert!(sent(host, elsewhere, &header).is_err());
        assert!(sent("api.example", path, &header).is_err());
        assert!(sent(kind.facts().token_host, kind.facts().token_path, &header).is_err());
        let refresh = format!("Bearer {}", forms::refresh(kind, own));
        let part = format!("Bearer {own}");
        for wrong in [refresh, part] {
            let header = [("authorization", wrong.as_str())];
            assert!(
                sent(host, path, &header).is_err() || wrong == access,
                "{wrong}"
            );
        }
        assert!(sent(host, path, &[("x-api-key", access.as_str())]).is_err());
    }
}

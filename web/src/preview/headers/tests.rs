//! What passes a preview, and what does not.

use super::*;

fn head(lines: &[(&str, &str)]) -> HeaderMap {
    let mut head = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        head.append(name, HeaderValue::from_str(value).unwrap());
    }
    head
}

fn text<'a>(head: &'a HeaderMap, name: &str) -> Option<&'a str> {
    head.get(name).map(|value| value.to_str().unwrap())
}

fn origin() -> Form {
    Form::Origin {
        origin: "https://web--a.wsm.test:7443".to_owned(),
        page: "https://wsm.test:7443".to_owned(),
    }
}

fn path() -> Form {
    Form::Path {
        prefix: "/preview/abc".to_owned(),
    }
}

#[test]
fn nothing_of_ours_goes_in() {
    let sent = head(&[
        ("host", "web--a.wsm.test:7443"),
        ("cookie", "a=1; __Host-wsm-preview=x; __HOST-wsm=y; b=2"),
        ("cookie", "__Host-wsm-agent=z"),
        ("authorization", "Bearer wsm_secret"),
        ("origin", "https://web--a.wsm.test:7443"),
        ("referer", "https://web--a.wsm.test:7443/x?y"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-host", "evil"),
        ("connection", "close, x-secret"),
        ("x-secret", "1"),
        ("transfer-encoding", "chunked"),
        ("x-own", "kept"),
    ]);
    let out = request(&sent, &origin(), 5173, false);
    assert_eq!(text(&out, "cookie"), Some("a=1; b=2"));
    assert_eq!(text(&out, "authorization"), None);
    assert_eq!(text(&out, "host"), Some("localhost:5173"));
    assert_eq!(text(&out, "origin"), Some("http://localhost:5173"));
    assert_eq!(text(&out, "referer"), Some("http://localhost:5173/x?y"));
    assert_eq!(text(&out, "x-forwarded-host"), Some("web--a.wsm.test:7443"));
    assert_eq!(text(&out, "x-own"), Some("kept"));
    for gone in [
        "x-forwarded-for",
        "connection",
        "x-secret",
        "transfer-encoding",
    ] {
        assert_eq!(text(&out, gone), None, "{gone}");
    }
    let own = head(&[
        ("authorization", "Bearer its-own"),
        ("origin", "https://evil"),
    ]);
    let out = request(&own, &origin(), 5173, true);
    assert_eq!(text(&out, "authorization"), Some("Bearer its-own"));
    assert_eq!(text(&out, "origin"), Some("https://evil"));
    assert_eq!(text(&out, "upgrade"), Some("websocket"));
    // Below a path of ours the browser sends our own cookies along.
    let out = request(&sent, &path(), 5173, false);
    for gone in ["cookie", "referer", "origin"] {
        assert_eq!(text(&out, gone), None, "{gone}");
    }
}

#[test]
fn nothing_comes_out_that_reaches_further() {
    let said = head(&[
        ("set-cookie", "a=1; Path=/; Domain=wsm.test; HttpOnly"),
        ("set-cookie", "__Host-wsm=stolen; Path=/; Secure"),
        ("set-cookie", "  __host-WSM-preview=fixed"),
        ("set-cookie", "=__Host-wsm-preview=fixed; Path=/; Secure"),
        ("set-cookie", "b=2; domain = .test; SameSite=Lax"),
        ("service-worker-allowed", "/"),
        ("strict-transport-security", "max-age=1"),
        ("clear-site-data", "*"),
        ("alt-svc", "h3=\":1\""),
        ("location", "http://localhost:5173/next"),
        ("content-security-policy", "default-src *"),
        ("access-control-allow-credentials", "true"),
    ]);
    let out = answer(&said, &origin(), 5173, false);
    let cookies: Vec<_> = out.get_all(SET_COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1; Path=/; HttpOnly", "b=2; SameSite=Lax"]);
    for gone in REACHING {
        assert_eq!(text(&out, gone), None, "{gone}");
    }
    assert_eq!(text(&out, "location"), Some("/next"));
    let policies: Vec<_> = out.get_all(CONTENT_SECURITY_POLICY).iter().collect();
    let frames = "frame-ancestors 'self' https://wsm.test:7443";
    assert_eq!(policies, ["default-src *", frames]);

    let out = answer(&said, &path(), 5173, false);
    assert_eq!(text(&out, "set-cookie"), None);
    assert_eq!(text(&out, "location"), Some("/preview/abc/next"));
    assert_eq!(text(&out, "access-control-allow-credentials"), None);
    let policies = out.get_all(CONTENT_SECURITY_POLICY).iter();
    let sandboxed = policies.filter_map(|policy| policy.to_str().ok());
    let sandbox: Vec<_> = sandboxed
        .filter(|policy| policy.starts_with("sandbox"))
        .collect();
    assert_eq!(sandbox.len(), 1);
    assert!(!sandbox[0].contains("same-origin") && !sandbox[0].contains("top-navigation"));
}

#[test]
fn redirects_stay_where_they_are() {
    for (to, own, below) in [
        ("/x", "/x", "/preview/abc/x"),
        ("http://localhost:5173", "/", "/preview/abc/"),
        ("http://127.0.0.1:5173?a", "/?a", "/preview/abc/?a"),
        (
            "http://localhost:5174/x",
            "http://localhost:5174/x",
            "http://localhost:5174/x",
        ),
        (
            "http://localhost:51733/",
            "http://localhost:51733/",
            "http://localhost:51733/",
        ),
        ("//evil/x", "//evil/x", "//evil/x"),
        (
            "https://elsewhere/",
            "https://elsewhere/",
            "https://elsewhere/",
        ),
    ] {
        assert_eq!(relocated(to, &origin(), 5173), own, "{to}");
        assert_eq!(relocated(to, &path(), 5173), below, "{to}");
    }
}

#[test]
fn pages_of_other_previews_do_not_ask_in_a_persons_name() {
    let own = "https://web--a.wsm.test";
    let get = |lines: &[(&str, &str)]| asked_by_itself(&Method::GET, &head(lines), own);
    let post = |lines: &[(&str, &str)]| asked_by_itself(&Method::POST, &head(lines), own);
    let navigates = [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert!(get(&[("sec-fetch-site", "same-origin")]));
    assert!(get(&navigates) && !post(&navigates));
    assert!(!get(&[
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "no-cors")
    ]));
    assert!(!get(&[
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "cors")
    ]));
    assert!(post(&[("sec-fetch-site", "same-origin"), ("origin", own)]));
    assert!(!post(&[("origin", "https://web--b.wsm.test")]));
    assert!(get(&[]) && post(&[("origin", own)]));
    let socket = |from| get(&[("upgrade", "websocket"), ("origin", from)]);
    assert!(socket(own) && !socket("https://web--b.wsm.test") && !socket("null"));
}

#[test]
fn paths_and_cookies_are_read_strictly() {
    for (path, read) in [
        ("", "/"),
        ("/a?b", "/a?b"),
        ("//evil/x", "/evil/x"),
        ("/\\evil", "/"),
        ("a\r\nb", "/"),
        ("https://evil", "/https://evil"),
    ] {
        assert_eq!(below_root(path), read, "{path}");
    }
    let head = head(&[("cookie", "x=1; __Host-wsm-preview=v; __Host-wsm-agent=id")]);
    assert_eq!((cookie(&head), marker(&head)), (Some("v"), Some("id")));
    assert_eq!(encoded("/a?b=c d"), "/a%3Fb%3Dc%20d");
}

#[test]
fn nobody_is_asked_for_a_password_in_our_name() {
    let said = head(&[("www-authenticate", "Basic realm=\"wsm\"")]);
    let kept = |form: &Form| answer(&said, form, 5173, false).contains_key("www-authenticate");
    assert!(kept(&origin()) && !kept(&path()));
}

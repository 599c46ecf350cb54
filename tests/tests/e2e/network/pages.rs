//! What a browser gets before it says who it is.

use super::{Served, status};

#[test]
fn pages_are_for_everybody_and_may_do_little() {
    let served = Served::start("tls = \"off\"");
    let get = |path: &str, more: &str| {
        served.say(&format!(
            "GET {path} HTTP/1.1\r\nHost: wsm.test\r\n{more}\r\n"
        ))
    };
    let page = get("/", "Accept-Encoding: br\r\n");
    if status(&page) == "501" {
        assert!(
            page.contains("content-security-policy: default-src 'none'"),
            "{page}"
        );
        assert!(
            !wsm_tests::repository::root()
                .join("mobile-pwa/package.json")
                .exists()
        );
        return;
    }
    assert_eq!(status(&page), "200", "{page}");
    for header in [
        "content-type: text/html",
        "content-encoding: br",
        "cache-control: no-cache",
        "content-security-policy: default-src 'none'; script-src 'self';",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "etag: ",
    ] {
        assert!(page.contains(header), "{header} is not in {page}");
    }
    let policy = page
        .lines()
        .find(|line| line.starts_with("content-security-policy"));
    let policy = policy.expect("there is one");
    assert!(
        !policy.contains("unsafe-eval") && !policy.contains("script-src 'self' "),
        "{policy}"
    );
    let tag = page
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("a tag");
    let known = format!("Accept-Encoding: br\r\nIf-None-Match: {tag}\r\n");
    assert_eq!(status(&get("/", &known)), "304");
    let post = "POST / HTTP/1.1\r\nHost: wsm.test\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(status(&served.say(post)), "405");
    for path in [
        "/nothing",
        "/assets/../index.html",
        "/assets/",
        "/.built",
        "/%2e%2e/x",
    ] {
        assert_eq!(status(&get(path, "")), "404", "{path}");
    }
    let other = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(status(&served.say(other)), "421");
}

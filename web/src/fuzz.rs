//! What strangers' bytes reach, for fuzzing: nothing here panics, whatever they are.

mod http;

use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use wsm_terminal::protocol::Frame;

#[cfg(test)]
pub(crate) use http::edge;
pub use http::http;

/// `Host` and `X-Forwarded-For`, a line each.
pub fn host(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (host, forwarded) = text.split_once('\n').unwrap_or((&text, ""));
    let config = "[web]\nlisten = \"127.0.0.1:1\"\ntls = \"off\"\nnames = [\"wsm.test\"]\n\
                  proxies = [\"127.0.0.1\"]";
    let net = crate::config::parse(config, std::path::Path::new("/"));
    let net = net.expect("it is one").expect("it has the table");
    if net.knows(host) {
        // What is ours is a name of the list, or no name at all.
        let name = host.to_ascii_lowercase();
        let name = name.split(':').next().unwrap_or_default();
        let bare = |c: char| c.is_ascii_digit() || c == '.';
        assert!(
            host.starts_with('[')
                || ["wsm.test", "localhost"].contains(&name)
                || name.chars().all(bare)
        );
    }
    let peer = std::net::IpAddr::from([127, 0, 0, 1]);
    let lines: Vec<_> = forwarded.lines().collect();
    drop(net.client(peer, &lines).to_string());
}

/// `Authorization`.
pub fn authorization(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(AUTHORIZATION, value);
        }
    }
    if let Ok(Some(token)) = crate::auth::bearer(&headers) {
        assert!(token.is_ascii() && !token.is_empty() && headers.len() == 1);
    }
}

/// `Cookie`, a line each.
pub fn cookie(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<_> = text.lines().collect();
    for name in ["__Host-wsm", "wsm-7443"] {
        if let Some(value) = crate::cookie::find(&lines, name) {
            assert!(!value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }
}

/// `Origin` and `Sec-Fetch-Site`, a line each.
pub fn origin(data: &[u8]) {
    use crate::origin::{Kind, Said};
    let text = String::from_utf8_lossy(data);
    let (origin, site) = text.split_once('\n').unwrap_or((&text, ""));
    let config = "[web]\nlisten = \"192.0.2.1:7443\"\nnames = [\"wsm.test\"]";
    let net = crate::config::parse(config, std::path::Path::new("/"));
    let net = net.expect("it is one").expect("it has the table");
    let said = Said {
        host: "wsm.test:7443",
        origin: Some(origin),
        site: (!site.is_empty()).then_some(site),
        marked: true,
        proxied: false,
    };
    if [Kind::Read, Kind::Change, Kind::Socket]
        .iter()
        .any(|kind| said.ours(&net, *kind))
    {
        let authority = origin.strip_prefix("https://").unwrap_or_default();
        let (name, port) = authority.split_once(':').unwrap_or_default();
        assert!(
            name.eq_ignore_ascii_case("wsm.test") && port.parse() == Ok(7443),
            "{origin}"
        );
    }
}

/// A message of a WebSocket: a frame that a viewer sends.
pub fn frame(data: &[u8]) {
    if let Ok(Some(frame)) = Frame::decode_message(data) {
        let again = Frame::decode_message(&frame.encode_message());
        assert!(matches!(again, Ok(Some(same)) if same == frame));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn a_stranger_is_answered_and_refused() {
        for said in [
            "",
            "NONSENSE",
            "GET /v1/agents HTTP/1.1\r\nHost: wsm.test\r\n\r\n",
            "GET /v1/agents HTTP/1.1\r\nHost: wsm.test\r\nAuthorization: Bearer $\r\n\r\n",
            "POST /v1/session HTTP/1.1\r\nHost: wsm.test\r\nContent-Length: 9\r\n\r\n{}",
            "POST /v1/passkeys/login/start HTTP/1.1\r\nHost: wsm.test\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\nx-wsm: 1\r\n\r\n{}",
        ] {
            super::http(said.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::host(&data);
            super::authorization(&data);
            super::cookie(&data);
            super::origin(&data);
            super::frame(&data);
        }

        #[test]
        fn no_text_is_too_odd(text in "[a-z0-9.:\\[\\]\n, @%-]{0,80}") {
            super::host(text.as_bytes());
            super::authorization(format!("Bearer {text}").as_bytes());
            super::cookie(format!("a=b; __Host-wsm={text}").as_bytes());
            super::origin(format!("https://wsm.test{text}").as_bytes());
        }
    }
}

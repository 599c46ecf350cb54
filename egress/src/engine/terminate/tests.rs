//! A client that trusts an agent's authority, the proxy, and a server behind it.

mod world;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;
use crate::protocol::Word;
use world::{HOST, PLACEHOLDER, VALUE, World};

fn empty() -> Full<Bytes> {
    Full::default()
}

#[tokio::test]
async fn a_value_arrives_in_both_protocols() {
    for protocols in [&[HTTP1][..], &[HTTP2], &[HTTP2, HTTP1], &[]] {
        let mut world = World::new().await;
        let mut client = world.client(protocols).await;
        for path in ["/one", "/two"] {
            let request = client.get(path).header("x-api-key", PLACEHOLDER);
            let (status, said) = client.ask(request.body(empty()).unwrap()).await;
            assert_eq!(status, StatusCode::OK, "{said}");
            assert!(said.contains(path), "{said}");
            assert!(said.contains(&format!("x-api-key: {VALUE}")), "{said}");
            assert!(said.contains(HOST), "{said}");
        }
        assert_eq!(world.seen().len(), 2);
        assert!(world.words().is_empty());
    }
}

#[tokio::test]
async fn a_placeholder_elsewhere_never_leaves_and_is_told_of() {
    let mut world = World::new().await;
    for protocols in [&[HTTP1][..], &[HTTP2]] {
        let bad = [
            ("/", "x-other", PLACEHOLDER.to_owned()),
            ("/", "cookie", format!("a={PLACEHOLDER}")),
            ("/?k=PLACEHOLDER", "accept", "*/*".to_owned()),
            ("/", "x-api-key", format!("x{PLACEHOLDER}")),
            ("/", "proxy-authorization", format!("Bearer {PLACEHOLDER}")),
        ];
        for (path, name, value) in bad {
            let mut client = world.client(protocols).await;
            let request = client.get(&path.replace("PLACEHOLDER", PLACEHOLDER));
            let request = request.header(name, value).body(empty()).unwrap();
            let (status, said) = client.ask(request).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{name} {said}");
            assert!(!said.contains(VALUE) && !said.contains(PLACEHOLDER));
        }
    }
    assert!(world.seen().is_empty());
    let words = world.words();
    assert!(words.len() >= 4, "{words:?}");
    for word in words {
        let Word::Security(event) = word else {
            panic!("{word:?}")
        };
        assert_eq!(event.credential, "model");
        assert!(!event.why.contains(PLACEHOLDER));
    }
}

/// Without TLS nobody knows who reads it.
#[tokio::test]
async fn nothing_is_put_in_without_tls() {
    let mut world = World::new().await;
    let mut client = world.plain().await;
    for (host, name, value) in [
        (HOST, "x-api-key", PLACEHOLDER),
        (
            HOST,
            "proxy-authorization",
            "Basic bWU6c2stcGxhY2Vob2xkZXItMDEyMzQ1Njc4OQ==",
        ),
        ("other.example", "x-api-key", PLACEHOLDER),
    ] {
        let request = Request::get("/").header("host", host).header(name, value);
        let (status, said) = client.ask(request.body(empty()).unwrap()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
        assert!(said.contains("without TLS"), "{said}");
        client = world.plain().await;
    }
    let words = world.words();
    let security = |word: &Word| matches!(word, Word::Security(_));
    assert!(words.len() == 2 && words.iter().all(security), "{words:?}");
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_placeholder_in_a_body_is_struck_out() {
    let mut world = World::new().await;
    for protocols in [&[HTTP1][..], &[HTTP2]] {
        let mut client = world.client(protocols).await;
        let body = format!("before {PLACEHOLDER} after");
        let request = client.post("/echo").header("x-api-key", PLACEHOLDER);
        let request = request.body(Full::from(body)).unwrap();
        let (status, said) = client.ask(request).await;
        assert_eq!(status, StatusCode::OK);
        let struck = "*".repeat(PLACEHOLDER.len());
        assert!(said.ends_with(&format!("before {struck} after")), "{said}");
    }
    assert!(matches!(&world.words()[..], [Word::Security(_)]));
}

#[tokio::test]
async fn a_declared_member_of_a_body_is_filled() {
    let world = World::new().await;
    let mut client = world.client(&[HTTP1]).await;
    let request = client
        .post("/echo")
        .header("content-type", "application/json");
    let body = format!(r#"{{"refresh_token":"{PLACEHOLDER}"}}"#);
    let (status, said) = client.ask(request.body(Full::from(body)).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        said.ends_with(&format!(r#"{{"refresh_token":"{VALUE}"}}"#)),
        "{said}"
    );
}

#[tokio::test]
async fn a_secret_that_is_gone_is_said_so() {
    let mut world = World::new().await;
    world.forget_secret();
    let mut client = world.client(&[HTTP1]).await;
    let request = client.get("/").header("x-api-key", PLACEHOLDER);
    let (status, said) = client.ask(request.body(empty()).unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(said.contains("wsm secret set"), "{said}");
    assert!(world.seen().is_empty());
    assert_eq!(world.words().len(), 1);
}

#[tokio::test]
async fn requests_for_another_host_are_refused() {
    let world = World::new().await;
    let mut client = world.client(&[HTTP1]).await;
    for (host, status) in [
        ("other.example", StatusCode::MISDIRECTED_REQUEST),
        ("api.example:1", StatusCode::MISDIRECTED_REQUEST),
        ("a b", StatusCode::BAD_REQUEST),
    ] {
        let request = Request::get("/").header("host", host);
        let (got, said) = client.ask(request.body(empty()).unwrap()).await;
        assert_eq!(got, status, "{host}: {said}");
        client = world.client(&[HTTP1]).await;
    }
    let mut client = world.client(&[HTTP2]).await;
    let request = Request::get("https://other.example/")
        .body(empty())
        .unwrap();
    assert_eq!(client.ask(request).await.0, StatusCode::MISDIRECTED_REQUEST);
    assert!(world.seen().is_empty());
}

/// A program that trusts others alone.
#[tokio::test]
async fn a_program_that_does_not_trust_us_is_told_of() {
    let mut world = World::new().await;
    assert!(world.tls_of_a_stranger().await.is_err());
    let told = timeout(Duration::from_secs(5), world.next_word()).await;
    let Ok(Some(Word::Event(event))) = told else {
        panic!("{told:?}")
    };
    assert!(event.why.contains("does not trust"), "{event:?}");
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn an_unverified_server_gets_nothing() {
    let world = World::with_untrusted_server().await;
    for protocols in [&[HTTP1][..], &[HTTP2]] {
        let mut client = world.client(protocols).await;
        let request = client.get("/").header("x-api-key", PLACEHOLDER);
        let (status, said) = client.ask(request.body(empty()).unwrap()).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{said}");
        assert!(said.contains("certificate"), "{said}");
    }
    assert!(world.seen().is_empty());
}

/// Each event is there before the server sends the next.
#[tokio::test]
async fn streams_are_not_held_back() {
    for protocols in [&[HTTP1][..], &[HTTP2]] {
        let world = World::new().await;
        let mut client = world.client(protocols).await;
        let request = client.get("/events").header("x-api-key", PLACEHOLDER);
        let answer = client.begin(request.body(empty()).unwrap()).await;
        let mut body = answer.into_body();
        for number in 0..5 {
            world.next_event();
            let frame = timeout(Duration::from_secs(5), body.frame()).await;
            let data = frame.unwrap().unwrap().unwrap().into_data().unwrap();
            assert_eq!(data, format!("data: {number}\n\n"));
        }
    }
}

#[tokio::test]
async fn big_bodies_pass_both_ways() {
    for protocols in [&[HTTP1][..], &[HTTP2]] {
        let world = World::new().await;
        let mut client = world.client(protocols).await;
        let big = Bytes::from(vec![b'x'; 20 << 20]);
        let request = client.post("/count").header("x-api-key", PLACEHOLDER);
        let (_, said) = client.ask(request.body(Full::new(big)).unwrap()).await;
        assert!(said.ends_with(&format!("{}", 20 << 20)), "{said}");
        let (_, said) = client.ask(client.get("/big").body(empty()).unwrap()).await;
        assert_eq!(said.len(), 20 << 20);
    }
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let world = World::new().await;
    let client = world.client(&[HTTP2]).await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..50 {
        let mut client = client.shared();
        let request = client
            .get(&format!("/{number}"))
            .header("x-api-key", PLACEHOLDER);
        let request = request.body(empty()).unwrap();
        asked.spawn(async move { client.ask(request).await.0 });
    }
    while let Some(status) = asked.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!((world.seen().len(), world.connections()), (50, 1));
}

/// A server that closed the kept connection is connected to again.
#[tokio::test]
async fn a_closed_connection_is_made_anew() {
    let world = World::new().await;
    let mut client = world.client(&[HTTP1]).await;
    for _ in 0..3 {
        let request = client.get("/close").header("x-api-key", PLACEHOLDER);
        let (status, said) = client.ask(request.body(empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{said}");
    }
    assert_eq!(world.connections(), 3);
}

async fn websocket(world: &World) -> (impl AsyncRead + AsyncWrite + Unpin, String) {
    let mut stream = world.tls(&[HTTP1]).await;
    let head = format!(
        "GET /ws HTTP/1.1\r\nhost: {HOST}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\
         x-api-key: {PLACEHOLDER}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = vec![0; 4096];
    let length = stream.read(&mut said).await.unwrap();
    (
        stream,
        String::from_utf8_lossy(&said[..length]).to_lowercase(),
    )
}

/// Whoever gets an agent has its own secrets in it, also where something is open.
#[tokio::test]
async fn what_the_givers_secrets_opened_ends_with_a_handoff() {
    let world = World::with_websocket(true).await;
    let (mut stream, said) = websocket(&world).await;
    assert!(said.starts_with("http/1.1 101"), "{said}");
    let mut client = world.client(&[HTTP2]).await;
    let request = |client: &world::Client| client.get("/").body(empty()).unwrap();
    assert_eq!(client.ask(request(&client)).await.0, StatusCode::OK);
    world.hand_over();
    let ended = timeout(Duration::from_secs(20), stream.read(&mut [0; 16])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    assert_eq!(client.try_ask(request(&client)).await, None);
    // The next is bob's, who has not set it.
    let mut next = world.client(&[HTTP1]).await;
    let keyed = next.get("/").header("x-api-key", PLACEHOLDER);
    let (status, ..) = next.ask(keyed.body(empty()).unwrap()).await;
    assert!(
        status.is_client_error() || status.is_server_error(),
        "{status}"
    );
}

#[tokio::test]
async fn a_websocket_is_opened_where_that_is_declared() {
    for declared in [true, false] {
        let world = World::with_websocket(declared).await;
        let (mut stream, said) = websocket(&world).await;
        if !declared {
            assert!(said.starts_with("http/1.1 501"), "{said}");
            assert!(world.seen().is_empty());
            continue;
        }
        assert!(said.starts_with("http/1.1 101"), "{said}");
        assert!(said.contains("upgrade: websocket"), "{said}");
        stream.write_all(b"ping").await.unwrap();
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"ping");
        assert!(world.seen()[0].contains(VALUE));
    }
}

/// What servers read differently is refused, or written anew: the server sees one request at most
/// for each that the proxy answered, and never a second hidden in a body.
#[tokio::test]
async fn nothing_is_smuggled() {
    let world = World::new().await;
    let inner = "GET /smuggled HTTP/1.1\r\nhost: api.example\r\n\r\n";
    let length = inner.len();
    for head in [
        format!(
            "POST /a HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "POST /a HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "POST /a HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "POST /a HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\ncontent-length: {length}\r\n\r\n{inner}"
        ),
        format!("POST /a HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: +0\r\n\r\n{inner}"),
        format!("GET /a HTTP/1.1\r\nhost: {HOST}\r\nx-a: b\r\n : c\r\n\r\n{inner}"),
        format!("GET /a HTTP/1.1\r\nhost: {HOST}\r\nhost: other.example\r\n\r\n"),
        "GET http://api.example/a HTTP/1.1\r\nhost: api.example\r\n\r\n".to_owned(),
        "GET https://other.example/a HTTP/1.1\r\nhost: api.example\r\n\r\n".to_owned(),
        "GET https://me@api.example/a HTTP/1.1\r\nhost: api.example\r\n\r\n".to_owned(),
        "CONNECT other.example:443 HTTP/1.1\r\nhost: other.example:443\r\n\r\n".to_owned(),
        "GET /a HTTP/1.1\r\n\r\n".to_owned(),
        format!(
            "GET /a HTTP/1.1\r\nhost: {HOST}\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\n\r\n"
        ),
        format!(
            "GET /a HTTP/1.1\nhost: {HOST}\r\ntransfer-encoding:\u{b}chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        let before = world.seen().len();
        let mut stream = world.tls(&[HTTP1]).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut said = Vec::new();
        let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut said)).await;
        assert!(read.is_ok(), "{head}");
        let said = String::from_utf8_lossy(&said).into_owned();
        let refused =
            said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5");
        let seen = world.seen().split_off(before);
        // The one that is not refused is written anew: two requests that the client sent itself.
        let answers = said.matches("HTTP/1.1 ").count();
        assert!(
            refused && seen.is_empty() || answers == seen.len(),
            "{head}\n{said}\n{seen:?}"
        );
        for request in seen {
            assert!(
                !request.to_lowercase().contains("content-length: 53"),
                "{request}"
            );
        }
    }
}

#[tokio::test]
async fn large_heads_are_refused() {
    let world = World::new().await;
    for protocols in [&[HTTP1][..], &[HTTP2]] {
        let mut client = world.client(protocols).await;
        let request = client.get("/").header("x-big", "x".repeat(HEAD_BYTES_MAX));
        let refused = client.try_ask(request.body(empty()).unwrap()).await;
        assert!(
            refused.is_none_or(|status| status.is_client_error()),
            "{refused:?} {protocols:?}"
        );
    }
    assert!(world.seen().is_empty());
}

/// A credential that is taken away, and a host that is no longer allowed.
#[tokio::test]
async fn changes_hold_for_open_connections() {
    let mut world = World::new().await;
    let mut client = world.client(&[HTTP1]).await;
    let ask = |client: &mut world::Client| {
        let request = client.get("/").header("x-api-key", PLACEHOLDER);
        request.body(empty()).unwrap()
    };
    let request = ask(&mut client);
    assert_eq!(client.ask(request).await.0, StatusCode::OK);
    world.deny_all();
    let request = ask(&mut client);
    let refused = client.try_ask(request).await;
    assert!(refused.is_none_or(|status| status == StatusCode::FORBIDDEN));
    assert_eq!(world.seen().len(), 1);
    assert!(!world.words().is_empty());
}

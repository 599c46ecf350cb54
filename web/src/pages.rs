//! The pages that a browser gets: what `tools/pwa` built, embedded. They hold nothing of anybody's.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::{Edge, preview, problem};

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// What a page of ours may do: what came with it, and speak with this host. xterm.js writes its
/// colours into style elements of its own, and those of each letter (24 bits of them, and its width)
/// into attributes where it draws without a graphics card, as on phones.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; img-src 'self' data:; font-src 'self'; worker-src 'self'; \
    manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Said where there are no pages.
const NOT_BUILT: &str = "The pages are not built into this wsm. `make build` does it \
    (tools/pwa, which needs node 18 or newer and npm).\nThe API is here: /v1/status\n";

/// A file.
struct Page {
    path: &'static str,
    plain: &'static [u8],
    br: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// Beside each page: what names this version of it.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |page: &Page| {
        let digest = Sha256::digest(page.plain);
        digest[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    EMBEDDED.iter().map(tag).collect()
});

/// Answers what is no route of the API.
pub(crate) async fn serve(State(edge): State<Edge>, request: Request) -> Response {
    if request.uri().path().starts_with(preview::BELOW) {
        return preview::below(&edge, request).await;
    }
    let path = match request.uri().path() {
        "/" => "/index.html",
        path => path,
    };
    let found = EMBEDDED.binary_search_by(|page| page.path.cmp(path));
    match (found, request.method()) {
        (Ok(at), &(Method::GET | Method::HEAD)) => {
            page(&EMBEDDED[at], &TAGS[at], request.headers())
        }
        (Ok(_), _) => {
            let allow = [(ALLOW, "GET, HEAD")];
            (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
        }
        (Err(_), _) if path == "/index.html" && EMBEDDED.is_empty() => {
            (StatusCode::NOT_IMPLEMENTED, NOT_BUILT).into_response()
        }
        (Err(_), _) => problem::no_route(request.uri().clone())
            .await
            .into_response(),
    }
}

fn page(page: &'static Page, tag: &str, headers: &HeaderMap) -> Response {
    let (bytes, encoding) = packed(page, headers);
    let tag = format!("\"{tag}-{}\"", encoding.unwrap_or("plain"));
    let cache = match named_by_content(page.path) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok());
    let known = known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Bytes::from_static(bytes).into_response(),
    };
    let head = response.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        head.insert(name, HeaderValue::from_static(value));
    };
    say(CONTENT_TYPE, kind(page.path));
    say(CACHE_CONTROL, cache);
    say(VARY, "accept-encoding");
    say(CONTENT_SECURITY_POLICY, POLICY);
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(encoding) = encoding {
        say(CONTENT_ENCODING, encoding);
    }
    let tag = HeaderValue::try_from(tag).expect("hexadecimal digits");
    head.insert(ETAG, tag);
    response
}

/// The shortest form that the client takes.
fn packed(page: &Page, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter();
    let accepted: Vec<_> = accepted.filter_map(|line| line.to_str().ok()).collect();
    let takes = |name: &str| accepted.iter().any(|line| accepts(line, name));
    match (page.br, page.gzip) {
        (Some(br), _) if takes("br") => (br, Some("br")),
        (_, Some(gzip)) if takes("gzip") => (gzip, Some("gzip")),
        _ => (page.plain, None),
    }
}

/// Whether a line of `Accept-Encoding` names an encoding, and not to forbid it.
fn accepts(line: &str, name: &str) -> bool {
    line.split(',').any(|part| {
        let mut parts = part.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|one| one.eq_ignore_ascii_case(name));
        let none = |weight: &str| {
            let weight = weight.strip_prefix("q=");
            weight.is_some_and(|weight| weight.parse() == Ok(0.0))
        };
        named && !parts.any(none)
    })
}

/// Whether the name changes with the content: `/assets/terminal-Bx81_aZ9.js`.
fn named_by_content(path: &str) -> bool {
    let name = path.strip_prefix("/assets/").unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let hash = |at: usize| &stem.as_bytes()[at..];
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    stem.len()
        .checked_sub(9)
        .is_some_and(|at| hash(at)[0] == b'-' && hash(at)[1..].iter().all(plain))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAGE: Page = Page {
        path: "/assets/app-0123abcd.js",
        plain: b"let a",
        br: Some(b"br"),
        gzip: Some(b"gz"),
    };

    fn answer(lines: &[(HeaderName, &str)]) -> Response {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        page(&PAGE, "abc", &headers)
    }

    #[tokio::test]
    async fn each_gets_the_form_that_it_takes() {
        for (line, encoding, body) in [
            ("gzip, deflate, br, zstd", Some("br"), "br"),
            ("gzip", Some("gzip"), "gz"),
            ("br;q=0, GZIP;q=0.5", Some("gzip"), "gz"),
            ("br; q=0.0", None, "let a"),
            ("identity", None, "let a"),
            ("", None, "let a"),
        ] {
            let answer = answer(&[(ACCEPT_ENCODING, line)]);
            let found = answer.headers().get(CONTENT_ENCODING);
            assert_eq!(found.map(|it| it.to_str().unwrap()), encoding, "{line}");
            let bytes = axum::body::to_bytes(answer.into_body(), 99).await.unwrap();
            assert_eq!(bytes, body, "{line}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let first = answer(&[]);
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        let tags = format!("\"x\", {tag}");
        let again = answer(&[(IF_NONE_MATCH, &tags)]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        // Another form is another thing.
        let other = answer(&[(IF_NONE_MATCH, &tag), (ACCEPT_ENCODING, "br")]);
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn only_what_its_content_names_is_kept() {
        for (path, kept) in [
            ("/assets/app-0123abcd.js", true),
            ("/assets/app-01_3-bcd.js", true),
            ("/assets/app.js", false),
            ("/assets/a-b.js", false),
            ("/app-0123abcd.js", false),
            ("/index.html", false),
            ("/sw.js", false),
        ] {
            assert_eq!(named_by_content(path), kept, "{path}");
        }
    }

    #[test]
    fn what_is_embedded_is_found() {
        assert!(EMBEDDED.is_sorted_by(|a, b| a.path < b.path));
        let index = EMBEDDED.iter().any(|page| page.path == "/index.html");
        assert!(index || EMBEDDED.is_empty());
    }
}

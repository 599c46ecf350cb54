//! Doors for fuzzing to what reads an agent's bytes: beginnings of connections, questions for
//! names, heads and bodies of requests.

mod begin;

use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;

use super::form::Form;
use super::inject::inject;
use super::search::{Search, Struck};
use crate::credential::{Credential, CredentialSpec, Credentials, Place};
use crate::host::Host;
use crate::secret::Value;

pub use begin::{dns, hello};

const PLACEHOLDER: &str = "sk-placeholder-0123456789";
const VALUE: &str = "the-real-one";

fn credentials() -> Credentials {
    let header = |name: &str, value: &str| Place::Header {
        name: name.into(),
        value: value.into(),
    };
    let spec = CredentialSpec {
        name: "model".into(),
        owner: "ann".into(),
        secret: "key".into(),
        hosts: vec!["api.example".into()],
        places: vec![
            header("x-api-key", "{secret}"),
            header("authorization", "Bearer {secret}"),
            Place::Basic,
            Place::Body {
                field: "token".into(),
            },
        ],
        paths: vec!["/v1".into()],
        placeholder: PLACEHOLDER.into(),
        websocket: false,
        login: None,
    };
    Credentials::compile(&[spec]).expect("it is in order")
}

/// Lines `PATH`, then `NAME: VALUE`, then after an empty line a body. `$` stands for the
/// placeholder. Panics where a value could leave by another place than the declared ones.
///
/// # Panics
/// A placeholder left, or a value went elsewhere.
pub fn request(data: &[u8]) {
    let text = String::from_utf8_lossy(data).replace('$', PLACEHOLDER);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let mut request = Request::get(lines.next().unwrap_or("/"));
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let (mut parts, ()) = request.into_parts();
    let credentials = credentials();
    let search = Arc::new(Search::new(&credentials));
    let host = Host::parse("api.example").expect("it is one");
    let value = || Value::new(VALUE.to_owned().into()).expect("it is one");
    let give = |_: &Credential| Ok(value());
    let target = (&host, 443);
    if inject(&mut parts, target, &credentials, &search, give).is_ok() {
        assert!(search.find_in_headers(&parts.headers).is_none());
        let holds = |bytes: &[u8]| memchr::memmem::find(bytes, VALUE.as_bytes()).is_some();
        for (name, value) in &parts.headers {
            let placed = matches!(name.as_str(), "x-api-key" | "authorization");
            assert!(placed || !holds(value.as_bytes()) || text.contains(VALUE));
        }
    }
    for credential in credentials.iter() {
        for form in [Form::Json, Form::Pairs] {
            if form.holds(body.as_bytes(), credential) {
                let filled = form.fill(body.as_bytes(), PLACEHOLDER, &value());
                assert!(search.find(&filled).is_none());
            }
        }
    }
    let mut struck = Struck::new((), Arc::clone(&search), Box::new(|_| {}));
    let mut passed = Vec::new();
    // Cut where the bytes say.
    for piece in body.as_bytes().chunk_by(|one, two| one <= two) {
        passed.extend_from_slice(&struck.look(Bytes::copy_from_slice(piece)));
    }
    assert_eq!(passed.len(), body.len());
    assert!(search.find(&passed).is_none());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// A little of it in every run.
        #[test]
        fn nothing_leaves_elsewhere(
            path in "/v?1?(/[a-z.%$2e]{0,4}){0,2}(\\?[$a-z=]{0,5})?",
            headers in prop::collection::vec(
                "(x-api-key|authorization|cookie|x-a): (Bearer |Basic )?[$a-z:=% ]{0,4}", 0..4),
            body in "[${}\\[\\]:,=&\"a-z]{0,12}(\\{\"token\":\"\\$\"\\})?",
        ) {
            super::request(format!("{path}\n{}\n\n{body}", headers.join("\n")).as_bytes());
        }

        #[test]
        fn no_beginning_is_too_odd(data in prop::collection::vec(any::<u8>(), 0..200)) {
            super::hello(&data);
            super::dns(&data);
        }

        #[test]
        fn no_name_is_too_odd(text in "[a-z0-9A-Z.:\\[\\]%@/ *_-]{0,40}") {
            super::hello(text.as_bytes());
        }
    }
}

//! Puts values where placeholders stand, in the head of one request; pure but for the values.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use zeroize::Zeroizing;

use base64::Engine;

use super::search::{BASE64, Search, basic};
use crate::credential::{Credential, Credentials, Place, SECRET_MARK};
use crate::host::Host;
use crate::login::forms;
use crate::secret::Value;

/// So much of a header's name is told.
const HEADER_SHOWN_MAX: usize = 64;

/// Why a request with a placeholder is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misuse {
    /// It stands where it does not belong.
    Misplaced { credential: String, why: String },
    /// It stands where it belongs, and there is no value.
    NoValue { credential: String, why: String },
}

/// Looks through a head, and puts the values in. A placeholder that is left is a misuse.
pub(super) fn inject(
    parts: &mut Parts,
    (host, port): (&Host, u16),
    credentials: &Credentials,
    search: &Search,
    value: impl Fn(&Credential) -> Result<Value, String>,
) -> Result<(), Misuse> {
    if let Some(credential) = search.find_in_url(&parts.uri.to_string()) {
        return Err(misplaced(
            credential,
            "its placeholder stands in the address",
        ));
    }
    let here = || credentials.iter().filter(|c| c.is_for(host, port));
    let mut filled = Vec::new();
    for (name, found) in &parts.headers {
        let Some(credential) = search.find_in_header(found) else {
            continue;
        };
        let Some(credential) = here().find(|c| c.spec().name == credential) else {
            let why = format!("its placeholder was to be sent to {host}:{port}");
            return Err(misplaced(credential, why));
        };
        check_path(credential, &parts.uri)?;
        let places = credential.spec().places.iter();
        let filler = places
            .filter_map(|place| filler(place, name, found, &shown(credential)))
            .next();
        let alone = parts.headers.get_all(name).iter().count() == 1;
        let Some(filler) = filler.filter(|_| alone) else {
            return Err(undeclared(&credential.spec().name, name.as_str()));
        };
        let value = value(credential).map_err(|why| Misuse::NoValue {
            credential: credential.spec().name.clone(),
            why,
        })?;
        filled.push((name.clone(), filler.fill(&value)));
    }
    for (name, value) in filled {
        parts.headers.insert(name, value);
    }
    no_other(&parts.headers, search)
}

/// What the agent has instead of the value, whole.
fn shown(credential: &Credential) -> Cow<'_, str> {
    let spec = credential.spec();
    match spec.login {
        Some(kind) => forms::access(kind, &spec.placeholder).into(),
        None => spec.placeholder.as_str().into(),
    }
}

/// Two placeholders in one header: the second is left.
fn no_other(headers: &HeaderMap, search: &Search) -> Result<(), Misuse> {
    match search.find_in_headers(headers) {
        None => Ok(()),
        Some((credential, name)) => Err(undeclared(credential, &name)),
    }
}

/// Whether a credential may be used for this path.
pub(super) fn check_path(credential: &Credential, uri: &Uri) -> Result<(), Misuse> {
    if credential.covers(uri.path()) {
        return Ok(());
    }
    Err(misplaced(
        &credential.spec().name,
        "its placeholder was to be sent to another path than the declared ones",
    ))
}

fn undeclared(credential: &str, header: &str) -> Misuse {
    // The agent chose it.
    let shown: String = header.chars().take(HEADER_SHOWN_MAX).collect();
    let why = format!("its placeholder stands in the header {shown}, not as declared");
    misplaced(credential, why)
}

fn misplaced(credential: &str, why: impl Into<String>) -> Misuse {
    Misuse::Misplaced {
        credential: credential.to_owned(),
        why: why.into(),
    }
}

/// A header's value without the secret.
enum Filler {
    Plain { before: String, after: String },
    Basic { before: Vec<u8>, after: Vec<u8> },
}

/// How a header is filled, if it is this place and holds the placeholder as that declares.
fn filler(
    place: &Place,
    name: &HeaderName,
    found: &HeaderValue,
    placeholder: &str,
) -> Option<Filler> {
    match place {
        Place::Header {
            name: wanted,
            value,
        } if name.as_str() == wanted => {
            let (before, after) = value.split_once(SECRET_MARK)?;
            let text = found.to_str().ok()?;
            let (scheme, rest) = text.split_at_checked(before.len())?;
            let fits =
                scheme.eq_ignore_ascii_case(before) && rest.strip_suffix(after)? == placeholder;
            fits.then(|| Filler::Plain {
                before: before.to_owned(),
                after: after.to_owned(),
            })
        }
        Place::Basic if *name == AUTHORIZATION => {
            let decoded = basic(found)?;
            let colon = decoded.iter().position(|b| *b == b':')?;
            let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
            let placeholder = placeholder.as_bytes();
            match (user == placeholder, password == placeholder) {
                (true, false) => Some(Filler::Basic {
                    before: Vec::new(),
                    after: decoded[colon..].to_vec(),
                }),
                (false, true) => Some(Filler::Basic {
                    before: decoded[..=colon].to_vec(),
                    after: Vec::new(),
                }),
                _ => None,
            }
        }
        Place::Header { .. } | Place::Basic | Place::Body { .. } => None,
    }
}

impl Filler {
    fn fill(&self, value: &Value) -> HeaderValue {
        let secret = value.reveal();
        let text = match self {
            Filler::Plain { before, after } => {
                let length = before.len() + secret.len() + after.len();
                // Never grown: that would leave a copy behind.
                let mut text = Zeroizing::new(Vec::with_capacity(length));
                text.extend_from_slice(before.as_bytes());
                text.extend_from_slice(secret.as_bytes());
                text.extend_from_slice(after.as_bytes());
                text
            }
            Filler::Basic { before, after } => {
                let length = before.len() + secret.len() + after.len();
                let mut pair = Zeroizing::new(Vec::with_capacity(length));
                pair.extend_from_slice(before);
                pair.extend_from_slice(secret.as_bytes());
                pair.extend_from_slice(after);
                let mut text = Zeroizing::new(vec![0; 6 + length.div_ceil(3) * 4]);
                text[..6].copy_from_slice(b"Basic ");
                let written = BASE64
                    .encode_slice(&*pair, &mut text[6..])
                    .expect("it is as long as that");
                text.truncate(6 + written);
                text
            }
        };
        // Wiped when the request was sent.
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .expect("values and templates are visible ASCII");
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
pub(super) mod tests;

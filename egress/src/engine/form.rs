//! Bodies that are small enough to look for a placeholder in a declared member: JSON and forms.

use serde_json::Value as Json;

use crate::credential::{Credential, Place};
use crate::secret::Value;
use zeroize::Zeroizing;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Pairs,
}

impl Form {
    /// By its `Content-Type`.
    pub(super) fn of(content_type: &str) -> Option<Form> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/json" => Some(Form::Json),
            "application/x-www-form-urlencoded" => Some(Form::Pairs),
            _ => None,
        }
    }

    /// Whether a credential's placeholder is all of a declared member, and stands nowhere else.
    pub(super) fn holds(self, body: &[u8], credential: &Credential) -> bool {
        let spec = credential.spec();
        let placeholder = spec.placeholder.as_str();
        let times = memchr::memmem::find_iter(body, placeholder).count();
        let fields = spec.places.iter().filter_map(|place| match place {
            Place::Body { field } => Some(field.as_str()),
            Place::Header { .. } | Place::Basic => None,
        });
        let mut fields = fields;
        times == 1
            && match self {
                Form::Json => {
                    let read = serde_json::from_slice(body);
                    let Ok(Json::Object(members)) = read else {
                        return false;
                    };
                    fields
                        .any(|field| members.get(field).and_then(Json::as_str) == Some(placeholder))
                }
                Form::Pairs => fields.any(|field| {
                    let wanted = format!("{field}={placeholder}");
                    body.split(|b| *b == b'&')
                        .any(|pair| pair == wanted.as_bytes())
                }),
            }
    }

    /// The body with the value where the placeholder stands; only if it [`Form::holds`] it.
    pub(super) fn fill(self, body: &[u8], placeholder: &str, value: &Value) -> Zeroizing<Vec<u8>> {
        let secret = match self {
            Form::Json => in_json(value.reveal()),
            Form::Pairs => in_pairs(value.reveal()),
        };
        let at = memchr::memmem::find(body, placeholder.as_bytes()).unwrap_or(body.len());
        let after = body.get(at + placeholder.len()..).unwrap_or_default();
        let length = at + secret.len() + after.len();
        let mut filled = Zeroizing::new(Vec::with_capacity(length));
        filled.extend_from_slice(&body[..at]);
        filled.extend_from_slice(&secret);
        filled.extend_from_slice(after);
        filled
    }
}

/// Values are visible ASCII: two characters have a meaning in a JSON string.
fn in_json(value: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(2 * value.len()));
    for byte in value.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

fn in_pairs(value: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(3 * value.len()));
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + nibble - 10,
    };
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{CredentialSpec, Credentials};

    const HELD: &str = "rt-placeholder-0123456789";

    fn credentials() -> Credentials {
        let spec = CredentialSpec {
            name: "login".into(),
            owner: "ann".into(),
            secret: "login".into(),
            hosts: vec!["auth.example".into()],
            places: vec![Place::Body {
                field: "refresh_token".into(),
            }],
            paths: Vec::new(),
            placeholder: HELD.into(),
            websocket: false,
            login: None,
        };
        Credentials::compile(&[spec]).unwrap()
    }

    #[test]
    fn a_declared_member_is_filled_and_no_other() {
        let all = credentials();
        let login = all.iter().next().unwrap();
        let value = Value::new("a\"b\\c &=%".to_owned().into()).unwrap();
        let json = format!(r#"{{"n":1.0000000000000000001,"refresh_token":"{HELD}"}}"#);
        assert!(Form::Json.holds(json.as_bytes(), login));
        let filled = Form::Json.fill(json.as_bytes(), HELD, &value);
        assert_eq!(
            std::str::from_utf8(&filled).unwrap(),
            r#"{"n":1.0000000000000000001,"refresh_token":"a\"b\\c &=%"}"#
        );
        let pairs = format!("a=b&refresh_token={HELD}");
        assert!(Form::Pairs.holds(pairs.as_bytes(), login));
        let filled = Form::Pairs.fill(pairs.as_bytes(), HELD, &value);
        assert_eq!(&**filled, b"a=b&refresh_token=a%22b%5Cc%20%26%3D%25");
        for (form, body) in [
            (
                Form::Json,
                format!(r#"{{"x":{{"refresh_token":"{HELD}"}}}}"#),
            ),
            (Form::Json, format!(r#"{{"refresh_token":"{HELD} "}}"#)),
            (
                Form::Json,
                format!(r#"{{"refresh_token":"{HELD}","x":"{HELD}"}}"#),
            ),
            (Form::Json, format!(r#"["{HELD}"]"#)),
            (Form::Pairs, format!("x=refresh_token={HELD}")),
            (Form::Pairs, format!("refresh_token={HELD}x")),
            (Form::Pairs, json),
        ] {
            assert!(!form.holds(body.as_bytes(), login), "{body}");
        }
        assert_eq!(
            Form::of("Application/JSON; charset=utf-8"),
            Some(Form::Json)
        );
        assert_eq!(Form::of("text/plain"), None);
    }
}

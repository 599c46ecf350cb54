//! The forms of each kind: the file that its program writes, what the token endpoint is asked and
//! answers, and what an agent is shown instead. Pure; all of it but the last comes from others.

mod claude;
mod codex;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{BadLogin, Kind, Login, Stand};
use crate::secret::Value;

/// Longest file of a login, and longest answer of a token endpoint.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// When what an agent is shown ends: no program comes to renew it by itself. 2100-01-01.
const NEVER_S: u64 = 4_102_444_800;
/// An access token whose life nobody told.
const LIFE_S: u64 = 3600;
/// No token lives longer.
const LIFE_S_MAX: u64 = 10 * 366 * 86_400;

/// Reads what a kind's program keeps in the home.
///
/// # Errors
/// It is no login of this kind. No part of the text is repeated.
pub fn import(kind: Kind, text: &[u8], now_ms: u64) -> Result<Login, BadLogin> {
    if text.len() > TEXT_BYTES_MAX {
        let why = format!("it is longer than {TEXT_BYTES_MAX} bytes");
        return Err(BadLogin(why));
    }
    let login = match kind {
        Kind::Claude => claude::import(text, now_ms),
        Kind::Codex => codex::import(text, now_ms),
    }?;
    login.check()?;
    Ok(login)
}

/// What the token endpoint is asked for a new access token; JSON.
#[must_use]
pub fn renewal(login: &Login) -> Option<Zeroizing<Vec<u8>>> {
    let refresh = login.refresh.as_ref()?.reveal();
    let client = login.kind.facts().client;
    // Values are visible ASCII: two characters are escaped, and the buffer never grows.
    let mut body = Zeroizing::new(Vec::with_capacity(2 * refresh.len() + 2048));
    let head =
        format!(r#"{{"grant_type":"refresh_token","client_id":"{client}","refresh_token":""#);
    body.extend_from_slice(head.as_bytes());
    for byte in refresh.bytes() {
        if matches!(byte, b'"' | b'\\') {
            body.push(b'\\');
        }
        body.push(byte);
    }
    let scope = match (login.kind, login.account.get(claude::SCOPES)) {
        (Kind::Claude, Some(scopes)) => json!(scopes).to_string(),
        _ => String::new(),
    };
    if scope.is_empty() {
        body.extend_from_slice(b"\"}");
    } else {
        body.extend_from_slice(format!("\",\"scope\":{scope}}}").as_bytes());
    }
    Some(body)
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// The login from now on.
    New(Box<Login>),
    /// Never again with this refresh token; why, in the server's own word.
    Refused(String),
    /// Not now.
    Failed(String),
}

#[derive(Deserialize)]
struct Granted {
    access_token: Value,
    refresh_token: Option<Value>,
    expires_in: Option<u64>,
}

/// Reads what the token endpoint answered.
#[must_use]
pub fn renewed(login: &Login, status: u16, answer: &[u8], now_ms: u64) -> Renewed {
    if status != 200 {
        return failed(status, answer);
    }
    let Ok(granted) = parse::<Granted>(answer) else {
        return Renewed::Failed("the answer holds no access token".to_owned());
    };
    let Granted {
        access_token,
        refresh_token,
        expires_in,
    } = granted;
    let life = expires_in.or_else(|| life(access_token.reveal()));
    Renewed::New(Box::new(Login {
        refresh: refresh_token.or_else(|| login.refresh.clone()),
        access: access_token,
        since_ms: now_ms,
        until_ms: now_ms.saturating_add(life.unwrap_or(LIFE_S).min(LIFE_S_MAX) * 1000),
        ..login.clone()
    }))
}

fn failed(status: u16, answer: &[u8]) -> Renewed {
    let read: Json = serde_json::from_slice(answer).unwrap_or_default();
    let error = &read["error"];
    let code = error.as_str().or_else(|| error["code"].as_str());
    let code = code.or_else(|| read["code"].as_str()).unwrap_or_default();
    // It is shown, and may say anything.
    let plain = code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let said = match code {
        word if plain && (1..=64).contains(&word.len()) => format!("{word} (HTTP {status})"),
        _ => format!("HTTP {status}"),
    };
    let of_token = code == "invalid_grant" || code.starts_with("refresh_token_");
    if status == 401 || (matches!(status, 400 | 403) && of_token) {
        Renewed::Refused(said)
    } else {
        Renewed::Failed(said)
    }
}

/// What an agent has as access token.
#[must_use]
pub fn access(kind: Kind, placeholder: &str) -> String {
    match kind {
        Kind::Claude => format!("{}{placeholder}", kind.facts().access_prefix),
        Kind::Codex => codex::access(placeholder),
    }
}

/// What an agent has as refresh token.
#[must_use]
pub fn refresh(kind: Kind, placeholder: &str) -> String {
    format!("{}{placeholder}", kind.facts().refresh_prefix)
}

/// The file that an agent has.
#[must_use]
pub fn stand(login: &Login, placeholder: &str) -> Stand {
    let text = match login.kind {
        Kind::Claude => claude::stand(login, placeholder),
        Kind::Codex => codex::stand(login, placeholder),
    };
    Stand {
        path: login.kind.facts().file.to_owned(),
        text: text.to_string(),
    }
}

/// What an agent's program is answered that asks for a new access token: what it has.
#[must_use]
pub fn answer(login: &Login, placeholder: &str) -> String {
    let answer = match login.kind {
        Kind::Claude => claude::answer(login, placeholder),
        Kind::Codex => codex::answer(login, placeholder),
    };
    answer.to_string()
}

/// Reads JSON; what it was is not in the error.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, BadLogin> {
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        BadLogin(format!(
            "it is not of the form (line {line}, column {column})"
        ))
    })
}

/// The claims of a JWT, unverified: who brought it is trusted with what it says.
fn claims(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut parts = token.split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let decoded = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    Some(Zeroizing::new(decoded))
}

#[derive(Deserialize)]
struct Times {
    exp: u64,
    #[serde(default)]
    iat: u64,
}

/// Seconds that an access token lives from when it was given: by the server's clock alone.
fn life(token: &str) -> Option<u64> {
    let times: Times = parse(&claims(token)?).ok()?;
    (times.iat > 0).then(|| times.exp.saturating_sub(times.iat))
}

/// When an access token ends, by the server's clock.
fn end_ms(token: &str) -> Option<u64> {
    let times: Times = parse(&claims(token)?).ok()?;
    Some(times.exp.min(NEVER_S) * 1000)
}

/// A token of the form of a JWT whose signature is the placeholder.
fn jwt(claims: &Json, placeholder: &str) -> String {
    let encoded = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let head = encoded(&json!({ "alg": "none", "typ": "JWT" }));
    format!("{head}.{}.{placeholder}", encoded(claims))
}

/// Texts of a document that are there.
fn facts<const N: usize>(pairs: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    let there = pairs
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text.filter(|t| !t.is_empty())?)));
    there.collect()
}

#[cfg(test)]
mod tests;

//! Codex: `~/.codex/auth.json`. Its tokens are JWTs, and it reads their claims.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{LIFE_S, NEVER_S, claims, end_ms, facts, jwt, parse};
use crate::login::forms;
use crate::login::{BadLogin, Kind, Login};
use crate::secret::Value;

/// Facts about the account.
const ACCOUNT: &str = "account";
const PLAN: &str = "plan";
const USER: &str = "user";

/// The claim that the account is told in.
pub(super) const CLAIM: &str = "https://api.openai.com/auth";
/// A file that was renewed then is not looked at for that.
const RENEWED: &str = "2099-01-01T00:00:00Z";

#[derive(Deserialize)]
struct File {
    tokens: Option<Tokens>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<Value>,
    access_token: Value,
    refresh_token: Option<Value>,
    account_id: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "https://api.openai.com/auth", default)]
    account: Account,
}

#[derive(Deserialize, Default)]
struct Account {
    chatgpt_plan_type: Option<String>,
    chatgpt_user_id: Option<String>,
    chatgpt_account_id: Option<String>,
}

pub(super) fn import(text: &[u8], now_ms: u64) -> Result<Login, BadLogin> {
    let file: File = parse(text)?;
    let tokens = file.tokens.ok_or_else(|| {
        let why = "it holds no login (tokens); a key is set by `wsm secret set openai-api-key`";
        BadLogin(why.to_owned())
    })?;
    let told = tokens.id_token.as_ref().map(Value::reveal).and_then(claims);
    let told = told.and_then(|claims| parse::<Claims>(&claims).ok());
    let told = told.map(|claims| claims.account).unwrap_or_default();
    let until_ms = end_ms(tokens.access_token.reveal());
    Ok(Login {
        kind: Kind::Codex,
        access: tokens.access_token,
        refresh: tokens.refresh_token,
        since_ms: now_ms,
        until_ms: until_ms.unwrap_or(now_ms + LIFE_S * 1000),
        account: facts([
            (ACCOUNT, tokens.account_id.or(told.chatgpt_account_id)),
            (PLAN, told.chatgpt_plan_type),
            (USER, told.chatgpt_user_id),
        ]),
    })
}

pub(super) fn access(placeholder: &str) -> String {
    jwt(&json!({ "exp": NEVER_S }), placeholder)
}

fn id(login: &Login, placeholder: &str) -> String {
    let mut account = Map::new();
    for (fact, claim) in [
        (ACCOUNT, "chatgpt_account_id"),
        (PLAN, "chatgpt_plan_type"),
        (USER, "chatgpt_user_id"),
    ] {
        if let Some(text) = login.account.get(fact) {
            account.insert(claim.to_owned(), text.as_str().into());
        }
    }
    jwt(&json!({ "exp": NEVER_S, CLAIM: account }), placeholder)
}

pub(super) fn stand(login: &Login, placeholder: &str) -> Json {
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": id(login, placeholder),
            "access_token": access(placeholder),
            "refresh_token": forms::refresh(Kind::Codex, placeholder),
            "account_id": login.account.get(ACCOUNT),
        },
        "last_refresh": RENEWED,
    })
}

pub(super) fn answer(login: &Login, placeholder: &str) -> Json {
    json!({
        "id_token": id(login, placeholder),
        "access_token": access(placeholder),
        "refresh_token": forms::refresh(Kind::Codex, placeholder),
    })
}

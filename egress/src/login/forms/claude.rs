//! Claude Code: `~/.claude/.credentials.json`.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{LIFE_S_MAX, NEVER_S, facts, parse};
use crate::login::forms;
use crate::login::{BadLogin, Kind, Login};
use crate::secret::Value;

/// Facts about the account.
pub(super) const SCOPES: &str = "scopes";
const PLAN: &str = "subscription";
const TIER: &str = "tier";

#[derive(Deserialize)]
struct File {
    #[serde(rename = "claudeAiOauth")]
    oauth: Option<Oauth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Oauth {
    access_token: Value,
    refresh_token: Option<Value>,
    expires_at: Option<u64>,
    #[serde(default)]
    scopes: Vec<String>,
    subscription_type: Option<String>,
    rate_limit_tier: Option<String>,
}

pub(super) fn import(text: &[u8], now_ms: u64) -> Result<Login, BadLogin> {
    let file: File = parse(text)?;
    let oauth = file.oauth.ok_or_else(|| {
        let why =
            "it holds no login (claudeAiOauth); a key is set by `wsm secret set anthropic-api-key`";
        BadLogin(why.to_owned())
    })?;
    Ok(Login {
        kind: Kind::Claude,
        access: oauth.access_token,
        refresh: oauth.refresh_token,
        since_ms: now_ms,
        // Without a time it is one of `claude setup-token`: good for long, and not renewed.
        until_ms: oauth.expires_at.unwrap_or(now_ms + LIFE_S_MAX * 1000),
        account: facts([
            (SCOPES, Some(oauth.scopes.join(" "))),
            (PLAN, oauth.subscription_type),
            (TIER, oauth.rate_limit_tier),
        ]),
    })
}

fn scopes(login: &Login) -> String {
    let known = login.account.get(SCOPES).cloned();
    // Without this one Claude Code does not take it for a login.
    known.unwrap_or_else(|| "user:inference".to_owned())
}

pub(super) fn stand(login: &Login, placeholder: &str) -> Json {
    let scopes = scopes(login);
    let scopes: Vec<&str> = scopes.split(' ').collect();
    json!({ "claudeAiOauth": {
        "accessToken": forms::access(Kind::Claude, placeholder),
        "refreshToken": forms::refresh(Kind::Claude, placeholder),
        "expiresAt": NEVER_S * 1000,
        "scopes": scopes,
        "subscriptionType": login.account.get(PLAN),
        "rateLimitTier": login.account.get(TIER),
    }})
}

pub(super) fn answer(login: &Login, placeholder: &str) -> Json {
    json!({
        "token_type": "Bearer",
        "access_token": forms::access(Kind::Claude, placeholder),
        "refresh_token": forms::refresh(Kind::Claude, placeholder),
        "expires_in": LIFE_S_MAX,
        "scope": scopes(login),
    })
}

//! Passkeys: made by who is in, shown by who wants in.

use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use axum::response::Response;
use wsm_api::device::{Device, Entered};
use wsm_api::passkey::{
    Algorithm, CreationOptions, KnownPasskey, NewPasskey, Party, PasskeyLogin, PasskeyUser,
    RequestOptions, Selection, ShownPasskey,
};
use wsm_api::problem::{Code, Problem};

use crate::Edge;
use crate::config::Net;
use crate::extract::{Body, Caller, Newcomer};
use crate::origin::split;
use crate::passkey::challenges::For;
use crate::passkey::{ALGORITHMS, Expected, Key, asserted, created, text};
use crate::problem::{Answer, Failure};

/// How long a person may take, as browsers are told.
const TIMEOUT_MS: u32 = 300_000;

const PUBLIC_KEY: &str = "public-key";
const REQUIRED: &str = "required";

/// What a page is to authenticators: the name of this host, and the page's origin.
fn party(net: Option<&Net>, headers: &HeaderMap) -> Result<(String, String), Failure> {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let name = origin.and_then(split).map(|(_, host)| {
        let name = host.split(':').next().unwrap_or_default();
        name.to_ascii_lowercase()
    });
    let first = net.and_then(|net| net.names.first());
    let known = |name: &String| name == "localhost" || Some(name) == first;
    let (Some(name), Some(origin)) = (name.filter(known), origin) else {
        let message = "passkeys belong to a name, and this page has another, or a bare address";
        let hint = match first {
            Some(name) => format!("open this host by the name {name}"),
            None => "give this host a name: `names` in [web] of config.toml".to_owned(),
        };
        return Err(Problem::new(Code::NotAvailable, message, hint).into());
    };
    Ok((name, origin.to_owned()))
}

fn known(id: String) -> KnownPasskey {
    KnownPasskey {
        r#type: PUBLIC_KEY.to_owned(),
        id,
    }
}

/// Ids of a user's passkeys.
fn ids(edge: &Edge, user: &str) -> Result<Vec<KnownPasskey>, Failure> {
    let kept = edge.daemon.passkeys(user)?;
    let keys = kept
        .iter()
        .filter_map(|kept| serde_json::from_str::<Key>(kept).ok());
    Ok(keys.map(|key| known(key.id)).collect())
}

/// Where a caller comes from, by a browser's session alone.
fn browser(caller: &Caller) -> Result<IpAddr, Failure> {
    let address = caller.actor.address.parse().ok();
    address.filter(|_| caller.jar.is_some()).ok_or_else(|| {
        let hint = "`wsm pair` lets a browser in that can make one";
        Problem::new(Code::Conflict, "passkeys are made in a browser", hint).into()
    })
}

#[utoipa::path(post, path = "/v1/passkeys/register/start",
    responses((status = 200, body = CreationOptions), (status = "default", body = Problem)))]
/// Begins to make a passkey of the caller's: what `navigator.credentials.create` is given.
pub(crate) async fn register_start(
    State(edge): State<Edge>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer<CreationOptions> {
    edge.daemon.may_pair(&caller.actor)?;
    let from = browser(&caller)?;
    let (id, _) = party(edge.net.as_deref(), &headers)?;
    let user = caller.actor.user;
    let challenge = edge
        .challenges
        .ask(For::Register(user.clone()), from, Instant::now());
    let algorithm = |alg| Algorithm {
        r#type: PUBLIC_KEY.to_owned(),
        alg,
    };
    Ok(Json(CreationOptions {
        rp: Party {
            name: id.clone(),
            id,
        },
        exclude_credentials: ids(&edge, &user)?,
        user: PasskeyUser {
            id: handle(&user),
            display_name: user.clone(),
            name: user,
        },
        challenge,
        pub_key_cred_params: ALGORITHMS.map(algorithm).into(),
        timeout: TIMEOUT_MS,
        authenticator_selection: Selection {
            resident_key: REQUIRED.to_owned(),
            require_resident_key: true,
            user_verification: REQUIRED.to_owned(),
        },
        attestation: "none".to_owned(),
    }))
}

#[utoipa::path(post, path = "/v1/passkeys/register/finish", request_body = NewPasskey,
    responses((status = 200, body = Device), (status = "default", body = Problem)))]
/// Keeps the passkey that was made.
pub(crate) async fn register(
    State(edge): State<Edge>,
    caller: Caller,
    headers: HeaderMap,
    Body(new): Body<NewPasskey>,
) -> Answer<Device> {
    edge.daemon.may_pair(&caller.actor)?;
    browser(&caller)?;
    let (id, origin) = party(edge.net.as_deref(), &headers)?;
    let purpose = For::Register(caller.actor.user.clone());
    let key = created(
        &new.credential,
        &Expected {
            party: &id,
            ours: &|other| other == origin,
            challenge: &|value| edge.challenges.take(value, &purpose, Instant::now()),
        },
    );
    let key = key.map_err(|why| {
        let message = format!("this passkey can't be kept: {why}");
        Problem::new(Code::Invalid, message, "begin again")
    })?;
    let kept = serde_json::to_string(&key).expect("our own type serializes");
    let made = edge
        .daemon
        .passkey_new(&caller.actor, &key.id, kept, new.name);
    Ok(Json(made.await?))
}

#[utoipa::path(post, path = "/v1/passkeys/login/start", request_body = PasskeyLogin,
    responses((status = 200, body = RequestOptions), (status = "default", body = Problem)))]
/// Begins a login: what `navigator.credentials.get` is given. Needs `x-wsm: 1`.
pub(crate) async fn login_start(
    State(edge): State<Edge>,
    newcomer: Newcomer,
    headers: HeaderMap,
    Body(login): Body<PasskeyLogin>,
) -> Answer<RequestOptions> {
    let (rp_id, _) = party(edge.net.as_deref(), &headers)?;
    let mut allow_credentials = Vec::new();
    if let Some(user) = &login.user {
        allow_credentials = ids(&edge, user)?;
        // Nobody shall learn who there is: whoever has none seems to have one.
        if allow_credentials.is_empty() {
            allow_credentials.push(known(edge.challenges.decoy(user)));
        }
    }
    let from = newcomer.place.address;
    let challenge = edge.challenges.ask(For::Login, from, Instant::now());
    Ok(Json(RequestOptions {
        challenge,
        timeout: TIMEOUT_MS,
        rp_id,
        allow_credentials,
        user_verification: REQUIRED.to_owned(),
    }))
}

#[utoipa::path(post, path = "/v1/passkeys/login/finish", request_body = ShownPasskey,
    responses(
        (status = 200, body = Entered, description = "The cookie of the answer is the session"),
        (status = "default", body = Problem),
    ))]
/// A session for who showed a passkey. Needs `x-wsm: 1`.
pub(crate) async fn login(
    State(edge): State<Edge>,
    newcomer: Newcomer,
    headers: HeaderMap,
    Body(shown): Body<ShownPasskey>,
) -> Result<Response, Failure> {
    let (id, origin) = party(edge.net.as_deref(), &headers)?;
    let bad = |why: &str| {
        tracing::debug!(why, "a passkey was refused");
        let problem = Problem::new(Code::Unknown, "this passkey is not good", "");
        newcomer.place.missed(&edge, problem)
    };
    let Some(passkey) = edge.daemon.passkey(&shown.credential.id)? else {
        return Err(bad("it is not known"));
    };
    let said = shown.credential.response.user_handle.as_deref();
    if said.is_some_and(|said| said != handle(&passkey.user)) {
        return Err(bad("it is for another user"));
    }
    let key: Key = serde_json::from_str(&passkey.credential)
        .map_err(|_| bad("what is kept of it can't be read"))?;
    let key = asserted(
        &shown.credential,
        &key,
        &Expected {
            party: &id,
            ours: &|other| other == origin,
            challenge: &|value| {
                let now = Instant::now();
                edge.challenges.take(value, &For::Login, now)
            },
        },
    );
    let kept = serde_json::to_string(&key.map_err(bad)?).expect("our own type serializes");
    let address = newcomer.place.address.to_string();
    let made = edge
        .daemon
        .passkey_session(passkey, kept, shown.device_name, &address);
    Ok(newcomer.enter(made.await?))
}

/// What authenticators know a user by: the same for each of its passkeys, and not its name.
fn handle(user: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(format!("wsm user {user}"));
    text(&hash[..16])
}

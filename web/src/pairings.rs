//! Pairings and invitations: how devices and people come to this host.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use wsm_api::device::Entered;
use wsm_api::invite::{
    Invitation, InvitationClaim, InvitationMade, NewInvitation, Pairing, PairingClaim,
    PairingClaimed, PairingConfirm, PairingMade, PairingRedeem, PairingWaits,
};
use wsm_api::problem::{Code, Problem};

use crate::Edge;
use crate::extract::{Body, Caller, Newcomer, Path};
use crate::problem::{Answer, Failure};

/// Where codes are opened. They stand behind a `#`, so that no server and no log ever has one.
pub(crate) fn reachable(edge: &Edge) -> Result<String, Failure> {
    let Some(net) = &edge.net else {
        let hint = "[web] in config.toml turns it on (docs/config.md); see `wsm status`";
        return Err(Problem::new(Code::NotAvailable, "the network is off", hint).into());
    };
    net.public_url().ok_or_else(|| {
        let message = "nobody knows by what name others reach this host";
        let hint = "say so in config.toml, [web]: `url = \"https://NAME:PORT\"` or `names`";
        Problem::new(Code::NotAvailable, message, hint).into()
    })
}

#[utoipa::path(post, path = "/v1/pairings",
    responses((status = 200, body = PairingMade), (status = "default", body = Problem)))]
/// Begins to pair another device of the caller's; the answer alone tells the code.
pub(crate) async fn begin(State(edge): State<Edge>, caller: Caller) -> Answer<PairingMade> {
    edge.daemon.may_pair(&caller.actor)?;
    let base = reachable(&edge)?;
    let begun = edge.daemon.pairing_new(&caller.actor).await?;
    Ok(Json(PairingMade {
        url: format!("{base}/#pair={}", begun.code),
        id: begun.id,
        code: begun.code,
        expires: begun.expires,
    }))
}

#[utoipa::path(get, path = "/v1/pairings/{pairing}",
    params(("pairing" = String, Path, description = "Id")),
    responses((status = 200, body = Pairing), (status = "default", body = Problem)))]
/// How far it is: the device that came, and the number that it shows.
pub(crate) async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path(pairing): Path<String>,
) -> Answer<Pairing> {
    Ok(Json(edge.daemon.pairing(&caller.actor, &pairing).await?))
}

#[utoipa::path(post, path = "/v1/pairings/{pairing}/confirm", request_body = PairingConfirm,
    params(("pairing" = String, Path, description = "Id")),
    responses((status = 200, body = Pairing), (status = "default", body = Problem)))]
/// Lets the device in that shows this number.
pub(crate) async fn confirm(
    State(edge): State<Edge>,
    caller: Caller,
    Path(pairing): Path<String>,
    Body(confirm): Body<PairingConfirm>,
) -> Answer<Pairing> {
    let confirmed = edge
        .daemon
        .pairing_confirm(&caller.actor, &pairing, &confirm.number);
    Ok(Json(confirmed.await?))
}

#[utoipa::path(delete, path = "/v1/pairings/{pairing}",
    params(("pairing" = String, Path, description = "Id")),
    responses((status = 200, body = Pairing), (status = "default", body = Problem)))]
/// Ends it: no device comes in by it.
pub(crate) async fn end(
    State(edge): State<Edge>,
    caller: Caller,
    Path(pairing): Path<String>,
) -> Answer<Pairing> {
    Ok(Json(
        edge.daemon.pairing_end(&caller.actor, &pairing).await?,
    ))
}

#[utoipa::path(post, path = "/v1/pairings/claim", request_body = PairingClaim,
    responses((status = 200, body = PairingClaimed), (status = "default", body = Problem)))]
/// A new device brings the code, which is good once. Needs `x-wsm: 1`.
pub(crate) async fn claim(
    State(edge): State<Edge>,
    newcomer: Newcomer,
    Body(claim): Body<PairingClaim>,
) -> Answer<PairingClaimed> {
    let address = newcomer.place.address.to_string();
    let claimed = edge.daemon.pairing_claim(claim, &address).await;
    let claimed = claimed.map_err(|problem| newcomer.place.missed(&edge, problem))?;
    Ok(Json(claimed))
}

#[utoipa::path(post, path = "/v1/pairings/redeem", request_body = PairingRedeem,
    responses(
        (status = 200, body = Entered, description = "The cookie of the answer is the session"),
        (status = 202, body = PairingWaits, description = "Not confirmed yet: ask again"),
        (status = "default", body = Problem),
    ))]
/// The new device asks whether it was confirmed. Needs `x-wsm: 1`.
pub(crate) async fn redeem(
    State(edge): State<Edge>,
    newcomer: Newcomer,
    Body(redeem): Body<PairingRedeem>,
) -> Result<Response, Failure> {
    let address = newcomer.place.address.to_string();
    let made = edge.daemon.pairing_redeem(&redeem.claim, &address).await;
    match made.map_err(|problem| newcomer.place.missed(&edge, problem))? {
        Some(made) => Ok(newcomer.enter(made)),
        None => {
            let state = "waiting".to_owned();
            Ok((StatusCode::ACCEPTED, Json(PairingWaits { state })).into_response())
        }
    }
}

#[utoipa::path(post, path = "/v1/invitations", request_body = NewInvitation,
    responses((status = 200, body = InvitationMade), (status = "default", body = Problem)))]
/// Invites somebody; the answer alone tells the code.
pub(crate) async fn invite(
    State(edge): State<Edge>,
    caller: Caller,
    Body(new): Body<NewInvitation>,
) -> Answer<InvitationMade> {
    edge.daemon.may_invite(&caller.actor)?;
    let base = reachable(&edge)?;
    let (invitation, code) = edge.daemon.invite(&caller.actor, new).await?;
    let url = format!("{base}/#invite={code}");
    Ok(Json(InvitationMade { invitation, url }))
}

#[utoipa::path(get, path = "/v1/invitations",
    responses((status = 200, body = Vec<Invitation>), (status = "default", body = Problem)))]
/// Every invitation.
pub(crate) async fn invitations(
    State(edge): State<Edge>,
    caller: Caller,
) -> Answer<Vec<Invitation>> {
    Ok(Json(edge.daemon.invitations(&caller.actor).await?))
}

#[utoipa::path(delete, path = "/v1/invitations/{invitation}",
    params(("invitation" = String, Path, description = "Id")),
    responses((status = 200, body = Invitation), (status = "default", body = Problem)))]
/// Takes an invitation back.
pub(crate) async fn revoke(
    State(edge): State<Edge>,
    caller: Caller,
    Path(invitation): Path<String>,
) -> Answer<Invitation> {
    let revoked = edge.daemon.invite_revoke(&caller.actor, &invitation);
    Ok(Json(revoked.await?))
}

#[utoipa::path(post, path = "/v1/invitations/claim", request_body = InvitationClaim,
    responses(
        (status = 200, body = Entered, description = "The cookie of the answer is the session"),
        (status = "default", body = Problem),
    ))]
/// Somebody comes with an invitation, which is good once. Needs `x-wsm: 1`.
pub(crate) async fn come(
    State(edge): State<Edge>,
    newcomer: Newcomer,
    Body(claim): Body<InvitationClaim>,
) -> Result<Response, Failure> {
    let address = newcomer.place.address.to_string();
    let made = edge.daemon.invite_claim(claim, &address).await;
    let made = made.map_err(|problem| newcomer.place.missed(&edge, problem))?;
    Ok(newcomer.enter(made))
}

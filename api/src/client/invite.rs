//! Pairings and invitations.

use super::wire::{self, Target};
use super::{Client, Result};
use crate::invite::{
    Invitation, InvitationMade, NewInvitation, Pairing, PairingConfirm, PairingMade,
};

impl Client {
    /// Begins to pair another device of the caller's.
    ///
    /// # Errors
    /// See [`super::ClientError`]; so for every method below.
    pub async fn pairing_new(&self) -> Result<PairingMade> {
        self.post(Target::new("/v1/pairings"), None).await
    }

    /// How far a pairing is.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn pairing(&self, id: &str) -> Result<Pairing> {
        self.get(Target::new("/v1/pairings").then(id)).await
    }

    /// Lets the device in that shows this number.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn pairing_confirm(&self, id: &str, number: &str) -> Result<Pairing> {
        let confirm = PairingConfirm {
            number: number.to_owned(),
        };
        let target = Target::new("/v1/pairings").then(id).then("confirm");
        self.post(target, Some(wire::encode(&confirm))).await
    }

    /// Ends a pairing.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn pairing_end(&self, id: &str) -> Result<Pairing> {
        self.delete(Target::new("/v1/pairings").then(id)).await
    }

    /// Invites somebody.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn invite(&self, new: &NewInvitation) -> Result<InvitationMade> {
        let target = Target::new("/v1/invitations");
        self.post(target, Some(wire::encode(new))).await
    }

    /// Every invitation.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn invitations(&self) -> Result<Vec<Invitation>> {
        self.get(Target::new("/v1/invitations")).await
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn invitation_revoke(&self, id: &str) -> Result<Invitation> {
        self.delete(Target::new("/v1/invitations").then(id)).await
    }
}

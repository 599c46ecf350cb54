//! Users, tokens, devices and shares.

use hyper::Method;

use super::wire::{self, Target, decode};
use super::{Client, Result};
use crate::device::Device;
use crate::user::{
    NewRole, NewShare, NewToken, NewUser, Share, Token, TokenMade, User, UserRemoved, Whoami,
};

impl Client {
    /// Who the caller is.
    ///
    /// # Errors
    /// See [`super::ClientError`]; so for every method below.
    pub async fn whoami(&self) -> Result<Whoami> {
        self.get(Target::new("/v1/whoami")).await
    }

    /// Users.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn users(&self) -> Result<Vec<User>> {
        self.get(Target::new("/v1/users")).await
    }

    /// Adds a user.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn user_add(&self, new: &NewUser) -> Result<User> {
        self.post(Target::new("/v1/users"), Some(wire::encode(new)))
            .await
    }

    /// Changes a user's role on the host.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn user_role(&self, name: &str, role: &str) -> Result<User> {
        let new = NewRole {
            role: role.to_owned(),
        };
        let target = Target::new("/v1/users").then(name).then("role");
        self.post(target, Some(wire::encode(&new))).await
    }

    /// Removes a user.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn user_remove(&self, name: &str) -> Result<UserRemoved> {
        self.delete(Target::new("/v1/users").then(name)).await
    }

    /// The caller's tokens; an admin sees all.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        self.get(Target::new("/v1/tokens")).await
    }

    /// Makes a token; the answer alone tells its value.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn token_new(&self, new: &NewToken) -> Result<TokenMade> {
        self.post(Target::new("/v1/tokens"), Some(wire::encode(new)))
            .await
    }

    /// Ends a token.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn token_remove(&self, id: &str) -> Result<Token> {
        self.delete(Target::new("/v1/tokens").then(id)).await
    }

    /// The caller's devices; an admin sees all.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn devices(&self) -> Result<Vec<Device>> {
        self.get(Target::new("/v1/devices")).await
    }

    /// Ends a device.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn device_remove(&self, id: &str) -> Result<Device> {
        self.delete(Target::new("/v1/devices").then(id)).await
    }

    /// Whom an agent is shared with; its owner first.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn shares(&self, agent: &str) -> Result<Vec<Share>> {
        self.get(Target::agent(agent).then("shares")).await
    }

    /// Shares an agent, or changes a share.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn share(&self, agent: &str, new: &NewShare) -> Result<Share> {
        self.post(Target::agent(agent).then("shares"), Some(wire::encode(new)))
            .await
    }

    /// Ends a share.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn unshare(&self, agent: &str, user: &str) -> Result<Share> {
        self.delete(Target::agent(agent).then("shares").then(user))
            .await
    }

    pub(super) async fn delete<T: serde::de::DeserializeOwned>(&self, target: Target) -> Result<T> {
        let (_, body) = self.call(Method::DELETE, target, None).await?;
        decode(&body)
    }
}

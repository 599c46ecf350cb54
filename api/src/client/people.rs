//! Users, tokens, shares and links.

use hyper::Method;

use super::wire::{self, Target, decode};
use super::{Client, Result};
use crate::link::{Link, LinkMade, NewLink};
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

    /// Links that an agent is watched by.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn links(&self, agent: &str) -> Result<Vec<Link>> {
        self.get(Target::agent(agent).then("links")).await
    }

    /// Makes a link; the answer alone tells its value.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn link_new(&self, agent: &str, new: &NewLink) -> Result<LinkMade> {
        let target = Target::agent(agent).then("links");
        self.post(target, Some(wire::encode(new))).await
    }

    /// Ends a link.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn link_remove(&self, agent: &str, id: &str) -> Result<Link> {
        let target = Target::agent(agent).then("links").then(id);
        self.delete(target).await
    }

    async fn delete<T: serde::de::DeserializeOwned>(&self, target: Target) -> Result<T> {
        let (_, body) = self.call(Method::DELETE, target, None).await?;
        decode(&body)
    }
}

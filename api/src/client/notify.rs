//! Notifications.

use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{self, Target, decode};
use super::{Client, Result};
use crate::notify::{
    Channel, ChannelMade, Delivery, NewChannel, Notifications, RulesChange, TestRequest,
};

impl Client {
    /// The caller's rules.
    ///
    /// # Errors
    /// See [`super::ClientError`]; so for every method below.
    pub async fn notify_rules(&self) -> Result<Notifications> {
        self.get(Target::new("/v1/notifications")).await
    }

    /// Changes the caller's rules.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn notify_rules_change(&self, change: &RulesChange) -> Result<Notifications> {
        self.ask(Method::PUT, Target::new("/v1/notifications"), Some(change))
            .await
    }

    /// Every way that the caller is told by.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn channels(&self) -> Result<Vec<Channel>> {
        self.get(Target::new("/v1/notifications/channels")).await
    }

    /// Adds one.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn channel_new(&self, new: &NewChannel) -> Result<ChannelMade> {
        let target = Target::new("/v1/notifications/channels");
        self.ask(Method::POST, target, Some(new)).await
    }

    /// Removes one.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn channel_remove(&self, id: &str) -> Result<Channel> {
        let target = Target::new("/v1/notifications/channels").then(id);
        self.ask(Method::DELETE, target, None::<&()>).await
    }

    /// Sends a test.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn notify_test(&self, request: &TestRequest) -> Result<Vec<Channel>> {
        let target = Target::new("/v1/notifications/test");
        self.ask(Method::POST, target, Some(request)).await
    }

    /// What was told, newest first.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn deliveries(&self, limit: u32) -> Result<Vec<Delivery>> {
        let target = Target::new("/v1/notifications/deliveries");
        self.get(target.query("limit", &limit)).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: Target,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let body = body.map(|body| wire::encode(body));
        let (_, body) = self.call(method, target, body).await?;
        decode(&body)
    }
}

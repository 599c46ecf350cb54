//! Registered repositories, and the templates there are.

use super::wire::{self, Target};
use super::{Client, Result};
use crate::repository::{NewRepository, Repository};
use crate::template::TemplateInfo;

impl Client {
    /// Repositories that the caller may make agents of.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn repositories(&self) -> Result<Vec<Repository>> {
        self.get(Target::new("/v1/repositories")).await
    }

    /// Registers one.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn repository_add(&self, new: &NewRepository) -> Result<Repository> {
        self.post(Target::new("/v1/repositories"), Some(wire::encode(new)))
            .await
    }

    /// Takes one out; `user`: whose, the caller's own without.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn repository_remove(&self, name: &str, user: Option<&str>) -> Result<Repository> {
        let target = Target::new("/v1/repositories").then(name);
        self.delete(target.maybe("user", user.as_ref())).await
    }

    /// Built-in templates and the host's.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn templates(&self) -> Result<Vec<TemplateInfo>> {
        self.get(Target::new("/v1/templates")).await
    }
}

//! Repositories that agents may be made of without being on the machine.

use serde::{Deserialize, Serialize};

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Repository {
    /// Name; one of each for a user.
    pub name: String,
    /// The wsm user who may make agents of it.
    pub user: String,
    /// Its working tree.
    pub path: String,
    /// Who registered it.
    pub by: String,
    /// When (RFC 3339, UTC).
    pub created: String,
}

/// A repository to be registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// Its grant, from the broker: proof that the caller can use the directory.
    pub grant: String,
    /// Name; that of its directory without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The user who may make agents of it; the caller without. The user's account must be the one
    /// that the files belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

//! Previews: what an agent serves, in a browser elsewhere.

use serde::{Deserialize, Serialize};

/// Which page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPreview {
    /// Name of the port, or its number inside.
    pub port: String,
    /// Path and query of the first page.
    #[serde(default)]
    pub path: String,
}

/// Where to look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Preview {
    /// For a browser: whoever has it may look.
    pub url: String,
    /// Whether it has an origin of its own: cookies, storage and paths work as they do inside.
    pub own_origin: bool,
}

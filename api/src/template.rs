//! Templates over the API.

use serde::{Deserialize, Serialize};

/// One template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateInfo {
    /// Name.
    pub name: String,
    /// One line.
    pub description: String,
    /// Layer of its highest file.
    pub layer: String,
    /// That file.
    pub file: String,
    /// What it extends.
    pub extends: Vec<String>,
}

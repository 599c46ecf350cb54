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
    /// Agent kind (`claude`, `shell` …).
    #[serde(default)]
    pub kind: String,
    /// Whether it can be given a prompt.
    #[serde(default)]
    pub prompt: bool,
    /// Its parameters: fields of a form.
    #[serde(default)]
    pub params: Vec<Param>,
}

/// A parameter of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Param {
    /// Name, as `set` names it.
    pub name: String,
    /// One line for people; empty: its name says it.
    #[serde(default)]
    pub description: String,
    /// `string`, `int` or `bool`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is when nobody says.
    pub default: Option<String>,
    /// The only values that it may have; empty for all.
    pub choices: Vec<String>,
    /// What the whole value must match, as a shell matches file names.
    pub pattern: Option<String>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is the whole of the first prompt.
    #[serde(default)]
    pub prompt: bool,
}

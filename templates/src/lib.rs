//! Templates: TOML files that say everything an agent gets.
//!
//! [`resolve`] takes the layers' files and a request and gives [`resolved::Resolved`], or every
//! problem at once with file, line and hint. Everything here is pure: no files, no clock.
//!
//! The way of a value: `parse` checks its type and notes its line; `layer` finds the files that
//! make up a template; `merge` puts them on top of each other and holds the repository to its
//! rules; `params`, `convert` and `check` turn the result into types that can't be wrong;
//! `expand` fills in the placeholders later, when ports and paths are known. `keys` describes the
//! format once, for all of them, for the JSON schema and for the reference page.

mod agent;
mod check;
mod convert;
mod expand;
mod features;
mod form;
mod keys;
mod layer;
mod merge;
mod params;
mod parse;
mod problem;
mod resolve;
pub mod resolved;
pub mod schema;
mod shell;
mod starter;
mod trust;
mod value;

pub use agent::CLAUDE_MCP;
pub use check::PORTS_MAX;
pub use check::SERVICES_MAX;
pub use convert::login_hosts;
pub use expand::ExpandError;
pub use expand::Quoting;
pub use expand::Vars;
pub use expand::escape;
pub use expand::expand;
pub use expand::expand_all;
pub use expand::names;
pub use expand::shell_quote;
pub use form::Form;
pub use form::forms;
pub use layer::CLOSURE_MAX;
pub use layer::EXTENDS_DEPTH_MAX;
pub use layer::FILES_MAX;
pub use layer::Source;
pub use layer::Sources;
pub use layer::TemplateInfo;
pub use layer::list;
pub use params::ParamInfo;
pub use parse::DEPTH_MAX;
pub use parse::ENTRIES_MAX;
pub use parse::KEYS_MAX;
pub use parse::PARENTS_MAX;
pub use parse::TEMPLATE_BYTES_MAX;
pub use problem::PROBLEMS_MAX;
pub use problem::Problem;
pub use problem::Problems;
pub use resolve::Request;
pub use resolve::Resolution;
pub use resolve::resolve;
pub use resolve::validate;
pub use resolve::validate_text;
pub use starter::init_text;
pub use trust::TrustRequest;
pub use value::duration_text;

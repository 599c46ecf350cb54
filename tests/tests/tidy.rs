//! House rules that no compiler checks: who imports whom, sizes, where `unsafe` and SQL may stand.
//!
//! A rule that is broken here is either a mistake or a decision; a decision changes the table
//! below and `docs/ARCHITECTURE.md` in the same commit.

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/sources.rs"]
mod sources;

//! Git workspaces: one directory, two views.
//!
//! The human's view is a real `git worktree` of the main repository; the agent's is a private git
//! directory mounted over the administrative directory of that worktree, whose objects borrow from
//! the main repository. Between them stands the **helper**: a short-lived process with the
//! account's uid, confined by the broker, that speaks [`protocol`] on its standard streams.
//!
//! ```text
//! driver ── client::Helper ──socket──▶ helper_main ──▶ inspect | create | import | compare | merge | remove
//!                                         │
//!                                         ├─ decide   who moved (pure)
//!                                         ├─ check    what an object may look like (pure)
//!                                         └─ beneath  opening what an agent may have written
//! ```
//!
//! The helper never runs a hook, a filter or any other process, and reads no configuration but the
//! main repository's own. What an agent can write is opened below a directory descriptor, without
//! following links, and never as a repository.

mod beneath;
mod beside;
mod branches;
mod changes;
mod check;
mod checkout;
pub mod client;
mod compare;
mod copy;
mod create;
pub mod decide;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod helper;
mod import;
mod index;
mod inspect;
mod intake;
mod landed;
mod libgit;
mod merge;
mod obstacle;
mod private;
pub mod protocol;
mod remove;
mod turn;

#[cfg(test)]
mod tests;

pub use client::{Helper, HelperError};
pub use helper::helper_main;

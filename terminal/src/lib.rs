//! Terminals that survive: PTYs, screen model, numbered output.
//!
//! Without the feature `engine` this crate is only the frames ([`protocol`]).

pub mod protocol;
pub mod recording;

#[cfg(all(feature = "engine", any(test, feature = "fuzz")))]
pub mod fuzz;
#[cfg(feature = "engine")]
pub mod hook;
#[cfg(feature = "engine")]
pub mod lease;
#[cfg(feature = "engine")]
pub mod letterbox;
#[cfg(feature = "engine")]
mod plain;
#[cfg(feature = "engine")]
pub mod pty;
#[cfg(feature = "engine")]
pub mod ring;
#[cfg(feature = "engine")]
pub mod screen;
#[cfg(feature = "engine")]
pub mod shim;
#[cfg(feature = "engine")]
pub mod snapshot;
#[cfg(feature = "engine")]
pub mod tokenizer;

//! Terminals that survive: PTYs, screen model, numbered output.
//!
//! Without the feature `engine` this crate is only the frames ([`protocol`]).

pub mod protocol;

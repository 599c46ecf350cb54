//! What may leave a sandbox: the policy, and the proxy that enforces it.
//!
//! Without the feature `engine` this crate is pure: names ([`host`]), rules ([`rule`]), the one
//! decision ([`policy`]), which addresses may be dialled ([`address`]), what secrets ([`secret`]) and
//! logins ([`login`]) are and where they go ([`credential`]), the host's configuration ([`config`]), and what daemon and
//! egress say to each other ([`protocol`]).

pub mod address;
pub mod config;
pub mod credential;
pub mod host;
pub mod login;
pub mod policy;
pub mod protocol;
pub mod rule;
pub mod secret;
pub mod way;

#[cfg(feature = "engine")]
pub mod engine;

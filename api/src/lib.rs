//! The contract of wsm: what goes over the API, and the words for it.
//!
//! Types only; the daemon's own types are converted to these at its edge. With the feature
//! `client` there is a typed client ([`client`]), with `openapi` the types describe themselves.

pub mod agent;
pub mod audit;
#[cfg(feature = "client")]
pub mod client;
pub mod device;
pub mod event;
pub mod feed;
pub mod handoff;
pub mod host;
pub mod invite;
pub mod link;
pub mod name;
pub mod notify;
pub mod passkey;
pub mod policy;
pub mod presence;
pub mod preview;
pub mod problem;
pub mod question;
pub mod recording;
pub mod repository;
pub mod review;
pub mod secret;
pub mod service;
pub mod template;
pub mod terminal;
pub mod usage;
pub mod user;

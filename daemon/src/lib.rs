//! The domain of wsm: agents, workspaces, services, ports, journal, store.
//!
//! [`facade`] is the surface; [`agent`] holds the drivers, which are the only writers of state.

pub mod account;
pub mod actor;
pub mod agent;
pub mod audit;
mod broker;
pub mod egress;
pub mod engine;
pub mod facade;
mod fault;
pub mod notify;
mod pairing;
pub mod port;
pub mod record;
pub mod recordings;
pub mod role;
pub mod service;
pub mod shim;
pub mod store;
pub mod usage;
pub mod workspace;

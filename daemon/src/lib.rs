//! The domain of wsm: agents, workspaces, services, ports, journal, store.
pub mod facade;
pub mod port;
pub mod service;
pub mod shim;

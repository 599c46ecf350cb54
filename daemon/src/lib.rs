//! The domain of wsm: agents, workspaces, services, ports, journal, store.
pub mod facade;

//! The privileged half of wsm: a spec becomes a plan, a plan becomes a sandbox.
//!
//! Without the feature `engine` this crate is only the three contracts: [`spec`] (what a sandbox
//! shall be), [`protocol`] (what may be asked of the broker), [`launch`] (shim to launcher).

pub mod launch;
pub mod protocol;
pub mod spec;

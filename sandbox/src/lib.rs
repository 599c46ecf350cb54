//! The privileged half of wsm: a spec becomes a plan, a plan becomes a sandbox.
//!
//! Without the feature `engine` this crate is only the three contracts: [`spec`] (what a sandbox
//! shall be), [`protocol`] (what may be asked of the broker), [`launch`] (shim to launcher).

#[cfg(feature = "engine")]
mod ablation;
#[cfg(feature = "engine")]
mod apply;
#[cfg(feature = "engine")]
pub mod broker;
#[cfg(feature = "engine")]
pub mod ceiling;
#[cfg(feature = "engine")]
pub mod cgroup;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
#[cfg(feature = "engine")]
pub mod enter;
#[cfg(feature = "engine")]
mod fail;
#[cfg(feature = "engine")]
mod files;
#[cfg(feature = "engine")]
mod guard;
#[cfg(feature = "engine")]
pub mod host;
#[cfg(feature = "engine")]
mod init;
#[cfg(feature = "engine")]
mod keystore;
#[cfg(feature = "engine")]
pub mod landlock;
pub mod launch;
#[cfg(feature = "engine")]
mod launcher;
#[cfg(feature = "engine")]
mod lease;
#[cfg(feature = "engine")]
mod network;
#[cfg(feature = "engine")]
mod packet;
#[cfg(feature = "engine")]
mod pin;
#[cfg(feature = "engine")]
pub mod plan;
pub mod protocol;
#[cfg(feature = "engine")]
pub mod seccomp;
#[cfg(feature = "engine")]
pub mod selftest;
#[cfg(feature = "engine")]
mod spawn;
pub mod spec;
#[cfg(feature = "engine")]
mod stacks;
#[cfg(feature = "engine")]
mod sys;
#[cfg(feature = "engine")]
mod userns;
#[cfg(feature = "engine")]
pub mod zygote;

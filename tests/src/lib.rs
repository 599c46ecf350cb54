//! Harness of the black-box tests: real binaries, real accounts, a real kernel.
//!
//! A story is told through the public door: an [`instance::Instance`] of wsm in a directory of
//! its own, [`persona::Persona`]s that are Unix accounts, [`repo::Repo`]s made with git, and
//! [`term::Term`]s that a person could sit at. Nothing here looks into wsm; what is left behind
//! is read from the kernel by [`host`]. Without root or a fit kernel the tests fail.

pub mod browser;
pub mod cli;
pub mod host;
pub mod instance;
pub mod older;
pub mod persona;
pub mod repo;
pub mod repository;
pub mod sshd;
pub mod term;
pub mod wait;

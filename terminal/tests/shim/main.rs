//! The shim as the daemon and viewers meet it: real processes, real PTYs, a launcher that is played.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail its test")]

mod guests;
mod harness;
mod hostile;
mod people;
mod streams;
mod terminals;
mod tty;
mod viewer;

//! The shim as the daemon and viewers meet it: real processes, real PTYs, a launcher that is played.

mod harness;
mod streams;
mod terminals;

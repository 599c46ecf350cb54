//! The real broker, the real kernel: sandboxes are made, used, inspected and removed.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "broker/checkpoint.rs"]
mod checkpoint;
#[path = "broker/crash.rs"]
mod crash;
#[path = "broker/egress.rs"]
mod egress;
#[path = "broker/guards.rs"]
mod guards;
#[path = "broker/harness.rs"]
mod harness;
#[path = "broker/hostile.rs"]
mod hostile;
#[path = "broker/life.rs"]
mod life;
#[path = "broker/pointer.rs"]
mod pointer;
#[path = "broker/refuse.rs"]
mod refuse;
#[path = "broker/runaway.rs"]
mod runaway;

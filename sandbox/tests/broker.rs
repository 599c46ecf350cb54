//! The real broker, the real kernel: sandboxes are made, used, inspected and removed.

#[path = "broker/crash.rs"]
mod crash;
#[path = "broker/harness.rs"]
mod harness;
#[path = "broker/life.rs"]
mod life;
#[path = "broker/refuse.rs"]
mod refuse;

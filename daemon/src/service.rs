//! Services of one agent: the rules, the state machine that follows them, and the probes.
//!
//! [`Supervisor`] decides and does nothing; the agent's driver feeds it what happened and carries
//! out what it says. [`Prober`] tries one check.

mod policy;
mod probe;
mod supervisor;

pub use policy::{
    BACKOFF_FIRST, BACKOFF_MAX, HEALTHY_AFTER, KILL_TIMEOUT, RESTARTS_MAX, RESTARTS_WINDOW,
    start_order,
};
pub use probe::{Outcome, Prober, Trial};
pub use supervisor::{Input, Output, Supervisor, View, Which, process_of, service_of};

//! Stories, told through the command line of a real instance (root, real kernel, real git).

#[path = "e2e/alone.rs"]
mod alone;
#[path = "e2e/attacks.rs"]
mod attacks;
#[path = "e2e/builtins.rs"]
mod builtins;
#[path = "e2e/chaos.rs"]
mod chaos;
#[path = "e2e/credentials.rs"]
mod credentials;
#[path = "e2e/egress.rs"]
mod egress;
#[path = "e2e/ending.rs"]
mod ending;
#[path = "e2e/everyday.rs"]
mod everyday;
#[path = "e2e/full.rs"]
mod full;
#[path = "e2e/git.rs"]
mod git;
#[path = "e2e/guards.rs"]
mod guards;
#[path = "e2e/hostile.rs"]
mod hostile;
#[path = "e2e/keyboard.rs"]
mod keyboard;
#[path = "e2e/lifecycle.rs"]
mod lifecycle;
#[path = "e2e/network.rs"]
mod network;
#[path = "e2e/notify.rs"]
mod notify;
#[path = "e2e/older.rs"]
mod older;
#[path = "e2e/people.rs"]
mod people;
#[path = "e2e/recovery.rs"]
mod recovery;
#[path = "e2e/refusals.rs"]
mod refusals;
#[path = "e2e/remote.rs"]
mod remote;
#[path = "e2e/review.rs"]
mod review;
#[path = "e2e/rights.rs"]
mod rights;
#[path = "e2e/sandbox.rs"]
mod sandbox;
#[path = "e2e/services.rs"]
mod services;
#[path = "e2e/sharing.rs"]
mod sharing;
#[path = "e2e/state.rs"]
mod state;
#[path = "e2e/terminals.rs"]
mod terminals;
#[path = "e2e/times.rs"]
mod times;
#[path = "e2e/told.rs"]
mod told;

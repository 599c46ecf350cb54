//! Agents: one driver task each, the only writer of its record.
//!
//! ```text
//!            new                    setup ok            command runs
//! creating ──────▶ setting-up ─────▶ starting ─────────▶ working ◀──▶ idle
//!    │                 │                │                  │  ▲          │
//!    └────────failed◀──┴────────────────┘            pause │  │ resume   │
//!                 ▲                                        ▼  │          │
//!                 │      shim gone: lost ◀────────────── paused          │
//!                 └──────── command failed ── stopping ◀── stop ─────────┘
//!                                                │
//!                                                └─▶ stopped ── start ─▶ starting
//! ```
//!
//! [`request`] decides what may be asked in which state (pure), [`assemble`] what is built (pure);
//! [`driver`] acts. Everything that may be half done when the daemon dies is written down before
//! it begins ([`crate::record::Phase`]); a new daemon goes on from there.

pub mod assemble;
pub mod driver;
pub mod handle;
pub(crate) mod make;
mod policy;
mod recover;
pub mod request;
pub(crate) mod run;
mod serve;
mod setup;
mod stage;
mod stop;
pub(crate) mod work;

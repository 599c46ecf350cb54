//! Agents: one driver task each, the only writer of its record.
//!
//! ```text
//!            new                    setup ok            command runs
//! creating ──────▶ setting-up ─────▶ starting ─────────▶ working ◀──▶ idle, blocked
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
//! it begins ([`crate::record::Phase`]); a new daemon goes on from there. Where the database takes
//! nothing, what ends an agent is done all the same and written later, and nothing else is begun
//! ([`ledger`]).

mod adapter;
pub mod assemble;
pub(crate) mod bring;
pub mod credentials;
pub(crate) mod decide;
pub mod driver;
pub mod evidence;
mod forward;
pub mod handle;
pub(crate) mod handover;
pub mod hear;
pub(crate) mod ledger;
pub(crate) mod make;
mod outside;
pub(crate) mod pace;
mod policy;
mod recover;
pub mod request;
pub(crate) mod run;
mod select;
mod serve;
mod setup;
pub(crate) mod stage;
mod stop;
mod strain;
mod typing;
mod unwatched;
pub(crate) mod work;

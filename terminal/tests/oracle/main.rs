//! Snapshots as other terminals see them: who saw a real program's output from its beginning and
//! who was drawn a snapshot at any byte of it must see the same in xterm.js, and in tmux.
//!
//! Windows lie at random places. `WSM_WINDOWS=50` looks at more of them, `WSM_SEED` at the same again.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail its test")]

mod tmux;
mod window;
mod xterm;

//! Notifications: what the journal says, told to people who are not looking.
//!
//! A row that means something to people ([`event`]) leaves notices in its own transaction
//! (`store/outbox.rs`). The notifier ([`worker`]) decides on each when it is due ([`decide`], by the
//! person's [`rules`] and [`presence`]; [`pace`] when there are many), and makes one delivery per
//! channel of it, in one step.
//! A delivery is tried until it is taken, refused for good, or too old. A daemon that dies between
//! two of these steps tells something twice at worst, and the second replaces the first by its tag.

use std::path::Path;

use wsm_api::problem::{Code, Problem};

pub mod decide;
pub mod event;
pub mod keys;
pub mod mail;
pub mod message;
pub mod outcome;
pub mod pace;
pub mod place;
pub mod post;
pub mod presence;
pub mod push;
pub mod rules;
pub(crate) mod send;
mod settle;
pub mod worker;

use keys::Keys;
use presence::Presence;

/// What notifications need beside the database.
#[derive(Debug)]
pub struct Notifier {
    /// Who looks at what.
    pub presence: Presence,
    keys: Result<Keys, String>,
    /// Where this host's page is, as far as it is known.
    page: Option<String>,
}

impl Notifier {
    /// Reads or makes the keys below the daemon's state. Without them there are no notifications,
    /// and everything else.
    #[must_use]
    pub fn open(state: &Path, page: Option<String>) -> Notifier {
        let keys = Keys::open(state);
        if let Err(why) = &keys {
            tracing::error!(why, "there are no notifications");
        }
        Notifier {
            presence: Presence::default(),
            keys,
            page,
        }
    }

    /// The keys.
    ///
    /// # Errors
    /// They can't be read, and are not made anew: browsers subscribed with them.
    pub fn keys(&self) -> Result<&Keys, Problem> {
        self.keys.as_ref().map_err(|why| {
            let message = format!("there are no notifications: {why}");
            let hint = "look at the directory `notify` in the daemon's state";
            Problem::new(Code::NotAvailable, message, hint)
        })
    }
}

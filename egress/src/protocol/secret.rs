//! Orders about secrets. The daemon never has a value: it asks for a ticket, and whoever holds the
//! ticket gives the value to egress itself, over the same socket.

use serde::{Deserialize, Serialize};

use crate::secret::{About, Value};

/// What the daemon wants of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretOrder {
    /// Take one value from this local user, within a minute.
    Expect {
        /// Who will bring it.
        uid: u32,
        /// Whose it will be; `None`: the host's.
        owner: Option<String>,
        /// Its name.
        name: String,
        /// From when it is not used any more.
        expires_ms: Option<u64>,
    },
    /// Forget one.
    Remove {
        /// Whose.
        owner: Option<String>,
        /// Its name.
        name: String,
    },
    /// Tell all, without their values.
    List,
}

/// Answer to a [`SecretOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretAnswer {
    /// To [`SecretOrder::Expect`]: for whoever brings the value.
    Ticket(String),
    /// To [`SecretOrder::Remove`]: whether there was one.
    Removed(bool),
    /// To [`SecretOrder::List`].
    All(Vec<About>),
}

/// A value, from the user who was given the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gift {
    /// The ticket; good for one try.
    pub ticket: String,
    /// Where alone it may go; empty: wherever a rule of its owner's says. Said here, where the
    /// daemon can't change it.
    pub hosts: Vec<String>,
    /// The value.
    pub value: Value,
}

//! Orders about secrets. The daemon never has a value: it asks for a ticket, and whoever holds the
//! ticket gives the value to egress itself, over the same socket.

use serde::{Deserialize, Serialize};

use crate::login::Login;
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
    /// Tell a value, for an agent that may see it: only of a secret that was brought for that.
    Reveal {
        /// Whose agent.
        owner: String,
        /// Its name.
        name: String,
    },
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
    /// To [`SecretOrder::Reveal`].
    Value(Value),
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brought {
    /// A value.
    Value(Value),
    /// A login, without what of its file is of no use here.
    Login(Box<Login>),
}

/// A value or a login, from the user who was given the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gift {
    /// The ticket; good for one try.
    pub ticket: String,
    /// Where alone it may go; empty: wherever a rule of its owner's says. Said here, where the
    /// daemon can't change it.
    pub hosts: Vec<String>,
    /// Whether agents may have the value itself. Said here for the same reason.
    #[serde(default)]
    pub visible: bool,
    /// What is to be kept.
    pub brought: Brought,
}

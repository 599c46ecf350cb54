//! Who is at a terminal, and which of them has its keyboard.

use serde::{Deserialize, Serialize};

/// Who a connection belongs to, as the daemon says it: a viewer can't name itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Person {
    /// The wsm user. Empty: the daemon, or root beside it.
    pub user: String,
    /// What they sit at, in words for people.
    #[serde(default)]
    pub device: String,
}

/// What the names of those begin with who came by a link: they are told nobody's name.
const NAMELESS: &str = "link:";

/// What they are told instead.
const SOMEBODY: &str = "somebody";

/// Longest name of a user in bytes.
const NAME_BYTES_MAX: usize = 80;

/// Whether a user could be called so: what else somebody says to be a name is told nobody.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Person {
    /// Whether it may know who else is there.
    #[must_use]
    pub fn knows_names(&self) -> bool {
        !self.user.starts_with(NAMELESS)
    }
}

/// Who may type: at most one viewer at a time. Told to each viewer when it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Counts up whenever the keyboard changes hands. Input with an earlier one is refused.
    pub epoch: u64,
    /// Who has it; `None`: it is free, and whoever types first gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Person>,
    /// The viewer that this is told to has it.
    #[serde(default)]
    pub yours: bool,
    /// Users who asked for it, the first first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
    /// What is typed is recorded, as its owner asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
}

impl Lease {
    /// The same without a name.
    #[must_use]
    pub fn without_names(mut self) -> Lease {
        self.asked.clear();
        self.holder = self.holder.map(|_| Person {
            user: SOMEBODY.to_owned(),
            device: String::new(),
        });
        self
    }
}

/// What somebody wants of the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseAct {
    /// Have it, when the holder lets go.
    Request,
    /// Let go.
    Release,
    /// Hand it over; the holder's to do.
    Grant {
        /// To this user.
        to: String,
    },
    /// Have it at once.
    Take,
}

/// Bounds of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Most bytes on the disk, about.
    pub bytes_max: u64,
    /// What is older is given back when more is written.
    pub age_ms: u64,
}

/// One viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Which terminal they look at.
    pub terminal: String,
    /// Who.
    pub person: Person,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
    /// Whether it is on a screen, as far as the viewer says.
    pub visible: bool,
    /// They can only look.
    pub read_only: bool,
    /// They have the keyboard.
    pub holds: bool,
    /// Columns and rows of their screen.
    pub size: (u16, u16),
}

//! Who asks: one person, and the way that person came in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::role::{HostRole, Scope};

/// Who asks, and how far that reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The wsm user.
    pub user: String,
    /// How this user came in.
    pub way: Way,
    /// Where from: an IP address; empty on the Unix socket.
    pub address: String,
    /// Role on the host.
    pub role: HostRole,
    /// What the way in is good for: a token may be good for less than its user.
    pub scope: Scope,
    /// The only agents (ids) that this way in is good for; `None`: all.
    pub agents: Option<BTreeSet<String>>,
    /// Uid of the Unix account that new agents' files belong to; `None`: it can't make any.
    pub account: Option<u32>,
}

/// How somebody came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By the Unix socket; the kernel says so.
    Local {
        /// Unix uid.
        uid: u32,
    },
    /// From a device, by its session.
    Device {
        /// Id of the device.
        id: String,
        /// What its user calls it.
        name: String,
        /// It was made with a token, and makes no other way in either.
        lent: bool,
    },
    /// With a token.
    Token {
        /// Id of the token.
        id: String,
    },
}

impl Actor {
    /// Somebody at the Unix socket.
    #[must_use]
    pub fn local(user: &str, uid: u32, role: HostRole) -> Actor {
        Actor {
            user: user.to_owned(),
            way: Way::Local { uid },
            address: String::new(),
            role,
            scope: Scope::Admin,
            agents: None,
            account: Some(uid),
        }
    }

    /// Whether this is an administrator who came in by a way that is good for that.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == HostRole::Admin && self.scope >= Scope::Admin && self.agents.is_none()
    }

    /// What rows of the journal say of it.
    #[must_use]
    pub fn who(&self) -> Who {
        let via = match &self.way {
            Way::Local { uid } => format!("uid:{uid}"),
            Way::Device { id, .. } => format!("device:{id}"),
            Way::Token { id } => format!("token:{id}"),
        };
        Who {
            user: self.user.clone(),
            via,
            address: self.address.clone(),
        }
    }
}

/// Who did something, as the journal says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The wsm user, or `wsm`.
    pub user: String,
    /// `uid:1000`, `device:ID`, `token:ID`; empty for wsm itself.
    #[serde(default)]
    pub via: String,
    /// IP address; empty for what came from this machine.
    #[serde(default)]
    pub address: String,
}

impl Who {
    /// What no person asked for.
    #[must_use]
    pub fn wsm() -> Who {
        Who::from(crate::engine::WSM)
    }
}

impl From<&str> for Who {
    fn from(user: &str) -> Who {
        Who {
            user: user.to_owned(),
            ..Who::default()
        }
    }
}

impl From<&Actor> for Who {
    fn from(actor: &Actor) -> Who {
        actor.who()
    }
}

impl From<&Who> for Who {
    fn from(who: &Who) -> Who {
        who.clone()
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.user)
    }
}

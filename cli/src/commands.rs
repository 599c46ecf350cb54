//! The verbs, one file each.

pub(crate) mod act;
pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod capture;
pub(crate) mod completion;
pub(crate) mod daemon;
pub(crate) mod device;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod egress;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod follow;
pub(crate) mod handoff;
pub(crate) mod invite;
pub(crate) mod lease;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod new;
pub(crate) mod notify;
pub(crate) mod open;
pub(crate) mod pair;
pub(crate) mod policy;
pub(crate) mod ports;
pub(crate) mod prune;
pub(crate) mod question;
pub(crate) mod rec;
pub(crate) mod repo;
pub(crate) mod rm;
pub(crate) mod secret;
pub(crate) mod send;
pub(crate) mod share;
pub(crate) mod shell;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod svc;
pub(crate) mod template;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod usage;
pub(crate) mod user;
pub(crate) mod wait;
pub(crate) mod who;
pub(crate) mod whoami;

use wsm_api::client::Client;

use crate::place::Place;
use crate::render::Output;

/// What every verb gets.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) place: Place,
    pub(crate) client: Client,
    pub(crate) output: Output,
    /// Whether questions may be asked.
    pub(crate) input: bool,
}

impl Context {
    /// What to type to run a verb against the same instance.
    pub(crate) fn typed(&self, verb: &str) -> String {
        format!("{} {verb}", self.place.prefix())
    }
}

//! Which previews are open: tickets that are good once, and secrets of browsers. In memory alone:
//! after a restart a browser asks for another, by itself.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wsm_api::problem::{Code, Problem};
use wsm_daemon::facade::preview::Target;

use super::OPEN_FOR;
use crate::extract::Standing;

/// How long a ticket may be on its way.
const TICKET_FOR: Duration = Duration::from_secs(30);

/// Tickets and open previews of one user, and of all.
const OF_USER_MAX: usize = 100;
const ALL_MAX: usize = 5_000;

/// A preview that somebody opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// Who, and whether that still holds.
    pub(crate) standing: Arc<Standing>,
    /// The agent's id, and its name.
    pub(crate) agent: String,
    pub(crate) name: String,
    /// The port's name.
    pub(crate) port: String,
    /// Where to, first.
    pub(crate) to: String,
}

impl Opened {
    pub(crate) fn new(standing: Standing, target: &Target, to: String) -> Opened {
        Opened {
            standing: Arc::new(standing),
            agent: target.agent.clone(),
            name: target.name.clone(),
            port: target.port.clone(),
            to,
        }
    }

    /// Whether it is this port of this agent.
    pub(crate) fn is_for(&self, port: &str, agent: &str) -> bool {
        self.port == port && self.name == agent
    }
}

type Held = HashMap<[u8; 32], (Instant, Opened)>;

/// All that are open.
#[derive(Debug, Default)]
pub(crate) struct Previews {
    tickets: Mutex<Held>,
    open: Mutex<Held>,
}

impl Previews {
    /// A ticket that is good once.
    pub(crate) fn ticket(&self, opened: Opened) -> Result<String, Problem> {
        put(&self.tickets, opened, TICKET_FOR)
    }

    /// What a ticket is good for; it is good for nothing after.
    pub(crate) fn redeem(&self, ticket: &str) -> Option<Opened> {
        let mut held = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, opened) = held.remove(&digest(ticket))?;
        (until > Instant::now()).then_some(opened)
    }

    /// A secret that is good until the preview is over.
    pub(crate) fn open(&self, opened: Opened) -> Result<String, Problem> {
        put(&self.open, opened, OPEN_FOR)
    }

    /// The preview that a secret opens.
    pub(crate) fn find(&self, secret: &str) -> Option<Opened> {
        let held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, opened) = held.get(&digest(secret))?;
        (*until > Instant::now()).then(|| opened.clone())
    }
}

fn put(held: &Mutex<Held>, opened: Opened, time: Duration) -> Result<String, Problem> {
    let failed = |e: std::io::Error| Problem::new(Code::Failed, format!("draw a secret: {e}"), "");
    let secret = secret().map_err(failed)?;
    let now = Instant::now();
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    held.retain(|_, (until, _)| *until > now);
    let user = opened.standing.actor().user.clone();
    let own = |(_, (_, other)): &(_, &(Instant, Opened))| other.standing.actor().user == user;
    if held.iter().filter(own).count() >= OF_USER_MAX {
        let oldest = held.iter().filter(own).min_by_key(|(_, (until, _))| *until);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            held.remove(&key);
        }
    }
    if held.len() >= ALL_MAX {
        let message = format!("{ALL_MAX} previews are open");
        return Err(Problem::new(Code::Conflict, message, "try again later"));
    }
    held.insert(digest(&secret), (now + time, opened));
    Ok(secret)
}

/// 256 random bits.
fn secret() -> std::io::Result<String> {
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

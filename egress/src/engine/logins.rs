//! Logins while they are used: the access token for a request, and a new one in time.
//!
//! ```text
//! request ─► access ─► good for long enough? ─► the token
//!                        └► renew, one at a time for each login ─► token endpoint ─► kept, then used
//! ```
//! Some servers take a refresh token once. So what they gave is on the disk before it is used, the
//! asking goes on when the request that needed it is gone, and a failure in between is asked again.

mod ask;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::dial::Dialer;
use super::secrets::Secrets;
use super::upstream::Trust;
use super::vault::now_ms;
use crate::login::forms::{self, Renewed};
use crate::login::{Kind, Login};
use crate::secret::Value;

/// After a failure, the next try.
const FAILED_PAUSE: Duration = Duration::from_secs(10);
/// A token that is refused so soon after it was given is not refused for its age: an agent can make
/// a server say so, and must not make egress ask for tokens without end.
const YOUNG: Duration = Duration::from_secs(60);

/// Status and body.
type Answered = Result<(u16, Zeroizing<Vec<u8>>), String>;
type Asking = Pin<Box<dyn Future<Output = Answered> + Send>>;
type Ask = Box<dyn Fn(Kind, Zeroizing<Vec<u8>>) -> Asking + Send + Sync>;

/// The logins of all users.
pub(super) struct Logins {
    secrets: Arc<Secrets>,
    ask: Ask,
    known: Mutex<BTreeMap<(String, Kind), Arc<Known>>>,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logins")
    }
}

/// What is known of one beside what is kept.
#[derive(Default)]
struct Known {
    /// Held while it is renewed.
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// An access token that a server did not take.
    rejected: Option<Value>,
    renewed: Option<Instant>,
    failed: Option<(Instant, String)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nobody panics between two changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn is_rejected(&self, login: &Login) -> bool {
        locked(&self.state).rejected.as_ref() == Some(&login.access)
    }

    /// Whether a new token is to be asked for now.
    fn is_due(&self, login: &Login) -> bool {
        let wanted = login.renew_at_ms() <= now_ms() || self.is_rejected(login);
        let failed = locked(&self.state).failed.as_ref().map(|(at, _)| *at);
        wanted && login.refresh.is_some() && failed.is_none_or(|at| at.elapsed() >= FAILED_PAUSE)
    }
}

impl Logins {
    pub(super) fn new(secrets: Arc<Secrets>, dialer: Arc<Dialer>, trust: Arc<Trust>) -> Logins {
        let ask: Ask = Box::new(move |kind, body| {
            let (dialer, trust) = (Arc::clone(&dialer), Arc::clone(&trust));
            Box::pin(async move { ask::ask(&dialer, &trust, kind, body).await })
        });
        Logins::asking(secrets, ask)
    }

    fn asking(secrets: Arc<Secrets>, ask: Ask) -> Logins {
        Logins {
            secrets,
            ask,
            known: Mutex::default(),
        }
    }

    fn known(&self, owner: &str, kind: Kind) -> Arc<Known> {
        let mut known = locked(&self.known);
        Arc::clone(known.entry((owner.to_owned(), kind)).or_default())
    }

    /// Whether there is one, so that nobody has to log in inside.
    pub(super) fn has(&self, owner: &str, kind: Kind) -> bool {
        self.secrets.login(owner, kind).is_ok()
    }

    /// The access token for a request now, or why there is none. It counts as used.
    pub(super) async fn access(self: &Arc<Self>, owner: &str, kind: Kind) -> Result<Value, String> {
        let (login, refused) = self.secrets.login(owner, kind)?;
        let known = self.known(owner, kind);
        if refused.is_none() && known.is_due(&login) {
            let (logins, owner) = (Arc::clone(self), owner.to_owned());
            let known = Arc::clone(&known);
            // A task of its own: what was asked for must be kept, whoever is gone meanwhile.
            let renewing = tokio::spawn(async move { logins.renew(&owner, kind, &known).await });
            renewing.await.map_err(|e| e.to_string())?;
        }
        self.verdict(owner, kind, &known)
    }

    fn verdict(&self, owner: &str, kind: Kind, known: &Known) -> Result<Value, String> {
        let (login, refused) = self.secrets.login(owner, kind)?;
        let name = kind.facts().name;
        let rejected = known.is_rejected(&login);
        let good = login.until_ms > now_ms();
        match refused {
            Some(why) if rejected || !good => Err(format!(
                "the {name} login of {owner} is not renewed any more, {why}: log in again, \
                 `wsm secret login {name}`"
            )),
            _ if good => {
                self.secrets.used_login(owner, kind);
                Ok(login.access)
            }
            _ => {
                let state = locked(&known.state);
                let why = state.failed.as_ref().map(|(_, why)| why.as_str());
                let why = why.unwrap_or("no new token came");
                Err(format!(
                    "the {name} login of {owner} can't be renewed now, {why}: it is tried again"
                ))
            }
        }
    }

    /// A server did not take a token: the next request gets another.
    pub(super) fn rejected(&self, owner: &str, kind: Kind, access: Value) {
        let known = self.known(owner, kind);
        let mut state = locked(&known.state);
        if state.renewed.is_none_or(|at| at.elapsed() >= YOUNG) {
            state.rejected = Some(access);
        }
    }

    async fn renew(&self, owner: &str, kind: Kind, known: &Known) {
        let _gate = known.gate.lock().await;
        // As it is now: another may have done it.
        let Ok((login, None)) = self.secrets.login(owner, kind) else {
            return;
        };
        let Some(body) = forms::renewal(&login).filter(|_| known.is_due(&login)) else {
            return;
        };
        let came = match (self.ask)(kind, body).await {
            Ok((status, answer)) => forms::renewed(&login, status, &answer, now_ms()),
            Err(why) => Renewed::Failed(why),
        };
        let name = kind.facts().name;
        let (failed, news) = match came {
            Renewed::New(new) => {
                tracing::info!(owner, kind = name, "a login was renewed");
                (None, Some(Ok(*new)))
            }
            Renewed::Refused(why) => {
                tracing::warn!(owner, kind = name, why, "a login is not renewed any more");
                (None, Some(Err(why)))
            }
            Renewed::Failed(why) => {
                tracing::warn!(owner, kind = name, why, "a login could not be renewed");
                (Some((Instant::now(), why)), None)
            }
        };
        if let Some(news) = news {
            let (secrets, owner) = (Arc::clone(&self.secrets), owner.to_owned());
            let kept = tokio::task::spawn_blocking(move || secrets.renewed(&owner, &login, news));
            if kept.await.is_err() {
                tracing::error!("the store of secrets broke");
            }
        }
        let mut state = locked(&known.state);
        if failed.is_none() {
            state.renewed = Some(Instant::now());
        }
        state.failed = failed;
    }
}

#[cfg(test)]
mod tests;

//! Who may type into a terminal, as a state machine without I/O and without a clock.
//!
//! ```text
//!          types                    request
//!  free ───────────▶ held by one ◀──────────▶ held, asked for
//!   ▲                 │  │   ▲                     │
//!   └── leaves, ──────┘  │   └── taken by force, ◀─┘
//!       releases         ▼       granted, or silent for a while
//!            promised to a user who is not here ── comes: held; does not: free
//! ```
//! The epoch counts up with every change of the holder, so a key that was typed before it and comes
//! after it is known. Whoever types into a free terminal gets it at once; one's own other viewer
//! counts as free: a person alone notices nothing of all this.

use std::collections::BTreeMap;

/// A holder who does not type for so long after being asked gives the keyboard away.
pub const SILENCE_MS: u64 = 15_000;
/// A request that is not granted within this is over.
pub const REQUEST_MS: u64 = 60_000;
/// How long it is kept for somebody to whom it was given and who is not there.
pub const PROMISE_MS: u64 = 10_000;
/// Requests that wait at once.
pub const REQUESTS_MAX: usize = 8;

/// A viewer's number.
pub type Id = u64;

/// Who may type, of whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lease {
    epoch: u64,
    holder: Option<Holder>,
    asks: Vec<Ask>,
    members: BTreeMap<Id, Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    user: String,
    types: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    user: String,
    at: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// With this viewer, which typed last then.
    Here(Id, u64),
    /// Not there yet; kept until then.
    Promised(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    user: String,
    at_ms: u64,
}

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else has it.
    Held(String),
    /// It has changed hands since that was typed.
    Stale,
    /// It is not theirs to give.
    NotTheirs,
    /// They may only look.
    Looks,
    /// Nobody is called so.
    Nameless,
    /// Too many wait already.
    Crowded,
}

/// Something that changed, for those whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// This user asks the holder.
    Asked(String),
    /// It went from one user to another.
    Passed {
        /// Who had it.
        from: String,
        /// Who has it.
        to: String,
        /// Without being given.
        force: bool,
    },
    /// Nobody gave it to this user.
    Unheard(String),
    /// Something else: shown, not told.
    Changed,
}

impl Lease {
    /// Counts up whenever the holder changes.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The viewer that has it.
    #[must_use]
    pub fn holder(&self) -> Option<Id> {
        match self.holder.as_ref()?.at {
            Place::Here(id, _) => Some(id),
            Place::Promised(_) => None,
        }
    }

    /// The user who has it, or for whom it is kept.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.holder.as_ref().map(|holder| holder.user.as_str())
    }

    /// Users who asked, the first first.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        self.asks.iter().map(|ask| ask.user.as_str())
    }

    /// Whether something typed by this user's command would be taken.
    #[must_use]
    pub fn admits(&self, user: &str) -> bool {
        self.user().is_none_or(|holder| holder == user)
    }

    /// A viewer comes. `types`: it may.
    pub fn join(&mut self, id: Id, user: &str, types: bool, now: u64) -> Option<News> {
        let member = Member {
            user: user.to_owned(),
            types,
        };
        self.members.insert(id, member);
        match &self.holder {
            Some(Holder {
                user: kept,
                at: Place::Promised(_),
            }) if types && kept == user => {
                self.hold(id, user.to_owned(), now);
                Some(News::Changed)
            }
            _ => None,
        }
    }

    /// A viewer is gone.
    pub fn leave(&mut self, id: Id, now: u64) -> Option<News> {
        let member = self.members.remove(&id)?;
        let here = self.members.values().any(|other| other.user == member.user);
        if !here {
            self.asks.retain(|ask| ask.user != member.user);
        }
        (self.holder() == Some(id)).then(|| self.let_go(now))
    }

    /// A viewer typed, in the belief that the epoch is this (0: in none). `Ok(None)`: take it.
    ///
    /// # Errors
    /// It must not reach the program.
    pub fn types(&mut self, id: Id, epoch: u64, now: u64) -> Result<Option<News>, Refusal> {
        let stale = epoch != 0 && epoch != self.epoch;
        // Nearly every key there is.
        if let Some(Holder {
            at: Place::Here(holder, typed),
            ..
        }) = &mut self.holder
            && *holder == id
            && !stale
        {
            *typed = now;
            return Ok(None);
        }
        let member = self.members.get(&id).filter(|member| member.types);
        let user = &member.ok_or(Refusal::Looks)?.user;
        match self.user() {
            Some(held) if held != user => Err(Refusal::Held(held.to_owned())),
            // Whoever names an epoch says that it holds the lease.
            _ if epoch != 0 => Err(Refusal::Stale),
            _ => {
                let user = user.clone();
                self.hold(id, user, now);
                Ok(Some(News::Changed))
            }
        }
    }

    /// A user asks for it. A free one is theirs at once.
    ///
    /// # Errors
    /// Too many wait.
    pub fn request(&mut self, user: &str, now: u64) -> Result<News, Refusal> {
        let Some(held) = self.user() else {
            return Ok(self.give(user, now, false));
        };
        if held == user || self.asks.iter().any(|ask| ask.user == user) {
            return Ok(News::Changed);
        }
        if self.asks.len() >= REQUESTS_MAX {
            return Err(Refusal::Crowded);
        }
        self.asks.push(Ask {
            user: user.to_owned(),
            at_ms: now,
        });
        Ok(News::Asked(user.to_owned()))
    }

    /// A user lets go, of it or of the wish for it; with `over`, of whoever's it is.
    ///
    /// # Errors
    /// It is somebody else's.
    pub fn release(&mut self, user: &str, over: bool, now: u64) -> Result<News, Refusal> {
        let before = self.asks.len();
        self.asks.retain(|ask| ask.user != user);
        match self.user() {
            Some(held) if held == user || over => Ok(self.let_go(now)),
            Some(_) if self.asks.len() == before => Err(Refusal::NotTheirs),
            _ => Ok(News::Changed),
        }
    }

    /// A user has no right to it any more: what they hold, and ask for, is over, and none of their
    /// viewers types again.
    pub fn revoke(&mut self, user: &str, now: u64) -> Option<News> {
        let theirs = self.members.values_mut().filter(|it| it.user == user);
        theirs.for_each(|member| member.types = false);
        let before = self.asks.len();
        self.asks.retain(|ask| ask.user != user);
        if self.user() == Some(user) {
            return Some(self.let_go(now));
        }
        (self.asks.len() != before).then_some(News::Changed)
    }

    /// A user gives it to another; with `over`, whoever's it is.
    ///
    /// # Errors
    /// It is not theirs.
    pub fn grant(&mut self, by: &str, to: &str, over: bool, now: u64) -> Result<News, Refusal> {
        match self.user() {
            Some(held) if held != by && !over => Err(Refusal::NotTheirs),
            _ => Ok(self.give(to, now, false)),
        }
    }

    /// A user takes it, whoever has it. Whether they may is decided elsewhere.
    pub fn take(&mut self, user: &str, now: u64) -> News {
        self.give(user, now, true)
    }

    /// When [`Lease::tick`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        match self.holder.as_ref()?.at {
            Place::Promised(until) => Some(until),
            Place::Here(_, typed) => {
                let ask = self.asks.first()?;
                let silent = ask.at_ms.max(typed) + SILENCE_MS;
                Some(silent.min(ask.at_ms + REQUEST_MS))
            }
        }
    }

    /// Does what time brings.
    pub fn tick(&mut self, now: u64) -> Option<News> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let Place::Here(_, typed) = self.holder.as_ref()?.at else {
            return Some(self.let_go(now));
        };
        let ask = self.asks.first()?.clone();
        if now >= ask.at_ms.max(typed) + SILENCE_MS {
            return Some(self.give(&ask.user, now, false));
        }
        self.asks.remove(0);
        Some(News::Unheard(ask.user))
    }

    fn hold(&mut self, id: Id, user: String, now: u64) {
        self.epoch += 1;
        self.asks.retain(|ask| ask.user != user);
        let at = Place::Here(id, now);
        self.holder = Some(Holder { user, at });
    }

    /// To the viewer that this user attached last, or kept for one.
    fn give(&mut self, user: &str, now: u64, force: bool) -> News {
        let from = self.user().map(str::to_owned);
        let theirs = |(_, member): &(&Id, &Member)| member.types && member.user == user;
        let holds = self.holder().filter(|_| from.as_deref() == Some(user));
        let newest = self.members.iter().rev().find(theirs).map(|(id, _)| *id);
        match holds.or(newest) {
            Some(id) => self.hold(id, user.to_owned(), now),
            None => {
                self.epoch += 1;
                self.asks.retain(|ask| ask.user != user);
                self.holder = Some(Holder {
                    user: user.to_owned(),
                    at: Place::Promised(now + PROMISE_MS),
                });
            }
        }
        match from {
            Some(from) if from != user => News::Passed {
                from,
                to: user.to_owned(),
                force,
            },
            _ => News::Changed,
        }
    }

    /// The next who asked gets it, or nobody.
    fn let_go(&mut self, now: u64) -> News {
        let from = self.holder.take().map(|holder| holder.user);
        self.epoch += 1;
        let next = self.asks.first().map(|ask| ask.user.clone());
        let Some(to) = next else {
            return News::Changed;
        };
        self.give(&to, now, false);
        News::Passed {
            from: from.unwrap_or_default(),
            to,
            force: false,
        }
    }
}

#[cfg(test)]
mod tests;

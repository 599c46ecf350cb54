//! Several people at one terminal: who may type, who has its size, who is told what.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Shim;
use super::client::Role;
use super::guest::Trust;
use super::serve::outdate;
use super::viewer::Viewer;
use crate::lease::{News, Refusal, SILENCE_MS};
use crate::protocol::{Frame, Lease, LeaseAct, Person, Presence, Reply, is_name};

/// From which [`crate::protocol::SPEAKS`] on a viewer knows leases.
const LEASES: u32 = 2;

impl Shim {
    /// Leases have no clock of their own.
    pub(super) fn clock(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn leases_due(&self) -> Option<Instant> {
        let due = self.terminals.values().filter_map(|it| it.lease.due());
        due.min().map(|ms| self.began + Duration::from_millis(ms))
    }

    pub(super) fn tick_leases(&mut self, now: Instant) {
        let clock = self.clock(now);
        let mut told = Vec::new();
        for terminal in self.terminals.values_mut() {
            while let Some(news) = terminal.lease.tick(clock) {
                told.push((Rc::clone(&terminal.name), news));
            }
        }
        for (terminal, news) in told {
            self.spread(&terminal, &news, now);
        }
    }

    fn viewer(&self, id: u64) -> Option<&Viewer> {
        match &self.clients.get(&id)?.role {
            Role::Viewer(viewer) => Some(viewer),
            Role::Plain | Role::Stream(_) => None,
        }
    }

    /// Numbers of a terminal's viewers.
    pub(super) fn viewers(&self, terminal: &str) -> Vec<u64> {
        let of = |id: &&u64| self.viewer(**id).is_some_and(|it| it.terminal == terminal);
        self.clients.keys().filter(of).copied().collect()
    }

    /// A viewer has come.
    pub(super) fn joined(&mut self, id: u64, now: Instant) {
        let clock = self.clock(now);
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        let Role::Viewer(viewer) = &client.role else {
            return;
        };
        let (name, types) = (viewer.terminal.clone(), !viewer.read_only);
        let Some(terminal) = self.terminals.get_mut(&name) else {
            return;
        };
        let alone = types && terminal.driver.is_none();
        let user = &client.person.user;
        let news = terminal.lease.join(id, user, types, clock);
        let held = terminal.lease.user().is_some();
        // A free terminal has the size of the first who could type.
        if alone && terminal.lease.user().is_none_or(|by| by == user) {
            self.drive(id);
        }
        match news {
            Some(news) => self.spread(&name, &news, now),
            // Nothing said is a free one.
            None if held || self.recorded(&name) => self.tell(id),
            None => {}
        }
        self.warn_of_recording(id, now);
    }

    /// A viewer is gone from this terminal.
    pub(super) fn left(&mut self, id: u64, terminal: &str) {
        let now = Instant::now();
        let clock = self.clock(now);
        let Some(known) = self.terminals.get_mut(terminal) else {
            return;
        };
        if known.driver == Some(id) {
            known.driver = None;
        }
        if let Some(news) = known.lease.leave(id, clock) {
            self.spread(terminal, &news, now);
        }
    }

    /// The lease has changed: the holder's size is the terminal's, and everybody is told.
    pub(super) fn spread(&mut self, terminal: &str, news: &News, now: Instant) {
        let Some(known) = self.terminals.get(terminal) else {
            return;
        };
        let (holder, driver) = (known.lease.holder(), known.driver);
        let user = known.lease.user().unwrap_or_default().to_owned();
        if let Some(holder) = holder.filter(|holder| driver != Some(*holder)) {
            self.drive(holder);
        }
        for id in self.viewers(terminal) {
            self.tell(id);
            if let Some(client) = self.clients.get_mut(&id)
                && client.person.knows_names()
                && let Role::Viewer(viewer) = &mut client.role
                && let Some(text) = notice(news, &user, holder == Some(id), &client.person.user)
            {
                viewer.notify(&text, now);
            }
        }
    }

    /// Tells a viewer who may type.
    pub(super) fn tell(&mut self, id: u64) {
        let Some(viewer) = self.viewer(id) else {
            return;
        };
        let lease = self.lease(&viewer.terminal, Some(id));
        if let Some(client) = self.clients.get_mut(&id)
            && client.speaks >= LEASES
        {
            client.send(&Frame::Lease(match client.person.knows_names() {
                true => lease,
                false => lease.without_names(),
            }));
        }
    }

    /// As this viewer, or nobody in particular, is told it.
    fn lease(&self, terminal: &str, to: Option<u64>) -> Lease {
        let Some(terminal) = self.terminals.get(terminal) else {
            return Lease::default();
        };
        let lease = &terminal.lease;
        let person = |id: u64| self.clients.get(&id).map(|client| client.person.clone());
        let away = || {
            lease.user().map(|user| Person {
                user: user.to_owned(),
                device: String::new(),
            })
        };
        Lease {
            epoch: lease.epoch(),
            holder: lease.holder().and_then(person).or_else(away),
            yours: to.is_some() && lease.holder() == to,
            asked: lease.asked().map(str::to_owned).collect(),
            recorded: self.record_input && terminal.recorder.is_some(),
        }
    }

    /// Does what somebody wants of a lease; who may force it was decided by the daemon.
    pub(super) fn dispose(
        &mut self,
        terminal: &str,
        act: &LeaseAct,
        (user, over): (&str, bool),
        now: Instant,
    ) -> Reply {
        let clock = self.clock(now);
        let Some(known) = self.terminals.get_mut(terminal) else {
            return Reply::NotFound;
        };
        let lease = &mut known.lease;
        let done = match act {
            // Everybody is told who has it, on their own terminals.
            LeaseAct::Grant { to } if !is_name(to) => Err(Refusal::Nameless),
            LeaseAct::Request => lease.request(user, clock),
            LeaseAct::Release => lease.release(user, over, clock),
            LeaseAct::Grant { to } => lease.grant(user, to, over, clock),
            LeaseAct::Take => Ok(lease.take(user, clock)),
        };
        match done {
            Ok(news) => {
                self.spread(terminal, &news, now);
                let lease = self.lease(terminal, None);
                Reply::Lease { lease }
            }
            Err(refusal) => Reply::Refused {
                reason: words(&refusal),
            },
        }
    }

    /// The same from a viewer, which disposes of its user's only.
    pub(super) fn ask(&mut self, id: u64, act: &LeaseAct, now: Instant) {
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        let user = client.person.user.clone();
        let Some(viewer) = self.viewer(id) else {
            return;
        };
        let (terminal, looks) = (viewer.terminal.clone(), viewer.read_only);
        let reason = if looks {
            words(&Refusal::Looks)
        } else if *act == LeaseAct::Take {
            // The daemon decides who may, and writes it down.
            "taking the keyboard goes through the daemon".to_owned()
        } else {
            match self.dispose(&terminal, act, (&user, false), now) {
                Reply::Refused { reason } => reason,
                _ => return,
            }
        };
        if let Some(client) = self.clients.get_mut(&id) {
            client.send(&Frame::Refused { reason });
        }
    }

    /// Closes a connection, whether or not it hears why.
    pub(super) fn dismiss(&mut self, id: u64, why: &str) {
        self.refuse(id, why);
        if let Some(client) = self.clients.get_mut(&id) {
            client.flush();
            client.gone = true;
        }
    }

    /// Closes what a user has open; `looks`: but where they only look.
    pub(super) fn expel_user(&mut self, user: &str, looks: bool, now: Instant) -> Reply {
        self.tickets.void(user, looks);
        self.hang_up(user, now);
        let mut gone = Vec::new();
        for (id, client) in &self.clients {
            let stays = match (&client.trust, &client.role) {
                (Trust::Guest(..), Role::Viewer(viewer)) => looks && viewer.read_only,
                // It has shown its ticket, and not said what for.
                (Trust::Guest(..), _) => false,
                (Trust::Full | Trust::Stranger(_), _) => true,
            };
            if client.person.user == user && !stays {
                gone.push(*id);
            }
        }
        for id in gone {
            self.dismiss(id, "you have no right to this terminal any more");
        }
        let clock = self.clock(now);
        let names: Vec<Rc<str>> = self
            .terminals
            .values()
            .map(|it| Rc::clone(&it.name))
            .collect();
        for name in names {
            if let Some(known) = self.terminals.get_mut(&*name)
                && let Some(news) = known.lease.revoke(user, clock)
            {
                self.spread(&name, &news, now);
            }
        }
        Reply::Done
    }

    pub(super) fn who(&self, terminal: Option<&str>) -> Reply {
        let mut viewers = Vec::new();
        for (id, client) in &self.clients {
            let Role::Viewer(viewer) = &client.role else {
                continue;
            };
            if terminal.is_none_or(|terminal| viewer.terminal == terminal) {
                let known = self.terminals.get(&viewer.terminal);
                viewers.push(Presence {
                    terminal: viewer.terminal.clone(),
                    person: client.person.clone(),
                    since_ms: viewer.since_ms,
                    visible: viewer.visible,
                    read_only: viewer.read_only,
                    holds: known.is_some_and(|it| it.lease.holder() == Some(*id)),
                    size: viewer.size,
                });
            }
        }
        let names = self.terminals.keys().map(String::as_str);
        let names = names.filter(|name| terminal.is_none_or(|wanted| wanted == *name));
        let leases = names.map(|name| (name.to_owned(), self.lease(name, None)));
        Reply::Who {
            leases: leases.collect(),
            viewers,
            runners: self.runners().into_iter().cloned().collect(),
        }
    }

    /// A viewer's window has another size: the terminal's too, unless that is somebody else's.
    pub(super) fn resized(&mut self, id: u64) {
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        let Some(viewer) = self.viewer(id).filter(|viewer| !viewer.read_only) else {
            return;
        };
        let Some(terminal) = self.terminals.get(&viewer.terminal) else {
            return;
        };
        let own = terminal.driver.is_none_or(|driver| driver == id);
        let free = terminal.lease.user().is_none() && own;
        if free || terminal.lease.user() == Some(client.person.user.as_str()) {
            self.drive(id);
        }
    }

    /// This viewer has the terminal's size from now on.
    pub(super) fn drive(&mut self, id: u64) {
        let Some(viewer) = self.viewer(id) else {
            return;
        };
        let (name, size) = (viewer.terminal.clone(), viewer.size);
        let Some(terminal) = self.terminals.get_mut(&name) else {
            return;
        };
        terminal.driver = Some(id);
        if !terminal.resize(size) {
            return;
        }
        for id in self.viewers(&name) {
            if let Some(client) = self.clients.get_mut(&id)
                && let Role::Viewer(viewer) = &mut client.role
            {
                outdate(viewer);
            }
            self.serve(id);
        }
    }
}

pub(super) fn named(user: &str) -> &str {
    if user.is_empty() { "wsm" } else { user }
}

/// Why, for a person.
pub(super) fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Held(user) => format!(
            "{} has the keyboard; `wsm lease AGENT request` asks for it",
            named(user)
        ),
        Refusal::Stale => "somebody else has the keyboard now".to_owned(),
        Refusal::NotTheirs => "only who has the keyboard can give it".to_owned(),
        Refusal::Nameless => "that is no name of a user".to_owned(),
        Refusal::Looks => "you are only watching".to_owned(),
        Refusal::Crowded => "too many wait for the keyboard already".to_owned(),
    }
}

/// What a viewer is told of it over its last line.
fn notice(news: &News, held: &str, holds: bool, user: &str) -> Option<String> {
    let silence = SILENCE_MS / 1000;
    match news {
        News::Changed => None,
        News::Asked(by) if holds => Some(format!(
            "{by} asks for the keyboard: type on to keep it, or pause {silence} s \
             (or `wsm lease AGENT grant {by}`) to give it"
        )),
        News::Asked(by) => {
            (by == user).then(|| format!("you asked {} for the keyboard", named(held)))
        }
        News::Passed { to, .. } if to == user => Some("you have the keyboard".to_owned()),
        News::Passed { from, to, force } if *force && from == user => {
            Some(format!("{} took the keyboard", named(to)))
        }
        News::Passed { to, .. } => Some(format!("{} has the keyboard", named(to))),
        News::Unheard(by) => (by == user).then(|| format!("{} keeps the keyboard", named(held))),
    }
}

//! Viewers that come by themselves: who shows a ticket that the daemon got for them is let in, to
//! one terminal and to nothing else. Everybody on the host can connect, so nothing is believed,
//! answered or kept for long before a good ticket was shown.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Shim;
use super::client::{Client, Role};
use crate::protocol::{Frame, Hello, Person, Reply, TICKET_MS};
use crate::pty;

/// Tickets that wait to be shown; a further one takes the place of the oldest of whoever has most.
const TICKETS_MAX: usize = 32;
/// Longest name of a terminal, as for processes, of a user and of a device.
const NAME_BYTES_MAX: usize = 80;
/// Time from connecting to being a viewer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Connections at once that have shown no ticket yet; a further one takes the place of the oldest.
const STRANGERS_MAX: usize = 8;
/// Guests at once, whichever way they came, so that the daemon always finds a place …
const GUESTS_MAX: usize = 96;
/// … those of them that are for owners alone …
const OWNERS_KEPT: usize = 16;
/// … most that only look …
const LOOKERS_MAX: usize = 64;
/// … and most of one user or link.
const EACH_MAX: usize = 32;
/// What may come before a whole hello.
const HELLO_BYTES_MAX: usize = 1024;

/// How far a connection is trusted.
#[derive(Debug)]
pub(super) enum Trust {
    /// The daemon or root: everything.
    Full,
    /// Somebody who has until then to show a ticket.
    Stranger(Instant),
    /// Somebody with a ticket, who has until then to attach.
    Guest(Pass, Instant),
}

/// What a ticket is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    terminal: String,
    read_only: bool,
    person: Person,
    /// They dispose of the agent.
    owner: bool,
}

/// Whether there is a place for one more guest. `Err`: why not, for a person.
fn place_for<'a>(pass: &Pass, guests: impl Iterator<Item = &'a Pass>) -> Result<(), &'static str> {
    let (mut all, mut looking, mut theirs) = (0, 0, 0);
    for guest in guests {
        all += 1;
        looking += usize::from(guest.read_only && !guest.owner);
        theirs += usize::from(guest.person.user == pass.person.user);
    }
    let crowded = match pass.owner {
        true => all >= GUESTS_MAX,
        false => all >= GUESTS_MAX - OWNERS_KEPT || pass.read_only && looking >= LOOKERS_MAX,
    };
    if crowded {
        Err("too many are at its terminals already")
    } else if !pass.owner && theirs >= EACH_MAX {
        Err("too many are at its terminals by the same name already")
    } else {
        Ok(())
    }
}

#[derive(Debug)]
struct Ticket {
    text: String,
    pass: Pass,
    until: Instant,
}

/// Tickets not shown yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Tickets(VecDeque<Ticket>);

impl Tickets {
    /// Makes one.
    fn issue(&mut self, pass: Pass, now: Instant) -> Reply {
        let names = [&pass.terminal, &pass.person.user, &pass.person.device];
        if names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
            return Reply::NotFound;
        }
        let secret = match pty::random::<16>() {
            Ok(secret) => secret,
            Err(error) => {
                return Reply::Failed {
                    what: "make a ticket".to_owned(),
                    errno: error.raw_os_error().unwrap_or(0),
                };
            }
        };
        let mut ticket = String::with_capacity(2 * secret.len());
        for byte in secret {
            write!(ticket, "{byte:02x}").expect("a String takes all");
        }
        self.0.retain(|old| now < old.until);
        if self.0.len() >= TICKETS_MAX {
            self.make_place();
        }
        self.0.push_back(Ticket {
            text: ticket.clone(),
            pass,
            until: now + Duration::from_millis(TICKET_MS),
        });
        Reply::Ticket { ticket }
    }

    /// Takes the oldest of whoever has most: who asks for many loses their own.
    fn make_place(&mut self) {
        let user = |ticket: &Ticket| ticket.pass.person.user.clone();
        let many = |of: String| self.0.iter().filter(|it| it.pass.person.user == of).count();
        let oldest = (0..self.0.len())
            .rev()
            .max_by_key(|at| many(user(&self.0[*at])));
        oldest.and_then(|at| self.0.remove(at));
    }

    /// Voids those of a user, or (`looks`) those that are good for typing.
    pub(super) fn void(&mut self, user: &str, looks: bool) {
        let over = |pass: &Pass| pass.person.user == user && !(looks && pass.read_only);
        self.0.retain(|ticket| !over(&ticket.pass));
    }

    /// Takes one back, if it is good.
    fn redeem(&mut self, shown: &str, now: Instant) -> Option<Pass> {
        // All are compared, whole: how long it takes tells nothing.
        let mut found = None;
        for (at, ticket) in self.0.iter().enumerate() {
            if same(&ticket.text, shown) {
                found = Some(at);
            }
        }
        let ticket = self.0.remove(found?)?;
        (now < ticket.until).then_some(ticket.pass)
    }
}

/// Compares in a time that depends on the lengths alone.
fn same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    let difference = pairs.fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
    difference == 0 && one.len() == other.len()
}

impl Shim {
    fn guests(&self) -> impl Iterator<Item = &Pass> {
        self.clients.values().filter_map(|it| match &it.trust {
            Trust::Guest(pass, _) => Some(pass),
            Trust::Full | Trust::Stranger(_) => None,
        })
    }

    /// A ticket for somebody, if there is a place for them: so they hear why not.
    pub(super) fn ticket(
        &mut self,
        (terminal, read_only): (String, bool),
        (person, owner): (Person, bool),
        now: Instant,
    ) -> Reply {
        let pass = Pass {
            terminal,
            read_only,
            person,
            owner,
        };
        match place_for(&pass, self.guests()) {
            Ok(()) => self.tickets.issue(pass, now),
            Err(why) => Reply::Refused {
                reason: why.to_owned(),
            },
        }
    }

    /// Answers a hello. `Err`: it may not come in with that.
    pub(super) fn welcome(
        &mut self,
        id: u64,
        hello: &Hello,
        now: Instant,
    ) -> Result<(), &'static str> {
        let shown = hello.ticket.as_deref();
        let pass = shown.map(|shown| self.tickets.redeem(shown, now).ok_or("a bad ticket"));
        let pass = pass.transpose()?;
        if let Some(pass) = &pass {
            place_for(pass, self.guests())?;
        }
        let incarnation = self.incarnation;
        let Some(client) = self.clients.get_mut(&id) else {
            return Ok(());
        };
        match (pass, &client.trust) {
            (Some(pass), _) => {
                client.person = pass.person.clone();
                client.trust = Trust::Guest(pass, now + PATIENCE);
                client.narrow();
            }
            (None, Trust::Full) => {}
            (None, Trust::Stranger(_) | Trust::Guest(..)) => return Err("it has no ticket"),
        }
        client.greet(hello, incarnation);
        Ok(())
    }
}

impl Client {
    /// Holds a guest to its ticket. `Err`: it asks for more than that.
    pub(super) fn restrict(&self, frame: &mut Frame) -> Result<(), &'static str> {
        match &self.trust {
            Trust::Full => return Ok(()),
            Trust::Stranger(_) => return Err("it has no ticket"),
            Trust::Guest(pass, _) => match frame {
                Frame::Attach(attach) if attach.terminal == pass.terminal => {
                    attach.read_only |= pass.read_only;
                }
                Frame::Input { .. } | Frame::Resize { .. } | Frame::Ack { .. } => {}
                Frame::Detach | Frame::Ping | Frame::Visible(_) | Frame::Ask(_) => {}
                _ => return Err("its ticket is not good for that"),
            },
        }
        Ok(())
    }

    /// When it is dropped for having shown no ticket, or for not having attached with it.
    pub(super) fn due(&self) -> Option<Instant> {
        match (&self.trust, &self.role) {
            (Trust::Stranger(until) | Trust::Guest(_, until), Role::Plain) => Some(*until),
            _ => None,
        }
    }

    /// Whether it sends more than a hello before having said one.
    pub(super) fn rambles(&self) -> bool {
        matches!(self.trust, Trust::Stranger(_)) && self.unread() > HELLO_BYTES_MAX
    }
}

/// Where one more connection that is not the daemon's goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// This one gives way.
    Of(u64),
    Nowhere,
}

/// Finds a place among the connections, whose numbers count up.
pub(super) fn place<'a>(clients: impl Iterator<Item = (u64, &'a Trust)>) -> Place {
    let (mut guests, mut strangers) = (0, Vec::new());
    for (id, trust) in clients {
        match trust {
            Trust::Full => {}
            Trust::Stranger(_) => strangers.push(id),
            Trust::Guest(..) => guests += 1,
        }
    }
    match strangers.first() {
        Some(oldest) if strangers.len() >= STRANGERS_MAX => Place::Of(*oldest),
        _ if guests + strangers.len() >= GUESTS_MAX => Place::Nowhere,
        _ => Place::Free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(tickets: &mut Tickets, now: Instant) -> String {
        issue_for(tickets, "", now)
    }

    fn issue_for(tickets: &mut Tickets, user: &str, now: Instant) -> String {
        match tickets.issue(pass(user, true, false), now) {
            Reply::Ticket { ticket } => ticket,
            other => panic!("no ticket: {other:?}"),
        }
    }

    fn pass(user: &str, read_only: bool, owner: bool) -> Pass {
        let person = Person {
            user: user.to_owned(),
            device: String::new(),
        };
        Pass {
            terminal: "main".into(),
            read_only,
            person,
            owner,
        }
    }

    #[test]
    fn who_asks_for_many_tickets_loses_their_own() {
        let now = Instant::now();
        let mut tickets = Tickets::default();
        let ada = issue_for(&mut tickets, "ada", now);
        for _ in 0..3 * TICKETS_MAX {
            issue_for(&mut tickets, "bob", now);
        }
        assert_eq!(tickets.0.len(), TICKETS_MAX);
        assert!(tickets.redeem(&ada, now).is_some());
    }

    #[test]
    fn a_crowd_leaves_places_to_who_types_and_to_owners() {
        let link = |number: usize| pass(&format!("link:{number}"), true, false);
        let links: Vec<Pass> = (0..LOOKERS_MAX).map(link).collect();
        let others = |most: usize| links.iter().take(most);
        assert!(place_for(&link(99), others(LOOKERS_MAX - 1)).is_ok());
        assert!(place_for(&link(99), others(LOOKERS_MAX)).is_err());
        // One link is not all of them.
        let same = vec![link(1); EACH_MAX];
        assert!(place_for(&link(1), same.iter()).is_err());
        assert!(place_for(&link(2), same.iter()).is_ok());
        // Who types has places that nobody takes by looking, and owners those of others, too.
        let (bob, owner) = (pass("bob", false, false), pass("ada", true, true));
        assert!(place_for(&bob, links.iter()).is_ok());
        let typing: Vec<Pass> = (0..GUESTS_MAX - OWNERS_KEPT)
            .map(|number| pass(&number.to_string(), false, false))
            .collect();
        assert!(place_for(&bob, typing.iter()).is_err());
        let own = vec![owner.clone(); OWNERS_KEPT - 1];
        assert!(place_for(&owner, typing.iter().chain(&own)).is_ok());
        let last = std::slice::from_ref(&owner);
        assert!(place_for(&owner, typing.iter().chain(&own).chain(last)).is_err());
        // An owner alone may look as often as they like, and is not in others' way.
        let many = vec![owner.clone(); LOOKERS_MAX];
        assert!(place_for(&owner, many.iter()).is_ok());
        assert!(place_for(&link(1), many.iter()).is_ok());
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_while() {
        let now = Instant::now();
        let mut tickets = Tickets::default();
        let (one, other) = (issue(&mut tickets, now), issue(&mut tickets, now));
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        for wrong in ["", "0", &one[1..], &format!("{one}0"), &"0".repeat(32)] {
            assert_eq!(tickets.redeem(wrong, now), None, "{wrong}");
        }
        assert_eq!(tickets.redeem(&one, now), Some(pass("", true, false)));
        assert_eq!(tickets.redeem(&one, now), None);
        let late = now + Duration::from_millis(TICKET_MS);
        assert_eq!(tickets.redeem(&other, late), None);
        assert!(tickets.0.is_empty());
    }

    #[test]
    fn tickets_are_bounded() {
        let now = Instant::now();
        let mut tickets = Tickets::default();
        let first = issue(&mut tickets, now);
        let second = issue(&mut tickets, now);
        for _ in 1..TICKETS_MAX {
            issue(&mut tickets, now);
        }
        assert_eq!(tickets.0.len(), TICKETS_MAX);
        assert_eq!(tickets.redeem(&first, now), None);
        assert!(tickets.redeem(&second, now).is_some());
        let long = pass(&"x".repeat(NAME_BYTES_MAX + 1), false, false);
        assert_eq!(tickets.issue(long, now), Reply::NotFound);
        // What is over makes place.
        issue(&mut tickets, now + Duration::from_millis(TICKET_MS));
        assert_eq!(tickets.0.len(), 1);
    }

    #[test]
    fn strangers_are_few_and_leave_places_to_the_daemon() {
        let soon = Instant::now();
        let stranger = Trust::Stranger(soon);
        let guest = Trust::Guest(pass("", false, false), soon);
        let many = |trust, from: u64, count: usize| (from..).map(move |id| (id, trust)).take(count);
        let full = many(&Trust::Full, 0, 10);
        assert_eq!(place(full.clone()), Place::Free);
        let few = full.clone().chain(many(&stranger, 10, STRANGERS_MAX - 1));
        assert_eq!(place(few), Place::Free);
        let enough = full.chain(many(&stranger, 10, STRANGERS_MAX));
        assert_eq!(place(enough), Place::Of(10));
        let crowd = many(&guest, 0, GUESTS_MAX - 1);
        assert_eq!(place(crowd.clone()), Place::Free);
        assert_eq!(place(crowd.chain(many(&stranger, 200, 1))), Place::Nowhere);
    }
}

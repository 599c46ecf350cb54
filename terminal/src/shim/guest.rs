//! Viewers that come by themselves: who shows a ticket that the daemon got for them is let in, to
//! one terminal and to nothing else. Everybody on the host can connect, so nothing is believed,
//! answered or kept for long before a good ticket was shown.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use super::client::{Client, Role};
use crate::protocol::{Frame, Person, Reply, TICKET_MS};
use crate::pty;

/// Tickets that wait to be shown; a further one takes the place of the oldest.
const TICKETS_MAX: usize = 32;
/// Longest name of a terminal, as for processes, of a user and of a device.
const NAME_BYTES_MAX: usize = 80;
/// Time from connecting to being a viewer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Connections at once that have shown no ticket yet; a further one takes the place of the oldest.
const STRANGERS_MAX: usize = 8;
/// Connections at once that are not the daemon's, so that it always finds a place.
const GUESTS_MAX: usize = 96;
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
    pub(super) fn issue(
        &mut self,
        (terminal, read_only): (String, bool),
        person: Person,
        now: Instant,
    ) -> Reply {
        let names = [&terminal, &person.user, &person.device];
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
            self.0.pop_front();
        }
        self.0.push_back(Ticket {
            text: ticket.clone(),
            pass: Pass {
                terminal,
                read_only,
                person,
            },
            until: now + Duration::from_millis(TICKET_MS),
        });
        Reply::Ticket { ticket }
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

impl Client {
    /// Whether it may come in with this hello. `Err`: it may not.
    pub(super) fn admit(
        &mut self,
        ticket: Option<&str>,
        tickets: &mut Tickets,
        now: Instant,
    ) -> Result<(), &'static str> {
        match (ticket, &self.trust) {
            (Some(shown), _) => {
                let pass = tickets
                    .redeem(shown, now)
                    .ok_or("a ticket that is not good")?;
                self.person = pass.person.clone();
                self.trust = Trust::Guest(pass, now + PATIENCE);
                Ok(())
            }
            (None, Trust::Full) => Ok(()),
            (None, Trust::Stranger(_) | Trust::Guest(..)) => Err("it has no ticket"),
        }
    }

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
        match tickets.issue(("main".into(), true), Person::default(), now) {
            Reply::Ticket { ticket } => ticket,
            other => panic!("no ticket: {other:?}"),
        }
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
        let pass = Pass {
            terminal: "main".into(),
            read_only: true,
            person: Person::default(),
        };
        assert_eq!(tickets.redeem(&one, now), Some(pass));
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
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(
            tickets.issue((long, false), Person::default(), now),
            Reply::NotFound
        );
        // What is over makes place.
        issue(&mut tickets, now + Duration::from_millis(TICKET_MS));
        assert_eq!(tickets.0.len(), 1);
    }

    #[test]
    fn strangers_are_few_and_leave_places_to_the_daemon() {
        let soon = Instant::now();
        let stranger = Trust::Stranger(soon);
        let pass = Pass {
            terminal: "main".into(),
            read_only: false,
            person: Person::default(),
        };
        let guest = Trust::Guest(pass, soon);
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

//! Choosing host ports and holding them.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

/// Default range: below the kernel's ephemeral ports (32768 and up), so that no outgoing
/// connection takes a leased port while its agent is stopped; above what people run by hand.
pub const RANGE_DEFAULT: RangeInclusive<u16> = 20_000..=29_999;

/// A wish for a host port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Agent: the same one gets the same ports where it can.
    pub agent: String,
    /// Port name.
    pub port: String,
    /// The port it had before; nothing else is taken then.
    pub preferred: Option<u16>,
}

/// A host port that is held. It is given back when this is dropped.
#[derive(Debug)]
pub struct Leased {
    /// Agent.
    pub agent: String,
    /// Port name.
    pub name: String,
    /// The host port.
    pub port: u16,
    /// Listens on 127.0.0.1, and on ::1 where the host has it; non-blocking.
    pub listeners: Vec<TcpListener>,
}

/// Why no port could be leased.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The port that it had before is in use.
    #[error(
        "port {port}, leased for {name} of {agent}, is in use by another program; \
         end that program (`ss -ltnp 'sport = {port}'` shows it), or give the port up for another one"
    )]
    Conflict {
        /// Agent.
        agent: String,
        /// Port name.
        name: String,
        /// The port.
        port: u16,
    },
    /// Nothing in the range is free.
    #[error(
        "no port from {} to {} is free for {name} of {agent}; \
         remove agents, or widen the range in the host's configuration", .range.start(), .range.end()
    )]
    Exhausted {
        /// Agent.
        agent: String,
        /// Port name.
        name: String,
        /// The range.
        range: RangeInclusive<u16>,
    },
    /// The host refuses for another reason, such as too many open files.
    #[error("listen on port {port} for {name} of {agent}")]
    Listen {
        /// Agent.
        agent: String,
        /// Port name.
        name: String,
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Leases a port for every wish, or none at all. `taken`: ports that belong to agents that do not
/// hold them now (stopped ones); they are not handed to others.
///
/// # Errors
/// A preferred port is in use, the range is exhausted, or the host refuses.
pub fn lease(
    range: &RangeInclusive<u16>,
    taken: &BTreeSet<u16>,
    wants: &[Want],
) -> Result<Vec<Leased>, LeaseError> {
    let mut chosen = taken.clone();
    chosen.extend(wants.iter().filter_map(|want| want.preferred));
    let mut leased = Vec::with_capacity(wants.len());
    for want in wants {
        let lease = match want.preferred {
            Some(port) => lease_preferred(port, want)?,
            None => lease_free(range, &chosen, want)?,
        };
        chosen.insert(lease.port);
        leased.push(lease);
    }
    Ok(leased)
}

fn lease_preferred(port: u16, want: &Want) -> Result<Leased, LeaseError> {
    let listeners = listen(port).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => LeaseError::Conflict {
            agent: want.agent.clone(),
            name: want.port.clone(),
            port,
        },
        _ => refused(want, port, source),
    })?;
    Ok(held(want, port, listeners))
}

fn lease_free(
    range: &RangeInclusive<u16>,
    chosen: &BTreeSet<u16>,
    want: &Want,
) -> Result<Leased, LeaseError> {
    for port in candidates(range, &want.agent) {
        if chosen.contains(&port) {
            continue;
        }
        match listen(port) {
            Ok(listeners) => return Ok(held(want, port, listeners)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(refused(want, port, error)),
        }
    }
    Err(LeaseError::Exhausted {
        agent: want.agent.clone(),
        name: want.port.clone(),
        range: range.clone(),
    })
}

fn held(want: &Want, port: u16, listeners: Vec<TcpListener>) -> Leased {
    Leased {
        agent: want.agent.clone(),
        name: want.port.clone(),
        port,
        listeners,
    }
}

fn refused(want: &Want, port: u16, source: io::Error) -> LeaseError {
    LeaseError::Listen {
        agent: want.agent.clone(),
        name: want.port.clone(),
        port,
        source,
    }
}

/// The whole range once, from a place that the agent's name gives: the same agent finds the same
/// ports again, and agents are spread so that they rarely meet.
fn candidates(range: &RangeInclusive<u16>, agent: &str) -> impl Iterator<Item = u16> + use<> {
    let (first, last) = (*range.start(), *range.end());
    let digest = Sha256::digest(agent.as_bytes());
    let hash = digest.iter().take(4).fold(0, |hash: u32, byte| {
        hash.wrapping_mul(256).wrapping_add(u32::from(*byte))
    });
    let count = u32::from(last.saturating_sub(first)) + 1;
    let start = hash % count;
    (0..count).filter_map(move |step| {
        let port = u32::from(first) + (start + step) % count;
        u16::try_from(port).ok().filter(|port| *port <= last)
    })
}

/// Listens on both loopback addresses; the standard library sets `SO_REUSEADDR`, so connections of
/// an earlier run that linger in TIME_WAIT are no hindrance.
fn listen(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = vec![TcpListener::bind((Ipv4Addr::LOCALHOST, port))?];
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
        Ok(listener) => listeners.push(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        // A host without IPv6 says that it has no such address, or no such family.
        Err(error) => tracing::debug!(%error, port, "not listening on ::1"),
    }
    for listener in &listeners {
        listener.set_nonblocking(true)?;
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(agent: &str, port: &str, preferred: Option<u16>) -> Want {
        Want {
            agent: agent.to_owned(),
            port: port.to_owned(),
            preferred,
        }
    }

    /// A range of the tests' own, below the default one.
    const RANGE: RangeInclusive<u16> = 17_000..=17_999;

    fn free() -> BTreeSet<u16> {
        BTreeSet::new()
    }

    #[test]
    fn an_agent_gets_the_same_ports_again() {
        let wants = [want("steady", "web", None), want("steady", "db", None)];
        let first: Vec<u16> = ports(&lease(&RANGE, &free(), &wants).expect("free"));
        let again: Vec<u16> = ports(&lease(&RANGE, &free(), &wants).expect("free"));
        assert_eq!(first, again);
        assert_ne!(first[0], first[1]);
    }

    fn ports(leased: &[Leased]) -> Vec<u16> {
        leased.iter().map(|lease| lease.port).collect()
    }

    #[test]
    fn a_held_port_is_passed_over_and_given_back_on_drop() {
        let wants = [want("busy", "web", None)];
        let held = lease(&RANGE, &free(), &wants).expect("free");
        let other = lease(&RANGE, &free(), &wants).expect("free");
        assert_ne!(held[0].port, other[0].port);
        let port = held[0].port;
        drop((held, other));
        let preferred = [want("busy", "web", Some(port))];
        assert_eq!(
            ports(&lease(&RANGE, &free(), &preferred).expect("given back")),
            [port]
        );
    }

    #[test]
    fn a_stranger_on_the_preferred_port_is_a_conflict() {
        for stranger in ["127.0.0.1:0", "[::1]:0"] {
            let stranger = TcpListener::bind(stranger).expect("loopback");
            let port = stranger.local_addr().expect("bound").port();
            let error = lease(&RANGE, &free(), &[want("a", "web", Some(port))]).expect_err("taken");
            assert!(matches!(error, LeaseError::Conflict { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("port {port}, leased for web of a,"))
            );
        }
    }

    #[test]
    fn ports_of_stopped_agents_are_left_alone() {
        let taken = (17_000..=17_998).collect();
        let leased = lease(&RANGE, &taken, &[want("last", "web", None)]).expect("one is left");
        assert_eq!(leased[0].port, 17_999);
        let error = lease(&RANGE, &taken, &[want("late", "web", None)]).expect_err("none left");
        assert_eq!(
            error.to_string(),
            "no port from 17000 to 17999 is free for web of late; \
             remove agents, or widen the range in the host's configuration"
        );
    }

    #[test]
    fn candidates_are_the_whole_range_once() {
        for range in [RANGE_DEFAULT, 5..=5, 65_000..=65_535] {
            let all: BTreeSet<u16> = candidates(&range, "x").collect();
            assert_eq!(candidates(&range, "x").count(), range.len());
            assert_eq!(all, range.collect());
        }
    }
}

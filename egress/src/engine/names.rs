//! Synthetic addresses: each name that an agent may reach gets one of IPv4 and one of IPv6 that
//! mean nothing outside of it. A connection to one of them says which name was meant.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host::Host;

/// Names of one agent at once; the longest unused goes first.
const NAMES_MAX: u32 = 4096;
/// First of 198.18.0.0/15 (RFC 2544: never routed); the first 256 are for name servers.
const FIRST_V4: u32 = 0xc612_0100;
/// First of a unique local range that nobody routes.
const FIRST_V6: u128 = 0xfd77_736d_6567_7265_0000_0000_0000_0100;

/// Name and address of one agent.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_name: BTreeMap<Host, u32>,
    by_number: BTreeMap<u32, Host>,
    /// Oldest use first.
    order: VecDeque<u32>,
}

impl Names {
    /// The addresses of a name.
    pub(super) fn addresses(&mut self, host: &Host) -> (Ipv4Addr, Ipv6Addr) {
        let number = match self.by_name.get(host) {
            Some(number) => *number,
            None => self.give(host),
        };
        // Names are few and questions are rare: a search is cheap.
        self.order.retain(|other| *other != number);
        self.order.push_back(number);
        let v4 = Ipv4Addr::from(FIRST_V4 + number);
        (v4, Ipv6Addr::from(FIRST_V6 + u128::from(number)))
    }

    fn give(&mut self, host: &Host) -> u32 {
        let given = u32::try_from(self.by_name.len()).unwrap_or(NAMES_MAX);
        let number = if given < NAMES_MAX {
            given
        } else {
            let oldest = self.order.pop_front().unwrap_or(0);
            if let Some(former) = self.by_number.remove(&oldest) {
                self.by_name.remove(&former);
            }
            oldest
        };
        self.by_name.insert(host.clone(), number);
        self.by_number.insert(number, host.clone());
        number
    }

    /// The name that an address was given to; `Err` if it is one of ours and nobody's.
    pub(super) fn name(&self, ip: IpAddr) -> Result<Option<Host>, ()> {
        let number = match ip {
            IpAddr::V4(ip) => u32::from(ip).checked_sub(FIRST_V4),
            IpAddr::V6(ip) => u128::from(ip)
                .checked_sub(FIRST_V6)
                .and_then(|number| u32::try_from(number).ok()),
        };
        match number.filter(|number| *number < NAMES_MAX) {
            Some(number) => self.by_number.get(&number).cloned().map(Some).ok_or(()),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u32) -> Host {
        Host::parse(&format!("n{number}.example")).unwrap()
    }

    #[test]
    fn addresses_lead_back_and_are_bounded() {
        let mut names = Names::default();
        let (v4, v6) = names.addresses(&host(0));
        assert_eq!(names.addresses(&host(0)), (v4, v6));
        assert_eq!(names.name(v4.into()), Ok(Some(host(0))));
        assert_eq!(names.name(v6.into()), Ok(Some(host(0))));
        assert_eq!(names.name("8.8.8.8".parse().unwrap()), Ok(None));
        assert_eq!(names.name("198.18.2.1".parse().unwrap()), Err(()));
        for number in 1..NAMES_MAX {
            names.addresses(&host(number));
        }
        names.addresses(&host(0));
        // The longest unused is number 1.
        let (newest, _) = names.addresses(&host(NAMES_MAX));
        assert_eq!(newest, Ipv4Addr::from(FIRST_V4 + 1));
        assert_eq!(names.name(newest.into()), Ok(Some(host(NAMES_MAX))));
        assert_eq!(names.name(v4.into()), Ok(Some(host(0))));
        assert_eq!(names.by_name.len(), names.by_number.len());
    }
}

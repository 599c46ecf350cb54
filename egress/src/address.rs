//! Which addresses may be dialled: public ones, and what the host's configuration permits by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::host::Host;
use crate::rule::Pattern;

/// Ranges of IPv4 that are not the public Internet (IANA special-purpose registry, and metadata
/// services that hide among public addresses).
const SPECIAL_V4: [(Ipv4Net, &str); 16] = [
    (v4([0, 0, 0, 0], 8), "this network"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([168, 63, 129, 16], 32), "a cloud's metadata service"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "protocol assignments"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// The public part of IPv6; all else is link-local, local, multicast, mapped, NAT64 …
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// Ranges within it that are not the public Internet either.
const SPECIAL_V6: [(Ipv6Net, &str); 5] = [
    (v6([0x2001, 0, 0], 32), "Teredo"),
    (v6([0x2001, 0, 0], 23), "protocol assignments"),
    (v6([0x2001, 0xdb8, 0], 32), "documentation"),
    (v6([0x2002, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0], 20), "documentation"),
];

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(start: [u16; 3], length: u8) -> Ipv6Net {
    let [a, b, c] = start;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// What an address is other than public; `None` for a public one.
#[must_use]
pub fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => SPECIAL_V4
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, what)| *what),
        IpAddr::V6(ip) => {
            let found = SPECIAL_V6.iter().find(|(net, _)| net.contains(&ip));
            match found {
                Some((_, what)) => Some(what),
                None if GLOBAL_V6.contains(&ip) => None,
                None if ip.is_loopback() => Some("loopback"),
                None => Some("not public"),
            }
        }
    }
}

/// Addresses that are permitted for some names although they are not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// For which hosts.
    pub names: Vec<Pattern>,
    /// Which addresses.
    pub cidr: IpNet,
}

/// Why an address is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is at {ip}, which is {what}")]
pub struct BadAddress {
    /// Whose.
    pub host: Host,
    /// The address.
    pub ip: IpAddr,
    /// What it is.
    pub what: &'static str,
}

/// Looks at every address of an answer: one that may not be dialled spoils it, because a resolver
/// that gives both was led astray.
///
/// # Errors
/// Which address it was.
pub fn vet(
    host: &Host,
    answer: &[IpAddr],
    own: &[IpAddr],
    permits: &[Permit],
) -> Result<(), BadAddress> {
    for ip in answer {
        let permitted = permits.iter().any(|permit| {
            permit.cidr.contains(ip) && permit.names.iter().any(|name| name.means(host))
        });
        if permitted {
            continue;
        }
        let of_host = own.contains(ip).then_some("the host's own");
        if let Some(what) = of_host.or_else(|| special(*ip)) {
            return Err(BadAddress {
                host: host.clone(),
                ip: *ip,
                what,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_public_internet_is_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.8.8.8",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(special(ip(text)).is_some(), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "172.15.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700::1",
            "2a00:1450::1",
            "2003::1",
        ] {
            assert_eq!(special(ip(text)), None, "{text}");
        }
    }

    #[test]
    fn one_bad_address_spoils_the_answer() {
        let host = Host::parse("a.example").unwrap();
        let good = ip("8.8.8.8");
        assert_eq!(vet(&host, &[good], &[], &[]), Ok(()));
        let error = vet(&host, &[good, ip("10.0.0.1")], &[], &[]).unwrap_err();
        assert_eq!((error.ip, error.what), (ip("10.0.0.1"), "private"));
        let error = vet(&host, &[good], &[good], &[]).unwrap_err();
        assert_eq!(error.what, "the host's own");
    }

    #[test]
    fn a_permit_is_for_its_names_and_range_alone() {
        let permit = Permit {
            names: vec![Pattern::parse("*.internal.example").unwrap()],
            cidr: "10.1.0.0/16".parse().unwrap(),
        };
        let permits = [permit];
        let ask = |host: &str, address: &str| {
            vet(&Host::parse(host).unwrap(), &[ip(address)], &[], &permits).is_ok()
        };
        assert!(ask("a.internal.example", "10.1.2.3"));
        assert!(!ask("a.internal.example", "10.2.2.3"));
        assert!(!ask("internal.example", "10.1.2.3"));
        assert!(!ask("other.example", "10.1.2.3"));
    }

    proptest! {
        #[test]
        fn nothing_of_ipv4_is_public_in_the_form_of_ipv6(bits: u32) {
            prop_assert!(special(Ipv4Addr::from(bits).to_ipv6_mapped().into()).is_some());
            prop_assert!(special(Ipv6Addr::from(u128::from(bits)).into()).is_some());
            let nat64 = (0x0064_ff9b_u128 << 96) | u128::from(bits);
            prop_assert!(special(Ipv6Addr::from(nat64).into()).is_some());
        }
    }
}

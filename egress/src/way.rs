//! The ways in, as far as they are pure: each turns what a client said into one [`Ask`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host::{BadHost, Host};
use crate::policy::Ask;

/// Port of `http://` without one.
const HTTP_PORT: u16 = 80;

/// `CONNECT HOST:PORT`.
///
/// # Errors
/// The target is no host, or it has no port.
pub fn connect(target: &str) -> Result<Ask, BadHost> {
    match Host::parse_with_port(target)? {
        (host, Some(port)) => Ok(Ask::Reach { host, port }),
        (_, None) => Err(BadHost::Character),
    }
}

/// `GET http://HOST[:PORT]/…`: the authority of the target.
///
/// # Errors
/// It is no host.
pub fn absolute(authority: &str) -> Result<Ask, BadHost> {
    let (host, port) = Host::parse_with_port(authority)?;
    let port = port.unwrap_or(HTTP_PORT);
    Ok(Ask::Reach { host, port })
}

/// A `Host` header of a request that came by port `port`.
///
/// # Errors
/// It is no host.
pub fn host_header(value: &str, port: u16) -> Result<Ask, BadHost> {
    let (host, named) = Host::parse_with_port(value)?;
    let port = named.unwrap_or(if port == 443 { 443 } else { HTTP_PORT });
    Ok(Ask::Reach { host, port })
}

/// A destination as SOCKS5 names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocksAddress {
    /// `ATYP 1`.
    V4([u8; 4]),
    /// `ATYP 3`.
    Name(Vec<u8>),
    /// `ATYP 4`.
    V6([u8; 16]),
}

/// SOCKS5 `CONNECT`.
///
/// # Errors
/// It is no host.
pub fn socks(address: &SocksAddress, port: u16) -> Result<Ask, BadHost> {
    let host = match address {
        SocksAddress::V4(octets) => Host::ip(Ipv4Addr::from(*octets).into()),
        SocksAddress::V6(octets) => Host::ip(Ipv6Addr::from(*octets).into()),
        SocksAddress::Name(bytes) => {
            Host::parse(std::str::from_utf8(bytes).map_err(|_| BadHost::Character)?)?
        }
    };
    if port == 0 {
        return Err(BadHost::Character);
    }
    Ok(Ask::Reach { host, port })
}

/// A connection that was caught: its destination's address, or the name that address stands for.
#[must_use]
pub fn caught(name: Option<&Host>, ip: IpAddr, port: u16) -> Ask {
    let host = name.cloned().unwrap_or_else(|| Host::ip(ip));
    Ask::Reach { host, port }
}

/// A question for a name.
///
/// # Errors
/// It is none.
pub fn dns(name: &str) -> Result<Ask, BadHost> {
    match Host::parse(name)? {
        host @ Host::Name(_) => Ok(Ask::Resolve { host }),
        Host::Ip(_) => Err(BadHost::OddAddress),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Mode, Policy, PolicySpec, Written};

    fn labels() -> impl Strategy<Value = String> {
        let label = prop_oneof![
            4 => "[a-c]",
            2 => Just("allowed".to_owned()),
            2 => Just("com".to_owned()),
            1 => "[A-C0-9_*%\\x00 -]{1,3}",
            1 => "[0-9]{1,3}",
        ];
        prop::collection::vec(label, 1..5).prop_map(|labels| labels.join("."))
    }

    fn policies() -> impl Strategy<Value = Policy> {
        let rule = prop_oneof![
            Just("allowed.com"),
            Just("*.allowed.com"),
            Just("a.b.com:80"),
            Just("c.com:22"),
            Just("1.2.3.4"),
        ];
        let mode = prop_oneof![Just(Mode::None), Just(Mode::Allow), Just(Mode::Open)];
        (mode, prop::collection::vec(rule, 0..4)).prop_map(|(mode, rules)| {
            let rules = rules.into_iter().map(|rule| Written {
                rule: rule.into(),
                group: None,
            });
            let rules = rules.collect();
            let exposes = Vec::new();
            Policy::compile(&PolicySpec {
                mode,
                rules,
                exposes,
            })
            .unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever way a name comes in, the decision is the same; what is no name is refused by all.
        #[test]
        fn every_way_in_decides_alike(
            text in labels(),
            port in prop_oneof![Just(443_u16), Just(80), Just(22), 1_u16..],
            policy in policies(),
        ) {
            let decided = |ask: Result<Ask, BadHost>| ask.ok().map(|ask| policy.decide(&ask));
            let first = decided(connect(&format!("{text}:{port}")));
            prop_assert_eq!(&decided(absolute(&format!("{text}:{port}"))), &first);
            prop_assert_eq!(&decided(host_header(&format!("{text}:{port}"), port)), &first);
            let name = SocksAddress::Name(text.clone().into_bytes());
            prop_assert_eq!(&decided(socks(&name, port)), &first);
            match Host::parse(&text) {
                Ok(host) => {
                    let nowhere = Ipv4Addr::UNSPECIFIED.into();
                    prop_assert_eq!(Some(policy.decide(&caught(Some(&host), nowhere, port))), first.clone());
                    if let Host::Ip(ip) = host {
                        prop_assert_eq!(Some(policy.decide(&caught(None, ip, port))), first);
                    } else if first.is_some_and(|decision| decision.is_allow()) {
                        // A name that may be reached resolves.
                        prop_assert!(decided(dns(&text)).is_some_and(|decision| decision.is_allow()));
                    }
                }
                Err(_) => prop_assert_eq!(first, None),
            }
        }

        /// A name resolves only if one of its ports may be reached.
        #[test]
        fn what_resolves_can_be_reached(text in labels(), policy in policies()) {
            let Ok(ask @ Ask::Resolve { .. }) = dns(&text) else { return Ok(()) };
            let reachable = [443, 80, 22].iter().any(|port| {
                connect(&format!("{text}:{port}")).is_ok_and(|ask| policy.decide(&ask).is_allow())
            });
            prop_assert_eq!(policy.decide(&ask).is_allow(), reachable);
        }
    }

    #[test]
    fn a_target_has_a_port_and_no_user() {
        for bad in [
            "a.com",
            "user@a.com:443",
            "a.com:443/x",
            "",
            ":443",
            "a.com:00443x",
        ] {
            assert!(connect(bad).is_err(), "{bad:?}");
        }
    }
}

//! Canonical host names. Whatever way a name came in, one form of it is decided on and resolved.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};

/// Longest text that is looked at: an internationalised name is longer than its ASCII form.
const TEXT_BYTES_MAX: usize = 1024;

/// A host: a name in lower-case ASCII without trailing dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Host {
    /// LDH labels, lower case, 253 bytes at most, the last not a number.
    Name(String),
    /// An address; never an IPv4 one in the form of IPv6.
    Ip(IpAddr),
}

/// Why a text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// Longer than any name.
    #[error("it is too long")]
    TooLong,
    /// Control bytes, spaces, `%`, `@`, `\`, `_` …
    #[error("it holds a character that no host name has")]
    Character,
    /// Empty or overlong labels, bad Punycode, stray hyphens.
    #[error("it is not a host name")]
    NotAName,
    /// Decimal, octal, hexadecimal, shortened: what programs disagree about.
    #[error("it is an address in an odd form; write it as 192.0.2.1 or [2001:db8::1]")]
    OddAddress,
}

impl Host {
    /// Reads a host; gives its canonical form.
    ///
    /// # Errors
    /// It is none, or one that programs read differently.
    pub fn parse(text: &str) -> Result<Host, BadHost> {
        if text.is_empty() {
            return Err(BadHost::Empty);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadHost::TooLong);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(BadHost::Character)?;
            return Ipv6Addr::from_str(inner)
                .map(|ip| Host::ip(ip.into()))
                .map_err(|_| BadHost::OddAddress);
        }
        if text.contains(':') {
            return Ipv6Addr::from_str(text)
                .map(|ip| Host::ip(ip.into()))
                .map_err(|_| BadHost::Character);
        }
        name(text)
    }

    /// A host of an address: one of IPv4 in the form of IPv6 becomes IPv4.
    #[must_use]
    pub fn ip(ip: IpAddr) -> Host {
        Host::Ip(ip.to_canonical())
    }

    /// The host and port of `HOST:PORT`; the port may be missing.
    ///
    /// # Errors
    /// The host or the port is none.
    pub fn parse_with_port(text: &str) -> Result<(Host, Option<u16>), BadHost> {
        // Two colons without a bracket are an address of IPv6 without a port.
        let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
        let colon = text[after_bracket..]
            .rfind(':')
            .map(|at| at + after_bracket);
        let colon = colon.filter(|at| after_bracket > 0 || !text[..*at].contains(':'));
        match colon {
            Some(at) => Ok((Host::parse(&text[..at])?, Some(port(&text[at + 1..])?))),
            None => Ok((Host::parse(text)?, None)),
        }
    }
}

/// Reads a port: decimal digits, not 0.
fn port(text: &str) -> Result<u16, BadHost> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(BadHost::Character),
    }
}

fn name(text: &str) -> Result<Host, BadHost> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(BadHost::Character);
    }
    let ascii = canonical(text)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if !ascii.bytes().all(plain) {
        return Err(BadHost::Character);
    }
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    // What ends in a number is an address to whoever parses as browsers do (WHATWG URL, 3.5).
    let last = ascii.rsplit('.').next().unwrap_or_default();
    let digits = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if digits || hexadecimal {
        return match Ipv4Addr::from_str(ascii) {
            // As it was written: a trailing dot or full-width digits are odd too.
            Ok(ip) if ascii == text => Ok(Host::ip(ip.into())),
            _ => Err(BadHost::OddAddress),
        };
    }
    Ok(Host::Name(ascii.to_owned()))
}

/// UTS 46 (idna), lengths as DNS has them, LDH alone; a root dot may stand.
fn canonical(text: &str) -> Result<Cow<'_, str>, BadHost> {
    let ascii = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::VerifyAllowRootDot,
        )
        .or_else(|_| third_and_fourth(text))?;
    Ok(ascii)
}

/// Names with hyphens at third and fourth place exist in DNS (`r3---sn.example.com`), though
/// UTS 46 reserves them. Plain ASCII ones are taken, but for what claims to be Punycode and is not.
fn third_and_fourth(text: &str) -> Result<Cow<'_, str>, BadHost> {
    if !text.is_ascii() {
        return Err(BadHost::NotAName);
    }
    let lower = text.to_ascii_lowercase();
    let whole = lower.strip_suffix('.').unwrap_or(&lower);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.starts_with("xn--")
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if (1..=253).contains(&whole.len()) && whole.split('.').all(label) {
        return Ok(Cow::Owned(lower));
    }
    let ldh = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    Err(if lower.bytes().all(ldh) {
        BadHost::NotAName
    } else {
        BadHost::Character
    })
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl TryFrom<String> for Host {
    type Error = BadHost;
    fn try_from(text: String) -> Result<Host, BadHost> {
        Host::parse(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        host.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(text: &str) -> String {
        match Host::parse(text) {
            Ok(Host::Name(name)) => name,
            other => panic!("{text:?} is {other:?}"),
        }
    }

    #[test]
    fn one_form_of_every_name() {
        for text in [
            "example.com",
            "EXAMPLE.com.",
            "example。com",
            "example．com",
            "ｅｘａｍｐｌｅ.com",
            "exam\u{200b}ple.com", // zero width: UTS 46 drops it
        ] {
            assert_eq!(named(text), "example.com", "{text:?}");
        }
        assert_eq!(named("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(named("XN--Bcher-KVA.example."), "xn--bcher-kva.example");
        assert_eq!(named("r3---sn-x.example.com"), "r3---sn-x.example.com");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a.b",
            "a.com..",
            "-a.com",
            "a-.com",
            "xn--zzzzzz-.com",
            "a.com\0.allowed.com",
            "a.com%00",
            "a.com\r\n",
            "a b.com",
            "a\tb.com",
            "user@a.com",
            "a\\b.com",
            "a.com#b",
            "a.com/b",
            "a.com?b",
            "a_b.com",
            "*.com",
            "[a.com]",
            "[::1",
            "fe80::1%lo",
            "[fe80::1%25lo]",
        ] {
            assert!(Host::parse(text).is_err(), "{text:?}");
        }
        let label = "a".repeat(64);
        assert!(Host::parse(&format!("{label}.com")).is_err());
        let long = vec!["a".repeat(60); 5].join(".");
        assert!(Host::parse(&long).is_err());
    }

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(Host::parse("192.0.2.1").unwrap().to_string(), "192.0.2.1");
        assert_eq!(Host::parse("[2001:db8::1]"), Host::parse("2001:DB8:0::1"));
        assert_eq!(Host::parse("::ffff:192.0.2.1"), Host::parse("192.0.2.1"));
        for odd in [
            "127.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "0x7f.1",
            "1.2.3",
            "1.2.3.4.5",
            "a.0x10",
            "example.1",
            "１２７.0.0.1",
            "256.1.1.1",
            "0x",
        ] {
            assert_eq!(Host::parse(odd), Err(BadHost::OddAddress), "{odd:?}");
        }
    }

    #[test]
    fn ports_are_split_off() {
        let split = |text| Host::parse_with_port(text).map(|(host, port)| (host.to_string(), port));
        assert_eq!(split("a.com:22"), Ok(("a.com".into(), Some(22))));
        assert_eq!(split("a.com"), Ok(("a.com".into(), None)));
        assert_eq!(split("[::1]:80"), Ok(("[::1]".into(), Some(80))));
        assert_eq!(split("::1"), Ok(("[::1]".into(), None)));
        for bad in [
            "a.com:",
            "a.com:0",
            "a.com:+1",
            "a.com:65536",
            "a.com:1 ",
            ":80",
            "[::1]80",
        ] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(text in "\\PC{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
        }

        #[test]
        fn case_and_root_dot_mean_nothing(text in "[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,8}){1,3}") {
            let plain = Host::parse(&text);
            prop_assert!(plain.is_ok());
            prop_assert_eq!(&Host::parse(&text.to_uppercase()), &plain);
            prop_assert_eq!(&Host::parse(&format!("{text}.")), &plain);
        }
    }
}

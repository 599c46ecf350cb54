//! Whether a request that brings a cookie was made by a page of ours: browsers send cookies along
//! whoever asks, and say who did.

use axum::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use crate::config::{Net, Tls};

/// A header that no page of another origin can send: it takes a preflight, which we never answer.
pub(crate) const OURS: HeaderName = HeaderName::from_static("x-wsm");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Read; what comes back stays with the browser, unless the page is ours.
    Read,
    /// Change something.
    Change,
    /// Open a WebSocket, which no policy of the browser keeps from reading.
    Socket,
}

/// What the browser says of the page that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    /// `Host`; the guard has seen that it is ours.
    pub(crate) host: &'a str,
    /// `Origin`.
    pub(crate) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub(crate) site: Option<&'a str>,
    /// The header `x-wsm: 1` is there.
    pub(crate) marked: bool,
    /// It comes from a proxy of ours, which may have changed `Host`.
    pub(crate) proxied: bool,
}

impl<'a> Said<'a> {
    /// What these headers say; `None`: one of them twice, or not as text.
    pub(crate) fn read(headers: &'a HeaderMap, proxied: bool) -> Option<Said<'a>> {
        let one = |name: &HeaderName| -> Option<Option<&'a str>> {
            let mut lines = headers.get_all(name).iter();
            let Some(line) = lines.next() else {
                return Some(None);
            };
            let line = line.to_str().ok()?;
            lines.next().is_none().then_some(Some(line))
        };
        Some(Said {
            host: one(&HOST)??,
            origin: one(&ORIGIN)?,
            site: one(&FETCH_SITE)?,
            marked: one(&OURS)? == Some("1"),
            proxied,
        })
    }

    /// Whether a page of ours asks, as far as `kind` matters.
    pub(crate) fn ours(&self, net: &Net, kind: Kind) -> bool {
        let origin = self.origin.map(|origin| self.is_ours(net, origin));
        let site = self.site.map(|site| match site {
            "same-origin" => true,
            // Typed by its user: nothing but a page is asked for in that way.
            "none" => kind == Kind::Read,
            _ => false,
        });
        let denied = origin == Some(false) || site == Some(false);
        let said = origin == Some(true) || site == Some(true);
        match kind {
            Kind::Read => !denied,
            Kind::Socket => !denied && said,
            Kind::Change => !denied && said && self.marked,
        }
    }

    /// Whether no page of another origin asks: of a request that brings its right in its body.
    pub(crate) fn not_others(&self, net: &Net) -> bool {
        let origin = self.origin.is_none_or(|origin| self.is_ours(net, origin));
        let site = self.site.is_none_or(|site| site == "same-origin");
        origin && site && self.marked
    }

    /// Whether an origin is that of the page that this request's host serves.
    pub(crate) fn is_ours(&self, net: &Net, origin: &str) -> bool {
        let Some((scheme, authority)) = split(origin) else {
            return false;
        };
        let off = net.tls == Tls::Off;
        if scheme == "http" && !off {
            return false;
        }
        let usual = if scheme == "http" { 80 } else { 443 };
        let Some((name, port)) = name_and_port(authority, usual) else {
            return false;
        };
        // Behind a proxy that changes `Host`, pages have the name that the world knows.
        let named = self.proxied && scheme == "https" && port == 443 && net.names.contains(&name);
        named || name_and_port(self.host, usual) == Some((name, port))
    }
}

/// `https://HOST[:PORT]`, and nothing behind it.
pub(crate) fn split(origin: &str) -> Option<(&str, &str)> {
    let (scheme, authority) = origin.split_once("://")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    let good =
        matches!(scheme, "http" | "https") && !authority.is_empty() && authority.bytes().all(plain);
    good.then_some((scheme, authority))
}

/// Name in lower case and port of `HOST[:PORT]`.
fn name_and_port(authority: &str, usual: u16) -> Option<(String, u16)> {
    let colon = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (name, port) = authority.split_at(colon);
    let port = match port.strip_prefix(':') {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        None if port.is_empty() => usual,
        _ => return None,
    };
    Some((name.to_ascii_lowercase(), port))
}

/// Whether a `Host` is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(tls: &str) -> Net {
        let text = format!(
            "[web]\nlisten = \"127.0.0.1:7443\"\nnames = [\"wsm.test\"]\ntls = \"{tls}\"\n\
             proxies = [\"127.0.0.1\"]"
        );
        crate::config::parse(&text, std::path::Path::new("/"))
            .unwrap()
            .unwrap()
    }

    fn said(origin: Option<&'static str>, site: Option<&'static str>) -> Said<'static> {
        Said {
            host: "wsm.test:7443",
            origin,
            site,
            marked: true,
            proxied: false,
        }
    }

    const OWN: Option<&str> = Some("https://wsm.test:7443");

    #[test]
    fn pages_of_ours_alone() {
        let net = net("self-signed");
        let kinds = [Kind::Read, Kind::Change, Kind::Socket];
        for (origin, site, yes) in [
            (OWN, Some("same-origin"), [true; 3]),
            (OWN, None, [true; 3]),
            (None, Some("same-origin"), [true; 3]),
            (None, None, [true, false, false]),
            (None, Some("none"), [true, false, false]),
            (None, Some("same-site"), [false; 3]),
            (None, Some("cross-site"), [false; 3]),
            (None, Some("Same-Origin"), [false; 3]),
            (OWN, Some("cross-site"), [false; 3]),
            (Some("null"), None, [false; 3]),
            (Some("null"), Some("same-origin"), [false; 3]),
            (Some("https://wsm.test"), None, [false; 3]),
            (Some("https://wsm.test:5173"), None, [false; 3]),
            (Some("http://wsm.test:7443"), None, [false; 3]),
            (Some("https://evil.test:7443"), None, [false; 3]),
            (Some("https://wsm.test:7443.evil.test"), None, [false; 3]),
            (Some("https://wsm.test:7443/"), None, [false; 3]),
            (Some("https://wsm.test:7443:443"), None, [false; 3]),
            (Some("https://a@wsm.test:7443"), None, [false; 3]),
            (Some("https://WSM.test:7443"), None, [true; 3]),
        ] {
            let said = said(origin, site);
            assert_eq!(kinds.map(|kind| said.ours(&net, kind)), yes, "{said:?}");
        }
        let bare = Said {
            marked: false,
            ..said(OWN, None)
        };
        assert_eq!(
            kinds.map(|kind| bare.ours(&net, kind)),
            [true, false, true],
            "a change needs the header"
        );
    }

    #[test]
    fn behind_a_proxy_the_worlds_name_counts() {
        let net = net("off");
        let from = |host, origin, proxied| {
            let said = Said {
                host,
                proxied,
                ..said(Some(origin), None)
            };
            said.ours(&net, Kind::Socket)
        };
        assert!(from("localhost:7443", "http://localhost:7443", false));
        assert!(!from("localhost:7443", "http://localhost:5173", false));
        assert!(!from("localhost:7443", "http://127.0.0.1:7443", false));
        assert!(from("wsm.test", "https://wsm.test", true));
        assert!(from("127.0.0.1:7443", "https://wsm.test", true));
        assert!(!from("127.0.0.1:7443", "https://wsm.test", false));
        assert!(!from("127.0.0.1:7443", "https://wsm.test:5173", true));
        assert!(!from("127.0.0.1:7443", "http://wsm.test", true));
    }

    #[test]
    fn who_comes_in_may_be_no_browser_but_no_other_page() {
        let net = net("self-signed");
        assert!(said(None, None).not_others(&net));
        assert!(said(OWN, Some("same-origin")).not_others(&net));
        assert!(!said(OWN, Some("same-site")).not_others(&net));
        assert!(!said(Some("https://evil.test"), None).not_others(&net));
        let bare = Said {
            marked: false,
            ..said(OWN, None)
        };
        assert!(!bare.not_others(&net));
    }

    #[test]
    fn this_machine() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:7443",
            "127.9.9.9",
            "[::1]:1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "wsm.test",
            "192.0.2.1:1",
            "[2001:db8::1]:1",
            "localhost.evil.test",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

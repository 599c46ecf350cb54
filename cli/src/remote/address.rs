//! What `--host` may be. Pure.

use wsm_api::problem::Code;

use crate::failure::Failure;

/// Where a daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Behind ssh.
    Ssh(Machine),
    /// On the network.
    Site(Site),
}

/// A server on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// By TLS; without it this machine's own loopback alone.
    pub(super) secure: bool,
    /// Name or address, without brackets.
    pub(super) name: String,
    pub(super) port: u16,
}

impl Site {
    /// As the header `Host` has it.
    pub(super) fn host(&self) -> String {
        match self.name.contains(':') {
            true => format!("[{}]:{}", self.name, self.port),
            false => format!("{}:{}", self.name, self.port),
        }
    }
}

/// A machine that ssh reaches, and the instance there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// Account; ssh's own choice without.
    pub(super) user: Option<String>,
    /// Name, address, or what ssh's configuration calls it.
    pub(super) name: String,
    /// Port; ssh's own choice without.
    pub(super) port: Option<u16>,
    /// The instance's directory; the installed one without.
    pub(super) dir: Option<String>,
}

/// Longest address: nothing sensible is longer.
const BYTES_MAX: usize = 512;

impl Address {
    /// Reads one. Nothing in it can be taken for an option, nor for anything that ssh expands.
    pub(super) fn parse(text: &str) -> Result<Address, Failure> {
        let wrong = |why: &str| {
            let hint = "give ssh://[USER@]MACHINE[:PORT][/DIR] or https://MACHINE[:PORT]";
            Failure::new(Code::Invalid, format!("--host {text:?}: {why}"), hint)
        };
        if text.len() > BYTES_MAX {
            return Err(Failure::new(Code::Invalid, "--host: it is too long", ""));
        }
        match text.split_once("://") {
            Some(("ssh", rest)) => machine(rest).map(Address::Ssh).map_err(wrong),
            Some((scheme @ ("https" | "http"), rest)) => site(scheme == "https", rest)
                .map(Address::Site)
                .map_err(wrong),
            _ => Err(wrong("there is no such way to a host")),
        }
    }
}

fn machine(rest: &str) -> Result<Machine, &'static str> {
    let (authority, dir) = match rest.find('/') {
        Some(slash) => (&rest[..slash], Some(rest[slash..].trim_end_matches('/'))),
        None => (rest, None),
    };
    let dir = dir.filter(|dir| !dir.is_empty());
    if dir.is_some_and(|dir| !dir.bytes().all(in_path) || dir.split('/').any(|part| part == "..")) {
        return Err("a directory has letters, digits and . _ - + = @ , alone");
    }
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    if user.is_some_and(|user| !is_word(user, b"._-+")) {
        return Err("that is no user name");
    }
    let (name, port) = name_and_port(place)?;
    Ok(Machine {
        user: user.map(str::to_owned),
        name: name.to_owned(),
        port,
        dir: dir.map(str::to_owned),
    })
}

fn site(secure: bool, rest: &str) -> Result<Site, &'static str> {
    let place = rest.strip_suffix('/').unwrap_or(rest);
    let (name, port) = name_and_port(place)?;
    let loopback = |ip: std::net::IpAddr| ip.is_loopback();
    if !secure && !name.parse().is_ok_and(loopback) {
        return Err("without TLS a token goes to 127.0.0.1 and [::1] alone");
    }
    Ok(Site {
        secure,
        name: name.to_owned(),
        port: port.unwrap_or(if secure { 443 } else { 80 }),
    })
}

/// `NAME[:PORT]`, `[V6][:PORT]`; the name without brackets.
fn name_and_port(place: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (name, port) = match place.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((name, ""))) => (name, None),
        Some(Some((name, port))) => (name, Some(port.strip_prefix(':').ok_or("what is that?")?)),
        Some(None) => return Err("a ] is missing"),
        None => match place.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (place, None),
        },
    };
    let bracketed = place.starts_with('[');
    let good = if bracketed {
        name.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        is_word(name, b"._-")
    };
    if !good {
        return Err("that is no name of a machine");
    }
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0));
    match port {
        Some(None) => Err("that is no port"),
        Some(Some(port)) => Ok((name, Some(port))),
        None => Ok((name, None)),
    }
}

/// Letters, digits and these; no option begins so.
fn is_word(text: &str, more: &[u8]) -> bool {
    let mut bytes = text.bytes();
    let begins = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    bytes.next().is_some_and(begins)
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

fn in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+=@,".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> Option<Machine> {
        match Address::parse(text) {
            Ok(Address::Ssh(machine)) => Some(machine),
            Ok(Address::Site(_)) | Err(_) => None,
        }
    }

    #[test]
    fn sites() {
        let host = |text: &str| match Address::parse(text) {
            Ok(Address::Site(site)) => Some((site.secure, site.host())),
            _ => None,
        };
        let site = |secure, host: &str| Some((secure, host.to_owned()));
        assert_eq!(host("https://wsm.example"), site(true, "wsm.example:443"));
        assert_eq!(
            host("https://[2001:db8::1]:7443/"),
            site(true, "[2001:db8::1]:7443")
        );
        assert_eq!(host("http://127.0.0.1:8080"), site(false, "127.0.0.1:8080"));
        for bad in [
            "https://",
            "https://ann@wsm.example",
            "https://wsm.example/x",
            "https://wsm.example//",
            "https://wsm.example?x",
            "http://wsm.example",
            "http://192.0.2.1",
            "http://localhost.evil.example",
        ] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn machines() {
        let machine = |user: Option<&str>, name: &str, port, dir: Option<&str>| Machine {
            user: user.map(str::to_owned),
            name: name.to_owned(),
            port,
            dir: dir.map(str::to_owned),
        };
        for (text, expected) in [
            ("ssh://build", machine(None, "build", None, None)),
            ("ssh://build/", machine(None, "build", None, None)),
            (
                "ssh://ann@build.example:2222/srv/wsm/",
                machine(Some("ann"), "build.example", Some(2222), Some("/srv/wsm")),
            ),
            (
                "ssh://a.b-c@[::1]:22",
                machine(Some("a.b-c"), "::1", Some(22), None),
            ),
        ] {
            assert_eq!(ssh(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn nothing_is_taken_for_an_option_or_expanded() {
        for text in [
            "",
            "build",
            "ssh://",
            "ssh:///srv",
            "ssh://-oProxyCommand=id",
            "ssh://-l@x",
            "ssh://a@-oProxyCommand=id",
            "ssh://a b",
            "ssh://a\nb",
            "ssh://x:0",
            "ssh://x:-1",
            "ssh://x:99999",
            "ssh://x:",
            "ssh://[::1",
            "ssh://[x]",
            "ssh://x/%h",
            "ssh://x/${HOME}",
            "ssh://x/a:b",
            "ssh://x/a/../b",
            "ssh://x/a\\b",
            "ssh://ü",
            "ftp://x",
        ] {
            assert!(ssh(text).is_none(), "{text:?}");
        }
    }
}

//! `web.preview`: the wildcard name below which each port of each agent has an origin of its own.

use super::{Net, Tls};

/// Browsers lead names below it to the machine they run on.
const LOOPBACK: &str = "localhost";

/// Longest part of a name (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// Reads `*.NAME`; gives the name, in lower case.
pub(super) fn read(text: &str, names: &[String]) -> Result<String, String> {
    let suffix = text.strip_prefix("*.").unwrap_or_default();
    let suffix = suffix.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let whole = !suffix.is_empty() && !suffix.starts_with('.') && !suffix.ends_with('.');
    if !whole || suffix.len() > 180 || !suffix.bytes().all(plain) {
        return Err(format!("preview: {text:?} is not *.NAME"));
    }
    if names.is_empty() && suffix != LOOPBACK {
        return Err("preview: `names` must say where the login is".to_owned());
    }
    Ok(suffix)
}

impl Net {
    /// The port and the agent that a host of ours stands for: `PORT--AGENT.NAME`.
    #[must_use]
    pub fn previewed(&self, host: &str) -> Option<(String, String)> {
        let suffix = self.preview.as_deref()?;
        let host = host.to_ascii_lowercase();
        let name = match host.split_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            Some(_) => return None,
            None => &host,
        };
        let label = name.strip_suffix(suffix)?.strip_suffix('.')?;
        let (port, agent) = label.rsplit_once("--")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let good = |part: &str| !part.is_empty() && part.bytes().all(plain);
        (good(port) && good(agent)).then(|| (port.to_owned(), agent.to_owned()))
    }

    /// The origin of a port of an agent; none without a wildcard name, or where a name has no room
    /// for both.
    #[must_use]
    pub fn preview_url(&self, port: &str, agent: &str) -> Option<String> {
        let suffix = self.preview.as_deref()?;
        let label = format!("{port}--{agent}");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if label.len() > LABEL_BYTES_MAX || !label.bytes().all(plain) {
            return None;
        }
        Some(self.at(&format!("{label}.{suffix}")))
    }

    /// Where the login is, seen from a preview.
    #[must_use]
    pub fn page_url(&self) -> String {
        match (&self.url, self.preview.as_deref(), self.names.first()) {
            (Some(url), ..) => url.clone(),
            (None, Some(LOOPBACK), _) => self.at(LOOPBACK),
            (None, _, Some(name)) => self.at(name),
            _ => self.url(),
        }
    }

    fn at(&self, name: &str) -> String {
        let port = self.listen.port();
        let here = name == LOOPBACK || name.ends_with(&format!(".{LOOPBACK}"));
        // Whoever stands before us speaks TLS, on the port that `url` tells.
        let told = self.url.as_deref().and_then(crate::origin::split);
        let before = told.and_then(|(_, host)| host.split_once(':'));
        match (self.tls == Tls::Off, before) {
            (true, _) if here => format!("http://{name}:{port}"),
            (true, Some((_, port))) => format!("https://{name}:{port}"),
            (true, None) => format!("https://{name}"),
            (false, _) if port == 443 => format!("https://{name}"),
            (false, _) => format!("https://{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn net(more: &str) -> Net {
        let text = format!("[web]\nlisten = \"127.0.0.1:7443\"\n{more}");
        super::super::parse(&text, Path::new("/")).unwrap().unwrap()
    }

    #[test]
    fn a_name_stands_for_a_port_of_an_agent() {
        let net = net("names = [\"wsm.test\"]\npreview = \"*.Wsm.test\"");
        let read = |host| net.previewed(host);
        let both = |port: &str, agent: &str| Some((port.to_owned(), agent.to_owned()));
        assert_eq!(read("web--fix-login.wsm.test"), both("web", "fix-login"));
        assert_eq!(read("5173--a.WSM.test:7443"), both("5173", "a"));
        for other in [
            "wsm.test",
            "web.wsm.test",
            "web--.wsm.test",
            "--a.wsm.test",
            "x.web--a.wsm.test",
            "web--a.wsm.test.evil",
            "web--awsm.test",
            "web--a.wsm.test:x",
            "web--a.wsm.test:1:2",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        let url = net.preview_url("web", "a");
        assert_eq!(url.as_deref(), Some("https://web--a.wsm.test:7443"));
        assert_eq!(net.previewed(&url.unwrap()[8..]), both("web", "a"));
        assert_eq!(net.preview_url(&"p".repeat(30), &"a".repeat(40)), None);
        assert_eq!(net.preview_url("my_port", "a"), None);
        assert_eq!(net.page_url(), "https://wsm.test:7443");
    }

    #[test]
    fn without_names_only_this_machine_is_known() {
        let local = net("tls = \"off\"\npreview = \"*.localhost\"");
        let url = local.preview_url("web", "a");
        assert_eq!(url.as_deref(), Some("http://web--a.localhost:7443"));
        assert_eq!(local.page_url(), "http://localhost:7443");
        let proxied = net("tls = \"off\"\nnames = [\"wsm.test\"]\npreview = \"*.p.test\"");
        assert_eq!(proxied.page_url(), "https://wsm.test");
        assert_eq!(net("").preview_url("web", "a"), None);
        let names = ["wsm.test".to_owned()];
        assert!(read("*.p.test", &[]).is_err() && read("*.localhost", &[]).is_ok());
        for bad in ["", "*.", "*", "p.test", "*.a b", "*..p", "*.p."] {
            assert!(read(bad, &names).is_err(), "{bad}");
        }
    }
}

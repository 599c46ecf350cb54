//! A URL that messages are posted to, read once and strictly: what is vetted is what is dialled.

use wsm_egress::host::Host;

/// Longest URL.
const URL_BYTES_MAX: usize = 2048;

/// Where something is posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether over TLS; if not it must be on this machine.
    pub tls: bool,
    /// Host.
    pub host: Host,
    /// Port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl Place {
    /// Reads `https://HOST[:PORT]/PATH`, or `http://` for something on this machine.
    ///
    /// # Errors
    /// It is another thing: no scheme, a user, a fragment, an odd host.
    pub fn parse(url: &str) -> Result<Place, String> {
        let bad = |why: &str| Err(format!("{why}: https://HOST[:PORT]/PATH is wanted"));
        if url.len() > URL_BYTES_MAX || !url.bytes().all(|b| b.is_ascii_graphic()) {
            return bad("it is too long, or has characters that no URL has");
        }
        let (tls, rest) = match url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return bad("it is no URL of the web"),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') || path.contains(['#', '\\']) {
            return bad("it has a user or a fragment");
        }
        let (host, port) =
            Host::parse_with_port(authority).map_err(|why| format!("its host: {why}"))?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Ok(Place {
            tls,
            host,
            port,
            path,
        })
    }

    /// `https://HOST`, with the port unless that is the scheme's own.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Value of the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_keep_their_port() {
        for (url, origin, path) in [
            ("https://a.example", "https://a.example", "/"),
            ("https://A.example:443/x?y", "https://a.example", "/x?y"),
            ("https://a.example:8443/", "https://a.example:8443", "/"),
            ("http://127.0.0.1:80/n", "http://127.0.0.1", "/n"),
            ("https://[::1]:444?q", "https://[::1]:444", "/?q"),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(
                (place.origin().as_str(), place.path.as_str()),
                (origin, path)
            );
        }
    }

    #[test]
    fn what_programs_read_differently_is_refused() {
        for url in [
            "",
            "push.example.net",
            "/foo",
            "https://",
            "https:///x",
            "ftp://a.example/",
            "https://user@a.example/",
            "https://fcm.googleapis.com@evil.example/",
            "https://fcm.googleapis.com:443@evil.example/",
            "https://evil.example\\@fcm.googleapis.com/",
            "https://a.example:/",
            "https://a.example:0/",
            "https://a.example:99999/",
            "https://a.example:+1/",
            "https://a.example/#x",
            "https://a b.example/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://a.example/\r\nX: y",
            "https://[::1]x/",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }
}

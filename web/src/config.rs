//! The host's configuration: `config.toml`, table `[web]`. Root writes it. Off without.
//!
//! ```toml
//! [web]
//! listen = "0.0.0.0:7443"
//! names = ["wsm.example.org"]     # names of this host; requests for others are refused
//! url = "https://wsm.example.org" # what others open, where that is not its name and port
//! tls = "self-signed"             # self-signed | files | acme | off
//! certificate = "tls/chain.pem"   # files: below the configuration directory, or absolute
//! key = "tls/key.pem"
//! preview = "*.wsm.example.org"   # origins of previews: PORT--AGENT.wsm.example.org
//! proxies = ["127.0.0.1"]         # whose X-Forwarded-For is believed
//!
//! [web.acme]                      # acme: an authority gives the certificate for `names`
//! contact = "mailto:ops@example.org"
//! directory = "https://…"         # Let's Encrypt without
//! authority = "tls/ca.pem"        # what vouches for the directory, besides the system's
//! ```

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

mod acme;
mod previews;

pub use acme::Acme;

/// Name of the file in the configuration directory.
const FILE: &str = "config.toml";

/// Longest file.
const BYTES_MAX: u64 = 1 << 20;

/// How the API is served over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names of this host, in lower case.
    pub names: Vec<String>,
    /// What others open, if that was said.
    pub url: Option<String>,
    /// Who speaks TLS.
    pub tls: Tls,
    /// What the names of previews end with.
    pub preview: Option<String>,
    /// Addresses whose word on where a request comes from is believed.
    pub proxies: Vec<IpAddr>,
}

/// Who speaks TLS, and with which certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// wsm, with a certificate that it makes and keeps itself.
    SelfSigned,
    /// wsm, with these files.
    Files {
        /// Certificate chain, PEM.
        certificate: PathBuf,
        /// Private key, PEM.
        key: PathBuf,
    },
    /// wsm, with a certificate that an authority gives for its names.
    Acme(Acme),
    /// Somebody before it on this machine: a proxy or a tailnet.
    Off,
}

#[derive(Debug, Deserialize)]
struct File {
    web: Option<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    listen: SocketAddr,
    #[serde(default)]
    names: Vec<String>,
    url: Option<String>,
    #[serde(default = "self_signed")]
    tls: String,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    acme: Option<acme::Table>,
    preview: Option<String>,
    #[serde(default)]
    proxies: Vec<IpAddr>,
}

fn self_signed() -> String {
    "self-signed".to_owned()
}

/// Reads the file of a configuration directory. `None`: the network is off.
///
/// # Errors
/// It is there and can't be used; what is wrong, for people.
pub fn load(etc: &Path) -> Result<Option<Net>, String> {
    let path = etc.join(FILE);
    match fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("read {FILE}: {e}")),
        Ok(found) if found.len() > BYTES_MAX => {
            return Err(format!("{FILE} is longer than {BYTES_MAX} bytes"));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(&path).map_err(|e| format!("read {FILE}: {e}"))?;
    parse(&text, etc)
}

/// Reads a text; files are looked for below `etc`.
///
/// # Errors
/// It is no configuration.
pub fn parse(text: &str, etc: &Path) -> Result<Option<Net>, String> {
    let File { web } = toml::from_str(text).map_err(|e| format!("{FILE}: {e}"))?;
    let Some(table) = web else {
        return Ok(None);
    };
    let said = |why: &str| format!("{FILE}: web.{why}");
    let wrong = |why: &str| Err(said(why));
    let names = names(table.names).map_err(|why| said(&why))?;
    if table.acme.is_some() && table.tls != "acme" {
        return wrong("acme: this is for tls = \"acme\"");
    }
    let tls = match (table.tls.as_str(), table.certificate, table.key) {
        ("self-signed", None, None) => Tls::SelfSigned,
        ("files", Some(certificate), Some(key)) => Tls::Files {
            certificate: etc.join(certificate),
            key: etc.join(key),
        },
        ("files", ..) => return wrong("tls: files needs `certificate` and `key`"),
        ("off", None, None) if table.listen.ip().is_loopback() => Tls::Off,
        ("off", None, None) => {
            return wrong("tls: off is for 127.0.0.1 and ::1 alone, behind a proxy or a tailnet");
        }
        ("acme", None, None) if table.preview.is_some() => {
            return wrong("preview: no wildcard is certified over TLS; use `files` for one");
        }
        ("acme", None, None) => {
            let acme = acme::read(table.acme.unwrap_or_default(), &names, etc);
            Tls::Acme(acme.map_err(|why| said(&why))?)
        }
        ("self-signed" | "acme" | "off", ..) => {
            return wrong("certificate, web.key: these are for files");
        }
        _ => return wrong("tls: self-signed, files, acme or off"),
    };
    if let Some(url) = &table.url {
        let known = crate::origin::split(url).is_some_and(|(scheme, host)| {
            let here = crate::origin::is_loopback(host);
            here || (scheme == "https" && names_host(&names, host))
        });
        if !known {
            return wrong("url: https://NAME[:PORT] with a name of `names`, nothing behind it");
        }
    }
    let preview = table.preview.map(|text| previews::read(&text, &names));
    let preview = preview.transpose().map_err(|why| said(&why))?;
    Ok(Some(Net {
        preview,
        listen: table.listen,
        url: table.url,
        names,
        tls,
        proxies: table.proxies,
    }))
}

/// Names of hosts, in lower case.
fn names(mut names: Vec<String>) -> Result<Vec<String>, String> {
    for name in &mut names {
        name.make_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(plain) {
            return Err(format!("names: {name:?} is no name of a host"));
        }
    }
    Ok(names)
}

/// Whether `HOST[:PORT]` is one of these names.
fn names_host(names: &[String], host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl Net {
    /// Whether a request's `Host` means this host: a name that was listed, `localhost`, or a bare
    /// address. A page of somebody else's that had its name lead here says that name.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((address, port)) if port.is_empty() || is_port(port) => {
                    return address.parse::<std::net::Ipv6Addr>().is_ok();
                }
                _ => return false,
            },
            None => match host.find(':') {
                Some(colon) if is_port(&host[colon..]) => &host[..colon],
                Some(_) => return false,
                None => host,
            },
        };
        let name = name.to_ascii_lowercase();
        name == "localhost"
            || self.names.contains(&name)
            || name.parse::<std::net::Ipv4Addr>().is_ok()
    }

    /// Where a request comes from: the last address that no proxy of ours added.
    #[must_use]
    pub fn client(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let mut address = peer;
        let hops = forwarded.iter().flat_map(|line| line.split(','));
        let mut hops: Vec<_> = hops.map(str::trim).collect();
        while self.proxies.contains(&address) {
            match hops.pop().and_then(|hop| hop.parse().ok()) {
                Some(hop) => address = hop,
                None => break,
            }
        }
        address
    }

    /// Its URL, as well as it is known.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = self.scheme();
        match self.names.first() {
            Some(name) => format!("{scheme}://{name}:{}", self.listen.port()),
            None => format!("{scheme}://{}", self.listen),
        }
    }

    fn scheme(&self) -> &'static str {
        match self.tls {
            Tls::Off => "http",
            Tls::SelfSigned | Tls::Files { .. } | Tls::Acme(_) => "https",
        }
    }

    /// What others open; `None` where nothing says how they reach this host.
    #[must_use]
    pub fn public_url(&self) -> Option<String> {
        if let Some(url) = &self.url {
            return Some(url.clone());
        }
        let known = !self.names.is_empty() || !self.listen.ip().is_unspecified();
        known.then(|| self.url())
    }

    /// What a link for others begins with: what the configuration says, else the way by which its
    /// maker came in, if that leads here from elsewhere; `None` where nobody knows one.
    #[must_use]
    pub fn link_base(&self, came: Option<&str>) -> Option<String> {
        let elsewhere = |host: &&str| self.knows(host) && !crate::origin::is_loopback(host);
        match came.filter(elsewhere) {
            Some(host) if self.url.is_none() => Some(format!("{}://{host}", self.scheme())),
            _ => self.public_url(),
        }
    }
}

/// `:` and a number.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Net>, String> {
        parse(text, Path::new("/etc/wsm"))
    }

    #[test]
    fn off_without_a_table_and_never_bare_to_the_network() {
        assert_eq!(read("[egress]\n"), Ok(None));
        let net = read("[web]\nlisten = \"0.0.0.0:7443\"").unwrap().unwrap();
        assert_eq!(net.tls, Tls::SelfSigned);
        assert_eq!(net.url(), "https://0.0.0.0:7443");
        assert!(read("[web]\nlisten = \"127.0.0.1:80\"\ntls = \"off\"").is_ok());
        for wrong in [
            "[web]\nlisten = \"0.0.0.0:80\"\ntls = \"off\"",
            "[web]\nlisten = \"0.0.0.0:80\"\ntls = \"acme\"",
            "[web]\nlisten = \"0.0.0.0:80\"\ntls = \"files\"",
            "[web]\nlisten = \"0.0.0.0:80\"\nkey = \"x\"",
            "[web]\nlisten = \"0.0.0.0:80\"\nnames = [\"a b\"]",
            "[web]\nlisten = \"0.0.0.0:80\"\nname = [\"a\"]",
            "[web]\nlisten = \"x\"",
            "[web]\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let files =
            "[web]\nlisten = \"[::]:443\"\ntls = \"files\"\ncertificate = \"c\"\nkey = \"/k\"";
        let Tls::Files { certificate, key } = read(files).unwrap().unwrap().tls else {
            panic!("files")
        };
        assert_eq!(certificate, Path::new("/etc/wsm/c"));
        assert_eq!(key, Path::new("/k"));
    }

    #[test]
    fn other_names_are_not_this_host() {
        let net = read("[web]\nlisten = \"0.0.0.0:7443\"\nnames = [\"Wsm.example\"]");
        let net = net.unwrap().unwrap();
        for mine in [
            "wsm.example",
            "WSM.example:7443",
            "localhost:1",
            "192.0.2.1",
            "10.0.0.1:7443",
            "[::1]:7443",
            "[2001:db8::1]",
        ] {
            assert!(net.knows(mine), "{mine}");
        }
        for other in [
            "",
            "evil.example",
            "wsm.example.evil.example",
            "wsm.example:x",
            "wsm.example:99999",
            "wsm.example:",
            "[::1]x",
            "[evil.example]",
            "127.0.0.1.evil.example",
            "evil@wsm.example",
            "::1",
        ] {
            assert!(!net.knows(other), "{other}");
        }
    }

    #[test]
    fn a_link_leads_where_others_come_in() {
        let link = |text: &str, came: Option<&str>| {
            let net = read(&format!("[web]\n{text}")).unwrap().unwrap();
            net.link_base(came)
        };
        let said = "listen = \"127.0.0.1:80\"\ntls = \"off\"\nnames = [\"wsm.test\"]\nurl = \"https://wsm.test\"";
        let told = Some("https://wsm.test".to_owned());
        for came in [
            None,
            Some("localhost"),
            Some("127.0.0.1:80"),
            Some("wsm.test"),
        ] {
            assert_eq!(link(said, came), told, "{came:?}");
        }
        let any = "listen = \"0.0.0.0:7443\"";
        // Nobody knows; who came in from elsewhere shows a way.
        for here in [
            None,
            Some("localhost"),
            Some("[::1]:7443"),
            Some("evil.test"),
        ] {
            assert_eq!(link(any, here), None, "{here:?}");
        }
        let came = link(any, Some("192.0.2.1:7443"));
        assert_eq!(came.as_deref(), Some("https://192.0.2.1:7443"));
        let named = format!("{any}\nnames = [\"a.test\", \"b.test\"]");
        let first = Some("https://a.test:7443".to_owned());
        assert_eq!(link(&named, Some("localhost")), first);
        assert_eq!(link(&named, Some("127.0.0.1:7443")), first);
        let second = link(&named, Some("b.test:7443"));
        assert_eq!(second.as_deref(), Some("https://b.test:7443"));
        let own = link("listen = \"192.0.2.1:7443\"", None);
        assert_eq!(own.as_deref(), Some("https://192.0.2.1:7443"));
    }

    #[test]
    fn proxies_alone_are_believed() {
        let text = "[web]\nlisten = \"127.0.0.1:80\"\ntls = \"off\"\nproxies = [\"127.0.0.1\", \"10.0.0.1\"]";
        let net = read(text).unwrap().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let from = |peer, lines: &[&str]| net.client(ip(peer), lines).to_string();
        assert_eq!(from("127.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(
            from("127.0.0.1", &["6.6.6.6, 1.2.3.4", "10.0.0.1"]),
            "1.2.3.4"
        );
        assert_eq!(from("127.0.0.1", &["6.6.6.6, nonsense"]), "127.0.0.1");
        assert_eq!(from("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(from("127.0.0.2", &["1.2.3.4"]), "127.0.0.2");
    }
}

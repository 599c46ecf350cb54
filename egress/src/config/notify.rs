//! Where notifications may go: `[notify]` of `config.toml`. No concern of egress, but of the same
//! file; the daemon sends them.
//!
//! ```toml
//! [notify]
//! url = "https://wsm.example.org"          # what links in messages begin with
//! contact = "mailto:admin@example.org"     # who answers for what is sent (RFC 8292); url without
//! push = ["push.example.org:8443"]         # push services besides those of the browsers
//! permit = [{ names = ["ntfy.example.org"], cidr = "10.1.0.0/16" }]   # addresses that are not public
//!
//! [notify.smtp]                            # without: no mail
//! host = "mail.example.org"
//! port = 465                               # implicit: 465, starttls: 587, off: 25
//! tls = "implicit"                         # implicit | starttls | off (to this machine alone)
//! from = "wsm <wsm@example.org>"
//! user = "wsm"
//! password_file = "smtp.password"          # below the configuration directory, or absolute
//! ```

use std::path::PathBuf;

use serde::Deserialize;

use super::PermitTable;
use crate::address::Permit;
use crate::host::Host;
use crate::rule::Rule;

/// What the host says about notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notify {
    /// What links in messages begin with, without a slash at the end.
    pub url: Option<String>,
    /// Who answers for what is sent: `mailto:` or `https:`.
    pub contact: Option<String>,
    /// Push services besides the known ones.
    pub push: Vec<Rule>,
    /// Addresses that may be spoken to although they are not public.
    pub permits: Vec<Permit>,
    /// Through whom mail goes.
    pub smtp: Option<Smtp>,
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// Where it is.
    pub host: Host,
    /// Port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: SmtpTls,
    /// Sender.
    pub from: String,
    /// Its user, and the file that holds the password.
    pub login: Option<(String, PathBuf)>,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmtpTls {
    /// TLS from the first byte.
    Implicit,
    /// TLS before the first secret, or not at all.
    Starttls,
    /// None: to this machine alone.
    Off,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    url: Option<String>,
    contact: Option<String>,
    push: Vec<String>,
    permit: Vec<PermitTable>,
    smtp: Option<SmtpTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SmtpTable {
    host: String,
    port: Option<u16>,
    #[serde(default = "implicit")]
    tls: SmtpTls,
    from: String,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

fn implicit() -> SmtpTls {
    SmtpTls::Implicit
}

impl Table {
    pub(super) fn read(self) -> Result<Notify, String> {
        let plain = |text: &String| text.bytes().all(|b| b.is_ascii_graphic());
        let url = self.url.map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = &url
            && !(url.starts_with("https://") && plain(url))
        {
            return Err(format!("notify.url: {url:?} does not begin with https://"));
        }
        if let Some(contact) = &self.contact
            && !(["mailto:", "https://"]
                .iter()
                .any(|s| contact.starts_with(s))
                && plain(contact))
        {
            return Err("notify.contact: mailto:PERSON@HOST or https://… is wanted".to_owned());
        }
        let push = self.push.iter().map(|text| Rule::parse(text));
        let permits = self.permit.into_iter().map(PermitTable::read);
        Ok(Notify {
            url,
            contact: self.contact,
            push: push
                .collect::<Result<_, _>>()
                .map_err(|bad| format!("notify.push: {bad}"))?,
            permits: permits
                .collect::<Result<_, _>>()
                .map_err(|bad| format!("notify.permit: {bad}"))?,
            smtp: self.smtp.map(SmtpTable::read).transpose()?,
        })
    }
}

impl SmtpTable {
    fn read(self) -> Result<Smtp, String> {
        let host = Host::parse(&self.host).map_err(|why| format!("notify.smtp.host: {why}"))?;
        let here = match &host {
            Host::Ip(ip) => ip.is_loopback(),
            Host::Name(name) => name == "localhost",
        };
        if self.tls == SmtpTls::Off && !here {
            return Err("notify.smtp.tls: off is for a server on this machine alone".to_owned());
        }
        let usual = match self.tls {
            SmtpTls::Implicit => 465,
            SmtpTls::Starttls => 587,
            SmtpTls::Off => 25,
        };
        let login = match (self.user, self.password_file) {
            (Some(user), Some(file)) => Some((user, file)),
            (None, None) => None,
            _ => return Err("notify.smtp: user and password_file go together".to_owned()),
        };
        Ok(Smtp {
            host,
            port: self.port.unwrap_or(usual),
            tls: self.tls,
            from: self.from,
            login,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::HostConfig;

    #[test]
    fn where_notifications_may_go() {
        let text = r#"
            [notify]
            url = "https://wsm.example.org/"
            push = ["push.example.org:8443"]
            permit = [{ names = ["ntfy.example.org"], cidr = "10.1.0.0/16" }]
            [notify.smtp]
            host = "mail.example.org"
            from = "wsm@example.org"
        "#;
        let config = HostConfig::parse(text).unwrap().notify;
        assert_eq!(config.url.as_deref(), Some("https://wsm.example.org"));
        assert_eq!(config.push[0].port, 8443);
        assert_eq!(config.permits.len(), 1);
        assert_eq!(config.smtp.unwrap().port, 465);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let smtp = |more: &str| format!("[notify.smtp]\nfrom = \"a@b.example\"\n{more}");
        for text in [
            "[notify]\nurls = \"\"".to_owned(),
            "[notify]\nurl = \"http://a.example\"".to_owned(),
            "[notify]\ncontact = \"root\"".to_owned(),
            "[notify]\npush = [\"*.com\"]".to_owned(),
            smtp("host = \"mail.example.org\"\ntls = \"off\""),
            smtp("host = \"mail.example.org\"\nuser = \"wsm\""),
            smtp("host = \"a b\""),
        ] {
            assert!(HostConfig::parse(&text).is_err(), "{text}");
        }
        let local = smtp("host = \"127.0.0.1\"\ntls = \"off\"\nport = 2525");
        assert!(HostConfig::parse(&local).is_ok());
    }
}

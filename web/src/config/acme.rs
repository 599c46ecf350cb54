//! `web.acme`: who gives the certificate, where that is left to an authority.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where most hosts ask.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Names of one certificate; authorities take no more.
const NAMES_MAX: usize = 100;

/// Whom to ask for a certificate, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// URL of the authority's directory.
    pub directory: String,
    /// Who is told when something is wrong with the certificate: `mailto:…`.
    pub contact: Option<String>,
    /// Certificates, PEM, that vouch for the directory besides those that the system knows.
    pub authority: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    directory: Option<String>,
    contact: Option<String>,
    authority: Option<PathBuf>,
}

/// Reads the table of a host with these names; files are looked for below `etc`.
pub(super) fn read(table: Table, names: &[String], etc: &Path) -> Result<Acme, String> {
    let Table {
        directory,
        contact,
        authority,
    } = table;
    if names.is_empty() || names.len() > NAMES_MAX {
        return Err(format!(
            "names: a certificate by acme is for 1 to {NAMES_MAX} of them"
        ));
    }
    if let Some(name) = names.iter().find(|name| name.parse::<IpAddr>().is_ok()) {
        return Err(format!(
            "names: {name} is an address; certificates by acme are for names"
        ));
    }
    let directory = directory.unwrap_or_else(|| LETS_ENCRYPT.to_owned());
    let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !directory.starts_with("https://") || !printable(&directory) {
        return Err(format!("acme.directory: {directory:?} is not https://…"));
    }
    if let Some(contact) = &contact
        && !(contact.starts_with("mailto:") && printable(contact))
    {
        return Err(format!("acme.contact: {contact:?} is not mailto:…"));
    }
    Ok(Acme {
        directory,
        contact,
        authority: authority.map(|path| etc.join(path)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Tls, parse};
    use super::*;

    #[test]
    fn a_certificate_is_asked_for_names_that_can_be_proved() {
        let read = |more: &str| -> Result<(String, Acme), String> {
            let text = format!("[web]\nlisten = \"0.0.0.0:7443\"\ntls = \"acme\"\n{more}");
            let net = parse(&text, Path::new("/etc/wsm"))?.expect("it is on");
            match net.tls {
                Tls::Acme(ref acme) => Ok((net.url(), acme.clone())),
                ref other => panic!("{other:?}"),
            }
        };
        let (url, acme) = read("names = [\"wsm.test\"]").unwrap();
        assert_eq!(url, "https://wsm.test:7443");
        assert_eq!(acme.directory, LETS_ENCRYPT);
        let more = "names = [\"wsm.test\"]\n[web.acme]\ncontact = \"mailto:a@wsm.test\"\n\
                    directory = \"https://ca.test/dir\"\nauthority = \"ca.pem\"";
        let (_, acme) = read(more).unwrap();
        assert_eq!(
            acme.authority.as_deref(),
            Some(Path::new("/etc/wsm/ca.pem"))
        );
        for (wrong, why) in [
            ("", "names"),
            ("names = [\"192.0.2.1\"]", "address"),
            ("names = [\"a.test\"]\ncertificate = \"c\"", "for files"),
            ("names = [\"a.test\"]\npreview = \"*.a.test\"", "preview"),
            (
                "names = [\"a.test\"]\n[web.acme]\ncontact = \"a@b\"",
                "mailto",
            ),
            (
                "names = [\"a.test\"]\n[web.acme]\ndirectory = \"http://a\"",
                "https",
            ),
            ("names = [\"a.test\"]\n[web.acme]\ntoken = \"x\"", "token"),
        ] {
            let told = read(wrong).unwrap_err();
            assert!(told.contains(why), "{wrong}: {told}");
        }
        let other = "[web]\nlisten = \"0.0.0.0:1\"\nnames = [\"a\"]\n[web.acme]";
        assert!(parse(other, Path::new("/")).unwrap_err().contains("acme"));
    }
}

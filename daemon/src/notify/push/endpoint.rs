//! Which endpoints are push services: the address is the browser's word, and the daemon posts there.

use wsm_egress::config::notify::Notify;
use wsm_egress::rule::Rule;

use crate::notify::place::Place;

/// Those of the browsers that there are.
const KNOWN: [&str; 5] = [
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "web.push.apple.com",
    "*.push.apple.com",
    "*.notify.windows.com",
];

/// Reads an endpoint.
///
/// # Errors
/// It is no URL, or its host no push service that this host knows.
pub fn parse(url: &str, config: &Notify) -> Result<Place, String> {
    let place = Place::parse(url)?;
    if !place.tls {
        return Err("a push service is spoken to over TLS alone".to_owned());
    }
    let means = |rule: &Rule| rule.port == place.port && rule.pattern.means(&place.host);
    let known = KNOWN.iter().filter_map(|text| Rule::parse(text).ok());
    if known
        .chain(config.push.iter().cloned())
        .any(|rule| means(&rule))
    {
        return Ok(place);
    }
    Err(format!(
        "{} is no push service that this host knows; root may add it to [notify] push in config.toml",
        place.authority()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(url: &str, more: &[&str]) -> bool {
        let push = more.iter().map(|text| Rule::parse(text).unwrap()).collect();
        let config = Notify {
            push,
            ..Notify::default()
        };
        parse(url, &config).is_ok()
    }

    #[test]
    fn push_services_alone_are_posted_to() {
        for known in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://updates.push.services.mozilla.com/wpush/v2/x",
            "https://web.push.apple.com/x",
            "https://wns2-by3p.notify.windows.com/w/?token=x",
        ] {
            assert!(ask(known, &[]), "{known}");
        }
        for other in [
            "https://evil.example/x.apple.com/",
            "https://push.apple.com.evil.example/",
            "https://fcm.googleapis.com.evil.example/",
            "https://xfcm.googleapis.com/",
            "https://push.services.mozilla.com/",
            "https://fcm.googleapis.com:8443/",
            "http://fcm.googleapis.com/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest",
            "https://localhost:9000/",
        ] {
            assert!(!ask(other, &[]), "{other}");
        }
        assert!(ask("https://localhost:9000/x", &["localhost:9000"]));
        assert!(!ask("https://localhost:9001/x", &["localhost:9000"]));
    }
}

//! The session's cookie: read from a request, written into an answer.

use axum::http::header::{COOKIE, HeaderMap, HeaderValue};
use wsm_api::link::PREFIX;

/// Its name wherever TLS is spoken, here or in front of us. The prefix makes browsers refuse one
/// that another host, another path or plain HTTP set.
const NAME: &str = "__Host-wsm";

/// The same for what a link brought: another cookie, so that opening one signs nobody out.
const LINK_NAME: &str = "__Host-wsm-link";

/// Longest value: ours have 52 characters.
const VALUE_BYTES_MAX: usize = 128;

/// How this request's browser keeps the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Jar {
    /// As a cookie that only TLS carries.
    Secure,
    /// Plainly: a browser on this machine, where no TLS is. Ports share cookies there, so the
    /// port is in the name, and the session is good for clients of this machine alone.
    Loopback(u16),
}

impl Jar {
    fn name(&self) -> String {
        match self {
            Jar::Secure => NAME.to_owned(),
            Jar::Loopback(port) => format!("wsm-{port}"),
        }
    }

    fn link_name(&self) -> String {
        match self {
            Jar::Secure => LINK_NAME.to_owned(),
            Jar::Loopback(port) => format!("wsm-link-{port}"),
        }
    }

    /// The header that has the browser keep `value` for so long.
    pub(crate) fn keep(&self, value: &str, seconds: u64) -> HeaderValue {
        self.line(&self.name(), value, seconds)
    }

    /// The header that has it keep a link's value; `None`: that is no link's.
    pub(crate) fn keep_link(&self, code: &str, seconds: u64) -> Option<HeaderValue> {
        let value = code.strip_prefix(PREFIX)?;
        plain(value).then(|| self.line(&self.link_name(), value, seconds))
    }

    fn line(&self, name: &str, value: &str, seconds: u64) -> HeaderValue {
        let secure = match self {
            Jar::Secure => "; Secure",
            Jar::Loopback(_) => "",
        };
        let line =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&line).expect("letters and digits")
    }

    /// The header that has it forget.
    pub(crate) fn forget(&self) -> HeaderValue {
        self.keep("", 0)
    }

    /// The value that the browser sent; two of one name are none that could be believed.
    pub(crate) fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        named(headers, &self.name())
    }

    /// The value of the link that the browser opened.
    pub(crate) fn link(&self, headers: &HeaderMap) -> Option<String> {
        let value = named(headers, &self.link_name())?;
        Some(format!("{PREFIX}{value}"))
    }
}

fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    find(&lines, name)
}

fn plain(value: &str) -> bool {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain && !value.is_empty() && value.len() <= VALUE_BYTES_MAX
}

/// The one cookie of this name.
pub(crate) fn find<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    let pairs = lines.iter().flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (found, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        (found == name).then_some(value)
    });
    let value = values.next().filter(|value| plain(value));
    value.filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_its_name_or_none() {
        for (lines, value) in [
            (&["__Host-wsm=abc"][..], Some("abc")),
            (&["a=b; __Host-wsm=abc; c=d"], Some("abc")),
            (&["a=b", "x;__Host-wsm=abc;"], Some("abc")),
            (&[], None),
            (&["__Host-wsm=abc; __Host-wsm=abd"], None),
            (&["__Host-wsm=abc", "__Host-wsm=abc"], None),
            (&["__host-wsm=abc"], None),
            (&["x__Host-wsm=abc; __Host-wsm2=abc"], None),
            (&["__Host-wsm"], None),
            (&["__Host-wsm="], None),
            (&["__Host-wsm=\"abc\""], None),
            (&["__Host-wsm=a b"], None),
            (&["__Host-wsm=a=b"], None),
        ] {
            assert_eq!(find(lines, NAME), value, "{lines:?}");
        }
        let long = format!("__Host-wsm={}", "a".repeat(129));
        assert_eq!(find(&[&long], NAME), None);
    }

    #[test]
    fn what_browsers_are_told() {
        assert_eq!(
            Jar::Secure.keep("abc", 60),
            "__Host-wsm=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            Jar::Loopback(7443).forget(),
            "wsm-7443=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn a_link_has_a_cookie_of_its_own() {
        for (jar, line) in [
            (
                Jar::Secure,
                "__Host-wsm-link=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure",
            ),
            (
                Jar::Loopback(7443),
                "wsm-link-7443=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict",
            ),
        ] {
            let kept = jar.keep_link("wsml_abc", 60).unwrap();
            assert_eq!(kept, line);
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_str(line).unwrap());
            assert_eq!(jar.link(&headers).unwrap(), "wsml_abc");
            assert_eq!(jar.value(&headers), None);
            for bad in ["wsm_abc", "wsml_", "wsml_a;b", "wsml_a b", "abc"] {
                assert_eq!(jar.keep_link(bad, 60), None, "{bad}");
            }
        }
    }
}
